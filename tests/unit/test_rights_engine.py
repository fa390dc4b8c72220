"""Cases from the door to their end: which actions each kind of request comes to, and what becomes of partial ones."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rights_scene import (
    SESSION,
    START,
    Clock,
    MemoryPost,
    engine_of,
    erasers_in,
    filed,
    make_homes,
    phone_of,
)

from clients.rights.cases import Case, Correction
from clients.rights.courier import check_answer
from clients.rights.engine import LOOK_AROUND
from clients.rights.erasers.decisions import DecisionEraser
from clients.rights.erasing import ERASERS
from clients.rights.executing import FAILED, LAST, REMAINS, _suited
from clients.rights.intake import Intake, Request
from clients.rights.kinds import artefacts_of
from privacy.audit import EventType
from privacy.consent import Answer, Need
from privacy.rights import Artefact, CaseState, Outcome, Requester, RequestKind, Result

WHO = phone_of(3)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def homes(tmp_path):
    return make_homes(tmp_path, ("bank", "shop"))


@pytest.fixture
def world(homes, clock, tmp_path):
    return World(homes, clock, tmp_path)


class World:
    """Engines of all parties, stepped until nothing moves."""

    def __init__(self, homes, clock, folder):
        self.homes, self.clock, self.post = homes, clock, MemoryPost()
        self.erasers = {party: erasers_in(folder / f"things-{party}", [WHO]) for party in homes}
        self.engines = {
            party: engine_of(home, self.post, self.erasers[party], clock) for party, home in homes.items()
        }

    def settle(self, turns=4):
        for _ in range(turns):
            for engine in self.engines.values():
                engine.step()

    def case(self, number, party="bank"):
        return self.engines[party].store.get(number)

    def eraser(self, party, artefact):
        return next(one for one in self.erasers[party] if one.artefact is artefact)

    def events(self, party="bank"):
        return [event.type for event in self.homes[party].audit.events()]

    def is_restricted(self, party="bank"):
        store = self.homes[party].consents
        return store.restricted(tokens_of(self.homes[party]), self.clock() + timedelta(seconds=1)).tolist()


def tokens_of(home):
    return home.consents.tokens("phone/plain", np.array([WHO.encode()]))


def results(case):
    return {one.artefact: one.result for one in case.record.outcomes}


def test_a_deletion_reaches_everything_at_every_party(world, homes):
    number = filed(homes["bank"], world.clock)
    world.settle()
    for party in homes:
        case = world.case(number, party)
        assert case.state is CaseState.COMPLETED
        assert case.locators is None
        assert set(results(case)) == set(Artefact)
        assert set(results(case).values()) == {Result.ERASED}
        assert not list(world.eraser(party, Artefact.SCORE).folder.iterdir())
    told = world.case(number).record.partners["shop"]
    assert told.answer.state is CaseState.COMPLETED
    assert results(world.case(number, "shop")) == {one.artefact: one.result for one in told.outcomes}
    check_answer(homes["shop"].identity.public, told.answer, told.signature)


def test_what_the_log_hears_of_a_deletion(world, homes):
    number = filed(homes["bank"], world.clock)
    world.settle()
    types = [kind for kind in world.events() if kind.startswith("dsr.")]
    assert types == [
        EventType.DSR_RECEIVED,
        EventType.DSR_ACK,
        EventType.DSR_VERIFIED,
        EventType.DSR_SCOPED,
        EventType.DSR_RESTRICTED,
        EventType.DSR_TASK_SENT,
        EventType.DSR_PARTIAL,
        EventType.DSR_TASK_RESULT,
        EventType.DSR_COMPLETED,
    ]
    for home in homes.values():
        for line in home.audit.lines():
            assert WHO.encode() not in line
    assert all(event.artefact == number for event in homes["bank"].audit.events() if event.type in types)


def test_while_a_partner_is_offline_the_case_is_partial_and_never_completed(world, homes):
    world.post.offline.add("shop")
    number = filed(homes["bank"], world.clock)
    for _ in range(30):
        world.settle(1)
        world.clock.pass_by(hours=1)
        case = world.case(number)
        assert case.state is CaseState.PARTIAL
        assert case.open_partners == ("shop",)
        assert not any(one.is_open for one in case.record.outcomes)
        assert case.locators is not None
    world.post.offline.clear()
    world.settle()
    assert world.case(number).state is CaseState.COMPLETED


def test_a_partner_that_has_left_leaves_the_case_not_stuck(world, homes):
    world.post.offline.add("shop")
    number = filed(homes["bank"], world.clock)
    world.settle()
    home = homes["bank"]
    kept = tuple(party for party in home.roster.parties if party.name == "bank")
    home.join(msgspec.structs.replace(home.roster, parties=kept))
    world.clock.pass_by(seconds=LOOK_AROUND.total_seconds())
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.COMPLETED
    (left,) = case.record.partners["shop"].outcomes
    assert left.result is Result.RESTRICTED_TECHNICAL
    assert left.review is not None


def test_what_an_eraser_cannot_do_is_tried_again_and_the_last_ones_wait(world, homes):
    broken = world.eraser("bank", Artefact.SCORE)
    broken.broken.add(WHO.encode())
    number = filed(homes["bank"], world.clock)
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.PARTIAL
    assert results(case)[Artefact.SCORE] is Result.FAILED
    assert not set(LAST) & set(results(case))
    assert world.is_restricted() == [True]
    broken.broken.clear()
    world.settle()
    assert world.case(number).state is CaseState.PARTIAL  # not before its time
    world.clock.pass_by(hours=1)
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.COMPLETED
    assert set(results(case).values()) == {Result.ERASED}


def test_one_subjects_failure_is_nobody_elses(world, homes):
    others = [phone_of(one) for one in range(8) if one != 3]
    for eraser in world.erasers["bank"]:
        eraser.fill(others)
    world.eraser("bank", Artefact.MATCH).broken.add(WHO.encode())
    request = Request(kind=RequestKind.DELETE, verified_by="branch")
    cases = Intake(homes["bank"], now=world.clock).file_many(request, [WHO, *others])
    world.settle()
    states = [world.case(one.case.number).state for one in cases]
    assert states == [CaseState.PARTIAL, *[CaseState.COMPLETED] * len(others)]


def test_what_is_found_again_has_failed(world, homes):
    stubborn = world.eraser("bank", Artefact.COPY)
    stubborn.stays = True
    number = filed(homes["bank"], world.clock)
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.PARTIAL
    assert Outcome(artefact=Artefact.COPY, result=Result.FAILED, reason=REMAINS) in case.record.outcomes
    assert CaseState.CHECKED not in case.record.reached
    stubborn.stays = False
    world.clock.pass_by(hours=1)
    world.settle()
    assert world.case(number).state is CaseState.COMPLETED


def test_a_missing_eraser_keeps_the_case_open(homes, clock, tmp_path):
    erasers = [one for one in erasers_in(tmp_path / "x", [WHO]) if one.artefact is not Artefact.MODEL]
    engine = engine_of(homes["bank"], MemoryPost(), erasers, clock)
    number = filed(homes["bank"], clock)
    engine.step()
    case = engine.store.get(number)
    assert case.state is CaseState.PARTIAL
    assert results(case)[Artefact.MODEL] is Result.UNSUPPORTED


def test_a_withdrawal_is_recorded_everywhere_and_what_was_derived_is_erased(world, homes):
    number = filed(homes["bank"], world.clock, RequestKind.WITHDRAW, purpose="credit_risk")
    world.settle()
    for party, home in homes.items():
        case = world.case(number, party)
        assert case.state is CaseState.COMPLETED
        at = world.clock() + timedelta(seconds=1)
        (answer,) = home.consents.answers(tokens_of(home), Need("credit_risk"), (), at)
        assert answer == Answer.WITHDRAWN
        assert Artefact.FEATURE not in results(case)
        assert Artefact.SCORE in results(case)
        assert not home.consents.restricted(tokens_of(home), at).any()


def test_refusing_automated_decisions(world, homes):
    number = filed(homes["shop"], world.clock, RequestKind.REFUSE_AUTOMATION)
    world.settle()
    assert world.case(number, "bank").state is CaseState.COMPLETED
    at = world.clock() + timedelta(seconds=1)
    (answer,) = homes["bank"].consents.answers(tokens_of(homes["bank"]), Need("automated-decision"), (), at)
    assert answer == Answer.WITHDRAWN
    assert EventType.ADM_REFUSED_BY_SUBJECT in world.events()


def test_a_restriction_stays_when_the_case_is_over(world, homes):
    number = filed(homes["bank"], world.clock, RequestKind.RESTRICT)
    world.settle()
    assert world.case(number).state is CaseState.COMPLETED
    assert world.is_restricted("bank") == world.is_restricted("shop") == [True]
    assert results(world.case(number)) == {}


def test_a_correction_changes_one_cell_and_erases_what_was_computed(world, homes):
    file = Path(homes["bank"].settings.table.path)
    before = file.read_text("utf-8")
    number = filed(homes["bank"], world.clock, RequestKind.CORRECT, correction=Correction("income", "777.5"))
    world.settle()
    assert world.case(number).state is CaseState.COMPLETED
    assert file.read_text("utf-8") == before.replace(f"{WHO},1003,", f"{WHO},777.5,")
    wrong = set(artefacts_of(RequestKind.CORRECT, "", None))
    assert set(results(world.case(number))) == set(results(world.case(number, "shop"))) == wrong


def test_a_request_for_a_copy_stays_at_home(world, homes):
    number = filed(homes["bank"], world.clock, RequestKind.ACCESS)
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.PARTIAL  # nobody makes copies in this test
    assert world.case(number, "shop") is None
    assert not world.post.sent


def test_a_policy_or_a_table_that_changes_later_makes_nothing_unreachable(world, homes):
    number = filed(homes["bank"], world.clock)
    stop = StopAt("scoped/begun")
    cut = engine_of(homes["bank"], world.post, world.erasers["bank"], world.clock, on_point=stop)
    with pytest.raises(Stopped):
        cut.step()
    Path(homes["bank"].settings.table.path).write_text("phone,income,closed\n", "utf-8")
    homes["bank"].vault.remove("job/")
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.COMPLETED
    assert set(results(case).values()) == {Result.ERASED}
    assert world.case(number, "shop").state is CaseState.COMPLETED


def test_a_table_that_cannot_be_read_delays_the_case_and_says_why(world, homes):
    file = Path(homes["bank"].settings.table.path)
    content = file.read_text("utf-8")
    file.write_text("other\n1\n", "utf-8")
    number = filed(homes["bank"], world.clock)
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.IDENTIFIED
    assert case.record.problem == "schema_mismatch"
    file.write_text(content, "utf-8")
    world.clock.pass_by(hours=1)
    world.settle()
    assert world.case(number).state is CaseState.COMPLETED


def test_who_is_not_here_gets_the_same_treatment(world, homes):
    number = filed(homes["bank"], world.clock, who=12345)
    world.settle()
    case = world.case(number)
    assert case.state is CaseState.COMPLETED
    assert set(results(case).values()) == {Result.NOT_FOUND}
    assert case.record.partners == {}


def test_only_one_process_steps_at_a_time(world, homes):
    from federation.line_file import locked

    with locked(homes["bank"].folder / "rights.lock", 0.0):
        assert world.engines["bank"].step().is_busy
    assert not world.engines["bank"].step().is_busy


def test_ended_cases_go_after_their_time(world, homes):
    number = filed(homes["bank"], world.clock)
    world.settle()
    world.clock.pass_by(days=1095)
    world.settle()
    assert world.case(number) is not None
    world.clock.pass_by(days=5)
    world.settle()
    assert world.case(number) is None


def test_a_failed_eraser_is_told_to_the_party_that_asked(world, homes):
    broken = world.eraser("shop", Artefact.FEATURE)
    broken.broken.add(WHO.encode())
    number = filed(homes["bank"], world.clock)
    world.settle()
    partner = world.case(number).record.partners["shop"]
    assert partner.answer.state is CaseState.PARTIAL
    assert Outcome(artefact=Artefact.FEATURE, result=Result.FAILED, reason=FAILED) in partner.outcomes
    assert world.case(number).state is CaseState.PARTIAL
    broken.broken.clear()
    world.clock.pass_by(hours=1)
    world.settle()
    assert world.case(number).state is CaseState.COMPLETED


class Stopped(BaseException):
    """The process ends here."""


class StopAt:
    def __init__(self, point):
        self.point = point

    def __call__(self, point):
        if point == self.point:
            raise Stopped


def test_received_at_the_start(clock):
    assert clock() == START


def test_who_never_shows_who_it_is_is_refused_in_time(homes, clock):
    number = filed(homes["bank"], clock, verified_by="")
    engine = engine_of(homes["bank"], MemoryPost(), clock=clock)
    engine.step()
    store = engine.store
    case = store.get(number)
    assert case.state is CaseState.ACKNOWLEDGED
    clock.time = START + timedelta(days=(case.due - START.date()).days)
    engine.step()
    case = store.get(number)
    assert (case.state, case.locators) == (CaseState.REJECTED, None)
    assert [one.reason.value for one in case.record.findings] == ["R-IDENTITY-UNVERIFIED"]
    assert EventType.DSR_REJECTED in [event.type for event in homes["bank"].audit.events()]


def test_a_correction_takes_what_was_computed_from_the_old_value(homes):
    found = artefacts_of(RequestKind.CORRECT, "", None)
    assert {Artefact.AUDIENCE, Artefact.SCORE, Artefact.UNFINISHED} <= set(found)


def test_a_link_to_the_table_stays_one_when_a_cell_is_corrected(homes, clock):
    home = homes["bank"]
    file = Path(home.settings.table.path)
    real = file.with_name("extract.csv")
    file.rename(real)
    file.symlink_to(real.name)
    filed(home, clock, RequestKind.CORRECT, correction=Correction("income", "777.5"))
    engine_of(home, MemoryPost(), clock=clock).step()
    assert file.is_symlink()
    assert f"{WHO},777.5," in real.read_text()


def test_a_withdrawal_leaves_the_lists_of_its_own_purpose_alone(homes, clock):
    """The lists say what they are for, whatever the job was for that they were made from."""
    home = homes["bank"]
    files = {}
    for name, purpose in (("news", "newsletter"), ("vip", "marketing")):
        folder = home.folder / "audiences" / name
        folder.mkdir(parents=True)
        files[name] = folder / "members.csv"
        files[name].write_text(f"identifier\n{WHO}\n{phone_of(4)}\n", "utf-8")
        made = {"results": f"churn-{SESSION[:8]}", "purpose": purpose}
        (folder / "audience.json").write_bytes(msgspec.json.encode(made))
    filed(home, clock, RequestKind.WITHDRAW, purpose="newsletter")
    engine_of(home, MemoryPost(), ERASERS, clock).step()
    assert WHO not in files["news"].read_text()
    assert phone_of(4) in files["news"].read_text()
    assert WHO in files["vip"].read_text()


def test_an_appeal_goes_on_where_nobody_asks_to_be_deleted():
    def erasers(kind):
        case = Case(number="0" * 32, kind=kind, state=CaseState.EXECUTING, requester=Requester.SUBJECT,
                    received=START, due=START.date(), updated=START, wake=START)  # fmt: skip
        return [one for one, _ in _suited([DecisionEraser()], [case])]

    assert [
        one._with_appeals for kind in (RequestKind.DELETE, RequestKind.CORRECT) for one in erasers(kind)
    ] == [
        True,
        False,
    ]
