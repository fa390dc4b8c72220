"""Notices, assessments and agreements: what they must hold, what they lack, and when a published one drifts."""

import hashlib
import re
from datetime import date

import pytest
from msgspec.structs import replace
from policy_scene import (
    agreement,
    material,
    override,
    policy,
    purpose,
    purpose_with_necessity,
    recipient,
    titles,
)

from privacy.catalog import Consent
from privacy.documents import (
    Drift,
    DriftKind,
    agreement_of,
    assessment_of,
    documents_of,
    drift,
    is_untouched,
    notice_gaps,
    notice_of,
    open_places,
)
from privacy.documents import page as page_module
from privacy.documents.agreement import CLAUSES
from privacy.documents.assessment import LEAKAGES
from privacy.policy import Basis, Contact, PurposeClass, Relation
from privacy.reasons import Reason
from privacy.texts import LANGUAGES, catalogue

SCENE = material()
PURPOSE = SCENE.policy.purposes[0]
BOTH = pytest.mark.parametrize("language", LANGUAGES)


def words(document):
    return document.content.decode()


def published(scene=SCENE):
    return {document.name: document.content for document in documents_of(scene)}


def fill(content, number, answer):
    """A human writes into a place."""
    start, end = f"<!--fill {number}-->", f"<!--/fill {number}-->"
    written = content.decode()
    before, _, rest = written.partition(start)
    return (before + start + answer + end + rest.partition(end)[2]).encode()


# --- notices


@BOTH
def test_a_complete_policy_gives_a_complete_notice(language):
    assert notice_gaps(SCENE, PURPOSE) == ()
    document = notice_of(SCENE, PURPOSE, language)
    assert len(document.places) == 1, "counsel's review alone"
    shown = words(document)
    for part in (
        *("Bank of the Example", "95000", "Officer"),
        *(PURPOSE.title.in_language(language), PURPOSE.necessity.in_language(language)),
        *("shop company", "privacy@shop.example", "coordinator company", "privacy@coordinator.example"),
        *("`monthly_income`", "`tenure_months`", "`notice-1`", "2026-01-01"),
        *(item.in_language(language) for item in PURPOSE.sensitive_necessity.values()),
    ):
        assert part in shown, part


def test_the_law_is_named_for_every_right():
    shown = words(notice_of(SCENE, PURPOSE, "zh-CN"))
    for article in (15, 16, 23, 29, *range(44, 51)):
        assert f"第{article}条" in shown


def without(**changes):
    return replace(PURPOSE, **changes)


LACKING = {
    "handler.name": policy(handler=Contact(name=" ", contact="95000")),
    "handler.contact": policy(handler=Contact(name="Bank", contact="")),
    "title.zh": policy(without(title=titles("", "Segments"))),
    "title.en": policy(without(title=titles("分群", " "))),
    "methods": policy(without(methods=())),
    "fields": policy(without(fields=())),
    "fields.col_17": policy(without(fields=(*PURPOSE.fields, "col_17"))),
    "retention_days.tenure_months": policy(without(retention_days=0)),
    "basis_reference": policy(without(basis=Basis.CONTRACT)),
    "recipients.shop.name": policy(
        without(recipients=(recipient(contact=Contact(name="", contact="privacy@shop.example")),))
    ),
    "recipients.shop.contact": policy(without(recipients=(recipient(contact=Contact(name="S", contact="")),))),
    "human_route": policy(without(automated_decision=True)),
    "notice": policy(without(notice="notice-2")),
    **{f"sensitive_necessity.{item}": policy(without(sensitive_necessity={})) for item in PURPOSE.sensitive_necessity},
    **{
        f"sensitive_necessity.{item}.zh": policy(
            without(sensitive_necessity={**PURPOSE.sensitive_necessity, item: titles("", "Needed.")})
        )
        for item in PURPOSE.sensitive_necessity
    },
}  # fmt: skip


def test_the_scene_has_sensitive_fields():
    assert PURPOSE.sensitive_necessity


@pytest.mark.parametrize("key", LACKING)
def test_what_a_notice_lacks_is_found(key):
    made = LACKING[key]
    found = notice_gaps(material(made), made.purposes[0])
    assert {item.reason for item in found} == {Reason.NOTICE_MISSING}
    assert f"marketing.{key}" in {item.about for item in found}


