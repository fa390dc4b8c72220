"""A node's outbox and inbox: nothing is lost or taken in twice, whoever is away or killed in between."""

import secrets
from types import SimpleNamespace

import msgspec
import pytest
from post_scene import CASE, Away, Scene, a_task, an_answer
from sqlalchemy import create_engine, text

from clients.rights import courier as courier_module
from clients.rights import outbox as outbox_module
from clients.rights.courier import check_answer, sign_answer
from federation.post_messages import KEPT_DAYS
from privacy.errors import MessageInvalid, PeerDropped, SealBroken
from server import post as office_module

DAY = 86_400.0


@pytest.fixture
def scene(tmp_path):
    return Scene.create(tmp_path)


@pytest.fixture
def bank(scene, tmp_path):
    return scene.courier("bank", tmp_path)


@pytest.fixture
def shop(scene, tmp_path):
    return scene.courier("shop", tmp_path)


def cases(items):
    return [item.message.case for item in items]


def case_of(number):
    return f"{number:032x}"


def test_a_courier_has_what_the_engine_asks_for(bank):
    asked_for: courier_module.Courier = bank
    assert asked_for.receive() == []


def test_a_task_and_its_answer_travel(scene, bank, shop):
    bank.send("shop", a_task())
    assert bank.exchange().sent == 1
    assert shop.exchange().received == 1
    (item,) = shop.receive()
    assert (item.party, item.message, item.signature) == ("bank", a_task(), b"")
    shop.confirm([item])
    assert shop.receive() == []
    answer = an_answer("shop")
    shop.send("bank", answer, sign_answer(scene.identities["shop"], answer))
    assert shop.exchange().sent == bank.exchange().received == 1
    (back,) = bank.receive()
    assert (back.party, back.message) == ("shop", answer)
    check_answer(scene.identities["shop"].public, back.message, back.signature)
    assert not bank.exchange().received


def test_what_is_queued_is_of_the_callers_transaction(bank):
    with bank._outbox._engine.connect() as connection:
        bank.send("shop", a_task(), connection=connection)
        connection.rollback()
    assert bank.exchange() == (True, 0, 0, 0)
    with bank._outbox._engine.begin() as connection:
        bank.send("shop", a_task(), connection=connection)
    assert bank.exchange().sent == 1


def test_many_items_go_in_few_letters_in_their_order(bank, shop):
    with bank._outbox._engine.begin() as connection:
        for number in range(1201):
            bank.send("shop", a_task(case_of(number)), connection=connection)
    bank.send("telecom", a_task())
    assert bank.exchange().sent == 4
    assert shop.exchange().received == 3
    seen = []
    while items := shop.receive():
        seen += cases(items)
        shop.confirm(items)
    assert seen == [case_of(number) for number in range(1201)]


def test_large_items_go_in_more_letters(bank, shop):
    for number in range(20):
        bank.send("shop", a_task(case_of(number), rows=1000))
    assert 1 < bank.exchange().sent < 20
    shop.exchange()
    assert cases(shop.receive()) == [case_of(number) for number in range(20)]


def test_letters_of_two_senders_may_have_one_id(scene, bank, shop, tmp_path, monkeypatch):
    telecom = scene.courier("telecom", tmp_path)
    named_alike = SimpleNamespace(token_hex=lambda size: "ab" * size, token_bytes=secrets.token_bytes)
    monkeypatch.setattr(outbox_module, "secrets", named_alike)
    bank.send("telecom", a_task(case_of(1)))
    bank.exchange()
    assert telecom.exchange().received == 1
    shop.send("telecom", a_task(case_of(2)))
    shop.exchange()
    assert telecom.exchange().received == 1
    assert [(item.party, item.message.case) for item in telecom.receive()] == [
        ("bank", case_of(1)),
        ("shop", case_of(2)),
    ]


def test_an_item_that_no_letter_holds_refuses(bank, monkeypatch):
    monkeypatch.setattr("federation.post_messages.MAX_CONTENT_BYTES", 1000)
    with pytest.raises(MessageInvalid) as caught:
        bank.send("shop", a_task(rows=100))
    assert caught.value.key == "post_too_large"


def test_what_is_for_a_party_that_is_not_enrolled_waits_until_it_is(scene, bank, shop):
    roster = scene.home.roster
    scene.home.write_roster(msgspec.structs.replace(roster, parties=roster.parties[:1] + roster.parties[2:]))
    bank.send("shop", a_task())
    bank.send("telecom", a_task())
    assert bank.exchange() == (True, 1, 0, 0)
    scene.home.write_roster(roster)
    assert bank.exchange().sent == 1
    assert shop.exchange().received == 1


# --- durable


def test_a_node_that_starts_again_goes_on(scene, tmp_path, bank, shop):
    bank.send("shop", a_task())
    bank = scene.courier("bank", tmp_path)
    assert bank.exchange().sent == 1
    scene.start()  # the coordinator too
    shop.exchange()
    shop = scene.courier("shop", tmp_path)
    assert cases(shop.receive()) == [CASE]


class Faulty:
    """A client whose next call of a name does its work, and its answer is lost; or does nothing at all."""

    def __init__(self, client, name, *, works):
        self._client, self._name, self._works = client, name, works
        self.faults = 1

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*arguments):
            if name != self._name or not self.faults:
                return method(*arguments)
            self.faults -= 1
            if self._works:
                method(*arguments)
            raise PeerDropped("relay_unreachable")

        return call


