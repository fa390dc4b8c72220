"""The text catalogue: complete in both languages, complete for the code, and without a place for a row's value."""

import ast
import importlib
import itertools
import pkgutil
import re
import string
from collections import defaultdict
from pathlib import Path

import federation
import privacy
from federation.align_messages import disclosures_of
from federation.jobs import MatchMode, MatchPlan, PartyRole, Stage
from federation.roles import Disclosures
from privacy import errors
from privacy.audit_items.guideline import FOR_PEOPLE, LEVELS, Level
from privacy.consent import CROSSBORDER, PROVIDE, Answer, ConsentKind, Need, funnel_step
from privacy.identifiers import IdentifierKind, IdentifierReason
from privacy.reasons import Reason
from privacy.texts import LANGUAGES, catalogue

EN, ZH = (catalogue(language) for language in ("en", "zh-CN"))
ROOT = Path(privacy.__file__).parents[1]
SOURCES = {
    file: ast.parse(file.read_text("utf-8"))
    for package in ("privacy", "federation", "clients", "server")
    for file in sorted((ROOT / package).rglob("*.py"))
}
TEMPLATES = {
    file: file.read_text("utf-8")
    for package in ("federation", "clients", "server")
    for file in sorted((ROOT / package).rglob("*.j2"))
}
AREAS = {ROOT / "server" / "report": "report", ROOT / "clients" / "validation": "validation"}
"""The texts that a folder of templates and pages names without their area."""
ERROR_CLASSES = {
    name for name, item in vars(errors).items()
    if isinstance(item, type) and issubclass(item, errors.SilhouetteError)
}  # fmt: skip

SAME_IN_BOTH_LANGUAGES = {
    *("report.risk.auc", "report.risk.ks"),  # a Chinese risk team uses these abbreviations as they are
    *("node.funnel_title", "report.risk.bar", "report.traffic.bar"),  # placeholders and punctuation alone
    *("errors.file_invalid", "errors.peer_failed", "errors.policy_invalid"),
    *("report.match.reason", "report.list", "validation.list", "validation.woe.bar"),
}

ALLOWED_IN_ERRORS = {
    # who and where
    "file", "folder", "column", "columns", "line", "party", "sender", "role", "job", "purpose", "record", "port",
    # what the job, the registration or the versions say
    "name", "kind", "known", "nearest", "prefix", "profile", "low", "high", "minimum", "maximum", "most", "limit",
    "k_min", "min_child_rows", "bins", "bits", "scale_bits", "slot_bits", "slots", "value_bits", "token_bytes",
    "first", "second", "position", "case",
    "scope", "digest", "installed", "supported", "command", "message", "status", "details", "seconds",
    # how many, and of which shape
    "count", "rows", "total", "expected", "received", "found", "nodes", "own", "people", "labels", "scores",
    # another text of ours
    "problem", "problems", "reason", "findings",
}  # fmt: skip
"""What an error may be filled in with: names, counts and settings. Never a cell, an identifier or a key."""


def placeholders(template):
    """(name, format specification) of every placeholder."""
    return {(name, spec) for _, name, spec, _ in string.Formatter().parse(template) if name is not None}


def names_in(template):
    return {name for name, _ in placeholders(template)}


# --- both languages


def test_both_languages_have_the_same_keys():
    assert set(EN) == set(ZH)
    assert len(EN) > 300


def test_a_key_has_one_text():
    """A key in two files of an area would silently hide one of them."""
    for language in LANGUAGES:
        folder = ROOT / "privacy" / "texts" / language
        lines = [
            line for file in folder.glob("*.toml") for line in file.read_text("utf-8").splitlines()
            if re.match(r"[\w-]+ = ", line)
        ]  # fmt: skip
        assert len(lines) == len(catalogue(language))


def test_both_languages_have_the_same_placeholders():
    language_of = {(name, language) for name in ("problems", "findings") for language in LANGUAGES}
    for key, english in EN.items():
        one, other = placeholders(english), placeholders(ZH[key])
        assert one - language_of == other - language_of, key
        assert names_in(english) == names_in(ZH[key]), key
        assert all(re.fullmatch(r"[a-z_]+", name) for name in names_in(english)), "plain names, no attributes"


def test_every_text_is_translated():
    assert {key for key in EN if EN[key] == ZH.get(key)} <= SAME_IN_BOTH_LANGUAGES
    chinese = re.compile(r"[\u4e00-\u9fff]")
    assert not [key for key in EN if chinese.search(EN[key])]
    assert {key for key in ZH if not chinese.search(ZH[key])} <= SAME_IN_BOTH_LANGUAGES


