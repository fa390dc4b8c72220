"""Verify an audit bundle without a network, a server or any other package: `python -I verify.py [BUNDLE ...]`.

A bundle is a zip file, or the folder it was unpacked to; without one it is the folder this file lies in. Several
bundles are compared as well: whether one log was shown to different parties differently. A `.json` file is the receipt
of a data subject's request (`privacy.receipts`), which holds its own proofs. `--fingerprint NAME=HEX` pins
a party's key to what you were told by another way; without that, a bundle only agrees with the keys it brings itself.
Take this file from somewhere else than the bundle when you do not trust who gave you the bundle.
Exit status: 0 when everything holds, 1 when something does not, 2 for a wrong command line.
Checked: the manifest's signature and every file's SHA-256; each event against its leaf, and so its number; each
checkpoint's Ed25519 signature (RFC 8032) and root (RFC 9162); witnesses' signatures; every proof. A signature takes
about two milliseconds. Needs Python 3.10 or newer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

FORMAT: Final = "silhouette audit bundle 1"
MANIFEST_DOMAIN: Final = "silhouette audit bundle v1"
CHECKPOINT_DOMAIN: Final = "silhouette checkpoint v1"
COSIGNATURE_DOMAIN: Final = "silhouette cosignature v1"
RECEIPT_FORMAT: Final = "silhouette receipt 1"
RECEIPT_DOMAIN: Final = "silhouette receipt v1"
ANSWER_DOMAIN: Final = "rights answer"
SECTIONS: Final = (
    "absences",
    "answers",
    "case",
    "checkpoint",
    "complaint",
    "events",
    "keys",
    "models",
    "opening",
    "outcomes",
)
"""Of a receipt; each has a digest under its signature, so that a change is named."""
UNLISTED: Final = ("manifest.json", "manifest.sig")
ALL_PROVED: Final = 1000
"""Up to so many events, each has an inclusion proof of its own."""
MAX_BYTES: Final = 1 << 31
FINGERPRINT: Final = re.compile(r"[0-9a-f]{16,64}")

Verifier = Callable[[bytes, bytes, bytes], bool]
"""(key, signature, signed bytes) -> whether it holds."""

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "bundle_unreadable": ("{log}: this is not an audit bundle ({about}).", "{log}：不是审计包（{about}）。"),
    "manifest_changed": (
        "{log}: the manifest was changed or is not signed by this party.",
        "{log}：清单被改动，或并非由该方签名。",
    ),
    "key_not_pinned": (
        "{log}: the key in the bundle is not the one with the fingerprint that you gave.",
        "{log}：包内的密钥与您给出的指纹不符。",
    ),
    "file_changed": ("{log}: file {about} was changed.", "{log}：文件 {about} 被改动。"),
    "file_missing": ("{log}: file {about} is missing.", "{log}：缺少文件 {about}。"),
    "file_surplus": (
        "{log}: file {about} does not belong to the bundle.",
        "{log}：文件 {about} 不属于该包。",
    ),
    "event_changed": ("{log}: event {seq} was changed.", "{log}：事件 {seq} 被改动。"),
    "event_missing": ("{log}: event {seq} was removed.", "{log}：事件 {seq} 被删除。"),
    "event_inserted": (
        "{log}: something was put in where event {seq} belongs.",
        "{log}：在事件 {seq} 的位置插入了内容。",
    ),
    "event_repeated": ("{log}: event {seq} is there more than once.", "{log}：事件 {seq} 重复出现。"),
    "event_moved": ("{log}: event {seq} is not in its place.", "{log}：事件 {seq} 不在原位。"),
    "event_invalid": (
        "{log}: event {seq} holds what no event may hold.",
        "{log}：事件 {seq} 含有不允许的内容。",
    ),
    "leaf_changed": (
        "{log}: leaves.txt is not the list of the events' hashes, from event {seq} on.",
        "{log}：leaves.txt 自事件 {seq} 起不是事件哈希列表。",
    ),
    "checkpoint_changed": (
        "{log}: checkpoint {about} was changed, moved or is not signed by this party.",
        "{log}：第 {about} 个检查点被改动、移动，或并非由该方签名。",
    ),
    "checkpoint_unlike_events": (
        "{log}: some event from {about} to {seq} is not the one that was signed.",
        "{log}：事件 {about} 至 {seq} 之间有与签名时不符之处。",
    ),
    "events_uncovered": (
        "{log}: no checkpoint speaks for event {seq} and those after it.",
        "{log}：没有检查点覆盖事件 {seq} 及其之后的事件。",
    ),
    "cosignature_invalid": (
        "{log}: a signature under checkpoint {about} is not that of the witness it names.",
        "{log}：检查点 {about} 下的签名并非由其所称的见证方作出。",
    ),
    "proof_invalid": ("{log}: proof {about} does not hold.", "{log}：证明 {about} 不成立。"),
    "proof_missing": ("{log}: proof {about} is missing.", "{log}：缺少证明 {about}。"),
    "witnessed_changed": (
        "{log}: record {about} of what others showed was changed, moved or is not signed.",
        "{log}：关于他方所示内容的第 {about} 条记录被改动、移动或未签名。",
    ),
    "witnessed_missing": (
        "{log}: event {seq} says that another's checkpoint was examined, and the record of it is missing.",
        "{log}：事件 {seq} 表明曾检查他方的检查点，但缺少相应记录。",
    ),
    "witness_refused": (
        "{log}: another party refused to cosign a checkpoint of {about} events that this party had signed: it does not "
        "fit what was shown before.",
        "{log}：另一参与方拒绝联署该方签名的含 {about} 个事件的检查点：与此前所示不符。",
    ),
    "split_view": (
        "{log}: different logs were shown to different parties; both were signed, for {about} events.",
        "{log}：向不同参与方出示了不同的日志；两者均已签名，涉及 {about} 个事件。",
    ),
    "events_withheld": (
        "{log}: event {seq} and those after it are not in the bundle, though {about} had been signed when it was made.",
        "{log}：包内没有事件 {seq} 及其之后的事件，但在制作该包之前已对 {about} 个事件的检查点签名。",
    ),
    "keys_differ": (
        "{log}: two bundles name different keys for this party.",
        "{log}：两个包为该方列出了不同的密钥。",
    ),
    "receipt_unreadable": ("{log}: this is not a receipt ({about}).", "{log}：不是回执（{about}）。"),
    "receipt_unsigned": (
        "{log}: the receipt was changed or is not signed by this party.",
        "{log}：回执被改动，或并非由该方签名。",
    ),
    "receipt_changed": (
        "{log}: part {about} of the receipt was changed.",
        "{log}：回执的 {about} 部分被改动。",
    ),
    "receipt_event": (
        "{log}: event {seq} is not shown to be in the signed log.",
        "{log}：未能证明事件 {seq} 在已签名的日志中。",
    ),
    "receipt_opening": (
        "{log}: event {seq} is not about this case or this person.",
        "{log}：事件 {seq} 与本请求或本人无关。",
    ),
    "receipt_answer": (
        "{log}: the answer of {about} was changed or is not signed by that party.",
        "{log}：{about} 的答复被改动，或并非由其签名。",
    ),
    "receipt_absence": (
        "{log}: the proof that the person is not in the last data of session {about} does not hold.",
        "{log}：关于会话 {about} 最近一次数据中已无本人的证明不成立。",
    ),
}
"""What each finding says, in English and Chinese. seq: an event's number."""

