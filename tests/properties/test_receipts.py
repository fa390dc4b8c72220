"""Any changed byte of a receipt is found, and a changed part is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receipt_scene import Scene

from federation.audit_bundle import read_receipt
from federation.standalone.verify import SECTIONS, canonical


@pytest.fixture(scope="module")
def receipt(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("receipt")).receipt()


@given(data=st.data())
def test_any_flipped_byte_is_found(receipt, data):
    place = data.draw(st.integers(0, len(receipt) - 1))
    bits = data.draw(st.integers(1, 255))
    changed = receipt[:place] + bytes([receipt[place] ^ bits]) + receipt[place + 1 :]
    found = read_receipt(changed).findings
    assert found
    assert all(finding.render() and finding.render(True) for finding in found)


@given(cut=st.integers(0, 10**6))
def test_a_part_of_a_receipt_is_none(receipt, cut):
    cut %= len(receipt)
    assert [item.code for item in read_receipt(receipt[:cut]).findings] == ["receipt_unreadable"]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_changed_part_is_named(receipt, section):
    value = json.loads(receipt)
    part = value["sections"][section]
    value["sections"][section] = (
        [] if isinstance(part, list) and part else {**part, "x": 1} if isinstance(part, dict) else [1]
    )
    found = read_receipt(canonical(value)).findings
    assert ("receipt_changed", section) in [(item.code, item.about) for item in found]


def test_a_signature_of_somebody_else_is_found(receipt):
    value = json.loads(receipt)
    value["signature"] = "00" * 64
    assert [item.code for item in read_receipt(canonical(value)).findings] == ["receipt_unsigned"]


def test_an_answer_that_was_changed_and_signed_again_by_us_is_found(receipt):
    """The other party's signature is its own: whoever signs the receipt cannot speak for it."""
    value = json.loads(receipt)
    value["sections"]["answers"][0]["answer"]["state"] = "partial"
    found = [(item.code, item.about) for item in read_receipt(canonical(value)).findings]
    assert ("receipt_answer", "shop") in found
