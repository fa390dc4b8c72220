"""Evidence for the audit guideline: what an item says changes when the order or the content of the events does."""

from datetime import date

import audit_items_scene as scene
import msgspec
import policy_scene
import pytest
import rfc8785

from privacy.audit import EventType
from privacy.audit_items import Cosigned, items_of, ledger, people, technology
from privacy.audit_items.guideline import FOR_PEOPLE, LEVELS, Level, all_hold
from privacy.audit_items.writing import MOST_NUMBERS
from privacy.catalog import Catalog
from privacy.policy import Basis, PurposeClass, Relation
from privacy.reasons import Reason
from privacy.texts import catalogue

EVIDENCED = sorted(set(LEVELS) - set(FOR_PEOPLE))
POLICY = scene.policy()


def replace(made, **changes):
    return msgspec.structs.replace(made, **changes)


def with_purpose(**changes):
    return scene.policy(scene.purpose(**changes))


def with_part(table, number, **changes):
    """The policy with one of its documents changed."""
    items = getattr(POLICY, table)
    return replace(
        POLICY, **{table: tuple(replace(item, **changes) if item.id == number else item for item in items)}
    )


def without(kind, artefact=None):
    """All events but those of a type, or of a type about one thing."""
    return [
        entry
        for entry in scene.told()
        if entry["type"] != kind or (artefact is not None and entry.get("artefact") != artefact)
    ]


def late(kind, artefact):
    """The events with one of them at the end."""
    (moved,) = [item for item in scene.told() if item["type"] == kind and item.get("artefact") == artefact]
    return [item for item in scene.told() if item is not moved and item != moved] + [moved]


# --- everything in its order


def test_every_item_has_a_file_and_holds_when_everything_is_there():
    found = scene.evidence(scene.told())
    assert sorted(found) == sorted([f"item_{number:02}" for number in EVIDENCED] + ["overview"])
    assert {name: item["holds"] for name, item in found.items() if name != "overview"} == {
        f"item_{number:02}": True for number in EVIDENCED
    }


def test_an_item_says_what_was_looked_at_and_that_it_is_no_statement_of_compliance():
    item = scene.evidence(scene.told())["item_06"]
    assert set(item) == {
        "note", "party", "policy", "log_events", "last_event_time", "item", "title", "level", "claim", "query",
        "applies", "holds", "checks", "result", "events", "open",
    }  # fmt: skip
    assert item["level"] == "mostly"
    assert item["policy"] == POLICY.digest
    assert item["title"] == {"en": "Entrusted processing", "zh": "委托处理"}
    assert "no statement that the law is complied with" in item["note"]["en"]
    assert "不构成合规结论" in item["note"]["zh"]
    (agreement,) = item["result"]["agreements"]
    assert agreement["contents"] == dict.fromkeys(
        ("purposes", "term", "methods", "categories", "measures", "duties"), True
    )
    assert (agreement["until"], agreement["over_at_last_event"]) == ("2026-12-31", False)
    assert {point["point"] for point in item["open"]} == {"clauses", "inspections"}


def test_files_are_canonical_json():
    events = scene.log(scene.told(), POLICY)
    files = items_of(events, POLICY, Catalog.load().with_overrides(POLICY.overrides))
    for name, content in files.items():
        if name.endswith(".json"):
            assert rfc8785.dumps(msgspec.json.decode(content)) == content, name


def test_the_overview_lists_all_items_and_what_a_human_must_add():
    rows = scene.evidence(scene.told())["overview"]["items"]
    assert [row["item"] for row in rows] == list(range(1, 28))
    assert (
        [row["item"] for row in rows if "human" in row] == list(FOR_PEOPLE) == [1, 7, 11, 21, 22, 24, 26, 27]
    )
    assert all(row["human"]["en"] and row["human"]["zh"] for row in rows if "human" in row)
    assert all(row["file"] == f"item_{row['item']:02}.json" for row in rows if "human" not in row)


# --- order and content


