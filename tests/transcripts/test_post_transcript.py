"""What the coordinator holds and hears of letters: sender, recipient, size and time, and nothing of their content."""

import logging
import math
import sqlite3
from collections import Counter

from post_scene import CANARY, CASE, SESSION, Scene, a_task, an_answer, everything_in

from clients.rights.courier import sign_answer
from federation.post_messages import DISCLOSES, Answered, Asked, LedgerHead
from privacy.texts import LANGUAGES, catalogue

NAMES = (CANARY, CASE.encode(), SESSION.encode(), bytes.fromhex(CASE))
SECRETS = (*NAMES, b"delete", b"2026-12-15", b"feature", b"erased")


class Seen(list):
    """Every request and answer of an application, as bytes."""

    def __init__(self, app):
        super().__init__()
        self._app = app

    async def __call__(self, scope, receive, send):
        self.append(repr((scope.get("path"), scope.get("query_string"), scope.get("headers"))).encode())

        async def hear():
            message = await receive()
            self.append(message.get("body", b""))
            return message

        async def say(message):
            self.append(repr(message.get("headers")).encode() + message.get("body", b""))
            await send(message)

        await self._app(scope, hear, say)


def run(tmp_path, caplog):
    """A task and its answer, each seen on the way; returns what was seen and the scene."""
    caplog.set_level(logging.DEBUG)
    scene = Scene.create(tmp_path)
    seen = scene.http.app = scene.http._transport.app = Seen(scene.app)
    bank, shop = (scene.courier(party, tmp_path) for party in ("bank", "shop"))
    bank.send("shop", a_task())
    bank.exchange()
    shop.exchange()
    answer = an_answer("shop")
    shop.send("bank", answer, sign_answer(scene.identities["shop"], answer))
    held = []
    for courier in (shop, bank):
        courier.exchange()
        held.append(everything_in(scene.home.folder))
    assert [item.message for item in shop.receive() + bank.receive()] == [a_task(), answer]
    return b"".join(seen), held, scene


def test_the_canaries_are_in_neither_store_nor_requests_nor_logs(tmp_path, caplog):
    seen, held, scene = run(tmp_path, caplog)
    on_nodes = everything_in(tmp_path / "bank") + everything_in(tmp_path / "shop")
    for place in (seen, *held, on_nodes, everything_in(scene.home.folder), caplog.text.encode()):
        for secret in SECRETS:
            assert secret not in place, secret
    assert b"post_received" in on_nodes, "the test looks at the right files"
    assert b"/post/shop/" in seen


def test_the_coordinator_holds_sealed_bytes(tmp_path):
    scene = Scene.create(tmp_path)
    bank = scene.courier("bank", tmp_path)
    for _ in range(200):
        bank.send("shop", a_task(rows=3))
    bank.exchange()
    scene.client("bank").put_entry(1, scene.identities["bank"].public.seal(CANARY * 100, b"ledger"))
    with sqlite3.connect(scene.home.folder / "post" / "post.sqlite") as database:
        (letter,) = database.execute("SELECT * FROM letters").fetchall()
        (entry,) = database.execute("SELECT * FROM ledger").fetchall()
    assert letter[1] == "shop"
    assert letter[3:5] == ("bank", scene.clock())
    counts = Counter(letter[5])
    entropy = -sum(count / len(letter[5]) * math.log2(count / len(letter[5])) for count in counts.values())
    assert len(letter[5]) > 50_000
    assert entropy > 7.99, "random to whoever has no key"
    assert entry[:2] == ("bank", 1)
    assert CANARY not in entry[2]


def test_what_is_disclosed_is_declared_and_explained():
    tags = {kind.__struct_config__.tag for kind in (Asked, Answered)}
    assert LedgerHead.__struct_fields__ == ("count", "chain")
    for learnt in (DISCLOSES.label_holder, DISCLOSES.feature_holder, DISCLOSES.coordinator):
        assert {tag for one in learnt for tag in one.messages} == tags
        for language in LANGUAGES:
            assert all(f"disclosures.post.{one.what}" in catalogue(language) for one in learnt)