@pytest.mark.parametrize("key", ["handler.contact", "title.en", "recipients.shop.name", "human_route"])
def test_what_is_lacking_is_a_place_to_fill_in(key):
    made = LACKING[key]
    assert len(notice_of(material(made), made.purposes[0], "en").places) > 1


def test_a_separate_consent_is_asked_for_each_recipient_but_not_with_a_legal_opinion():
    asked = "separate consent for each of them"
    assert asked in words(notice_of(SCENE, PURPOSE, "en"))
    made = policy(without(recipients=(recipient(legal_opinion="opinion-7"),)))
    shown = words(notice_of(material(made), made.purposes[0], "en"))
    assert asked not in shown
    assert "`opinion-7`" in shown


@pytest.mark.parametrize(
    ("consent", "shown"),
    [(Consent.SEPARATE, "separate"), (Consent.WRITTEN, "written"), (Consent.NONE, "none")],
)
def test_the_form_of_consent_is_the_catalogues(consent, shown):
    made = material(policy(overrides=override(consent)))
    sensitive = words(notice_of(made, PURPOSE, "en")).split("\n## ")[5]
    forms = {form: catalogue("en")[f"documents.consent_{form}"] for form in ("separate", "written", "none")}
    assert [form for form, phrase in forms.items() if phrase in sensitive] == [shown]


def test_a_recipient_is_shown_what_it_gets_and_no_more():
    made = policy(agreements=(agreement(methods=("matching",), categories=()),))
    shown = words(notice_of(material(made), PURPOSE, "en"))
    row = next(line for line in shown.splitlines() if "`shop`" in line)
    assert "segments" not in row.lower().replace("segments for marketing", "")
    assert "| – |" in row


# --- the form of all documents


ALL = documents_of(SCENE)


def test_there_is_a_document_for_everything_in_both_languages():
    stems = ["notice-marketing", "pipia-marketing", "agreement-shop-1", "agreement-coordinator-1"]
    assert sorted(item.name for item in ALL) == sorted(
        f"{stem}.{language}.md" for stem in stems for language in LANGUAGES
    )


@pytest.mark.parametrize("document", ALL, ids=lambda item: item.name)
def test_a_document_is_a_draft_until_somebody_has_reviewed_it(document):
    draft = catalogue(document.language)["documents.draft"]
    assert words(document).splitlines()[2] == f"<!--fill 1-->**【1】** {draft}<!--/fill 1-->"
    assert open_places(document.content) == len(document.places)


@pytest.mark.parametrize("document", ALL, ids=lambda item: item.name)
def test_the_last_line_holds_both_digests(document):
    above, _, last = words(document).rstrip("\n").rpartition("\n")
    emptied = re.sub(r"(<!--fill (\d+)-->).*?(<!--/fill \2-->)", r"\1\3", above + "\n", flags=re.DOTALL)
    assert re.findall(r"`([0-9a-f]{64})`", last) == [SCENE.policy.digest, document.digest]
    assert document.digest == hashlib.sha256(emptied.encode()).hexdigest()


@pytest.mark.parametrize("document", ALL, ids=lambda item: item.name)
def test_every_place_is_listed_at_the_end(document):
    numbers = [int(number) for number in re.findall(r"<!--fill (\d+)-->", words(document))]
    assert sorted(numbers) == list(range(1, len(document.places) + 1))
    listed = words(document).split("\n## ")[-1]
    assert [int(number) for number in re.findall(r"^(\d+)\. ", listed, re.MULTILINE)] == sorted(numbers)


def test_both_languages_have_the_same_shape():
    shapes = {}
    for document in ALL:
        lines = words(document).splitlines()
        shape = [
            re.sub(r"[^#|-]", "", line[:3]) if line[:1] in "#|-" else "text" if line else "" for line in lines
        ]
        columns = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
        shapes.setdefault(document.name.split(".")[0], []).append((shape, columns, len(document.places)))
    assert all(one == other for one, other in shapes.values())


NASTY = "a | b\n# c `d` <!--fill 9-->e<!--/fill 9--> [f](g) **h** \\"


