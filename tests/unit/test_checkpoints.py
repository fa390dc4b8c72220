"""Checkpoints and cosignatures: a signature is good for one text and one use."""

import base64

import msgspec
import pytest

from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import AuditBroken, SignatureInvalid
from privacy.sealing import Identity, statement_bytes

BANK, SHOP = Identity.generate(), Identity.generate()
ROOT, TIME = bytes(range(32)), "2026-01-02T03:04:05.678Z"
CHECKPOINT = Checkpoint.sign(BANK, "bank", 17, ROOT, TIME)
COSIGNATURE = Cosignature.sign(SHOP, "shop", TIME, CHECKPOINT)
LATER = "2026-01-02T03:04:05.679Z"


def replaced(record, **changes):
    return msgspec.structs.replace(record, **changes)


def test_the_signed_text():
    fingerprint = BANK.public.fingerprint
    lines = ["bank", "17", base64.b64encode(ROOT).decode(), f"time {TIME}", f"key {fingerprint}"]
    assert CHECKPOINT.body().decode() == "".join(f"{line}\n" for line in lines)
    CHECKPOINT.verify(BANK.public)
    COSIGNATURE.verify(SHOP.public, CHECKPOINT)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "shop"},
        {"size": 18},
        {"root": bytes(32)},
        {"time": LATER},
        {"signature": bytes(64)},
    ],
)
def test_a_changed_checkpoint_is_refused(changes):
    changed = replaced(CHECKPOINT, **changes)
    with pytest.raises(SignatureInvalid):
        changed.verify(BANK.public)
    if "signature" not in changes:  # a cosignature is over the text
        with pytest.raises(SignatureInvalid):
            COSIGNATURE.verify(SHOP.public, changed)


def test_another_key_is_refused():
    with pytest.raises(AuditBroken) as caught:
        CHECKPOINT.verify(SHOP.public)
    assert caught.value.values == {"party": "bank"}
    with pytest.raises(SignatureInvalid):
        replaced(CHECKPOINT, key=SHOP.public.fingerprint).verify(SHOP.public)
    with pytest.raises(SignatureInvalid):
        COSIGNATURE.verify(BANK.public, CHECKPOINT)


@pytest.mark.parametrize(
    "changes", [{"witness": "other"}, {"time": LATER}, {"time": "never"}, {"signature": bytes(64)}]
)
def test_a_changed_cosignature_is_refused(changes):
    with pytest.raises(SignatureInvalid):
        replaced(COSIGNATURE, **changes).verify(SHOP.public, CHECKPOINT)


def test_a_time_that_is_none_is_refused():
    with pytest.raises(AuditBroken):
        Checkpoint.sign(BANK, "bank", 17, ROOT, "x" * 24).verify(BANK.public)


def test_a_signature_is_good_for_one_use():
    """A cosignature of one's own log is no checkpoint, a frame's signature is no statement, nor the other way round."""
    own = Cosignature.sign(BANK, "bank", TIME, CHECKPOINT)
    with pytest.raises(SignatureInvalid):
        replaced(CHECKPOINT, signature=own.signature).verify(BANK.public)
    for domain, statement in (("one", b"text"), ("onet", b"ext"), ("two", b"text")):
        signature = BANK.sign_statement(domain, statement)
        BANK.public.verify_statement(signature, domain, statement)
        if domain != "one":
            with pytest.raises(SignatureInvalid):
                BANK.public.verify_statement(signature, "one", b"text")
        with pytest.raises(SignatureInvalid):
            BANK.public.verify(signature, domain.encode(), statement)
    with pytest.raises(SignatureInvalid):
        BANK.public.verify_statement(BANK.sign(b"one", b"text"), "one", b"text")
    assert statement_bytes("one", b"text") == b"silhouette statement v1\x00" + b"\x00\x00\x00\x03onetext"


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "Bank"},
        {"origin": "bank\n"},
        {"size": -1},
        {"root": b"short"},
        {"signature": b"short"},
        {"key": "0123"},
        {"time": "short"},
    ],
)
def test_lengths_are_checked_when_it_is_read(changes):
    data = msgspec.json.encode(replaced(CHECKPOINT, **changes))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(data, type=Checkpoint)
    assert msgspec.json.decode(msgspec.json.encode(CHECKPOINT), type=Checkpoint) == CHECKPOINT