ORDER = [
    (2, "policy_first", [*scene.use(), *scene.activation(POLICY), *scene.consents()]),
    (2, "consent_first", [*scene.activation(POLICY), *scene.use(), *scene.consents()]),
    (4, "notice_before_use", late("notice.published", "notice-1")),
    (5, "agreement_before_use", late("agreement.activated", "twin-1")),
    (6, "agreement_before_use", late("agreement.activated", "coordinator-1")),
    (6, "pipia_before_use", late("pipia.approved", "pipia-1")),
    (6, "nothing_after_end", [
        *scene.activation(POLICY), *scene.consents(),
        {"type": "agreement.terminated", "artefact": "coordinator-1"}, *scene.use(),
    ]),
    (8, "pipia_before_use", late("pipia.approved", "pipia-1")),
    (9, "pipia_before_use", late("pipia.approved", "pipia-1")),
    (9, "notice_before_use", late("notice.published", "notice-1")),
    (13, "pipia_before_use", late("pipia.approved", "pipia-1")),
    (13, "sensitive_consent_first", without("consent.granted", scene.SENSITIVE)),
    (14, "guardian_consent_first", without("consent.granted", "marketing/guardian")),
    (15, "crossborder_consent_first", without("consent.granted", "marketing/separate/crossborder/bureau")),
    (15, "people_counted", without("counter.snapshot")),
    (16, "restricted_first", without("dsr.restricted")),
    (20, "minimised", without("minimise.applied")),
    (23, "pipia_before_use", late("pipia.approved", "pipia-1")),
    (25, "incidents_in_order", late("incident.reported", "i-1")),
]  # fmt: skip


@pytest.mark.parametrize(("number", "check", "entries"), ORDER, ids=[f"{row[0]}-{row[1]}" for row in ORDER])
def test_an_item_no_longer_holds_when_the_order_is_wrong(number, check, entries):
    item = scene.evidence(entries)[f"item_{number:02}"]
    assert scene.checks(item)[check] is False
    assert item["holds"] is False


CONTENT = [
    (2, "basis_named", with_purpose(basis=Basis.STATUTORY, treatment=PurposeClass.CREDIT_RISK)),
    (2, "basis_named", with_purpose(basis=Basis.CONTRACT, basis_reference="Contract")),
    (3, "notice_complete", with_purpose(title=policy_scene.titles("", "Purpose"))),
    (3, "notice_covers", with_part("notices", "notice-1", categories=())),
    (3, "notice_covers", with_part("notices", "notice-1", recipients=("shop",))),
    (4, "notice_dated", with_part("notices", "notice-1", published=date(2026, 3, 3))),
    (5, "agreement_scope", with_part("agreements", "twin-1", relation=Relation.PROVIDE)),
    (5, "agreement_named", replace(POLICY, agreements=POLICY.agreements[:2] + POLICY.agreements[3:])),
    (6, "agreement_contents", with_part("agreements", "coordinator-1", measures=" ")),
    (6, "agreement_in_force", with_part("agreements", "coordinator-1", valid_until=date(2026, 2, 27))),
    (6, "coordinator_named", with_part("agreements", "coordinator-1", coordinator_fingerprints=())),
    (8, "recipient_in_notice", with_part("notices", "notice-1", recipients=())),
    (9, "human_route_named", with_purpose(human_route=" ")),
    (12, "no_public_basis", with_purpose(basis=Basis.PUBLIC)),
    (13, "necessity_given", with_purpose(sensitive_necessity={})),
    (13, "pipia_covers", with_part("assessments", "pipia-1", categories=())),
    (14, "minor_rules_named", with_purpose(minor_rules=None)),
    (15, "mechanism_named", replace(POLICY, mechanisms=())),
    (15, "mechanism_in_force", with_part("mechanisms", "contract-1", valid_until=date(2026, 2, 27))),
    (15, "mechanism_named", replace(POLICY, critical_infrastructure=True)),
    (16, "retention_set", with_purpose(retention_days=0)),
    (18, "plain_texts", with_purpose(necessity=policy_scene.titles("目的", ""))),
    (19, "fields_classified", with_purpose(fields=("monthly_income", "col_17"))),
    (23, "pipia_named", with_purpose(pipia="pipia-9")),
    (23, "pipia_approved", with_part("assessments", "pipia-1", approved_by="")),
    (23, "pipia_covers", with_part("assessments", "pipia-1", models=("matching",))),
    (23, "pipia_in_force", with_part("assessments", "pipia-1", valid_until=date(2026, 2, 27))),
]