@pytest.mark.parametrize("works", [False, True])
@pytest.mark.parametrize("name", ["put", "fetch", "confirm"])
def test_a_lost_question_or_answer_neither_loses_nor_doubles(scene, tmp_path, name, works):
    made = {
        party: scene.courier(party, tmp_path, lambda _, p=party: Faulty(scene.client(p), name, works=works))
        for party in ("bank", "shop")
    }
    made["bank"].send("shop", a_task())
    got = []
    for _ in range(4):
        for courier in made.values():
            courier.exchange()
        got += made["shop"].receive()
        made["shop"].confirm(got)
        scene.clock.seconds += 60
    assert cases(got) == [CASE]
    assert scene.client("shop").fetch().letters == ()


def test_a_letter_that_was_stored_before_a_kill_is_not_stored_again(scene, tmp_path, bank, shop, monkeypatch):
    bank.send("shop", a_task())
    bank.exchange()
    (delivered,) = scene.client("shop").fetch().letters
    shop.exchange()
    shop.confirm(shop.receive())
    scene.client("bank").put("shop", delivered.letter, delivered.data)  # the coordinator hands it out again
    assert shop.exchange() == (True, 0, 0, 0)
    assert shop.receive() == []
    assert scene.client("shop").fetch().letters == ()


def test_the_next_attempt_comes_later_each_time(scene, tmp_path):
    away = Away(PeerDropped("relay_unreachable"))
    bank = scene.courier("bank", tmp_path, lambda _roster: away)
    bank.send("shop", a_task())
    waits, last = [], scene.clock.seconds
    while len(waits) < 12:
        calls = away.calls
        assert not bank.exchange().reached
        if away.calls > calls:
            waits.append(scene.clock.seconds - last)
            last = scene.clock.seconds
        scene.clock.seconds += 0.5
    assert waits[1:] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    bank._connect, bank._client = (lambda _roster: scene.client("bank")), None
    scene.clock.seconds += 300
    assert bank.exchange().sent == 1


def test_a_full_box_holds_up_nobody_else(scene, bank, shop, tmp_path, monkeypatch):
    monkeypatch.setattr(office_module, "MAX_LETTERS", 4)
    bank.send("shop", a_task(case_of(1)))
    bank.exchange()
    bank.send("shop", a_task(case_of(2)))
    bank.send("telecom", a_task(case_of(3)))
    exchanged = bank.exchange()
    assert (exchanged.reached, exchanged.sent) == (True, 1)
    assert scene.courier("telecom", tmp_path).exchange().received == 1
    shop.exchange()
    assert bank.exchange().sent == 0, "not yet"
    scene.clock.seconds += 1
    assert bank.exchange().sent == 1
    shop.exchange()
    assert cases(shop.receive()) == [case_of(1), case_of(2)]


def test_one_exchange_at_a_time(scene, tmp_path, bank):
    bank.send("shop", a_task())
    other = scene.courier("bank", tmp_path)
    bank._send_all, seen = (lambda *_: seen.append((bank.exchange(), other.exchange())) or 0), []
    bank.exchange()
    assert [one.reached for pair in seen for one in pair] == [False, False]
    assert other.exchange().sent == 1


# --- what comes back


def test_a_letter_that_nobody_fetched_comes_back_with_its_cases(scene, bank):
    bank.send("shop", a_task(case_of(1)))
    bank.send("shop", a_task(case_of(2)))
    bank.exchange()
    scene.clock.seconds += KEPT_DAYS * DAY
    assert bank.exchange().returned == 0
    scene.post.office.sweep()
    assert bank.exchange().returned == 1
    assert bank.exchange().returned == 0, "told once"
    assert bank.undelivered() == [], "not at once"
    scene.clock.seconds += outbox_module.LAST_RETRY_SECONDS
    (back,) = bank.undelivered()
    assert (back.recipient, back.cases) == ("shop", (case_of(1), case_of(2)))
    bank.settle([back])
    assert bank.undelivered() == []


def test_a_letter_for_other_keys_comes_back_and_is_in_nobodys_way(scene, tmp_path, bank, shop, caplog):
    bank.send("shop", a_task(case_of(1)))
    bank.exchange()
    telecom = scene.courier("telecom", tmp_path)
    telecom.send("shop", a_task(case_of(2)))
    telecom.exchange()
    new, shop._identity = shop._identity, scene.identities["telecom"]
    assert shop.exchange().received == 0
    shop._identity = new
    assert shop.receive() == []
    assert "does not open (seal_broken)" in caplog.text
    assert bank.exchange().returned == telecom.exchange().returned == 1
    scene.clock.seconds += outbox_module.LAST_RETRY_SECONDS
    assert bank.undelivered()[0].cases == (case_of(1),)


def test_what_cannot_come_back_any_more_is_forgotten(scene, bank):
    bank.send("shop", a_task())
    bank.exchange()
    count = text("SELECT COUNT(*) FROM post_letters")
    for days, kept in ((2 * KEPT_DAYS, 1), (2, 0)):
        scene.clock.seconds += days * DAY
        bank.exchange()
        with bank._outbox._engine.connect() as connection:
            assert connection.execute(count).scalar_one() == kept


# --- what lies in the vault's database


def test_an_item_that_was_moved_or_changed_refuses(bank, tmp_path):
    bank.send("shop", a_task())
    engine = create_engine(f"sqlite:///{tmp_path / 'bank' / 'vault.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE post_queue SET recipient = 'telecom'"))
    with pytest.raises(SealBroken):
        bank._outbox.pack("telecom", lambda *_: b"")
    assert outbox_module.delay(99) == 300


def test_a_node_that_has_joined_nothing_waits(bank):
    bank._read_roster = lambda: None
    bank.send("shop", a_task())
    assert bank.exchange() == (False, 0, 0, 0)