def test_words_of_a_policy_change_no_form():
    changes = {
        "title": titles(NASTY, NASTY),
        "necessity": titles(NASTY, NASTY),
        "sensitive_necessity": dict.fromkeys(PURPOSE.sensitive_necessity, titles(NASTY, NASTY)),
        "recipients": (recipient(contact=Contact(name=NASTY, contact=NASTY)), *PURPOSE.recipients[1:]),
        "human_route": NASTY,
    }
    nasty = policy(
        without(**changes),
        handler=Contact(name=NASTY, contact=NASTY, officer=NASTY),
        agreements=(agreement(measures=NASTY, duties=NASTY), SCENE.policy.agreements[1]),
    )
    for plain, changed in zip(ALL, documents_of(material(nasty)), strict=True):
        assert len(plain.places) == len(changed.places)
        for one, other in zip(words(plain).splitlines(), words(changed).splitlines(), strict=True):
            assert len(re.findall(r"(?<!\\)\|", one)) == len(re.findall(r"(?<!\\)\|", other))
            assert other.startswith("#") == one.startswith("#")
        assert len(re.findall(r"<!--fill \d+-->", words(changed))) == len(changed.places)
        assert "[f](g)" not in words(changed)


@BOTH
def test_every_text_of_the_documents_is_shown_somewhere(language, monkeypatch):
    asked = set()
    original = page_module.text

    def noting(key, /, **values):
        asked.add(key)
        return original(key, **values)

    monkeypatch.setattr(page_module, "text", noting)
    empty = Contact(name="", contact="")
    bare = {"measures": "", "duties": "", "coordinator_fingerprints": ()}
    variants = [
        SCENE.policy,
        *LACKING.values(),
        *(policy(without(basis=basis, basis_reference="Contract.")) for basis in Basis),
        policy(
            without(
                necessity=titles("", ""),
                pipia=None,
                methods=("matching", "scorecard", "secureboost", "scoring", "enterprise", "tally"),
            )
        ),
        policy(without(treatment=PurposeClass.CREDIT_RISK, automated_decision=True, human_route="Desk")),
        policy(without(minimum_age=10, minor_rules="minors-1", keep_unknown_age=True)),
        policy(without(recipients=(recipient("shop", Relation.JOINT, region="SG"),))),
        policy(without(recipients=())),
        policy(
            without(fields=("monthly_income",), recipients=(recipient(contact=empty, legal_opinion="o-1"),))
        ),
        policy(without(fields=("tenure_months",))),
        policy(agreements=tuple(agreement(relation=relation, **bare) for relation in Relation)),
        policy(agreements=(agreement("telecom"),)),
        *(policy(overrides=override(consent)) for consent in Consent),
    ]
    for made in variants:
        documents_of(material(made), (language,))
    unused = {key for key in catalogue(language) if re.match(r"documents\.(?!cli\.)", key)} - asked
    assert sorted(unused) == []


# --- assessments


@BOTH
def test_an_assessment_has_the_three_contents(language):
    shown = words(assessment_of(SCENE, PURPOSE, language))
    article = "article 56 ({})" if language == "en" else "第56条第1款第（{}）项"
    for one in ("1", "2", "3") if language == "en" else ("一", "二", "三"):
        assert article.format(one) in shown
    for part in (
        "2048",
        "50",
        "`pipia-1`",
        "docs/limitations.md",
        catalogue(language)["documents.measure.noise"],
    ):
        assert part in shown
    assert "66" in shown, "the penalties are a risk too"


def test_an_assessment_names_what_its_methods_leak_and_no_more():
    shown = words(assessment_of(SCENE, PURPOSE, "en"))
    leakages = {
        item: catalogue("en")[f"documents.leakage.{item}"] for items in LEAKAGES.values() for item in items
    }
    expected = {*LEAKAGES["matching"], *LEAKAGES["kmeans"], *LEAKAGES[""]}
    assert {item for item, leakage in leakages.items() if leakage in shown} == expected
    flows = catalogue("en")
    assert flows["disclosures.kmeans.distance_differences"] in shown
    assert flows["disclosures.boosting.candidate_sums"] not in shown