@pytest.mark.parametrize(("number", "check", "made"), CONTENT, ids=[f"{row[0]}-{row[1]}" for row in CONTENT])
def test_an_item_no_longer_holds_when_the_content_is_wrong(number, check, made):
    item = scene.evidence(scene.told(made), made)[f"item_{number:02}"]
    assert scene.checks(item)[check] is False
    assert item["holds"] is False


@pytest.mark.parametrize(("number", "check", "made"), CONTENT, ids=[f"{row[0]}-{row[1]}" for row in CONTENT])
def test_what_was_never_used_contradicts_nothing(number, check, made):
    item = scene.evidence([*scene.activation(made), *scene.consents()], made)[f"item_{number:02}"]
    assert scene.checks(item)[check] is None
    assert item["holds"] is None


OTHER_EVENTS = [
    (3, "notice_logged", without("notice.published"), False),
    (3, "notice_logged", [{**entry, "digests": {}} for entry in scene.told()], False),
    (9, "refusals_reviewed", [*scene.told(), {"type": "adm.refused_by_subject"}], None),
    (10, "nothing_exported", [*scene.told(), {"type": "audience.exported"}], None),
    (16, "deletion_traced", [*scene.activation(POLICY), *scene.consents(), *scene.use()], None),
    (17, "requests_logged", without("dsr.received"), None),
    (17, "requests_answered", without("dsr.completed"), None),
    (17, "refusals_reasoned", [*scene.told(), {"type": "dsr.rejected", "artefact": "case-2"}], False),
    (20, "others_logs_continue", [*scene.told(), {"type": "log.verify_failed", "artefact": "shop"}], False),
    (25, "incidents_closed", without("incident.closed"), None),
]


@pytest.mark.parametrize(
    ("number", "check", "entries", "holds"), OTHER_EVENTS, ids=[f"{row[0]}-{row[1]}" for row in OTHER_EVENTS]
)
def test_an_item_follows_the_events(number, check, entries, holds):
    item = scene.evidence(entries)[f"item_{number:02}"]
    assert scene.checks(item)[check] is holds
    assert item["holds"] is holds


def test_a_notice_without_the_digest_of_its_text_needs_a_human():
    made = with_part("notices", "notice-1", digest="")
    item = scene.evidence(scene.told(made), made)["item_03"]
    assert (scene.checks(item)["notice_text_recorded"], item["holds"]) == (None, None)


def test_people_of_unknown_age_need_a_human():
    made = with_purpose(keep_unknown_age=True)
    item = scene.evidence(scene.told(made), made)["item_14"]
    assert (scene.checks(item)["age_known"], item["holds"]) == (None, None)


@pytest.mark.parametrize(("people_now", "holds"), [(9_000, True), (10_000, False)])
def test_the_count_of_people_abroad_is_held_against_its_limit(people_now, holds):
    entries = [
        entry
        | ({"numbers": {"before": 100, "new": people_now}} if entry["type"] == "counter.snapshot" else {})
        for entry in scene.told()
    ]
    item = scene.evidence(entries)["item_15"]
    assert scene.checks(item)["people_below_limit"] is holds
    assert item["result"]["counters"][0]["new"] == people_now


def test_a_refused_count_is_no_fault():
    refused = [
        {"type": "counter.snapshot", "session": "s2", "numbers": {"before": 150, "new": 50_000}},
        {"type": "dataset.refused", "session": "s2", "reasons": ["R-CROSSBORDER-THRESHOLD"]},
    ]
    item = scene.evidence([*scene.told(), *refused])["item_15"]
    assert item["holds"] is True
    assert item["result"]["refused"] == {"R-CROSSBORDER-THRESHOLD": {"refused": 1}}


def test_a_refusal_before_an_agreement_begins_is_not_its_end():
    early = {"type": "agreement.expired", "artefact": "coordinator-1", "time": "2025-12-30T08:00:00.000Z"}
    entries = [*scene.activation(POLICY), early, *scene.consents(), *scene.use()]
    assert scene.checks(scene.evidence(entries)["item_06"])["nothing_after_end"] is True