SUMMARY: Final = (
    "{log} ({fingerprint}): {events} events, {checkpoints} checkpoints, {cosignatures} witness signatures "
    "({witnesses}); made {created}.",
    "{log}（{fingerprint}）：{events} 个事件，{checkpoints} 个检查点，{cosignatures} 个见证签名（{witnesses}）；"
    "制作于 {created}。",
)
UNPINNED: Final = (
    "{log}: compare the fingerprint with that party; none was given with --fingerprint.",
    "{log}：未用 --fingerprint 给出指纹，请与该方核对。",
)
RECEIPT_SUMMARY: Final = (
    "{log} ({fingerprint}): receipt of case {case}, {events} events proved, {answers} answers of others, checkpoint of "
    "{size} events at {time} cosigned by {witnesses}.",
    "{log}（{fingerprint}）：请求 {case} 的回执，已证明 {events} 个事件，他方答复 {answers} 份，"
    "{time} 的检查点含 {size} 个事件，联署方：{witnesses}。",
)
GOOD: Final = ("Everything holds.", "全部成立。")


class Finding(NamedTuple):
    """One thing that does not hold. log: whose; seq: the event's number, if it is about one; about: what else."""

    code: str
    log: str
    seq: int | None = None
    about: str = ""

    def render(self, chinese: bool = False) -> str:
        return TEXTS[self.code][chinese].format(log=self.log, seq=self.seq, about=self.about)


class Claim(NamedTuple):
    """A checkpoint whose signature holds."""

    origin: str
    size: int
    root: bytes
    time: str


# --- Ed25519 (RFC 8032, section 5.1.7), for verification only

