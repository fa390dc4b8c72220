"""An audit bundle for the tests, taken apart and put together again."""

import hashlib
import io
import zipfile
from functools import cache

import rfc8785
from audit_scene import IDENTITIES, KEYS, exchange_checkpoint, fill, open_log

from federation.audit_bundle import _holds, export
from federation.standalone.verify import MANIFEST_DOMAIN, Bundle

DOCUMENTS = {"policy.toml": b"version = 1\n", "notices/retail.json": b"{}"}
holds = cache(_holds)


def make_logs(folder):
    """The bank's log with three cosigned checkpoints, and its witnesses; the bank has cosigned the shop's log."""
    logs = {name: open_log(folder / name, name) for name in ("bank", "shop", "coordinator")}
    fill(logs["shop"], 2)
    for count in (2, 3, 1):
        fill(logs["bank"], count)
        exchange_checkpoint(logs["bank"], logs["shop"])
        exchange_checkpoint(logs["bank"], logs["coordinator"])
    exchange_checkpoint(logs["shop"], logs["bank"])
    return logs


def export_bundle(log, folder):
    """The bundle's bytes."""
    return export(log, folder / f"{log.origin}.zip", DOCUMENTS, KEYS).read_bytes()


def unpack(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def reseal(files, origin="bank"):
    """The same with a manifest that fits: what only the log's owner could make."""
    import json

    manifest = json.loads(files["manifest.json"])
    listed = {name: content for name, content in files.items() if not name.startswith("manifest.")}
    manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in listed.items()}
    data = rfc8785.dumps(manifest)
    signature = IDENTITIES[origin].sign_statement(MANIFEST_DOMAIN, data).hex().encode() + b"\n"
    return files | {"manifest.json": data, "manifest.sig": signature}


def findings_of(files, pins=None):
    """(code, seq) of every finding; signatures that were checked once are not checked again."""
    return Bundle(files, pins, holds).findings