def test_an_agreement_with_another_text_takes_the_place_of_one_that_is_over():
    ended = {"type": "agreement.expired", "artefact": "coordinator-1", "time": "2027-01-02T08:00:00.000Z"}
    over = [*scene.activation(POLICY), ended, *scene.consents()]
    renewed = [entry for entry in scene.activation(POLICY) if entry.get("artefact") == "coordinator-1"]
    assert scene.checks(scene.evidence([*over, *scene.use()])["item_06"])["nothing_after_end"] is False
    assert (
        scene.checks(scene.evidence([*over, *renewed, *scene.use()])["item_06"])["nothing_after_end"] is True
    )


def test_a_day_of_difference_between_calendars_is_no_contradiction():
    """A policy's days are the holder's, the log's are UTC."""
    for changes in ({"valid_until": date(2026, 2, 28)}, {"valid_from": date(2026, 3, 2)}):
        made = with_part("agreements", "coordinator-1", **changes)
        item = scene.evidence(scene.told(made), made)["item_06"]
        assert scene.checks(item)["agreement_in_force"] is True


def test_what_a_file_brought_in_is_a_doubt_and_no_fault():
    entries = [*scene.activation(POLICY), *scene.consents("import"), *scene.use(), *scene.AFTERWARDS]
    found = scene.evidence(entries)
    for number in (2, 8, 13, 14, 15):
        assert found[f"item_{number:02}"]["holds"] is None, number
    assert "imported" in {point["point"] for point in found["item_02"]["open"]}


# --- several purposes, several recipients


def two_purposes(**changes):
    return scene.policy(scene.purpose(), scene.purpose(name="loyalty", **changes))


def test_a_fault_of_one_of_two_purposes_is_a_doubt_where_the_use_does_not_name_its_own():
    made = two_purposes(pipia=None)
    entries = [*scene.activation(made), *scene.consents(), *scene.use(), *scene.AFTERWARDS]
    item = scene.evidence(entries, made)["item_23"]
    assert item["holds"] is None
    assert "use_purpose" in {point["point"] for point in scene.evidence(entries, made)["item_02"]["open"]}


@pytest.mark.parametrize(("named", "holds"), [("loyalty", False), ("marketing", None)])
def test_a_use_that_names_its_purpose_decides(named, holds):
    made = two_purposes(pipia=None)
    entries = [*scene.activation(made), *scene.consents(), *scene.use(artefact=named)]
    assert scene.evidence(entries, made)["item_23"]["holds"] is holds


def test_a_fault_of_both_purposes_is_a_fault():
    made = scene.policy(scene.purpose(pipia=None), scene.purpose(name="loyalty", pipia=None))
    assert scene.evidence(scene.told(made), made)["item_23"]["holds"] is False


def test_what_one_of_several_recipients_lacks_is_a_doubt():
    """Events do not say which recipients took part."""
    assert (
        scene.evidence(without("consent.granted", "marketing/separate/provide/bureau"))["item_08"]["holds"]
        is None
    )
    neither = [
        entry
        for entry in scene.told()
        if not entry.get("artefact", "").startswith("marketing/separate/provide")
    ]
    assert scene.evidence(neither)["item_08"]["holds"] is False


def test_a_legal_opinion_stands_for_separate_consents_and_is_named():
    recipients = tuple(replace(item, legal_opinion="opinion-1") for item in scene.purpose().recipients)
    made = with_purpose(recipients=recipients)
    entries = [*scene.activation(made), *scene.consents("marketing"), *scene.use()]
    item = scene.evidence(entries, made)["item_08"]
    assert item["holds"] is True
    assert "legal_opinion" in {point["point"] for point in item["open"]}


# --- nothing there


def test_nothing_of_the_kind_is_no_finding():
    made = with_purpose(
        recipients=(),
        automated_decision=False,
        fields=("tenure_months",),
        minimum_age=18,
        sensitive_necessity={},
    )
    found = scene.evidence([*scene.activation(made), *scene.consents("marketing"), *scene.use()], made)
    for number in (5, 6, 8, 9, 13, 15, 25):
        item = found[f"item_{number:02}"]
        assert (item["applies"], item["holds"], item["checks"]) == (False, None, []), number
        assert item["open"], number