def test_an_assessment_names_the_gaps_of_the_notice():
    made = LACKING["human_route"]
    assert "`marketing.human_route`" in words(assessment_of(material(made), made.purposes[0], "en"))
    assert "`R-NOTICE-MISSING`" not in words(assessment_of(SCENE, PURPOSE, "en"))


def test_why_an_assessment_is_needed():
    trigger = {number: f"({number})" for number in range(1, 6)}
    shown = words(assessment_of(SCENE, PURPOSE, "en")).split("\n## ")[2]
    assert [number for number in trigger if f"{trigger[number]}" in shown] == [1, 3, 5]
    made = policy(without(automated_decision=True, recipients=(recipient(region="SG"),)))
    shown = words(assessment_of(material(made), made.purposes[0], "en")).split("\n## ")[2]
    assert [number for number in trigger if f"{trigger[number]}" in shown] == [1, 2, 3, 4, 5]


def test_lending_on_partners_data_asks_for_its_ground():
    made = policy(without(treatment=PurposeClass.CREDIT_RISK, licensed_bureau="bureau-3"))
    assert "`bureau-3`" in words(assessment_of(material(made), made.purposes[0], "en"))
    assert "licensed bureau" not in words(assessment_of(SCENE, PURPOSE, "en"))


# --- agreements


@pytest.mark.parametrize("relation", Relation)
@BOTH
def test_an_agreement_has_every_clause_and_its_law(relation, language):
    document = agreement_of(SCENE, agreement(relation=relation), language)
    checklist = words(document).split("\n## ")[4].splitlines()[4:]
    rows = [line for line in checklist if line.startswith("|")]
    assert len(rows) == len(CLAUSES[relation])
    for number, (row, clause) in enumerate(zip(rows, CLAUSES[relation], strict=True), 1):
        assert f"| 3.{number} |" in row
        assert clause.pipl in row
        assert f"**3.{number}**" in words(document)


LAW = {Relation.JOINT: "20", Relation.ENTRUSTED: "21", Relation.PROVIDE: "23"}


@pytest.mark.parametrize("relation", Relation)
def test_each_relation_has_its_own_article(relation):
    assert LAW[relation] in {article for clause in CLAUSES[relation] for article in clause.pipl.split(", ")}
    keys = [clause.key for clause in CLAUSES[relation]]
    assert len(keys) == len(set(keys))


def test_the_six_contents_of_article_21_are_there():
    made = agreement("coordinator", Relation.ENTRUSTED, return_or_delete_days=7, inspection_days=33)
    shown = words(agreement_of(SCENE, made, "en"))
    for part in (
        "Segments for marketing",
        "k-means",
        "2026-01-01",
        "2026-12-31",
        "Encryption.",
        "As the law says.",
    ):
        assert part in shown
    assert "within 7 days" in shown
    assert "every 33 days" in shown
    assert "`0123456789abcdef`" in shown


def test_what_the_policy_does_not_say_is_filled_in_by_hand():
    made = agreement("coordinator", Relation.ENTRUSTED, measures=" ", coordinator_fingerprints=())
    full = agreement_of(SCENE, agreement("coordinator", Relation.ENTRUSTED), "en")
    bare = agreement_of(SCENE, made, "en")
    assert set(bare.places) - set(full.places) == {
        "protective measures",
        "fingerprints of the keys agreed to",
    }
    assert words(bare).count("to be filled in") == words(full).count("to be filled in") + 2


# --- drift

INFORMATION = "4. List of personal information and how long it is kept"


def test_what_was_just_published_does_not_drift():
    assert drift(SCENE, published()) == []


@BOTH
def test_one_language_is_enough(language):
    assert drift(SCENE, {item.name: item.content for item in documents_of(SCENE, [language])}) == []


def test_what_is_filled_in_is_no_drift_and_neither_are_line_ends():
    found = published()
    name = "pipia-marketing.en.md"
    found[name] = fill(found[name], 1, "Reviewed by counsel on 2026-02-01.\n\nWith a second paragraph.")
    found[name] = fill(found[name], 3, "| none |")
    found["notice-marketing.en.md"] = b"\xef\xbb\xbf" + found["notice-marketing.en.md"].replace(
        b"\n", b"\r\n"
    )
    assert drift(SCENE, found) == []
    assert open_places(found[name]) == open_places(published()[name]) - 2


