"""Audit bundles: an audit log as one zip file that an auditor checks without us (PIPL 54, 69).

Content. `manifest.json`: SHA-256 of every file, canonical (RFC 8785); `manifest.sig`: its signature by the log's owner.
`events.jsonl`: an event a line; `leaves.txt`: number and hash of each. `checkpoints.jsonl`: with witnesses' signatures;
`proofs.json`: consistency of each checkpoint with the next, inclusion of every event (of `ALL_PROVED`, evenly spread,
when there are more). `witnessed.jsonl`: what others showed to this party. `keys.json`: everyone's public keys.
`documents/`: what the events refer to by digest. `verify.py`: `federation.standalone.verify`, which checks all of it.
What it does not promise. A bundle speaks for its log up to the last checkpoint that others have cosigned; whether its
keys are the parties' keys is known only to who compares their fingerprints with what the parties say.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from federation.audit_log import AuditLog
from federation.audit_records import canonical
from federation.files import replace_file
from federation.standalone import verify as standalone
from federation.standalone.verify import ALL_PROVED, FORMAT, MANIFEST_DOMAIN, Bundle, Finding
from privacy.audit import Event, EventType
from privacy.checkpoints import Checkpoint
from privacy.errors import ConfigInvalid, SilhouetteError
from privacy.merkle import leaf_hash
from privacy.sealing import PublicIdentity
from privacy.texts import text

_DOCUMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""In the archive, so that equal content is an equal file; when it was made is in the manifest."""


def export(
    log: AuditLog,
    target: Path,
    documents: Mapping[str, bytes],
    keys: Mapping[str, PublicIdentity],
    *,
    actor: str = "operator",
) -> Path:
    """Write the bundle of a log; returns the file.

    target: the zip file, or an existing folder to put it in. documents: content by name (letters, digits, `._-/`).
    keys: of every party that has cosigned or shown anything, former ones too. The export is logged and then signed.
    Raises `ConfigInvalid` for a document's name, `LogUnavailable`, or `AuditBroken`.
    """
    for name in documents:
        if not _DOCUMENT.fullmatch(name):
            raise ConfigInvalid("audit_document_name", name=name)
    list_digest = hashlib.sha256(canonical(_digests(documents))).hexdigest()
    log.append(
        EventType.AUDIT_BUNDLE_EXPORTED,
        actor=actor,
        numbers={"documents": len(documents)},
        digests={"documents": list_digest},
    )
    last = log.checkpoint()
    files = _files_of(log, last, {log.origin: log.public} | dict(keys))
    files |= {f"documents/{name}": content for name, content in documents.items()}
    manifest = canonical(
        {
            "format": FORMAT,
            "origin": log.origin,
            "created": last.time,
            "events": last.size,
            "key": last.key,
            "files": _digests(files),
        }
    )
    files["manifest.json"] = manifest
    files["manifest.sig"] = log.sign_statement(MANIFEST_DOMAIN, manifest).hex().encode() + b"\n"
    file = target / f"audit-{log.origin}-{last.size}.zip" if target.is_dir() else target
    try:
        replace_file(file, _archive(files))
    except OSError as problem:
        raise ConfigInvalid(
            "audit_bundle_unwritable", file=file, problem=problem.strerror or type(problem).__name__
        ) from None
    return file


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _files_of(log: AuditLog, last: Checkpoint, keys: Mapping[str, PublicIdentity]) -> dict[str, bytes]:
    """What is made of the log itself, up to its last checkpoint."""
    events = list(log.lines(0, last.size))
    own = [(made, signed) for made, signed in log.checkpoints() if made.size <= last.size]
    return {
        "events.jsonl": _joined(events),
        "leaves.txt": _joined(f"{seq} {leaf_hash(line).hex()}".encode() for seq, line in enumerate(events)),
        "checkpoints.jsonl": _joined(
            canonical({"checkpoint": made, "cosignatures": signed}) for made, signed in own
        ),
        "proofs.json": canonical(_proofs(log, [made.size for made, _ in own])),
        "witnessed.jsonl": _joined(map(canonical, log.witnessed())),
        "keys.json": canonical({name: key.to_text() for name, key in keys.items()}),
        "verify.py": (resources.files("federation.standalone") / "verify.py").read_bytes(),
    }


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _proofs(log: AuditLog, sizes: list[int]) -> dict[str, Any]:
    """The proofs over own checkpoints of these sizes; hashes in hexadecimal."""
    last = sizes[-1]
    chosen = range(last) if last <= ALL_PROVED else (n * last // ALL_PROVED for n in range(ALL_PROVED))
    return {
        "consistency": [
            {"old": old, "new": new, "proof": _hexadecimal(log.consistency(old, new))}
            for old, new in pairwise(sizes)
        ],
        "inclusion": [
            {"seq": seq, "size": last, "proof": _hexadecimal(log.inclusion(seq, last))} for seq in chosen
        ],
    }


def _hexadecimal(path: Iterable[bytes]) -> list[str]:
    return [part.hex() for part in path]


def _archive(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _DATE), files[name], zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def read(data: bytes, fingerprints: Mapping[str, str] | None = None, name: str = "bundle") -> Bundle:
    """A bundle with what does not hold in it (`findings`). Never raises, whatever `data` is.

    fingerprints: at least the first 16 hexadecimal digits of a party's, known from elsewhere, by party. name: what to
    call the bundle as long as its origin is not known.
    """
    try:
        files = standalone.read_zip(io.BytesIO(data))
    except (ValueError, OSError) as problem:
        bundle = Bundle({}, name=name)
        bundle.findings = [Finding("bundle_unreadable", name, None, str(problem))]
        return bundle
    bundle = Bundle(files, fingerprints, _holds, name)
    named = {finding.seq for finding in bundle.findings}
    for seq, line in enumerate(bundle.lines):
        try:
            Event.parse(line)
        except (ValueError, SilhouetteError):
            if seq not in named:
                bundle.add("event_invalid", seq)
    return bundle


def read_receipt(
    data: bytes, fingerprints: Mapping[str, str] | None = None, name: str = "receipt"
) -> standalone.Receipt:
    """A data subject's receipt with what does not hold in it; as `read`."""
    return standalone.Receipt(data, fingerprints, _holds, name)


def verify(data: bytes, fingerprints: Mapping[str, str] | None = None) -> list[Finding]:
    """What does not hold in a bundle; nothing when all of it does. Needs nothing but the bundle.

    Without `fingerprints` it is checked against the keys that it brings itself.
    """
    return read(data, fingerprints).findings


def compare(one: bytes, other: bytes) -> list[Finding]:
    """Whether two bundles show a log that was shown differently to different parties, or less of it than was signed.

    Only what `verify` accepts is compared: verify both as well.
    """
    return standalone.compare(read(one), read(other))


def describe(finding: Finding, language: str | None = None) -> str:
    """A finding in one line."""
    return text(
        f"audit.finding.{finding.code}",
        language=language,
        log=finding.log,
        seq=finding.seq,
        about=finding.about,
    )


def _holds(key: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True