def test_an_empty_log_shows_only_what_the_policy_says_by_itself():
    found = scene.evidence([], cosigned=False)
    holding = [name for name, item in found.items() if name != "overview" and item["holds"]]
    assert sorted(holding) == ["item_12", "item_18", "item_19"]
    assert not [name for name, item in found.items() if name != "overview" and item["holds"] is False]


def test_all_hold_is_false_before_it_is_unknown():
    assert all_hold([True, None, False]) is False
    assert all_hold([True, None]) is None
    assert all_hold([]) is None
    assert all_hold([True, True]) is True


# --- figures


def test_consents_are_counted_by_need_and_kind():
    entries = [
        *scene.activation(POLICY),
        {"type": "consent.granted", "artefact": "marketing", "numbers": {"subjects": 120}},
        {"type": "consent.granted", "artefact": "marketing", "sref": scene.SREF},
        {"type": "consent.withdrawn", "artefact": "marketing", "sref": scene.SREF},
        {"type": "consent.granted", "artefact": "import", "numbers": {"words": 5000}},
        {"type": "consent.withdrawn", "artefact": "import"},
    ]
    assert scene.evidence(entries)["item_02"]["result"]["consents"] == {
        "marketing": {
            "consent.granted": {"events": 2, "subjects": 121},
            "consent.withdrawn": {"events": 1, "subjects": 1},
        },
        "import": {
            "consent.granted": {"events": 1, "subjects": 5000},
            "consent.withdrawn": {"events": 1, "subjects": 0},
        },
    }


def test_reasons_are_counted_by_what_became_of_them():
    entries = [
        *scene.told(),
        {"type": "dataset.refused", "reasons": ["R-AGREEMENT-EXPIRED", "R-PIPIA-STALE"]},
        {"type": "dataset.refused", "reasons": ["R-AGREEMENT-EXPIRED"]},
        *scene.use("s2", reasons=["R-GUARDIAN-CONSENT-MISSING"]),
    ]
    found = scene.evidence(entries)
    assert found["item_06"]["result"]["refused"] == {"R-AGREEMENT-EXPIRED": {"refused": 2}}
    assert found["item_23"]["result"]["refused"] == {"R-PIPIA-STALE": {"refused": 1}}
    assert found["item_14"]["result"]["left_out_or_refused"] == {
        "R-GUARDIAN-CONSENT-MISSING": {"left_out": 1}
    }


def test_requests_have_a_time():
    entries = [
        {"type": "dsr.received", "artefact": "case-1", "time": "2026-03-01T08:00:00.000Z"},
        {"type": "dsr.received", "artefact": "case-2", "time": "2026-03-02T08:00:00.000Z"},
        {"type": "dsr.rejected", "artefact": "case-1", "time": "2026-03-13T09:00:00.000Z", "reasons": ["R-LEGAL-HOLD"]},
    ]  # fmt: skip
    result = scene.evidence(entries)["item_17"]["result"]
    assert (result["answered"], result["longest_days"]) == (1, 12)
    assert (result["open"], result["longest_open_days"]) == (1, 11)
    assert result["refusal_reasons"] == {"R-LEGAL-HOLD": 1}


def test_a_period_that_is_over_without_a_removal_is_named():
    kept = [{**entry, "time": "2026-08-01T08:00:00.000Z"} for entry in scene.use("s2")]
    entries = [*scene.activation(POLICY), *scene.consents(), *scene.use(), *kept]
    points = {point["point"] for point in scene.evidence(entries)["item_16"]["open"]}
    assert "sweep_due" in points
    removal = {"type": "retention.expired", "artefact": "job", "numbers": {"removed": 1}}
    points = {point["point"] for point in scene.evidence([*entries, removal])["item_16"]["open"]}
    assert "sweep_due" not in points


# --- the log itself


def of_measures(events, cosigned):
    files = items_of(events, POLICY, Catalog.load().with_overrides(POLICY.overrides), cosigned)
    return msgspec.json.decode(files["items/item_20.json"])