def test_no_error_has_a_place_for_a_value():
    used = {name for key in EN if key.startswith("errors.") for name in names_in(EN[key])}
    assert used == ALLOWED_IN_ERRORS


FORBIDDEN = {
    "value",
    "values",
    "cell",
    "cells",
    "identifier",
    "identifiers",
    "id",
    "phone",
    "token",
    "key",
    "secret",
}


def test_no_text_has_a_place_for_a_row():
    places = {(key, name) for key in EN for name in names_in(EN[key]) & FORBIDDEN}
    assert places == {("report.risk.bar", "value")}, "that one is an AUC or a KS, read aloud"


def test_an_error_is_a_sentence_or_a_frame_for_one():
    for language, ends in (("en", ".?}"), ("zh-CN", "。？}")):
        texts = {key: item for key, item in catalogue(language).items() if key.startswith("errors.")}
        assert [key for key, item in texts.items() if item.rstrip()[-1] not in ends] == []


# --- what the code asks for


def literal(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def pattern(node):
    """An f-string as a regular expression for the keys it may name, or None."""
    if not isinstance(node, ast.JoinedStr):
        return None
    parts = [re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in node.values]
    return "".join(parts)


def called(node):
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def calls(*names):
    for file, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in names:
                yield file, node


def at(file, node):
    return f"{file.relative_to(ROOT)}:{node.lineno}"


def asked_texts():
    """Every direct use of the catalogue: (place, key or None, regular expression or None, keyword names or None)."""
    prefixes = {"text": "", "Problem": "", **dict.fromkeys(ERROR_CLASSES, "errors.")}
    for file, node in calls(*prefixes):
        if not node.args or file.name == "errors.py":
            continue
        first, prefix = node.args[0], prefixes[called(node)]
        choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        given = None if called(node) == "Problem" else {item.arg for item in node.keywords}
        for choice in choices:
            key, expression = literal(choice), pattern(choice)
            yield at(file, node), key and prefix + key, expression and re.escape(prefix) + expression, given


ASKED = list(asked_texts())
VARIABLE_KEYS = {"clients/tables/problems.py": "renders a `Problem`, whose key is checked where it is made",
                 "server/report/wording.py": "looks up what the templates and pages name, checked below"}  # fmt: skip


def test_the_walk_finds_what_it_looks_for():
    keys = {key for _, key, _, _ in ASKED if key}
    assert {"node.help", "server.help_demo", "errors.seal_broken", "errors.table_unusable"} <= keys
    assert len(keys) > 200


def test_every_key_is_known_where_it_is_used():
    unclear = [place for place, key, expression, _ in ASKED if not key and not expression]
    assert [place for place in unclear if place.split(":")[0] not in VARIABLE_KEYS] == []


def test_every_key_that_is_used_exists():
    assert [(place, key) for place, key, _, _ in ASKED if key and key not in EN] == []
    assert [
        (place, expression)
        for place, _, expression, _ in ASKED
        if expression and not any(re.fullmatch(expression, key) for key in EN)
    ] == []


def test_every_placeholder_is_filled_in():
    """`text` raises KeyError for a value that is missing: in an error message that would hide the error."""
    missing = [
        (place, key, names_in(EN[key]) - given)
        for place, key, _, given in ASKED
        if key in EN
        and given is not None
        and None not in given
        and names_in(EN[key]) - (given - {"language"})
    ]
    assert missing == []


def test_nothing_is_given_that_no_text_shows():
    """A value that a message does not show still travels with the error: it must be worth it."""
    surplus = [
        (place, key, given - names_in(EN[key]) - {"language"})
        for place, key, _, given in ASKED
        if key in EN and given is not None and None not in given and given - names_in(EN[key]) - {"language"}
    ]
    assert surplus == []


def test_every_problem_of_a_table_has_its_values():
    """`Problem("key", {...})` with a literal dictionary."""
    seen = 0
    for file, node in calls("Problem"):
        key = literal(node.args[0])
        values = node.args[1] if len(node.args) > 1 else None
        if key in EN and isinstance(values, ast.Dict):
            seen += 1
            assert {literal(item) for item in values.keys} == names_in(EN[key]), at(file, node)
    assert seen > 5


def disclosures():
    for module in pkgutil.walk_packages(federation.__path__, "federation."):
        for item in vars(importlib.import_module(module.name)).values():
            if isinstance(item, Disclosures):
                yield item
    for mode, size_only, members in itertools.product(MatchMode, (False, True), ("", "a & b")):
        yield disclosures_of(MatchPlan(mode=mode, size_only=size_only, members=members))


DISCLOSED = {
    f"disclosures.{found.protocol}.{item.what}"
    for found in disclosures()
    for item in (*found.label_holder, *found.feature_holder, *found.coordinator)
}


def test_every_disclosure_is_explained():
    assert {key.split(".")[1] for key in DISCLOSED} >= {"align", "kmeans", "insight", "boosting", "scoring"}
    assert sorted(DISCLOSED - set(EN)) == []


EVERY_CONSENT = (
    (ConsentKind.GENERAL, ""),
    (ConsentKind.WRITTEN, "sensitive:x"),
    (ConsentKind.GUARDIAN, ""),
    *((ConsentKind.SEPARATE, scope) for scope in (PROVIDE, CROSSBORDER, "sensitive:x")),
)


def funnel_reasons():
    for file, node in calls("exclude", "_exclude", "FunnelStep"):
        for argument in node.args:
            reason = literal(argument)
            if reason and file.parent in (ROOT / "clients" / "tables", ROOT / "clients" / "gate"):
                yield reason
    yield from (f"identifier_{reason.value}" for reason in IdentifierReason)
    for kind, scope in EVERY_CONSENT:
        yield from (
            funnel_step(Need("p", kind, scope), answer) for answer in Answer if answer is not Answer.YES
        )


REASONS = {f"tables.funnel.{reason}" for reason in funnel_reasons()}


def test_every_reason_of_the_funnel_is_named():
    assert {"tables.funnel.duplicate", "tables.funnel.no_provision_consent"} <= REASONS
    assert sorted(REASONS - set(EN)) == []


def progress_steps():
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            found = []
            if isinstance(node, ast.Call) and called(node) == "Progress":
                found = [item.value for item in node.keywords if item.arg == "step"]
            elif isinstance(node, ast.Assign):
                targets = [
                    item for item in node.targets if isinstance(item, ast.Attribute) and item.attr == "step"
                ]
                found = [node.value] if targets else []
            for value in found:
                yield from ([value.body, value.orelse] if isinstance(value, ast.IfExp) else [value])


STEPS = {f"steps.{literal(node)}" for node in progress_steps()}


def test_every_progress_step_is_named():
    assert "steps.None" not in STEPS, "a step is a literal"
    assert len(STEPS) >= 4
    assert sorted(STEPS - set(EN)) == []


NAMED_BY_VALUES = {
    *(f"reasons.{reason.name}.{part}" for reason in Reason for part in ("meaning", "remedy")),
    *(f"tables.kinds.{kind.value}" for kind in IdentifierKind),
    *(f"server.stage.{stage.value}" for stage in Stage),
    *(f"report.role.{role.value}" for role in PartyRole),
    *(f"report.protocol.{found.protocol}" for found in disclosures()),
}


def test_kinds_stages_roles_and_protocols_are_named():
    assert sorted(NAMED_BY_VALUES - set(EN)) == []


TEMPLATE_CALL = re.compile(r"\bw\(\s*'([^']+)'\s*([^)]?)")


def template_keys():
    for file, source in TEMPLATES.items():
        for match in TEMPLATE_CALL.finditer(source):
            yield file.name, f"{AREAS[file.parent]}.{match[1]}", match[2] in {"", ",", ")"}
    for file, tree in SOURCES.items():
        if file.parent in AREAS:
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and called(node) in {"w", "self", "words"} and node.args:
                    choice = node.args[0]
                    for item in [choice.body, choice.orelse] if isinstance(choice, ast.IfExp) else [choice]:
                        if literal(item):
                            yield at(file, node), f"{AREAS[file.parent]}.{literal(item)}", True


def test_every_key_of_the_report_exists():
    found = list(template_keys())
    assert len(found) > 50
    assert [(place, key) for place, key, whole in found if whole and key not in EN] == []


def jinja_arguments(source, start):
    """The keyword names of a call whose first argument ends at `start`, nested calls left out."""
    depth, position = 1, start
    inner = []
    while depth:
        character = source[position]
        depth += {"(": 1, ")": -1}.get(character, 0)
        inner.append(character if depth == 1 else " ")
        position += 1
    return set(re.findall(r"\b([a-z_]+)=(?!=)", "".join(inner)))


def test_every_placeholder_of_the_report_is_filled_in():
    for file, source in TEMPLATES.items():
        for match in re.finditer(r"\bw\(\s*'([^']+)'(?=\s*[,)])", source):
            key = f"{AREAS[file.parent]}.{match[1]}"
            assert jinja_arguments(source, match.end()) == names_in(EN[key]), (file.name, key)


DOCUMENT_CALLS = {
    **dict.fromkeys(("phrase", "heading", "title", "paragraph"), (0, "documents.")),
    "place": (0, "documents.place."),
    "given": (1, "documents.place."),
}
"""Methods of `privacy.documents.page.Page`: which argument is a key, and what is before it."""


def document_keys():
    """What the documents are worded with: (place, key or None, regular expression or None)."""
    for file, node in calls(*DOCUMENT_CALLS, "table"):
        if not file.is_relative_to(ROOT / "privacy" / "documents"):
            continue
        if called(node) == "table":
            for column in node.args[0].elts:
                yield at(file, node), f"documents.column.{literal(column)}", None
            continue
        place, prefix = DOCUMENT_CALLS[called(node)]
        key = node.args[place]
        for choice in [key.body, key.orelse] if isinstance(key, ast.IfExp) else [key]:
            found, expression = literal(choice), pattern(choice)
            yield at(file, node), found and prefix + found, expression and re.escape(prefix) + expression


DOCUMENT_KEYS = list(document_keys())


def test_every_text_of_the_documents_exists():
    assert len(DOCUMENT_KEYS) > 100
    assert [(place, key) for place, key, _ in DOCUMENT_KEYS if key and key not in EN] == []
    expressions = {expression for _, _, expression in DOCUMENT_KEYS if expression}
    assert [item for item in expressions if not any(re.fullmatch(item, key) for key in EN)] == []


AUDIT_ITEMS = ROOT / "privacy" / "audit_items"
ITEM_TEXTS = {
    *(f"audit.item.title.item_{number:02}" for number in LEVELS),
    *(
        f"audit.item.{kind}.item_{number:02}"
        for kind in ("claim", "query")
        for number in set(LEVELS) - set(FOR_PEOPLE)
    ),
    *(f"audit.item.human.item_{number:02}" for number in FOR_PEOPLE),
    *(f"audit.item.level.{level.value}" for level in Level),
}


def test_every_text_of_the_audit_items_is_asked_for():
    """Checks and open points are named where they are made, and looked up when they are written."""
    named = {
        literal(node)
        for file, tree in SOURCES.items()
        if file.is_relative_to(AUDIT_ITEMS)
        for node in ast.walk(tree)
    }
    families = ("audit.item.check.", "audit.item.open.", "audit.item.summary.")
    items = {key for key in EN if key.startswith("audit.item.")}
    assert sorted(ITEM_TEXTS - items) == []
    leftover = {
        key for key in items - ITEM_TEXTS
        if not key.startswith(families) or not {key.split(".")[-1], key.removeprefix("audit.item.")} & named
    }  # fmt: skip
    assert leftover == {f"audit.item.summary.column_{name}" for name in ("number", "title", "level", "found")}


# --- what nobody asks for

JUSTIFIED = (
    "report.band.",  # `Wording.band`: names of bands come with the released profiles
    "report.stage.",  # `Wording.stage`: stages and the time until all have joined
    "report.role.",  # `Wording.role`: every role there is
)


def constants():
    """Every string in the code, and every key that a template names."""
    found = set()
    for tree in SOURCES.values():
        found |= {node.value for node in ast.walk(tree) if literal(node) is not None}
    for source in TEMPLATES.values():
        found |= set(re.findall(r"'([a-z][\w.-]*)'", source))
    return found


def test_no_text_is_left_over():
    named = constants()
    used = DISCLOSED | REASONS | STEPS | NAMED_BY_VALUES | {key for _, key, _, _ in ASKED if key}
    used |= {key for _, key, _ in DOCUMENT_KEYS if key}
    expressions = defaultdict(set)
    for place, _, expression in [*((place, None, item) for place, _, item, _ in ASKED), *DOCUMENT_KEYS]:
        if expression:
            expressions[expression].add(place)
    for file, source in TEMPLATES.items():
        for concatenation in re.findall(r"\bw\(('[^']+'(?: \+ (?:\w+|'[^']+'))+)", source):
            pieces = [
                re.escape(piece[1:-1]) if piece[0] == "'" else ".+" for piece in concatenation.split(" + ")
            ]
            expressions[rf"{AREAS[file.parent]}\.{''.join(pieces)}"].add("template")
    # An expression that may name anything of a whole area would hide what is unused in it.
    narrow = [expression for expression in expressions if re.match(r"[a-z]+\\\.[a-z_\\.]*[a-z_]", expression)]
    leftover = [
        key for key in EN
        if key not in used
        and key not in named
        and key.split(".", 1)[1] not in named
        and not any(re.fullmatch(expression, key) for expression in narrow)
    ]  # fmt: skip
    assert [key for key in leftover if not key.startswith(JUSTIFIED)] == []
