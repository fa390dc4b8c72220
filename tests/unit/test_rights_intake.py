"""The door for requests: who may ask, how identity is shown, and what a refusal says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rights_scene import Clock, MemoryPost, engine_of, filed, make_homes, phone_of
from typer.testing import CliRunner

from clients.cli import app
from clients.rights.cases import Authority, Correction, VerifiedBy
from clients.rights.intake import CODE_MINUTES, CODE_TRIES, CODES_PER_CASE, Intake, Request
from clients.rights.store import CaseStore
from clients.rights.views import refusal_of, view
from privacy.audit import EventType
from privacy.clocks import answer_due
from privacy.errors import ConfigInvalid, Denied, IdentifierInvalid
from privacy.reasons import Reason
from privacy.rights import CaseState, Requester, RequestKind
from privacy.texts import LANGUAGES

WHO = phone_of(3)
STRANGER = phone_of(987)
PAPER = Authority(document="ab" * 32, kind="kinship", checked_by="branch-7")
CASE_ONLY = Request(kind=RequestKind.DELETE)


@pytest.fixture(autouse=True)
def _english(monkeypatch):
    monkeypatch.setenv("SILHOUETTE_LANG", "en")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def home(tmp_path):
    return make_homes(tmp_path)["bank"]


@pytest.fixture
def intake(home, clock):
    return Intake(home, now=clock)


def wrong(code):
    return f"{(int(code) + 1) % 10**8:08d}"


def codes_of(error):
    return error.value.findings.codes


def test_a_request_has_a_number_a_due_date_and_a_code(intake, clock):
    case, code = intake.file(CASE_ONLY, WHO)
    assert len(case.number) == 32
    assert case.due == answer_due(clock().astimezone().date())
    assert len(code) == 8
    assert code.isdigit()


def test_the_right_code_in_time_lets_the_case_go_on(home, intake, clock):
    case, code = intake.file(CASE_ONLY, WHO)
    engine = engine_of(home, MemoryPost(), (), clock)
    engine.step()
    assert engine.store.get(case.number).state is CaseState.ACKNOWLEDGED
    assert intake.verify(case.number, code).record.verified_by is VerifiedBy.CODE
    engine.step()
    assert engine.store.get(case.number).state not in {CaseState.ACKNOWLEDGED, CaseState.RECEIVED}
    with pytest.raises(Denied):  # a code is good for once
        intake.verify(case.number, code)


def test_without_identity_nothing_is_looked_up_and_nobody_becomes_known(home, intake, clock):
    for who in (WHO, STRANGER):
        intake.file(CASE_ONLY, who)
    engine_of(home, MemoryPost(), (), clock).step()
    tokens = home.consents.tokens("phone/plain", np.array([WHO.encode(), STRANGER.encode()]))
    assert not home.consents.known(tokens).any()
    assert all(not event.sref for event in home.audit.events())


def test_an_impostor_hears_the_same_about_anybody(intake):
    answers = []
    for who in (WHO, STRANGER):
        case, code = intake.file(CASE_ONLY, who)
        with pytest.raises(Denied) as caught:
            intake.verify(case.number, wrong(code))
        answers.append([caught.value.render(language) for language in LANGUAGES])
        shown = json.dumps(view(case).__repr__())
        assert who not in shown
    with pytest.raises(Denied) as caught:
        intake.verify("0" * 32, "12345678")  # there is no such case
    answers.append([caught.value.render(language) for language in LANGUAGES])
    assert answers[0] == answers[1] == answers[2]
    assert codes_of(caught) == ("R-IDENTITY-UNVERIFIED",)


def test_attempts_are_few_and_then_the_case_is_refused(home, intake):
    case, code = intake.file(CASE_ONLY, WHO)
    for made in range(CODES_PER_CASE):
        for _ in range(CODE_TRIES):
            with pytest.raises(Denied):
                intake.verify(case.number, wrong(code))
        with pytest.raises(Denied):  # too late, although it is right
            intake.verify(case.number, code)
        if made + 1 < CODES_PER_CASE:
            code = intake.new_code(case.number).code
    ended = intake.store.get(case.number)
    assert ended.state is CaseState.REJECTED
    assert ended.locators is None
    assert refusal_of(ended).findings.codes == ("R-IDENTITY-UNVERIFIED",)
    denied = [event for event in home.audit.events() if event.type is EventType.ACCESS_DENIED]
    assert len(denied) == CODE_TRIES * CODES_PER_CASE
    with pytest.raises(ConfigInvalid):
        intake.new_code(case.number)


def test_a_code_that_is_over(intake, clock):
    case, code = intake.file(CASE_ONLY, WHO)
    clock.pass_by(minutes=CODE_MINUTES)
    with pytest.raises(Denied):
        intake.verify(case.number, code)
    fresh = intake.new_code(case.number).code
    assert fresh != code
    assert intake.verify(case.number, fresh).record.identified


def test_codes_and_identifiers_are_nowhere_in_clear(home, intake, clock):
    case, code = intake.file(CASE_ONLY, WHO)
    correction = Correction("income", "123.456789")
    intake.file(Request(kind=RequestKind.CORRECT, verified_by="login", correction=correction), WHO)
    engine_of(home, MemoryPost(), (), clock).step()
    for file in home.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [word for word in (WHO, code, "123.456789") if word.encode() in content], file.name
    assert case.number


@pytest.mark.parametrize("way", ["login", "branch", "hotline-callback"])
def test_the_holders_own_systems_vouch(intake, way):
    case, code = intake.file(Request(kind=RequestKind.ACCESS, verified_by=way), WHO)
    assert code == ""
    assert case.record.identified
    later, _ = intake.file(CASE_ONLY, WHO)
    assert intake.vouch(later.number, way).record.identified


@pytest.mark.parametrize("requester", [Requester.AGENT, Requester.GUARDIAN, Requester.KIN])
def test_who_asks_for_another_shows_a_document(home, intake, requester):
    request = Request(kind=RequestKind.DELETE, requester=requester, verified_by="branch")
    refused = intake.file(request, WHO).case
    assert refused.state is CaseState.REJECTED
    assert refusal_of(refused).findings.codes == ("R-AGENT-AUTHORITY",)
    kept = intake.store.get(refused.number)
    assert kept.state is CaseState.REJECTED
    assert kept.locators is None
    assert [event.type for event in home.audit.events()][-2:] == [
        EventType.DSR_RECEIVED,
        EventType.DSR_REJECTED,
    ]
    allowed = Request(kind=RequestKind.DELETE, requester=requester, verified_by="branch", authority=PAPER)
    assert intake.file(allowed, WHO).case.state is CaseState.RECEIVED


def test_kin_of_one_who_had_arranged_otherwise(intake):
    paper = Authority(document="ab" * 32, kind="kinship", checked_by="branch-7", arranged_otherwise=True)
    kin = Request(kind=RequestKind.ACCESS, requester=Requester.KIN, verified_by="branch", authority=paper)
    case = intake.file(kin, WHO).case
    letter = refusal_of(case).letter("en")
    assert "R-AGENT-AUTHORITY [PIPL 31, 49]" in letter
    assert "people's court" in letter


def test_a_refusal_always_has_its_reasons(home, intake, clock):
    number = filed(home, clock)
    with pytest.raises(ConfigInvalid):
        intake.reject(number, [])
    refusal = intake.reject(number, [Reason.STATUTORY_RETENTION])
    for language in LANGUAGES:
        assert "R-STATUTORY-RETENTION [PIPL 19, 47]" in refusal.letter(language)
    with pytest.raises(ConfigInvalid):  # it has ended
        intake.reject(number, [Reason.STATUTORY_RETENTION])
    with pytest.raises(ConfigInvalid):
        intake.reject("0" * 32, [Reason.STATUTORY_RETENTION])
    rejected = [event for event in home.audit.events() if event.type is EventType.DSR_REJECTED]
    assert [event.reasons for event in rejected] == [("R-STATUTORY-RETENTION",)]


def test_what_has_been_restricted_cannot_be_refused_any_more(home, intake, clock):
    number = filed(home, clock)
    engine_of(home, MemoryPost(), (), clock).step()
    with pytest.raises(ConfigInvalid):
        intake.reject(number, [Reason.IDENTITY_UNVERIFIED])


@pytest.mark.parametrize(
    "request_",
    [
        Request(kind=RequestKind.DELETE, verified_by="a-friend"),
        Request(kind=RequestKind.DELETE, purpose="marketing"),
        Request(kind=RequestKind.CORRECT),
        Request(kind=RequestKind.DELETE, correction=Correction("income", "1")),
        Request(kind=RequestKind.CORRECT, correction=Correction("phone", "1")),
        Request(kind=RequestKind.CORRECT, correction=Correction("income", "much")),
        Request(kind=RequestKind.CORRECT, correction=Correction("income", "nan")),
        Request(kind=RequestKind.DELETE, authority=PAPER),
    ],
)
def test_what_does_not_fit_together(intake, request_):
    with pytest.raises(ConfigInvalid):
        intake.file(request_, WHO)


def test_what_is_no_identifier(intake):
    with pytest.raises(IdentifierInvalid):
        intake.file(CASE_ONLY, "12")


# --- the command line


def run(*words, typed=""):
    return CliRunner().invoke(app, ["request", *words], input=typed)


def test_from_the_command_line(home):
    where = ["--home", str(home.folder)]
    made = run("new", *where, "--kind", "delete", "--json", typed=WHO)
    assert made.exit_code == 0, made.output
    (filed_case,) = json.loads(made.output)
    number = filed_case["number"]
    assert WHO not in made.output
    assert run("verify", number, *where, typed=wrong(filed_case["code"])).exit_code != 0
    assert run("verify", number, *where, "--json", typed=filed_case["code"]).exit_code == 0
    assert json.loads(run("list", *where, "--json").output)[0]["number"] == number
    shown = json.loads(run("show", number, *where, "--json").output)
    assert shown["state"] == "received"
    assert shown["verified_by"] == "code"
    assert number in run("list", *where).output
    assert number in run("show", number, *where).output
    refused = run("reject", number, *where, "--reason", "R-AGENT-AUTHORITY")
    assert refused.exit_code == 0
    assert "R-AGENT-AUTHORITY" in refused.output
    assert json.loads(run("list", *where, "--json").output) == []
    assert json.loads(run("alarms", *where, "--json").output) == []
    assert isinstance(CaseStore(home.vault).get(number).record.findings, tuple)


def test_a_code_and_a_due_date_for_people(home):
    made = run("new", "--home", str(home.folder), "--kind", "opt-out", typed=WHO)
    (line,) = CaseStore(home.vault).lines()
    assert line.number in made.output
    assert str(line.due) in made.output
    code = made.output.split()[-1]
    assert run("verify", line.number, "--home", str(home.folder), typed=code).exit_code == 0


def test_kin_without_a_document_at_the_command_line(home):
    made = run(
        "new", "--home", str(home.folder), "--kind", "access", "--requester", "kin", "--verified-by", "branch",
        typed=WHO,
    )  # fmt: skip
    assert made.exit_code == 3


def test_what_can_be_done_here_does_not_wait_for_letters(home):
    """The federation of this home has no coordinator that could be reached."""
    where = ["--home", str(home.folder)]
    made = run("new", *where, "--kind", "opt-out", "--verified-by", "login", "--json", typed=WHO)
    number = json.loads(made.output)[0]["number"]
    done = run("run", *where, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["moved"]["completed"] == 1
    shown = json.loads(run("show", number, *where, "--json").output)
    assert shown["state"] == "completed"
    assert shown["partners"] == {"shop": {"state": "left", "outcomes": shown["partners"]["shop"]["outcomes"]}}
    assert run("run", *where).exit_code == 0
    assert run("show", number, *where).exit_code == 0
