"""Evidence for the audit guideline, for any list of events: it never raises, and never says more than the events."""

import audit_items_scene as scene
import msgspec
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.audit import MAX_NUMBER, EventType
from privacy.audit_items import Cosigned, items_of
from privacy.catalog import Catalog
from privacy.reasons import Reason

POLICIES = (
    scene.policy(),
    scene.policy(
        scene.purpose(), scene.purpose(name="loyalty", pipia=None, fields=("col_17",), notice="none")
    ),
    scene.policy(notices=(), assessments=(), agreements=(), mechanisms=()),
    msgspec.structs.replace(scene.policy(), purposes=()),
)
CATALOGS = {made.digest: Catalog.load().with_overrides(made.overrides) for made in POLICIES}
NAMES = (
    "",
    "marketing",
    "loyalty",
    "notice-1",
    "pipia-1",
    "twin-1",
    "coordinator-1",
    "import",
    *scene.CONSENTS,
)
DIGESTS = ("schema", "document")

entries = st.fixed_dictionaries(
    {
        "type": st.sampled_from([kind.value for kind in EventType]),
        "time": st.dates().map(lambda day: f"{day.isoformat()}T08:00:00.000Z"),
        "artefact": st.sampled_from(NAMES),
        "session": st.sampled_from(("", "s1", "s2")),
        "policy": st.sampled_from(("", scene.HASH, *(made.digest for made in POLICIES))),
        "sref": st.sampled_from(("", scene.SREF)),
        "reasons": st.lists(st.sampled_from([reason.value for reason in Reason]), max_size=3),
        "numbers": st.dictionaries(
            st.sampled_from(("subjects", "words", "rows", "before", "new", "restricted", "removed", "other")),
            st.integers(-MAX_NUMBER, MAX_NUMBER),
            max_size=3,
        ),
        "digests": st.dictionaries(st.sampled_from(DIGESTS), st.just(scene.HASH), max_size=2),
    }
)
# A coherent log with anything between makes the rules meet events that belong together.
logs = st.one_of(
    st.lists(entries, max_size=30),
    st.tuples(
        st.sampled_from(POLICIES), st.lists(st.integers(0, 200), max_size=20), st.lists(entries, max_size=5)
    ).map(lambda drawn: _shuffled(*drawn)),
)
checkpoints = st.none() | st.lists(
    st.tuples(st.integers(0, 40), st.frozensets(st.sampled_from(scene.RECIPIENTS))).map(
        lambda one: Cosigned(*one)
    ),
    max_size=4,
)


def _shuffled(made, order, others):
    told = scene.told(made)
    return [told[number % len(told)] for number in order] + others


def written(made, told, cosigned):
    events = scene.log(told, made)
    return items_of(events, made, CATALOGS[made.digest], cosigned)


def decoded(files):
    return {name: msgspec.json.decode(data) for name, data in files.items() if name.endswith(".json")}


@settings(max_examples=150, deadline=None)
@given(made=st.sampled_from(POLICIES), told=logs, cosigned=checkpoints)
def test_any_events_have_evidence(made, told, cosigned):
    files = written(made, told, cosigned)
    assert len(files) == 19 + 1 + 2
    for name, item in decoded(files).items():
        assert rfc8785.dumps(item) == files[name], "canonical"
        for check in item.get("checks", ()):
            assert check["holds"] in (True, False, None)
        if name != "items/overview.json":
            holds = [check["holds"] for check in item["checks"]]
            expected = False if False in holds else None if None in holds or not holds else True
            assert item["holds"] is expected
            assert item["applies"] or item["checks"] == []
            assert set(item["events"]["seqs"]) <= set(range(len(told)))
            assert len(item["events"]["seqs"]) <= item["events"]["total"] <= len(told)


@settings(max_examples=50, deadline=None)
@given(made=st.sampled_from(POLICIES), told=logs)
def test_the_order_in_which_events_are_given_does_not_matter(made, told):
    events = scene.log(told, made)
    catalog = CATALOGS[made.digest]
    assert items_of(events, made, catalog) == items_of(reversed(events), made, catalog)


@settings(max_examples=50, deadline=None)
@given(made=st.sampled_from(POLICIES), told=logs)
def test_no_reference_to_a_subject_leaves_the_log(made, told):
    """Items count; who is behind an event stays in the log, where the node can make it unlinkable."""
    files = written(made, told, None)
    assert not [name for name, data in files.items() if scene.SREF.encode() in data]


@settings(max_examples=50, deadline=None)
@given(told=st.lists(entries, max_size=20))
def test_without_a_use_nothing_contradicts_the_policys_documents(told):
    """A policy that was never used cannot have been used too early."""
    made = POLICIES[2]
    unused = [entry for entry in told if entry["type"] != "dataset.admitted"]
    items = decoded(written(made, unused, None))
    for number in (4, 5, 6, 8, 9, 13, 15, 23):
        assert items[f"items/item_{number:02}.json"]["holds"] is not False, number