_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]
"""Extended homogeneous coordinates X, Y, Z, T."""
_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def _add(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _double(one: _Point) -> _Point:
    a, b, c = one[0] * one[0] % _P, one[1] * one[1] % _P, 2 * one[2] * one[2] % _P
    h = a + b
    e = h - (one[0] + one[1]) ** 2
    g = a - b
    f = c + g
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _decompress(data: bytes) -> _Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * v**3 * pow(u * v**7, (_P - 5) // 8, _P) % _P
    if v * x * x % _P != u:
        x = x * _SQRT_MINUS_1 % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


_BASE: Final = _decompress(bytes.fromhex("58" + "66" * 31)) or _NEUTRAL


def ed25519_holds(key: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the owner of `key` (32 bytes) made `signature` (64 bytes) over `signed`."""
    point = _decompress(key) if len(key) == 32 and len(signature) == 64 else None
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or scalar >= _ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + signed).digest(), "little") % _ORDER
    negative = (_P - point[0], point[1], 1, _P - point[3])
    # [S]B - [k]A with shared doublings; its encoding must be that of R.
    choices = (_NEUTRAL, _BASE, negative, _add(_BASE, negative))
    found = _NEUTRAL
    for bit in range(max(scalar.bit_length(), challenge.bit_length()) - 1, -1, -1):
        found = _double(found)
        choice = (scalar >> bit & 1) | (challenge >> bit & 1) << 1
        if choice:
            found = _add(found, choices[choice])
    inverse = pow(found[2], -1, _P)
    x, y = found[0] * inverse % _P, found[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def statement_bytes(domain: str, statement: bytes) -> bytes:
    """What is signed for a statement of the kind that `domain` names."""
    name = domain.encode()
    return b"silhouette statement v1\x00" + len(name).to_bytes(4, "big") + name + statement


# --- Merkle trees (RFC 9162, section 2)


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots_of(leaves: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """The root over the first n leaves for every n of `sizes` that there are."""
    wanted, found = set(sizes), {}
    peaks: list[tuple[int, bytes]] = []  # complete subtrees from left to right: (leaves, root)
    for size in range(len(leaves) + 1):
        if size in wanted:
            root = peaks[-1][1] if peaks else hashlib.sha256().digest()
            for _, peak in reversed(peaks[:-1]):
                root = node_hash(peak, root)
            found[size] = root
        if size < len(leaves):
            peaks.append((1, leaves[size]))
            while len(peaks) > 1 and peaks[-2][0] == peaks[-1][0]:
                (count, left), (_, right) = peaks[-2:]
                peaks[-2:] = [(2 * count, node_hash(left, right))]
    return found


def inclusion_holds(leaf: bytes, position: int, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """RFC 9162, section 2.1.3.2."""
    return root_of_inclusion(leaf, position, size, path) == root


def root_of_inclusion(leaf: bytes, position: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a proof leads to, None for a proof of another tree."""
    if not 0 <= position < size:
        return None
    place, last, found = position, size - 1, leaf
    for part in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node_hash(part, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, part)
        place, last = place >> 1, last >> 1
    return None if last else found


def consistency_holds(old: int, new: int, roots: Mapping[int, bytes], path: Sequence[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2, with both roots checked."""
    if not 0 <= old < new:
        return False
    if old == 0:
        return not path
    parts = [roots[old], *path] if old & (old - 1) == 0 else list(path)
    if len(parts) < 2:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_found = new_found = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old_found, new_found = node_hash(part, old_found), node_hash(part, new_found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new_found = node_hash(new_found, part)
        place, last = place >> 1, last >> 1
    return last == 0 and (old_found, new_found) == (roots[old], roots[new])


# --- reading: whatever is malformed is a ValueError


def canonical(value: Any) -> bytes:
    """RFC 8785 JSON of texts, whole numbers, lists and objects with ASCII names."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(data: bytes) -> Any:
    """Canonical JSON."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("too deep") from None
    if canonical(value) != data:
        raise ValueError("not canonical")
    return value


def fields(value: Any, **kinds: type) -> list[Any]:
    """The values of an object that has exactly these fields, of these types."""
    if type(value) is not dict or value.keys() != kinds.keys():
        raise ValueError("fields")
    if any(type(value[name]) is not kind for name, kind in kinds.items()):
        raise ValueError("types")
    return [value[name] for name in kinds]


def from_base64(text: Any, length: int) -> bytes:
    data = base64.b64decode(text, validate=True) if type(text) is str else b""
    if len(data) != length or base64.b64encode(data).decode() != text:
        raise ValueError("base64")
    return data


def from_hex(text: Any, length: int) -> bytes:
    if type(text) is not str or not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", text):
        raise ValueError("hexadecimal")
    return bytes.fromhex(text)


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a file; what follows the last end of line is a line as well."""
    lines = data.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def read_zip(source: str | Path | BinaryIO) -> dict[str, bytes]:
    """Every file of a zip by name. Raises `ValueError`."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len({entry.filename for entry in entries}) < len(entries):
                raise ValueError("a name comes twice")
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise ValueError("too large")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as problem:
        raise ValueError(type(problem).__name__) from None


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its path in it."""
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


# --- a bundle


class _Checked:
    """Keys by party, what they have signed, and what was found not to hold."""

    def __init__(self, pins: Mapping[str, str] | None, holds: Verifier, name: str) -> None:
        self.origin = name
        self.findings: list[Finding] = []
        self._noted: set[Finding] = set()
        self.keys: dict[str, bytes] = {}
        self.cosignatures: Counter[str] = Counter()
        self._pins, self._holds = dict(pins or {}), holds

    def add(self, code: str, seq: int | None = None, about: object = "", log: str = "") -> None:
        """Note a finding, once."""
        finding = Finding(code, log or self.origin, seq, str(about))
        if finding not in self._noted:
            self._noted.add(finding)
            self.findings.append(finding)

    def fingerprint(self, name: str) -> str:
        return hashlib.sha256(self.keys.get(name, b"")).hexdigest()

    def signed_by(self, name: str, signature: bytes, domain: str, text: bytes) -> bool:
        """Whether the key of this party made a signature."""
        key = self.keys.get(name)
        return key is not None and self._holds(key[:32], signature, statement_bytes(domain, text))

    @property
    def pinned(self) -> bool:
        """Whether the owner's fingerprint was given from elsewhere."""
        return self.origin in self._pins

    def _check_pins(self) -> None:
        for name, pin in self._pins.items():
            if not self.fingerprint(name).startswith(pin) or name not in self.keys:
                self.add("key_not_pinned", log=name)

    def _claim(self, value: Any) -> tuple[Claim, bytes]:
        """A checkpoint and its signed text, if it is signed by whom it names."""
        origin, size, root, time, key, signature = fields(
            value, origin=str, size=int, root=str, time=str, key=str, signature=str
        )
        text = f"{origin}\n{size}\n{root}\ntime {time}\nkey {key}\n".encode()
        good = self.signed_by(origin, from_base64(signature, 64), CHECKPOINT_DOMAIN, text)
        if not good or key != self.fingerprint(origin)[:16]:
            raise ValueError("signature")
        return Claim(origin, size, from_base64(root, 32), time), text

    def _cosigned(self, value: Any, text: bytes) -> str:
        """The witness's name, if the cosignature is its."""
        witness, time, signature = fields(value, witness=str, time=str, signature=str)
        statement = f"witness {witness}\ntime {time}\n".encode() + text
        if not self.signed_by(witness, from_base64(signature, 64), COSIGNATURE_DOMAIN, statement):
            raise ValueError("signature")
        return str(witness)


class Bundle(_Checked):
    """A bundle and what was found in it. Findings are in `findings`; none means that everything holds.

    files: by name. pins: fingerprints known from elsewhere, by party. holds: checks one signature. name: what to call
    the bundle while its origin is not known.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        pins: Mapping[str, str] | None = None,
        holds: Verifier = ed25519_holds,
        name: str = "bundle",
    ) -> None:
        super().__init__(pins, holds, name)
        self.created = ""
        self.checkpoints: list[Claim] = []
        self.witnessed: list[Claim] = []
        self.leaves: list[bytes] = []
        self.lines = lines_of(files.get("events.jsonl", b""))
        self._files = files
        count = self._check_manifest()
        if count is None:
            return
        self._read_checkpoints()
        self._check_events(count)
        self._check_roots()
        self._check_proofs(count)
        self._check_witnessed()

    def _check_manifest(self) -> int | None:
        """How many events there should be; None when this is no bundle."""
        try:
            data = self._files["manifest.json"]
            created, events, listed, form, key, origin = fields(
                parse(data), created=str, events=int, files=dict, format=str, key=str, origin=str
            )
            if form != FORMAT:
                raise ValueError("format")
        except (KeyError, ValueError) as problem:
            self.add("bundle_unreadable", about=f"manifest.json: {type(problem).__name__}")
            return None
        self.origin, self.created = origin, created
        try:
            found = parse(self._files.get("keys.json", b"")).items()
            self.keys = {name: from_base64(text, 64) for name, text in found}
        except (ValueError, AttributeError):
            self.keys = {}
        try:
            signature = from_hex(self._files.get("manifest.sig", b"").decode().removesuffix("\n"), 64)
            good = self.signed_by(origin, signature, MANIFEST_DOMAIN, data)
        except ValueError:
            good = False
        if not good or key != self.fingerprint(origin)[:16]:
            self.add("manifest_changed")
        self._check_pins()
        for name in sorted(listed.keys() | self._files.keys()):
            if name not in self._files:
                self.add("file_missing", about=name)
            elif name not in listed and name not in UNLISTED:
                self.add("file_surplus", about=name)
            elif name in listed and hashlib.sha256(self._files[name]).hexdigest() != listed[name]:
                self.add("file_changed", about=name)
        return int(events)

    # --- checkpoints

    def _read_checkpoints(self) -> None:
        for number, line in enumerate(lines_of(self._files.get("checkpoints.jsonl", b"")), 1):
            try:
                value, cosignatures = fields(parse(line), checkpoint=dict, cosignatures=list)
                claim, text = self._claim(value)
                if claim.origin != self.origin or claim.size <= (
                    self.checkpoints[-1].size if self.checkpoints else -1
                ):
                    raise ValueError("order")
            except ValueError:
                self.add("checkpoint_changed", about=number)
                continue
            self.checkpoints.append(claim)
            for cosignature in cosignatures:
                try:
                    self.cosignatures[self._cosigned(cosignature, text)] += 1
                except ValueError:
                    self.add("cosignature_invalid", about=claim.size)

    def _check_roots(self) -> None:
        """Whether the events have the root of every checkpoint."""
        roots = roots_of(self.leaves, [claim.size for claim in self.checkpoints])
        before = 0
        for claim in self.checkpoints:
            if claim.size > len(self.leaves):
                self.add("event_missing", len(self.leaves))
            elif roots[claim.size] != claim.root:
                self.add("checkpoint_unlike_events", claim.size - 1, before)
            else:
                before = claim.size

    # --- events

    def _check_events(self, count: int) -> None:
        """Compare events with their listed hashes; take as `leaves` those that the last checkpoint speaks for."""
        own, listed = [leaf_hash(line) for line in self.lines], self._listed_leaves()
        # Where a line of leaves.txt cannot be read, the event speaks for itself.
        filled = [leaf or (own[n] if n < len(own) else b"") for n, leaf in enumerate(listed)]
        good = len(own) == count and self._signed_root(own)
        self.leaves = filled if not good and self._signed_root(filled) else own
        if good:
            differing = (n for n, (leaf, other) in enumerate(zip(own, listed, strict=False)) if leaf != other)
            first = next(differing, min(len(own), len(listed)))
            if first < max(len(own), len(listed)):
                self.add("leaf_changed", first)
        else:
            if None in listed:
                self.add("leaf_changed", listed.index(None))
            self._compare(own, filled)
            if len(own) < count and not any(finding.code == "event_missing" for finding in self.findings):
                self.add("event_missing", len(own))
        covered = self.checkpoints[-1].size if self.checkpoints else 0
        if covered < max(count, len(own)):
            self.add("events_uncovered", covered)
        if not any(finding.seq is not None for finding in self.findings):
            for number, line in enumerate(self.lines):
                self._check_event(number, line)

    def _listed_leaves(self) -> list[bytes | None]:
        leaves: list[bytes | None] = []
        for number, line in enumerate(lines_of(self._files.get("leaves.txt", b""))):
            prefix = b"%d " % number
            try:
                leaves.append(
                    from_hex(line.removeprefix(prefix).decode(), 32) if line.startswith(prefix) else None
                )
            except ValueError:
                leaves.append(None)
        return leaves

    def _signed_root(self, leaves: list[bytes]) -> bool:
        last = self.checkpoints[-1] if self.checkpoints else None
        return last is not None and roots_of(leaves, [last.size]).get(last.size) == last.root

    def _compare(self, own: list[bytes], listed: list[bytes]) -> None:
        """Name each event that was changed, removed, repeated, moved or put in."""
        numbers = {leaf: number for number, leaf in enumerate(listed)}
        seen: set[int] = set()
        unknown, last = [], -1
        for place, leaf in enumerate(own):
            number = numbers.get(leaf)
            if number is None:
                unknown.append(place)
            elif number in seen:
                self.add("event_repeated", number)
            else:
                if number < last:
                    self.add("event_moved", number)
                last = max(last, number)
                seen.add(number)
        missing = set(range(len(listed))) - seen
        for place in unknown:
            said = self._number_in(self.lines[place])
            number = said if said in missing else place
            self.add("event_changed" if number in missing else "event_inserted", number)
            missing.discard(number)
        for number in sorted(missing):
            self.add("event_missing", number)

    @staticmethod
    def _number_in(line: bytes) -> int:
        found = re.search(rb'"seq":(\d{1,9})\b', line)
        return int(found[1]) if found else -1

    def _check_event(self, number: int, line: bytes) -> None:
        try:
            value = parse(line)
            good = (value["seq"], value["origin"]) == (number, self.origin)
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            self.add("event_invalid", number)

    # --- proofs and what others showed

    def _check_proofs(self, count: int) -> None:
        try:
            data = parse(self._files.get("proofs.json", b""))
            consistency, inclusion = fields(data, consistency=list, inclusion=list)
        except ValueError:
            self.add("proof_invalid", about="proofs.json")
            return
        roots = {claim.size: claim.root for claim in self.checkpoints}
        pairs = set(pairwise(roots))
        for number, item in enumerate(consistency):
            try:
                old, new, proof = fields(item, old=int, new=int, proof=list)
                path = [from_hex(part, 32) for part in proof]
                if (old, new) not in pairs or not consistency_holds(old, new, roots, path):
                    raise ValueError("proof")
                pairs.discard((old, new))
            except ValueError:
                self.add("proof_invalid", about=f"consistency {number}")
        for old, new in sorted(pairs):
            self.add("proof_missing", about=f"consistency {old}-{new}")
        proved: set[int] = set()
        for number, item in enumerate(inclusion):
            try:
                seq, size, proof = fields(item, seq=int, size=int, proof=list)
                path, leaf = [from_hex(part, 32) for part in proof], leaf_hash(self.lines[seq])
                if seq in proved or not inclusion_holds(leaf, seq, size, roots[size], path):
                    raise ValueError("proof")
                proved.add(seq)
            except (ValueError, KeyError, IndexError):
                self.add("proof_invalid", about=f"inclusion {number}")
        if count <= ALL_PROVED and len(proved) < count and not self.findings:
            self.add("proof_missing", about=f"inclusion {min(set(range(count)) - proved)}")

    def _check_witnessed(self) -> None:
        sizes: dict[str, int] = {}
        records: set[tuple[str, str, int, str]] = set()
        for number, line in enumerate(lines_of(self._files.get("witnessed.jsonl", b"")), 1):
            try:
                value = parse(line)
                refused = type(value) is dict and value.get("cosignature", 0) is None
                shown, cosignature = fields(
                    value, checkpoint=dict, cosignature=type(None) if refused else dict
                )
                claim, text = self._claim(shown)
                signer = self.origin if refused else self._cosigned(cosignature, text)
                if claim.origin == self.origin or signer != self.origin:
                    raise ValueError("origin")
                if not refused and claim.size < sizes.get(claim.origin, 0):
                    raise ValueError("order")
            except ValueError:
                self.add("witnessed_changed", about=number)
                continue
            self.witnessed.append(claim)
            kind = "log.verify_failed" if refused else "log.witnessed"
            records.add((kind, claim.origin, claim.size, claim.root.hex()))
            if refused:
                self.add("witness_refused", about=claim.size, log=claim.origin)
            else:
                sizes[claim.origin] = claim.size
        for number, line in enumerate(self.lines):
            if b'"type":"log.' in line and (record := _witness_event(line)) and record not in records:
                self.add("witnessed_missing", number)

    def summary(self) -> dict[str, Any]:
        """Which log, how much of it, and who signed: what `SUMMARY` is filled in with."""
        return {
            "log": self.origin,
            "fingerprint": self.fingerprint(self.origin)[:16],
            "events": len(self.lines),
            "checkpoints": len(self.checkpoints),
            "cosignatures": sum(self.cosignatures.values()),
            "witnesses": ", ".join(f"{name} {count}" for name, count in sorted(self.cosignatures.items()))
            or "-",
            "created": self.created,
        }


def _witness_event(line: bytes) -> tuple[str, str, int, str] | None:
    """What an event says about another's checkpoint."""
    try:
        value = json.loads(line)
        if value["type"] in {"log.witnessed", "log.verify_failed"}:
            return value["type"], value["artefact"], value["numbers"]["size"], value["digests"]["root"]
    except (ValueError, KeyError, TypeError):
        pass
    return None


def compare(one: Bundle, other: Bundle) -> list[Finding]:
    """What two bundles, each good by itself, say differently about the same logs."""
    found: dict[Finding, None] = {}
    for name in sorted(one.keys.keys() & other.keys.keys()):
        if one.keys[name] != other.keys[name]:
            found[Finding("keys_differ", name)] = None
    roots: dict[tuple[str, int], bytes] = {}
    claims = [claim for bundle in (one, other) for claim in (*bundle.checkpoints, *bundle.witnessed)]
    for claim in claims:
        if roots.setdefault((claim.origin, claim.size), claim.root) != claim.root:
            found[Finding("split_view", claim.origin, None, str(claim.size))] = None
    for bundle in (one, other):
        about = [claim for claim in claims if claim.origin == bundle.origin]
        own = roots_of(bundle.leaves, [claim.size for claim in about])
        for claim in about:
            if claim.size in own and own[claim.size] != claim.root:
                found[Finding("split_view", claim.origin, None, str(claim.size))] = None
            elif claim.size not in own and claim.time <= bundle.created:
                found[Finding("events_withheld", claim.origin, len(bundle.leaves), str(claim.size))] = None
    return list(found)


# --- a receipt


class Receipt(_Checked):
    """The receipt of a data subject's request and what was found in it; see `privacy.receipts`.

    data: the file. pins, holds, name: as of `Bundle`. It needs nothing of the node that made it: the subject's key is
    in it, and shows which events are the subject's own after every copy of that key at the node has been destroyed.
    """

    def __init__(
        self,
        data: bytes,
        pins: Mapping[str, str] | None = None,
        holds: Verifier = ed25519_holds,
        name: str = "receipt",
    ) -> None:
        super().__init__(pins, holds, name)
        self.case, self.checkpoint = "", Claim("", 0, b"", "")
        self.events, self.answers = 0, 0
        try:
            sections = self._check_signature(data)
        except (ValueError, AttributeError) as problem:
            self.add("receipt_unreadable", about=_where(problem))
            return
        for section, check in (
            ("checkpoint", self._check_checkpoint),
            ("events", self._check_events),
            ("answers", self._check_answers),
            ("absences", self._check_absences),
        ):
            try:
                check(sections)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                self.add("receipt_changed", about=section)

    def _check_signature(self, data: bytes) -> dict[str, Any]:
        form, origin, key, digests, sections, signature = fields(
            parse(data), format=str, origin=str, key=str, digests=dict, sections=dict, signature=str
        )
        if form != RECEIPT_FORMAT or tuple(sorted(sections)) != SECTIONS or sections.keys() != digests.keys():
            raise ValueError("format")
        self.origin = origin
        changed = [
            name for name in SECTIONS
            if hashlib.sha256(canonical(sections[name])).hexdigest() != digests[name]
        ]  # fmt: skip
        for name in changed:
            self.add("receipt_changed", about=name)
        try:
            self.keys = {name: from_base64(text, 64) for name, text in sections["keys"].items()}
            signed = from_hex(signature, 64)
        except ValueError:
            self.add("receipt_unsigned")
            return dict(sections)
        statement = canonical({"digests": digests, "format": form, "key": key, "origin": origin})
        if (
            not self.signed_by(origin, signed, RECEIPT_DOMAIN, statement)
            or key != self.fingerprint(origin)[:16]
        ):
            self.add("receipt_unsigned")
        self._check_pins()
        return dict(sections)

    def _check_checkpoint(self, sections: Mapping[str, Any]) -> None:
        """The state of the log, signed by its owner and by witnesses."""
        self.case = str(sections["case"]["number"])
        shown, cosignatures = fields(sections["checkpoint"], checkpoint=dict, cosignatures=list)
        try:
            self.checkpoint, text = self._claim(shown)
            if self.checkpoint.origin != self.origin:
                raise ValueError("origin")
        except ValueError:
            self.add("checkpoint_changed", about="-")
            return
        for cosignature in cosignatures:
            try:
                self.cosignatures[self._cosigned(cosignature, text)] += 1
            except ValueError:
                self.add("cosignature_invalid", about=self.checkpoint.size)

    def _check_events(self, sections: Mapping[str, Any]) -> None:
        """Each event is in the signed log, and is about this case or this person."""
        own = {*_srefs_of(sections["opening"])}
        for item in sections["events"]:
            line, proof = fields(item, event=str, proof=list)
            event = parse(line.encode())
            seq, path = event["seq"], [from_hex(part, 32) for part in proof]
            size, root = self.checkpoint.size, self.checkpoint.root
            if not inclusion_holds(leaf_hash(line.encode()), seq, size, root, path):
                self.add("receipt_event", seq)
            if event.get("artefact") != self.case and event.get("sref") not in own:
                self.add("receipt_opening", seq)
            self.events += 1

    def _check_answers(self, sections: Mapping[str, Any]) -> None:
        """What others say that they have done is signed by them, and is about this case."""
        for item in sections["answers"]:
            party, answer = item["party"], item["answer"]
            if answer is None:
                continue  # told, and has not answered yet
            try:
                signature = from_base64(item["signature"], 64)
                good = self.signed_by(party, signature, ANSWER_DOMAIN, canonical(answer))
            except ValueError:
                good = False
            if not good or (answer["case"], answer["party"]) != (self.case, party):
                self.add("receipt_answer", about=party)
            self.answers += 1

    def _check_absences(self, sections: Mapping[str, Any]) -> None:
        """The person is not among those whose data a session used last."""
        key = sections["opening"]["key"]
        for item in sections["absences"]:
            session, context, root, proof = fields(item, session=str, context=str, root=str, proof=dict)
            try:
                message = b"commit\0" + from_hex(key, 16) + hashlib.sha256(context.encode()).digest()
                if session not in context:
                    raise ValueError("session")
                check_absence(hashlib.sha256(message).digest(), from_hex(root, 32), proof)
            except ValueError:
                self.add("receipt_absence", about=session)

    def summary(self) -> dict[str, Any]:
        """What `RECEIPT_SUMMARY` is filled in with."""
        return {
            "log": self.origin,
            "fingerprint": self.fingerprint(self.origin)[:16],
            "case": self.case,
            "events": self.events,
            "answers": self.answers,
            "size": self.checkpoint.size,
            "time": self.checkpoint.time,
            "witnesses": ", ".join(sorted(self.cosignatures)) or "-",
        }


def _where(problem: Exception) -> str:
    """What is wrong with a file, without what is in it."""
    if isinstance(problem, json.JSONDecodeError):
        return f"byte {problem.pos}"
    return f"byte {problem.start}" if isinstance(problem, UnicodeDecodeError) else str(problem)[:40]


def _srefs_of(opening: Any) -> list[str]:
    """What the log calls the person, made with its key (RFC 2104), for every project and year that is named."""
    key, references = fields(opening, key=str, references=list)
    if not key:
        return []
    found = []
    for item in references:
        project, epoch = fields(item, project=str, epoch=int)
        message = b"sref\0" + project.encode() + b"\0" + epoch.to_bytes(8, "big")
        found.append(hmac.new(from_hex(key, 16), message, hashlib.sha256).hexdigest())
    return found


def check_absence(commitment: bytes, root: bytes, proof: Any) -> None:
    """Raises `ValueError` unless the neighbours in a sorted tree enclose a commitment that is not there."""
    size, below, above = proof["size"], proof["below"], proof["above"]
    if below is None and above is None:
        empty = hashlib.sha256(b"\x02" + size.to_bytes(8, "big") + hashlib.sha256().digest()).digest()
        if size or empty != root:
            raise ValueError("empty")
        return
    places = [-1 if below is None else _member(size, below, root)]
    places.append(size if above is None else _member(size, above, root))
    good = places[1] == places[0] + 1
    good = good and (below is None or from_base64(below["commitment"], 32) < commitment)
    if not good or (above is not None and not commitment < from_base64(above["commitment"], 32)):
        raise ValueError("neighbours")


def _member(size: int, neighbour: Any, root: bytes) -> int:
    """The place of a neighbour that is in the tree."""
    shown, position, path = fields(neighbour["membership"], size=int, position=int, path=list)
    leaf = leaf_hash(from_base64(neighbour["commitment"], 32))
    tree = root_of_inclusion(leaf, position, shown, [from_base64(part, 32) for part in path])
    bound = hashlib.sha256(b"\x02" + shown.to_bytes(8, "big") + (tree or b"")).digest()
    if shown != size or tree is None or bound != root:
        raise ValueError("member")
    return int(position)


# --- the command line


def _open(path: Path, pins: Mapping[str, str]) -> Bundle | Receipt:
    try:
        if path.suffix == ".json" and path.is_file():
            return Receipt(path.read_bytes(), pins, name=path.name)
        files = read_folder(path) if path.is_dir() else read_zip(path)
    except (OSError, ValueError) as problem:
        bundle = Bundle({}, name=path.name)
        bundle.findings = [Finding("bundle_unreadable", path.name, None, str(problem))]
        return bundle
    return Bundle(files, pins, name=path.name)


def main(arguments: Sequence[str]) -> int:
    """Verify what the command line names; returns the exit status."""
    language = os.environ.get("SILHOUETTE_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    chinese = language.lower().startswith("zh")
    paths, pins, rest = [], {}, list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--fingerprint" and rest:
            name, _, pin = rest.pop(0).partition("=")
            if not FINGERPRINT.fullmatch(pin):
                sys.stderr.write("--fingerprint NAME=HEX\n")
                return 2
            pins[name] = pin
        elif argument.startswith("-"):
            sys.stderr.write(f"{__doc__}\n")
            return 2
        else:
            paths.append(Path(argument))
    bundles = [_open(path, pins) for path in paths or [Path(__file__).resolve().parent]]
    findings = [finding for bundle in bundles for finding in bundle.findings]
    logs = [bundle for bundle in bundles if isinstance(bundle, Bundle)]
    findings += [finding for one, other in combinations(logs, 2) for finding in compare(one, other)]
    lines = [
        (SUMMARY if isinstance(bundle, Bundle) else RECEIPT_SUMMARY)[chinese].format(**bundle.summary())
        for bundle in bundles
        if bundle.keys
    ]
    lines += [
        UNPINNED[chinese].format(log=bundle.origin) for bundle in bundles if bundle.keys and not bundle.pinned
    ]
    lines += [finding.render(chinese) for finding in dict.fromkeys(findings)] or [GOOD[chinese]]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