def test_cosignatures_must_cover_the_last_use():
    events = scene.log(scene.told(), POLICY)
    everyone = frozenset(scene.RECIPIENTS)
    use = next(event.seq for event in events if event.type == "dataset.admitted")
    for cosigned, holds in [
        (None, None),
        ([], None),
        ([Cosigned(use, everyone)], None),
        ([Cosigned(use + 1, everyone - {"shop"})], None),
        ([Cosigned(use + 1, everyone)], True),
        ([Cosigned(use + 1, everyone), Cosigned(use + 2, frozenset())], True),
    ]:
        item = of_measures(events, cosigned)
        assert scene.checks(item)["log_cosigned"] is holds
        assert ("checkpoints_not_given" in {point["point"] for point in item["open"]}) is (cosigned is None)
    coverage = of_measures(events, [Cosigned(3, everyone), Cosigned(5, frozenset({"shop"}))])["result"]
    assert coverage["own_checkpoints"] == {
        "checkpoints": 2, "cosigned_by_anyone": 2, "cosigned_by_all_recipients": 1,
        "recipients": sorted(scene.RECIPIENTS), "events_under_the_last_one": 3, "events": len(events),
    }  # fmt: skip


def test_a_gap_in_the_log_is_found():
    events = scene.log(scene.told(), POLICY)
    assert scene.checks(of_measures(events[:3] + events[4:], None))["log_numbered"] is False
    back = [*events[:-1], msgspec.structs.replace(events[-1], time="2026-02-01T08:00:00.000Z")]
    assert scene.checks(of_measures(back, None))["log_numbered"] is False


def test_long_lists_of_events_are_cut_and_their_length_is_said():
    entries = [*scene.activation(POLICY), *scene.consents(*["marketing"] * 70), *scene.use()]
    shown = scene.evidence(entries)["item_02"]["events"]
    assert shown["total"] == 71
    assert len(shown["seqs"]) == MOST_NUMBERS
    assert shown["seqs"] == sorted(shown["seqs"])


# --- for people


@pytest.mark.parametrize(
    ("language", "heading", "found"), [("en", "Evidence", "contradicts"), ("zh-CN", "证据", "不符")]
)
def test_the_summary_names_what_is_wrong_and_what_is_open(language, heading, found):
    made = POLICY
    entries = late("pipia.approved", "pipia-1")
    files = items_of(scene.log(entries, made), made, Catalog.load().with_overrides(made.overrides))
    summary = files[f"items/summary.{language}.md"].decode()
    texts = catalogue(language)
    assert heading in summary.splitlines()[0]
    assert texts["audit.item.summary.note"] in summary
    assert f"## 23. {texts['audit.item.title.item_23']}: {found}" in summary
    assert f"{found}: {texts['audit.item.check.pipia_before_use']}" in summary
    assert texts["audit.item.open.pipia_kept"] in summary
    for number in range(1, 28):
        assert f"| {number} | {texts[f'audit.item.title.item_{number:02}']} |" in summary


# --- names


def strings_of(module):
    return {item for value in vars(module).values() if isinstance(value, tuple) for item in value}


def test_events_and_reasons_are_named_as_they_are():
    """By their values, as the control table counts mentions of the types as uses."""
    kinds = {name for module in (people, technology) for name in strings_of(module) if "." in str(name)}
    kinds |= set(ledger._HOW)
    assert len(kinds) > 30
    assert sorted(str(name) for name in kinds - set(EventType)) == []


def test_a_part_of_a_policy_is_known_by_the_digest_that_its_activation_logs():
    """`clients.gate.policy` writes it; tests/unit/test_evidence.py shows that both agree."""
    assert {entry["digests"]["document"] for entry in scene.parts(POLICY)} >= {
        ledger.part_digest(POLICY.notices[0]),
        ledger.part_digest(POLICY.assessments[0]),
    }


def test_every_reason_of_the_gate_is_in_some_item():
    unseen = []
    for reason in Reason:
        entries = [*scene.told(), {"type": "dataset.refused", "reasons": [reason.value]}]
        found = scene.evidence(entries)
        if not any(reason.value in str(item.get("result", {})) for item in found.values()):
            unseen.append(reason)
    assert unseen == []


def test_levels_are_those_of_the_guideline():
    assert sorted(LEVELS) == list(range(1, 28))
    assert set(LEVELS.values()) == set(Level)
