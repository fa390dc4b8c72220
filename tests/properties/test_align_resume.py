"""A matching that was interrupted anywhere goes on from what the stores hold, and ends with the right rows."""

from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_parties import plan, roles_of

from federation import align, align_ring
from federation.jobs import MatchMode
from federation.messages import COORDINATOR
from federation.roles import MemoryStore

EVERYONE = [f"1390000{number:04d}" for number in range(120)]
LISTS = {"bank": EVERYONE[:90], "shop": EVERYONE[20:110], "telco": EVERYONE[10:]}
MODES = (MatchMode.KEYED, MatchMode.ECDH)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(align_ring, "POINTS_PER_PART", 8)


class Network:
    """Delivers messages between roles until a party dies; what is under way then is lost."""

    def __init__(self, lists, mode, stores, **match):
        self.roles = roles_of(lists, plan(mode, **match), k_min=5, stores=stores, tokens_per_part=16)
        self.delivered = Counter()

    def run(self, deliveries=10**6):
        """Returns whether everybody finished within so many deliveries."""
        queue = deque((name, out) for name, role in self.roles.items() for out in role.start())
        while queue and deliveries:
            sender, out = queue.popleft()
            self.delivered[type(out.message)] += 1
            deliveries -= 1
            queue.extend((out.to, reply) for reply in self.roles[out.to].receive(sender, out.message))
        return not queue

    def found(self, lists):
        return {name: [lists[name][row] for row in self.roles[name].result.rows] for name in lists}


def whole_run(mode, lists=LISTS):
    network = Network(lists, mode, {})
    assert network.run()
    return network


def shared(lists):
    return set.intersection(*(set(one) for one in lists.values()))


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_interruption_ends_well(mode, data):
    total = sum(whole_run(mode).delivered.values())
    stores = {}
    for _ in range(data.draw(st.integers(1, 3), "interruptions")):
        Network(LISTS, mode, stores).run(data.draw(st.integers(0, total - 1), "deliveries"))
    lost = data.draw(st.sampled_from([None, *LISTS, COORDINATOR]), "who loses its store")
    stores.pop(lost, None)
    last = Network(LISTS, mode, stores)
    assert last.run()
    found = last.found(LISTS)
    assert all(rows == found["bank"] for rows in found.values())
    assert set(found["bank"]) == shared(LISTS)


@pytest.mark.parametrize(
    ("mode", "message"), [(MatchMode.KEYED, align.TokenPart), (MatchMode.ECDH, align.Points)]
)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_finished_parts_are_not_done_again(mode, message, share):
    once = whole_run(mode)
    stores = {}
    first = Network(LISTS, mode, stores)
    while first.delivered[message] < share * once.delivered[message]:
        stores.clear()
        first = Network(LISTS, mode, stores)
        assert not first.run(round(share * sum(once.delivered.values())))
        share += 0.02  # the share of the messages that matter is not the share of all
    second = Network(LISTS, mode, stores)
    assert second.run()
    assert second.delivered[message] < once.delivered[message]
    assert first.delivered[message] + second.delivered[message] < once.delivered[message] * 1.3


@pytest.mark.parametrize("mode", MODES)
def test_progress_begins_where_the_first_attempt_ended(mode):
    stores = {}
    Network(LISTS, mode, stores).run(sum(whole_run(mode).delivered.values()) * 2 // 3)
    second = Network(LISTS, mode, stores)
    seen = []
    receive = second.roles[COORDINATOR].receive

    def watching(sender, message):
        answers = receive(sender, message)
        progress = second.roles[COORDINATOR].progress
        if progress.total and len(stores) == 4:
            seen.append(progress.done / progress.total)
        return answers

    second.roles[COORDINATOR].receive = watching
    assert second.run()
    announced = 3  # the lists of all parties
    assert 0.1 < seen[announced - 1] < 1
    assert seen[-1] == 1


@pytest.mark.parametrize("mode", MODES)
def test_whoever_left_a_list_in_between_is_in_no_result(mode):
    stores = {}
    assert not Network(LISTS, mode, stores).run(sum(whole_run(mode).delivered.values()) * 3 // 4)
    withdrawn = EVERYONE[50]
    lists = LISTS | {"shop": [one for one in LISTS["shop"] if one != withdrawn]}
    second = Network(lists, mode, stores)
    assert second.run()
    found = second.found(lists)
    assert withdrawn not in found["bank"]
    assert set(found["bank"]) == shared(lists) == shared(LISTS) - {withdrawn}
    assert all(rows == found["bank"] for rows in found.values())


@pytest.mark.parametrize(
    ("mode", "message"), [(MatchMode.KEYED, align.TokenPart), (MatchMode.ECDH, align.CirclePart)]
)
@pytest.mark.parametrize("party", LISTS)
def test_a_changed_list_begins_afresh_and_cannot_be_compared_with_the_old_one(mode, message, party):
    once = whole_run(mode)
    stores = {}
    first = Network(LISTS, mode, stores)
    assert not first.run(sum(once.delivered.values()) - 5)
    before = dict(stores[COORDINATOR].records)
    lists = LISTS | {party: LISTS[party][:-1]}
    second = Network(lists, mode, stores)
    assert second.run()
    assert second.delivered[message] == once.delivered[message]
    assert set(second.found(lists)["bank"]) == shared(lists)
    after = stores[COORDINATOR].records
    old, new = (
        {data[at : at + 16] for data in records.values() for at in range(0, len(data), 16)}
        for records in (before, after)
    )
    assert len(old) > 100
    assert not old & new
    # Nothing of the first attempt is left at the coordinator.
    assert not before.keys() & after.keys()


def test_a_party_with_new_secrets_makes_all_old_parts_worthless():
    stores = {}
    once = whole_run(MatchMode.ECDH)
    Network(LISTS, MatchMode.ECDH, stores).run(sum(once.delivered.values()) * 3 // 4)
    stores["telco"] = MemoryStore()
    second = Network(LISTS, MatchMode.ECDH, stores)
    assert second.run()
    assert second.delivered[align.Points] == once.delivered[align.Points]
    assert set(second.found(LISTS)["bank"]) == shared(LISTS)


def test_two_jobs_have_nothing_in_common():
    """Stores are emptied after a job: the next one has another key, other secrets and other tokens."""
    seen = []
    for _ in range(2):
        stores = {}
        network = Network(LISTS, MatchMode.ECDH, stores)
        roles = network.roles
        assert network.run()
        assert stores["bank"].records
        for store in stores.values():
            store.clear()
        seen.append({row.tobytes() for row in roles["bank"].result.subject_refs})
    assert not seen[0] & seen[1]
