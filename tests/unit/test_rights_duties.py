"""What a law keeps: the source row stays restricted, what was derived goes; and nothing is told of what is secret."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import numpy as np
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from rights_scene import START, Clock, MemoryPost, engine_of, erasers_in, filed, make_homes, phone_of

from clients.rights.cases import Correction, Duty
from clients.rights.correcting import correct
from clients.rights.courier import statement_of
from clients.rights.duties import DUTIES_FILE, duties_of, read_duties
from clients.rights.letters import outcomes_for_others
from clients.rights.located import Located
from clients.rights.locating import locate
from clients.rights.views import view
from clients.tables import FieldSpec, TableSpec
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind
from privacy.receipts import CONFIDENTIAL
from privacy.rights import Artefact, CaseState, Outcome, RequestKind, Result, TaskAnswer

WHO = phone_of(3)
AML = '[[duty]]\nlaw = "AML 34"\nyears = 10\ncolumn = "closed"\n'
TODAY = START.date()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def home(tmp_path):
    return make_homes(tmp_path)["bank"]


def deleted(home, clock, folder):
    engine = engine_of(home, MemoryPost(), erasers_in(folder / "things", [WHO]), clock)
    number = filed(home, clock)
    for _ in range(2):
        engine.step()
    return engine.store.get(number)


FIXED = '[[duty]]\nlaw = "AML 34"\nuntil = 2036-12-31\n'


@pytest.mark.parametrize(("duty", "told"), [(AML, None), (FIXED, date(2036, 12, 31))])
def test_another_party_hears_the_law_and_no_day_that_the_row_tells(tmp_path, clock, duty, told):
    homes = make_homes(tmp_path, ("bank", "shop"))
    (homes["bank"].folder / DUTIES_FILE).write_text(duty, "utf-8")
    post = MemoryPost()
    number = filed(homes["shop"], clock)
    engines = [
        engine_of(homes[party], post, erasers_in(tmp_path / party / "things", [WHO]), clock)
        for party in ("shop", "bank", "shop", "bank")
    ]
    for engine in engines:
        engine.step()
    shop, bank = engines[:2]
    own = {one.artefact: one for one in bank.store.get(number).record.outcomes}
    answer = shop.store.get(number).record.partners["bank"].answer
    assert answer is not None
    heard = {one.artefact: one for one in answer.outcomes}
    assert own[Artefact.FEATURE].until == (told or date(2028, 1, 2))
    for artefact in (Artefact.FEATURE, Artefact.SUBJECT):
        assert (heard[artefact].law, heard[artefact].until) == ("AML 34", told)
    sent = [message for party, _, message in post.sent if party == "bank"]
    assert len(sent) == 1  # what it does not tell is no news either
    assert (b"2028-01-02" in msgspec.json.encode(sent)) is False


def test_another_party_hears_nothing_of_what_is_confidential(home, clock, tmp_path):
    case = deleted(home, clock, tmp_path)
    secret = Outcome(artefact=Artefact.DECISION, result=Result.RESTRICTED_LAW, reason=CONFIDENTIAL)
    record = msgspec.structs.replace(case.record, outcomes=(*case.record.outcomes, secret))
    told = outcomes_for_others(msgspec.structs.replace(case, record=record))
    assert secret not in told
    assert told == case.record.outcomes


def test_what_a_law_keeps_is_restricted_and_the_rest_is_erased(home, clock, tmp_path):
    (home.folder / DUTIES_FILE).write_text(AML, "utf-8")
    case = deleted(home, clock, tmp_path)
    assert case.state is CaseState.COMPLETED
    kept = {one.artefact: one for one in case.record.outcomes if one.result is Result.RESTRICTED_LAW}
    assert set(kept) == {Artefact.FEATURE, Artefact.SUBJECT}
    for one in kept.values():
        assert (one.law, one.until, one.reason) == ("AML 34", date(2028, 1, 2), "R-STATUTORY-RETENTION")
    others = {one.result for one in case.record.outcomes if one.artefact not in kept}
    assert others == {Result.ERASED}
    tokens = home.consents.tokens("phone/plain", np.array([WHO.encode()]))
    assert home.consents.restricted(tokens, clock() + timedelta(days=3000)).tolist() == [True]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", None),
        (AML, Duty("AML 34", date(2028, 1, 2))),
        (AML.replace("10", "5"), None),  # over since 2023
        ('[[duty]]\nlaw = "Fixed"\nuntil = 2030-01-01\n', Duty("Fixed", date(2030, 1, 1), is_fixed=True)),
        (
            AML + '[[duty]]\nlaw = "Longer"\nuntil = 2040-01-01\n',
            Duty("Longer", date(2040, 1, 1), is_fixed=True),
        ),
        (AML.replace("closed", "income"), Duty("AML 34", None)),  # no date: the years have not begun
    ],
)
def test_the_duty_that_holds_longest(home, written, expected):
    (home.folder / DUTIES_FILE).write_text(written, "utf-8")
    assert duties_of(home, locate(home, [WHO.encode()]), TODAY) == [expected]


def test_who_has_no_row_is_kept_by_no_law(home):
    (home.folder / DUTIES_FILE).write_text(AML, "utf-8")
    assert duties_of(home, locate(home, [phone_of(99).encode()]), TODAY) == [None]


@pytest.mark.parametrize("change", ["years = 10\n", 'column = "closed"\n', "until = 2030-01-01\n"])
def test_a_duty_without_a_clear_end(home, change):
    written = AML + change if change.startswith("until") else AML.replace(change, "")
    (home.folder / DUTIES_FILE).write_text(written, "utf-8")
    with pytest.raises(ConfigInvalid):
        read_duties(home)


def test_the_answer_is_the_same_whether_or_not_there_is_a_suspicious_transaction_report(
    tmp_path, clock, monkeypatch
):
    monkeypatch.setattr("secrets.token_hex", lambda size: "7a" * size)
    answers = []
    for report in ("", WHO):
        folder = tmp_path / f"world{len(answers)}"
        home = make_homes(folder)["bank"]
        (home.folder / DUTIES_FILE).write_text(AML, "utf-8")
        if report:
            (home.folder / "suspicious-transaction-reports.csv").write_text(f"phone\n{report}\n", "utf-8")
        case = deleted(home, clock, folder)
        answers.append(msgspec.json.encode(view(case, "zh-CN")) + case.record.policy.encode())
    assert answers[0] == answers[1]


# --- corrections


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00\r"), max_size=8),
        min_size=3,
        max_size=3,
    ),
    ending=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    who=st.integers(0, 2),
)
def test_a_correction_leaves_everything_else_byte_for_byte(tmp_path_factory, texts, ending, mark, who):
    folder = tmp_path_factory.mktemp("table")
    file = folder / "t.csv"

    def content(values):
        quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
        rows = [
            f"{phone_of(n)},{note},{value}"
            for n, (note, value) in enumerate(zip(quoted, values, strict=True))
        ]
        return ("\ufeff" * mark + ending.join(["phone,note,income", *rows, ""])).encode()

    file.write_bytes(content(["1", "2", "3"]))
    spec = TableSpec(
        path=str(file), id_column="phone", id_kind=IdentifierKind.PHONE, fields=(FieldSpec(name="income"),)
    )

    class Home:
        class settings:  # noqa: N801
            table = spec

    one = Located(identifier=phone_of(who).encode(), token=b"t" * 16, row=who)
    for _ in range(2):
        assert correct(Home, one, Correction("income", "77")) is None
    values = ["1", "2", "3"]
    values[who] = "77"
    changed, expected = file.read_bytes().decode(), content(values).decode()
    parts = [phone_of(number) for number in range(3) if number != who]
    for phone in parts:  # the corrected line may be quoted otherwise; the others are as they were
        start = expected.index(phone)
        stop = expected.find(phone_of(int(phone[3:]) + 1), start)
        assert expected[start:stop] in changed
    assert changed.count("77") == 1 + "".join(texts).count("77")


def test_a_row_that_is_somebody_elses_is_not_corrected(home):
    wrong_row = Located(identifier=WHO.encode(), token=b"t" * 16, row=5)
    outcome = correct(home, wrong_row, Correction("income", "77"))
    assert outcome is not None
    assert outcome.result is Result.FAILED


def test_a_corrected_value_leaves_with_the_case(home, clock, tmp_path):
    number = filed(home, clock, RequestKind.CORRECT, correction=Correction("income", "77"))
    engine = engine_of(home, MemoryPost(), erasers_in(tmp_path / "things", [WHO]), clock)
    assert engine.store.get(number).locators.correction.value == "77"
    engine.step()
    case = engine.store.get(number)
    assert case.state is CaseState.COMPLETED
    assert case.locators is None


# --- what is signed


@given(
    law=st.text(st.characters(blacklist_categories=("Cs",)), max_size=50),
    until=st.none() | st.dates(),
    reason=st.text(st.characters(blacklist_categories=("Cs",)), max_size=20),
    at=st.datetimes(timezones=st.just(START.tzinfo)),
)
def test_what_is_signed_is_canonical_json(law, until, reason, at):
    outcome = Outcome(
        artefact=Artefact.FEATURE, result=Result.RESTRICTED_LAW, law=law, until=until, reason=reason
    )
    answer = TaskAnswer(case="ab" * 16, party="shop", at=at, state=CaseState.PARTIAL, outcomes=(outcome,))
    assert statement_of(answer) == rfc8785.dumps(msgspec.to_builtins(answer))
