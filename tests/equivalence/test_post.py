"""Letters by way of the post equal handing each item over in person, once: whatever is lost, repeated or restarted."""

import secrets
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from post_scene import PARTIES, Scene, a_task

from privacy.errors import PeerDropped

CALLS = ("put", "fetch", "confirm")


class Unsteady:
    """A client that fails as it is told: before a call reaches the coordinator, or after."""

    def __init__(self, client, faults):
        self._client, self._faults = client, faults

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*arguments):
            fault = self._faults.pop() if name in CALLS and self._faults else ""
            if fault == "before":
                raise PeerDropped("relay_unreachable")
            answer = method(*arguments)
            if fault == "after":
                raise PeerDropped("relay_unreachable")
            return answer

        return call


PAIRS = st.tuples(st.sampled_from(PARTIES), st.sampled_from(PARTIES)).filter(lambda pair: pair[0] != pair[1])
STEPS = st.one_of(
    st.tuples(st.just("send"), PAIRS),
    st.tuples(st.just("exchange"), st.sampled_from(PARTIES)),
    st.tuples(st.just("take"), st.sampled_from(PARTIES)),
    st.tuples(st.just("node starts again"), st.sampled_from(PARTIES)),
    st.tuples(st.just("coordinator starts again"), st.none()),
    st.tuples(st.just("fail"), st.sampled_from(["before", "after", ""])),
)


def take(courier, got):
    items = courier.receive()
    got.extend((item.party, item.message.case) for item in items)
    courier.confirm(items)


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_every_item_arrives_once(steps):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = Scene.create(folder)
        faults: list[str] = []

        def start(party):
            return scene.courier(party, folder, lambda _roster: Unsteady(scene.client(party), faults))

        couriers = {party: start(party) for party in PARTIES}
        sent = {party: [] for party in PARTIES}
        got = {party: [] for party in PARTIES}
        for step, what in steps:
            scene.clock.seconds += 2
            if step == "send":
                case = secrets.token_hex(16)
                couriers[what[0]].send(what[1], a_task(case))
                sent[what[1]].append((what[0], case))
            elif step == "exchange":
                couriers[what].exchange()
            elif step == "take":
                take(couriers[what], got[what])
            elif step == "node starts again":
                couriers[what] = start(what)
            elif step == "fail":
                faults.append(what)
            else:
                scene.start()
                couriers = {party: start(party) for party in PARTIES}
        faults.clear()
        for _ in range(2):
            scene.clock.seconds += 300
            for courier in couriers.values():
                courier.exchange()
        for party, courier in couriers.items():
            take(courier, got[party])
            assert Counter(got[party]) == Counter(sent[party])
            scene.clock.seconds += 300
            assert courier.undelivered() == []
            assert scene.client(party).fetch().letters == ()
