"""The relay's mailboxes: in order, at most once, bound to what was attested, and closed to whoever has no token."""

import asyncio

import pytest
from relay_scene import content_of, framed

from privacy.errors import MessageInvalid
from server import relay as relay_module
from server.relay import Relay, RelayFull, RelayRefused, RelayStale

TOKENS = {"bank": "token of bank", "shop": "token of shop", "coordinator": "token of coordinator"}


@pytest.fixture
def relay():
    opened = Relay()
    opened.open("s1", TOKENS)
    return opened


def put(relay, number, content=b"frame", sender="bank", recipient="shop", **header):
    relay.put("s1", sender, TOKENS[sender], recipient, number, framed(content, **header))


async def take(relay, confirmed=0, party="shop", state="waiting", wait_seconds=0.0):
    """(number, content) of the next frame."""
    item = await relay.take("s1", party, TOKENS[party], confirmed, state, wait_seconds)
    return item and (item[0], content_of(item[1]))


def taken(relay, confirmed=0, **options):
    return asyncio.run(take(relay, confirmed, **options))


async def waiting(task):
    """Let the task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()


NEW, OLD = b"n" * 32, b"o" * 32


# --- delivery


def test_frames_arrive_once_and_in_order(relay):
    for number in range(1, 6):
        put(relay, number, f"bank {number}".encode())
    put(relay, 1, b"coordinator 1", sender="coordinator")
    confirmed, arrived = 0, []
    while item := taken(relay, confirmed):
        confirmed = item[0]
        arrived.append(item[1])
    assert arrived == [*(f"bank {number}".encode() for number in range(1, 6)), b"coordinator 1"]
    assert confirmed == 6


def test_a_frame_is_delivered_again_until_it_is_confirmed(relay):
    put(relay, 1, b"one")
    put(relay, 2, b"two")
    assert taken(relay, 0) == taken(relay, 0) == (1, b"one")
    assert taken(relay, 1) == taken(relay, 1) == (2, b"two")
    assert taken(relay, 2) is None
    put(relay, 3, b"three")
    assert taken(relay, 2) == (3, b"three")


def test_a_late_confirmation_takes_nothing_away(relay):
    put(relay, 1, b"one")
    put(relay, 2, b"two")
    assert taken(relay, 1) == (2, b"two")
    assert taken(relay, 0) == (2, b"two")


def test_a_repeated_send_is_accepted_once(relay):
    put(relay, 1, b"one")
    put(relay, 1, b"one")
    put(relay, 2, b"two")
    put(relay, 1, b"late")
    assert taken(relay, 0) == (1, b"one")
    assert taken(relay, 1) == (2, b"two")
    assert taken(relay, 2) is None


def test_a_sender_has_one_count_for_all_recipients(relay):
    put(relay, 1, b"to shop")
    put(relay, 1, b"to coordinator", recipient="coordinator")
    assert taken(relay, party="coordinator") is None
    put(relay, 2, b"to coordinator", recipient="coordinator")
    assert taken(relay, party="coordinator") == (1, b"to coordinator")


def test_mailboxes_are_apart(relay):
    relay.open("s2", TOKENS)
    put(relay, 1, b"for shop")
    assert taken(relay, party="bank") is None
    assert asyncio.run(relay.take("s2", "shop", TOKENS["shop"], 0, "", 0)) is None


def test_a_waiting_party_gets_a_frame_when_it_comes(relay):
    async def scene():
        waiter = asyncio.create_task(take(relay, wait_seconds=30))
        await waiting(waiter)
        put(relay, 1, b"one")
        assert await waiter == (1, b"one")
        waiter = asyncio.create_task(take(relay, 1, wait_seconds=30))
        await waiting(waiter)
        put(relay, 2, b"two")
        assert await waiter == (2, b"two")

    asyncio.run(asyncio.wait_for(scene(), 5))


def test_a_frame_for_somebody_else_wakes_nobody(relay):
    async def scene():
        waiter = asyncio.create_task(take(relay, wait_seconds=30))
        await waiting(waiter)
        put(relay, 1, b"one", recipient="coordinator")
        await waiting(waiter)
        waiter.cancel()

    asyncio.run(asyncio.wait_for(scene(), 5))


def test_waiting_ends_in_time(relay):
    assert taken(relay, wait_seconds=0.01) is None


def test_a_cancelled_wait_loses_nothing(relay):
    async def scene():
        waiter = asyncio.create_task(take(relay, wait_seconds=30))
        await waiting(waiter)
        waiter.cancel()
        put(relay, 1, b"one")
        assert await take(relay, wait_seconds=30) == (1, b"one")

    asyncio.run(asyncio.wait_for(scene(), 5))


# --- refusals


@pytest.mark.parametrize(
    ("session", "party", "token"),
    [
        ("s1", "shop", TOKENS["bank"]),
        ("s1", "shop", ""),
        ("s1", "shop", TOKENS["shop"] + "x"),
        ("s1", "shop", TOKENS["shop"][:-1]),
        ("s1", "shop", "tökén"),
        ("s1", "stranger", TOKENS["shop"]),
        ("s1", "", ""),
        ("s2", "shop", TOKENS["shop"]),
        ("", "shop", TOKENS["shop"]),
    ],
)
def test_wrong_token_party_and_session_are_refused_alike(relay, session, party, token):
    refusals = []
    for attempt in (
        lambda: relay.enter(session, party, token),
        lambda: relay.put(session, party, token, "bank", 1, framed(b"frame")),
        lambda: relay.attest(session, party, token, NEW),
        lambda: asyncio.run(relay.take(session, party, token, 0, "spying", 0)),
    ):
        with pytest.raises(RelayRefused) as caught:
            attempt()
        refusals.append((str(caught.value), caught.value.args))
    assert set(refusals) == {("", ())}
    assert relay.status("s1")["shop"].idle_seconds is None, "a refused call is no sign of life"
    assert relay.status("s1")["shop"].state == ""
    assert taken(relay, party="bank") is None


def test_an_unknown_recipient_is_refused_and_its_number_stays_free(relay):
    with pytest.raises(RelayRefused):
        put(relay, 1, recipient="stranger")
    put(relay, 1, b"one")
    assert taken(relay) == (1, b"one")


def test_a_full_mailbox_refuses_until_it_is_read(relay, monkeypatch):
    monkeypatch.setattr(relay_module, "MAX_WAITING_BYTES", 10 + 2 * len(framed(b"")))
    put(relay, 1, b"123456")
    put(relay, 2, b"1234")
    with pytest.raises(RelayFull):
        put(relay, 3, b"1")
    put(relay, 3, b"1", recipient="coordinator")
    assert taken(relay, 0) == (1, b"123456")
    with pytest.raises(RelayFull):
        put(relay, 4, b"1")
    assert taken(relay, 1) == (2, b"1234")
    put(relay, 4, b"123456")
    with pytest.raises(RelayFull):
        put(relay, 5, b"1")


# --- bindings


def attest(relay, binding, party="bank"):
    relay.attest("s1", party, TOKENS[party], binding)


def test_messages_that_rest_on_an_older_snapshot_go_no_further(relay):
    attest(relay, OLD)
    put(relay, 1, b"one", binding=OLD)
    attest(relay, NEW)
    with pytest.raises(RelayStale):
        put(relay, 2, b"two", binding=OLD)
    assert taken(relay) == (1, b"one")
    assert taken(relay, 1) is None
    put(relay, 3, b"three", binding=NEW)
    assert taken(relay, 1) == (2, b"three")


def test_the_first_refusal_of_a_snapshot_is_told_apart(relay):
    """So that a party that keeps sending the same does not fill the log."""
    attest(relay, NEW)
    told = []
    for binding in (OLD, OLD, b"", OLD, OLD):
        with pytest.raises(RelayStale) as caught:
            put(relay, 1, binding=binding)
        told.append(caught.value.is_first)
    assert told == [True, False, True, True, False]


def test_a_refused_message_keeps_its_number_free(relay):
    attest(relay, NEW)
    with pytest.raises(RelayStale):
        put(relay, 1, binding=OLD)
    put(relay, 1, b"one", binding=NEW)
    assert taken(relay) == (1, b"one")


@pytest.mark.parametrize("binding", [b"", OLD, NEW[:31], NEW + b"n"])
def test_a_message_has_the_binding_of_its_sender_and_no_other(relay, binding):
    attest(relay, NEW)
    attest(relay, OLD, "shop")
    with pytest.raises(RelayStale):
        put(relay, 1, binding=binding)
    put(relay, 1, sender="shop", recipient="bank", binding=OLD)
    put(relay, 1, sender="coordinator")  # it holds no rows and attests nothing


def test_what_was_not_attested_is_refused(relay):
    with pytest.raises(RelayStale):
        put(relay, 1, binding=NEW)


def test_the_later_pieces_of_an_accepted_message_follow_it(relay):
    attest(relay, OLD)
    put(relay, 1, b"piece 1", binding=OLD, pieces=2)
    attest(relay, NEW)
    put(relay, 2, b"piece 2", binding=OLD, piece=1, pieces=2)
    with pytest.raises(RelayStale):
        put(relay, 3, b"another", binding=OLD, pieces=2)
    assert taken(relay) == (1, b"piece 1")
    assert taken(relay, 1) == (2, b"piece 2")
    assert taken(relay, 2) is None


def test_an_accepted_message_that_is_sent_again_is_not_refused(relay):
    """Its answer was lost on the way; meanwhile consents have changed."""
    attest(relay, OLD)
    put(relay, 1, binding=OLD)
    attest(relay, NEW)
    put(relay, 1, binding=OLD)
    assert taken(relay, 1) is None


def test_what_is_no_frame_is_refused_and_its_number_stays_free(relay):
    for data in (b"", b"frame", bytes(100)):
        with pytest.raises(MessageInvalid):
            relay.put("s1", "bank", TOKENS["bank"], "shop", 1, data)
    put(relay, 1, b"one")
    assert taken(relay) == (1, b"one")


def test_a_session_that_opens_again_knows_no_binding(relay):
    attest(relay, NEW)
    relay.open("s1", TOKENS)
    with pytest.raises(RelayStale):
        put(relay, 1, binding=NEW)


# --- the end


def test_closing_wakes_and_refuses_those_who_wait(relay):
    async def scene():
        waiters = [asyncio.create_task(take(relay, party=party, wait_seconds=30)) for party in TOKENS]
        for waiter in waiters:
            await waiting(waiter)
        relay.close("s1")
        outcomes = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RelayRefused] * 3

    asyncio.run(asyncio.wait_for(scene(), 5))


def test_a_closed_session_is_gone(relay):
    put(relay, 1)
    relay.close("s1")
    assert relay.status("s1") == {}
    with pytest.raises(RelayRefused):
        put(relay, 2)
    with pytest.raises(RelayRefused):
        taken(relay)
    relay.close("s1")


def test_a_session_that_opens_again_refuses_those_who_waited_before(relay):
    async def scene():
        waiter = asyncio.create_task(take(relay, wait_seconds=30))
        await waiting(waiter)
        relay.open("s1", {"shop": "another"})
        outcomes = await asyncio.gather(waiter, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RelayRefused]

    asyncio.run(asyncio.wait_for(scene(), 5))


# --- status


def test_status_tells_signs_of_life_states_and_frames(relay, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(relay_module.time, "monotonic", lambda: now)
    assert relay.status("s1")["shop"] == relay_module.PartyStatus(None, "", 0.0, 0)
    put(relay, 1)
    put(relay, 2)
    assert relay.status("s1")["shop"].waiting_frames == 2
    assert relay.status("s1")["bank"].idle_seconds == 0
    assert taken(relay, state="busy stage 1")
    now += 5
    assert relay.status("s1")["shop"] == relay_module.PartyStatus(5.0, "busy stage 1", 5.0, 2)
    assert taken(relay, 1, state="busy stage 1")
    now += 2
    assert relay.status("s1")["shop"] == relay_module.PartyStatus(2.0, "busy stage 1", 7.0, 1)
    assert taken(relay, 1, state="waiting stage 1")
    assert relay.status("s1")["shop"] == relay_module.PartyStatus(0.0, "waiting stage 1", 0.0, 1)
    assert relay.status("unknown") == {}


def test_status_holds_no_token(relay):
    assert "token" not in repr(relay.status("s1"))


def test_a_session_whose_driver_is_silent_is_closed(relay, monkeypatch):
    put(relay, 1, b"frame")
    monkeypatch.setattr(relay_module, "DRIVER_SILENCE_SECONDS", -1.0)
    with pytest.raises(RelayRefused):
        taken(relay, 0)
    assert relay.status("s1") == {}
