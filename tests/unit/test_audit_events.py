"""Events of the audit log: one canonical form, and no place for an identifier or free text."""

import datetime
import json
import re
from pathlib import Path

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit import MAX_NUMBER, Event, EventType, is_time, time_text
from privacy.errors import EventInvalid
from privacy.merkle import leaf_hash
from privacy.texts import LANGUAGES

DIGEST = "0f" * 32
SMALL = {
    "seq": 7,
    "time": "2026-01-02T03:04:05.678Z",
    "origin": "bank",
    "actor": "node",
    "type": EventType.DATASET_ADMITTED,
}
FULL = SMALL | {
    "job": "churn-0123456789",
    "session": "0123456789abcdef" * 2,
    "stage": "match",
    "artefact": "notice/retail:v3",
    "policy": DIGEST,
    "reasons": ("R-CONSENT-MISSING", "R-SEPARATE-CONSENT-PROVIDE"),
    "sref": DIGEST,
    "commit": DIGEST,
    "numbers": {"rows": 24_000, "k_min": 20},
    "digests": {"consent_snapshot": DIGEST},
}


def test_what_is_empty_is_left_out():
    assert json.loads(Event(**SMALL).canonical()) == SMALL
    assert json.loads(Event(**FULL).canonical()) == FULL | {"reasons": list(FULL["reasons"])}


def test_the_canonical_form_is_rfc_8785():
    line = Event(**FULL).canonical()
    assert line == rfc8785.dumps(json.loads(line))
    # So simple a content has the same form in the standard library, which the offline verifier relies on.
    assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode()
    assert b"\n" not in line
    assert Event(**FULL).leaf() == leaf_hash(line)


@pytest.mark.parametrize("fields", [SMALL, FULL])
def test_parse_is_the_inverse(fields):
    assert Event.parse(Event(**fields).canonical()) == Event(**fields)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line + b" ",
        lambda line: line.replace(b'"seq":7', b'"seq": 7'),
        lambda line: line.replace(b'"seq":7', b'"seq":7,"seq":7'),
        lambda line: line.replace(b'"seq":7', b'"seq":7.0'),
        lambda line: line.replace(b'"seq":7', b'"seq":true'),
        lambda line: line.replace(b"bank", b"b\\u0061nk"),
        lambda line: line.replace(b'"seq":7', b'"sref":"","seq":7'),
        lambda line: line.replace(b'"seq":7', b'"name":"x","seq":7'),
        lambda line: line.replace(b"dataset.admitted", b"dataset.unknown"),
        lambda line: line[:-1],
        lambda _: b"",
    ],
)
def test_what_is_not_canonical_is_refused(change):
    with pytest.raises(ValueError):  # noqa: PT011
        Event.parse(change(Event(**SMALL).canonical()))


FORBIDDEN = [
    *[
        (field, value)
        for field in ("job", "session", "stage", "artefact")
        for value in (
            "13812345678",  # a mobile number
            "+8613812345678",
            "138-1234-5678",
            "138.1234.5678",
            "lead-13812345678",
            "11010519491231002X",  # a resident identity number
            "6222021234567890",  # a card number of 16 digits, which are hexadecimal digits as well
            "6222021234567890123",
            "62345678",  # a landline
            "192.168.100.200",
            "zhang@example.com",
            "张三",
            "two words",
            "line\nbreak",
            'quote"',
            "back\\slash",
            "x" * 129,
            "-x",
            "\uff11\uff12",
        )
        if (field, value) != ("job", "")
    ],
    *[(field, value) for field in ("policy", "sref", "commit") for value in ("0F" * 32, "0f" * 31, "x")],
    *[(field, value) for field in ("origin", "actor") for value in ("", "Bank", "a b", "a12345678")],
    *[("reasons", (code,)) for code in ("R-", "R-consent", "no", "R-CONSENT-1", "R-A--B", "R-A\n")],
    *[
        ("numbers", value)
        for value in (
            {"phone": 13_812_345_678},
            {"n": MAX_NUMBER + 1},
            {"n": -MAX_NUMBER - 1},
            {"13812345678": 1},
            {"Rows": 1},
            {"two words": 1},
        )
    ],
    *[
        ("digests", value)
        for value in ({"a": "0f"}, {"a": "0F" * 32}, {"a b": DIGEST}, {"a12345678": DIGEST})
    ],
    *[
        ("time", value)
        for value in (
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.678",
            "2026-01-02T03:04:05.678+08:00",
            "2026-13-02T03:04:05.678Z",
            "\uff12026-01-02T03:04:05.678Z",
        )
    ],
    ("seq", -1),
]


@pytest.mark.parametrize(("field", "value"), FORBIDDEN)
def test_what_might_be_an_identifier_or_free_text_is_refused(field, value):
    with pytest.raises(EventInvalid) as caught:
        Event(**FULL | {field: value})
    assert caught.value.values == {"name": field}
    assert all(field in caught.value.render(language) for language in LANGUAGES)


@given(text=st.from_regex(r"\A.*[0-9]{8,}.*\Z"))
def test_no_run_of_eight_digits_passes(text):
    whole_digest = re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", text)
    if not whole_digest:
        with pytest.raises(EventInvalid):
            Event(**SMALL, artefact=text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job", "churn-1234567890"),  # the run's random name may have decimal digits only
        ("session", "1" * 32),
        ("artefact", "2" * 64),
        ("artefact", "notice-2026-11-22"),
        ("artefact", "field:income_band"),
        ("artefact", "AGR-2026-001"),
        ("numbers", {"rows": MAX_NUMBER}),
        ("numbers", {"delta": -3}),
    ],
)
def test_names_digests_and_counts_pass(field, value):
    assert getattr(Event.parse(Event(**SMALL | {field: value}).canonical()), field) == value


def test_an_invalid_event_is_refused_when_it_is_read():
    line = Event(**SMALL, artefact="abc").canonical().replace(b"abc", b"13812345678")
    with pytest.raises(EventInvalid):
        Event.parse(line)
    with pytest.raises(EventInvalid):
        msgspec.json.decode(line, type=Event)


def test_every_event_name_is_a_noun_and_a_verb():
    assert len(EventType) > 60
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in EventType)


def test_times():
    beijing = datetime.timezone(datetime.timedelta(hours=8))
    moment = datetime.datetime(2026, 1, 1, 0, 0, 0, 999_999, beijing)
    assert time_text(moment) == "2025-12-31T16:00:00.999Z"
    assert is_time(time_text(moment))
    with pytest.raises(ValueError, match="time zone"):
        time_text(datetime.datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_module_does_no_input_or_output():
    source = (Path(__file__).parents[2] / "privacy" / "audit.py").read_text("utf-8")
    assert "open(" not in source
    assert "now(" not in source