def test_a_changed_policy_names_the_documents_and_sections():
    shorter = material(policy(without(retention_days=30)))
    assert drift(shorter, published()) == [
        Drift("notice-marketing.en.md", DriftKind.OUTDATED, (INFORMATION,)),
        Drift("pipia-marketing.en.md", DriftKind.OUTDATED, ("3. The processing",)),
        Drift("notice-marketing.zh-CN.md", DriftKind.OUTDATED, ("四、个人信息清单及保存期限",)),
        Drift("pipia-marketing.zh-CN.md", DriftKind.OUTDATED, ("三、处理活动",)),
    ]  # fmt: skip


def test_a_changed_assessment_number_leaves_notice_and_agreements_alone():
    found = drift(material(policy(without(pipia="pipia-2"))), published())
    assert {item.name for item in found} == {"pipia-marketing.en.md", "pipia-marketing.zh-CN.md"}


def test_another_purpose_is_no_drift_of_the_first_ones_documents():
    more = policy(PURPOSE, purpose_with_necessity(name="loyalty"))
    assert drift(material(more), published()) == [
        Drift("notice-loyalty.en.md", DriftKind.MISSING),
        Drift("pipia-loyalty.en.md", DriftKind.MISSING),
    ]
    assert drift(SCENE, published(material(more))) == [
        Drift(name, DriftKind.SURPLUS)
        for name in sorted(
            f"{kind}-loyalty.{language}.md" for kind in ("notice", "pipia") for language in LANGUAGES
        )
    ]


@pytest.mark.parametrize(
    ("change", "sections"),
    [
        (lambda content: content.replace(b"90 days", b"99 days"), (INFORMATION,)),
        (lambda content: content.replace(b"# Notice", b"# Advertisement"), ("#",)),
        (lambda content: content.replace(b"<!--fill 1-->", b""), ("#",)),
        (lambda content: content[: content.rindex(b"Policy SHA-256")], ()),
        (lambda content: content + b"One more line.\n", None),
        (lambda content: b"", None),
        (lambda content: content.replace(b"Bank", b"\xff"), ()),
    ],
)  # fmt: skip
def test_an_altered_document_is_found(change, sections):
    found = published()
    name = "notice-marketing.en.md"
    found[name] = change(found[name])
    (only,) = drift(SCENE, found)
    assert (only.name, only.kind) == (name, DriftKind.ALTERED)
    assert sections is None or only.sections == sections


def test_other_files_are_left_alone():
    assert drift(SCENE, {**published(), "README.txt": b"x"}) == []
    assert drift(SCENE, {**published(), "notes.md": b"x"}) == [Drift("notes.md", DriftKind.SURPLUS)]


def test_digests_that_the_policy_records_do_not_change_the_documents():
    """Otherwise recording a notice's digest would change the notice."""
    made = SCENE.policy
    recorded = replace(
        made,
        notices=tuple(replace(item, digest="0" * 64) for item in made.notices),
        assessments=tuple(
            replace(item, digest="1" * 64, approved_by="Officer", approved=date(2026, 1, 1))
            for item in made.assessments
        ),
        agreements=tuple(replace(item, digest="2" * 64) for item in made.agreements),
    )
    assert recorded.digest != made.digest
    assert [item.digest for item in documents_of(material(recorded))] == [item.digest for item in ALL]
    assert drift(material(recorded), published()) == []


def test_whether_somebody_has_written_in_a_file():
    content = published()["pipia-marketing.zh-CN.md"]
    assert is_untouched(content)
    assert not is_untouched(fill(content, 2, "2027"))
    assert not is_untouched(fill(content, 1, "**【1】** reviewed"))
    assert not is_untouched(content.replace(b"2048", b"4096"))
    assert not is_untouched(b"\xff")


def test_an_unfilled_purpose_still_gives_documents():
    bare = policy(purpose(fields=("col_17",), recipients=(), methods=(), title=titles("", ""), notice="none"))
    for document in documents_of(material(bare)):
        assert drift(material(bare), {item.name: item.content for item in documents_of(material(bare))}) == []
        assert len(document.places) > 0
