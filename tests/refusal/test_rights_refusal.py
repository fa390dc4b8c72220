"""Letters about requests that are not what they should be: refused by name, logged, and nothing of them is done."""

from __future__ import annotations

from datetime import timedelta

import msgspec
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
    ref_of,
)

from clients.rights.courier import Received, sign_answer
from clients.rights.letters import case_of, check_repeated, keys_of, numbers_key, other_number, with_answer
from clients.rights.outbox import CameBack
from clients.rights.running import Requests
from clients.rights.scoping import CONTRADICTORY
from clients.rights.views import view
from privacy.audit import EventType
from privacy.errors import SealBroken, SignatureInvalid, UnexpectedMessage
from privacy.rights import (
    Artefact,
    CaseState,
    Outcome,
    RequestKind,
    Result,
    SharedRow,
    Task,
    TaskAnswer,
)
from privacy.sealing import Identity

NUMBER = "c4" * 16
TASK = Task(
    case=NUMBER,
    kind=RequestKind.DELETE,
    received=START,
    due=(START + timedelta(days=20)).date(),
    rows=(SharedRow(SESSION, ref_of(3)),),
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def homes(tmp_path):
    return make_homes(tmp_path, ("bank", "shop", "telecom"))


@pytest.fixture
def post():
    return MemoryPost()


@pytest.fixture
def bank(homes, post, clock, tmp_path):
    return engine_of(homes["bank"], post, erasers_in(tmp_path / "things", [phone_of(3)]), clock)


def answers_to(post, party):
    return [message for _, to, message in post.sent if to == party and isinstance(message, TaskAnswer)]


def rejected(engine):
    return [event for event in engine.home.audit.events() if event.type is EventType.DSR_REJECTED]


def answer_of(party="shop", **changes):
    fields = {"case": NUMBER, "party": party, "at": START, "state": CaseState.COMPLETED, "outcomes": ()}
    return TaskAnswer(**fields | changes)


def test_the_same_task_again_is_answered_the_same(bank, post, clock):
    for _ in range(2):
        post.put("shop", "bank", TASK, b"")
        bank.step()
        clock.pass_by(hours=1)
    first, second = answers_to(post, "shop")
    assert first == second
    assert first.state is CaseState.COMPLETED
    assert {one.artefact for one in first.outcomes} == set(Artefact)
    assert rejected(bank) == []


@pytest.mark.parametrize(
    ("party", "task"),
    [
        ("shop", msgspec.structs.replace(TASK, kind=RequestKind.RESTRICT)),
        ("shop", msgspec.structs.replace(TASK, rows=(SharedRow(SESSION, ref_of(4)),))),
    ],
)
def test_another_task_under_a_known_number(bank, post, party, task):
    post.put("shop", "bank", TASK, b"")
    bank.step()
    before = bank.store.get(NUMBER)
    post.put(party, "bank", task, b"")
    bank.step()
    assert bank.store.get(NUMBER) == before
    assert answers_to(post, party)[-1].state is CaseState.REJECTED
    (event,) = rejected(bank)
    assert (event.actor, event.artefact) == (party, NUMBER)
    with pytest.raises(UnexpectedMessage):
        check_repeated(before, party, task)


def test_a_number_that_another_party_has_used_first_keeps_nothing_from_being_done(
    bank, post, tmp_path, clock
):
    nobody = msgspec.structs.replace(TASK, rows=(SharedRow(SESSION, bytes(16)),))
    hidden = other_number(numbers_key(bank.home), "telecom", NUMBER)
    post.put("shop", "bank", nobody, b"")
    post.put("telecom", "bank", TASK, b"")
    bank.step()
    (answer,) = answers_to(post, "telecom")
    assert (answer.case, answer.state) == (NUMBER, CaseState.COMPLETED)
    assert Result.ERASED in {one.result for one in answer.outcomes}
    assert list((tmp_path / "things").iterdir()) == []
    assert bank.store.get(NUMBER).origin == "shop"
    assert (bank.store.get(hidden).origin, bank.store.get(hidden).number_there) == ("telecom", NUMBER)
    # It is one case: the same again is answered the same, and another one of that sender is refused.
    clock.pass_by(hours=1)
    post.put("telecom", "bank", TASK, b"")
    post.put("telecom", "bank", nobody, b"")
    bank.step()
    again, conflict = answers_to(post, "telecom")[1:]
    assert again == answer
    assert conflict.state is CaseState.REJECTED
    assert len(bank.store.lines()) == 2


def test_an_answer_that_came_back_is_found_under_the_number_here(bank, post, homes, monkeypatch):
    post.put("shop", "bank", TASK, b"")
    post.put("telecom", "bank", TASK, b"")
    bank.step()
    requests = Requests(homes["bank"])
    letter = CameBack("ab" * 16, "telecom", (NUMBER,))
    sent = []
    monkeypatch.setattr(requests._courier, "undelivered", lambda: [letter])
    monkeypatch.setattr(requests._courier, "send", lambda *letter: sent.append(letter))
    requests._send_again()
    requests.close()
    ((party, answer, _),) = sent
    assert (party, answer) == ("telecom", answers_to(post, "telecom")[0])


def test_a_number_here_cannot_be_reckoned_elsewhere(homes):
    numbers = {other_number(numbers_key(home), "telecom", NUMBER) for home in homes.values()}
    assert len(numbers) == len(homes)
    assert all(len(number) == len(NUMBER) for number in numbers)


def test_a_partner_that_refuses_leaves_the_case_open_and_shown_as_it_is(bank, post, clock, homes):
    number = filed(homes["bank"], clock)
    bank.step()
    for party, state in (("telecom", CaseState.COMPLETED), ("shop", CaseState.REJECTED)):
        answer = answer_of(party, case=number, state=state)
        post.put(party, "bank", answer, sign_answer(homes[party].identity, answer))
    bank.step()
    case = bank.store.get(number)
    assert case.state is CaseState.PARTIAL
    assert case.open_partners == ("shop",)
    assert view(case).partners["shop"].state == "rejected"


def test_a_task_under_the_number_of_an_own_case(bank, post, clock, homes):
    number = filed(homes["bank"], clock)
    post.put("shop", "bank", msgspec.structs.replace(TASK, case=number), b"")
    bank.step()
    assert bank.store.get(number).origin == ""
    assert answers_to(post, "shop")[-1].state is CaseState.REJECTED


@pytest.mark.parametrize(
    "kind", [RequestKind.ACCESS, RequestKind.COPY, RequestKind.PORTABILITY, RequestKind.EXPLAIN]
)
def test_what_stays_at_the_door_is_no_task(bank, post, clock, kind):
    task = msgspec.structs.replace(TASK, kind=kind)
    with pytest.raises(UnexpectedMessage):
        case_of("shop", task, clock())
    post.put("shop", "bank", task, b"")
    bank.step()
    assert bank.store.get(NUMBER) is None


def test_names_of_a_matching_without_the_sender_name_nobody(bank, post, homes):
    job = homes["bank"].vault.get(f"job/{SESSION}/job")
    homes["bank"].vault.put(f"job/{SESSION}/job", job.replace(b"telecom", b"another"))
    post.put("telecom", "bank", TASK, b"")
    bank.step()
    (answer,) = answers_to(post, "telecom")
    assert [one.result for one in answer.outcomes] == [Result.NOT_FOUND]
    assert bank.home.consents.restricted(_tokens(bank.home), START + timedelta(days=1)).tolist() == [False]


def test_a_name_that_nobody_has(bank, post):
    post.put("shop", "bank", msgspec.structs.replace(TASK, rows=(SharedRow("ab" * 16, ref_of(3)),)), b"")
    bank.step()
    (answer,) = answers_to(post, "shop")
    assert answer.state is CaseState.COMPLETED
    assert [one.result for one in answer.outcomes] == [Result.NOT_FOUND]


def test_names_that_lead_to_two_people_delete_neither(bank, post, tmp_path):
    both = (SharedRow(SESSION, ref_of(3)), SharedRow(SESSION, ref_of(4)))
    post.put("shop", "bank", msgspec.structs.replace(TASK, rows=both), b"")
    bank.step()
    (answer,) = answers_to(post, "shop")
    assert answer.state is CaseState.PARTIAL
    assert answer.outcomes == (Outcome(artefact=Artefact.MATCH, result=Result.FAILED, reason=CONTRADICTORY),)
    assert len(list((tmp_path / "things").iterdir())) == len(Artefact)


def test_answers_that_do_not_count(bank, post, clock, homes):
    number = filed(homes["bank"], clock)
    bank.step()
    case, keys = bank.store.get(number), keys_of(homes["bank"])
    good = answer_of(case=number)
    shop = homes["shop"].identity

    def take(answer, identity=shop, party="shop", of=case):
        return with_answer(of, Received("1", party, answer, sign_answer(identity, answer)), answer, keys)

    assert take(good).record.partners["shop"].answer == good
    with pytest.raises(SignatureInvalid):
        take(good, Identity.generate())
    with pytest.raises(SignatureInvalid):
        take(good, homes["telecom"].identity)
    altered = msgspec.structs.replace(
        good, outcomes=(Outcome(artefact=Artefact.MATCH, result=Result.ERASED),)
    )
    with pytest.raises(SignatureInvalid):
        with_answer(case, Received("1", "shop", altered, sign_answer(shop, good)), altered, keys)
    with pytest.raises(UnexpectedMessage):  # in another's name
        take(answer_of("telecom", case=number))
    with pytest.raises(UnexpectedMessage):  # of a stranger
        take(answer_of("nobody", case=number), party="nobody")
    with pytest.raises(UnexpectedMessage):  # about no case
        take(good, of=None)
    with pytest.raises(UnexpectedMessage):  # not an end
        take(answer_of(case=number, state=CaseState.EXECUTING))


def test_a_replayed_answer_changes_nothing(bank, post, clock, homes):
    number = filed(homes["bank"], clock)
    bank.step()
    keys, shop = keys_of(homes["bank"]), homes["shop"].identity

    def told(case, answer):
        return with_answer(case, Received("1", "shop", answer, sign_answer(shop, answer)), answer, keys)

    failed = (Outcome(artefact=Artefact.SCORE, result=Result.FAILED),)
    old = answer_of(case=number, state=CaseState.PARTIAL, outcomes=failed)
    new = answer_of(case=number, at=START + timedelta(hours=1))
    case = told(bank.store.get(number), old)
    assert told(case, old) is None
    case = told(case, new)
    assert case.record.partners["shop"].is_done
    assert told(case, old) is None
    later = msgspec.structs.replace(old, at=START + timedelta(hours=2))
    assert told(case, later) is None  # what is done stays done


def test_a_forged_answer_is_logged_and_the_case_waits_on(bank, post, clock, homes):
    number = filed(homes["bank"], clock)
    bank.step()
    good = answer_of(case=number)
    post.put("shop", "bank", good, sign_answer(Identity.generate(), good))
    bank.step()
    assert "shop" in bank.store.get(number).open_partners
    assert [event.actor for event in rejected(bank)] == ["shop"]


def test_a_case_that_was_tampered_with_does_not_open(bank, clock, homes):
    first, second = filed(homes["bank"], clock), filed(homes["bank"], clock, who=4)
    with homes["bank"].vault.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE rights_cases SET locators = (SELECT locators FROM rights_cases WHERE number = ?) WHERE number = ?",
            (first, second),
        )
    assert bank.store.get(first) is not None
    with pytest.raises(SealBroken):
        bank.store.get(second)


def _tokens(home):
    import numpy as np

    return home.consents.tokens("phone/plain", np.array([phone_of(3).encode()]))
