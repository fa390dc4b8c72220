"""Changing consents: by a program, and from the command line; and what the audit log hears of it."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from consent_desk import NOTICE, PHONES, files_with, make_home
from typer.testing import CliRunner

from clients.consents.changes import SUBJECTS_WITH_REFERENCE, Changes
from clients.consents.cli import consent_app
from clients.consents.node import bring_in, changes_of
from clients.consents.tables import Restriction, Source
from clients.home import NodeHome
from privacy.audit import EventType
from privacy.consent import Answer, ConsentKind, Need, Statement
from privacy.errors import ConfigInvalid, IdentifierInvalid
from privacy.texts import LANGUAGES

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PROVIDE = Need("marketing", ConsentKind.SEPARATE, "provide", "shop")


@pytest.fixture(autouse=True)
def _english(monkeypatch):
    monkeypatch.setenv("SILHOUETTE_LANG", "en")


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    yield made
    made.vault.close()


@pytest.fixture
def events():
    return []


@pytest.fixture
def changes(home, events):
    return Changes(home.consents, home.settings.table, Source.API, events.append, lambda: NOW)


def yes(purpose="marketing", **more):
    return Statement(purpose=purpose, granted=True, **more)


def provide(granted=True):
    return Statement(
        purpose="marketing", granted=granted, kind=ConsentKind.SEPARATE, scope="provide", recipient="shop"
    )


def answers(home, phones, need=Need("marketing"), notices=(NOTICE,)):  # noqa: B008
    identifiers = np.array([phone.encode() for phone in phones], "S11")
    tokens = home.consents.tokens("phone/plain", identifiers)
    return [Answer(answer) for answer in home.consents.answers(tokens, need, notices, NOW)]


# --- by a program


def test_a_yes_answers_the_registrations_notice_unless_it_names_one(home, changes):
    changes.give(changes.identifiers(PHONES[:1]), [yes(), provide()])
    changes.give(changes.identifiers(PHONES[1:2]), [yes(notice="n2")])
    assert answers(home, PHONES[:3]) == [Answer.YES, Answer.STALE, Answer.NEVER]
    assert answers(home, PHONES[:1], PROVIDE) == [Answer.YES]


def test_identifiers_are_spelled_as_the_table_spells_them(home, changes):
    changes.give(changes.identifiers([f"+86 {PHONES[0][:3]} {PHONES[0][3:]}"]), [yes()])
    assert answers(home, PHONES[:1]) == [Answer.YES]


@pytest.mark.parametrize("cells", [[], ["12"], [PHONES[0], "13x"]])
def test_a_list_with_anything_else_in_it_changes_nothing(changes, cells):
    with pytest.raises(IdentifierInvalid) as caught:
        changes.identifiers(cells)
    assert caught.value.values["rows"] == sum(cell not in PHONES for cell in cells)
    for language in LANGUAGES:
        message = caught.value.render(language)
        assert not any(cell in message for cell in [PHONES[0], "13x"])


def test_a_yes_without_any_notice_is_refused(home, events):
    table = home.settings.table
    plain = type(table)(path="-", id_column="phone", id_kind=table.id_kind)
    changes = Changes(home.consents, plain, Source.CLI, events.append)
    with pytest.raises(ConfigInvalid) as caught:
        changes.give(changes.identifiers(PHONES[:1]), [yes()])
    assert caught.value.key == "consent_notice_needed"
    assert events == []
    assert home.consents.version == 0
    changes.withdraw(changes.identifiers(PHONES[:1]), "marketing")
    assert answers(home, PHONES[:1]) == [Answer.WITHDRAWN], "a no needs no notice"


def test_withdrawing_needs_no_more_than_the_identifier(home, changes):
    everybody = changes.identifiers(PHONES)
    changes.give(everybody, [yes(), yes("credit_risk"), provide()])
    changes.withdraw(everybody[:1])
    for need in (Need("marketing"), Need("credit_risk"), PROVIDE):
        assert answers(home, PHONES[:2], need) == [Answer.WITHDRAWN, Answer.YES]


@pytest.mark.parametrize(
    ("named", "withdrawn"),
    [
        ({"purpose": "marketing"}, {Need("marketing"), PROVIDE}),
        ({"purpose": "marketing", "kind": ConsentKind.GENERAL}, {Need("marketing")}),
        ({"recipient": "shop"}, {PROVIDE}),
        ({"purpose": "unheard_of"}, {Need("unheard_of")}),
        ({"recipient": "nobody"}, set()),
    ],
)
def test_a_withdrawal_takes_back_what_fits(home, changes, named, withdrawn):
    one = changes.identifiers(PHONES[:1])
    changes.give(one, [yes(), yes("credit_risk"), provide()])
    changes.withdraw(one, **named)
    for need in (Need("marketing"), Need("credit_risk"), PROVIDE, Need("unheard_of")):
        given = Answer.NEVER if need.purpose == "unheard_of" else Answer.YES
        assert answers(home, PHONES[:1], need) == [Answer.WITHDRAWN if need in withdrawn else given]


def test_restrictions_have_their_reasons(home, changes):
    one = changes.identifiers(PHONES[:1])
    today = NOW.astimezone().date()
    for reason, law, review, key in (
        (Restriction.STATUTORY, "", None, "consent_law_missing"),
        (Restriction.TECHNICAL, "", None, "consent_review"),
        (Restriction.TECHNICAL, "", today - timedelta(days=1), "consent_review"),
        (Restriction.TECHNICAL, "", today + timedelta(days=91), "consent_review"),
    ):
        with pytest.raises(ConfigInvalid) as caught:
            changes.restrict(one, reason, law, review)
        assert caught.value.key == key
    tokens = home.consents.tokens("phone/plain", one)
    assert not home.consents.restricted(tokens, NOW).any()
    changes.restrict(one, Restriction.STATUTORY, "AML 34")
    changes.restrict(one, Restriction.TECHNICAL, review=today + timedelta(days=90))
    changes.lift(one, Restriction.STATUTORY)
    assert home.consents.restricted(tokens, NOW).all()
    changes.lift(one)
    assert not home.consents.restricted(tokens, NOW).any()


def test_what_is_held_is_shown(changes):
    changes.give(
        changes.identifiers(PHONES[:1]), [yes(until=NOW - timedelta(days=1)), provide(), yes("credit_risk")]
    )
    changes.withdraw(changes.identifiers(PHONES[:1]), "credit_risk")
    changes.restrict(changes.identifiers(PHONES[:1]), Restriction.STATUTORY, "AML 34", date(2027, 1, 1))
    nobody, known = changes.held([PHONES[1], PHONES[0]])
    assert nobody.words == nobody.restrictions == ()
    shown = [(word.purpose, word.scope, word.recipient, word.status, word.notice) for word in known.words]
    assert shown == [
        ("marketing", "", "", "expired", NOTICE),
        ("marketing", "provide", "shop", "granted", NOTICE),
        ("credit_risk", "", "", "withdrawn", ""),
    ]
    assert known.words[0].until == NOW - timedelta(days=1)
    (restriction,) = known.restrictions
    assert (restriction.reason, restriction.law, restriction.since) == ("statutory", "AML 34", NOW)
    assert restriction.review.astimezone().date() == date(2027, 1, 1)


# --- what the log hears


def test_each_change_of_few_people_is_an_event_with_a_reference(home, changes, events):
    two = changes.identifiers(PHONES[:2])
    changes.give(two[:1], [yes()], capture="ab" * 32)
    changes.give(two, [yes(), provide()])
    changes.withdraw(two[:1], "marketing", ConsentKind.GENERAL)
    changes.restrict(two[:1], Restriction.REQUEST)
    changes.lift(two[:1])
    tokens = home.consents.tokens("phone/plain", two)
    first, second = home.consents.srefs(tokens, "marketing", 2026)
    other = home.consents.srefs(tokens, "restrictions", 2026)[0]
    about = "marketing/separate/provide/shop"
    heard = [(event.type.value, event.artefact, event.sref, event.numbers) for event in events]
    assert heard == [
        ("consent.granted", "marketing", first, {}),
        ("consent.granted", "marketing", second, {}),
        ("consent.renewed", "marketing", first, {}),
        ("consent.granted", about, first, {}),
        ("consent.granted", about, second, {}),
        ("consent.withdrawn", "marketing", first, {}),
        ("dsr.restricted", "request", other, {"restricted": 1}),
        ("dsr.restricted", "all", other, {"restricted": 0}),
    ]
    assert [dict(event.digests) for event in events[:2]] == [{"capture": "ab" * 32}, {}]


def test_many_people_are_one_event_with_a_count(changes, events):
    phones = [f"138{number:08d}" for number in range(SUBJECTS_WITH_REFERENCE + 1)]
    changes.give(changes.identifiers(phones), [yes()])
    (event,) = events
    assert (event.type, event.sref) == (EventType.CONSENT_GRANTED, "")
    assert event.numbers == {"subjects": SUBJECTS_WITH_REFERENCE + 1}


def test_an_import_is_told_in_counts_and_small_counts_not_at_all(tmp_path, events):
    rows = "".join(f"138{number:08d},marketing,granted\n" for number in range(10))
    home = make_home(tmp_path, f"phone,purpose,status\n{rows}{PHONES[0]},marketing,withdrawn\n")
    changes = Changes(home.consents, home.settings.table, Source.FILE, events.append)
    changes.bring_in()
    assert [(event.type.value, event.artefact, event.numbers) for event in events] == [
        ("consent.granted", "import", {"words": 10}),
        ("consent.withdrawn", "import", {}),
    ]
    assert changes.bring_in().is_unchanged
    assert len(events) == 2


def test_the_nodes_own_log_holds_the_events_and_no_identifier(tmp_path):
    home = make_home(tmp_path, f"phone,purpose,status\n{PHONES[0]},marketing,granted\n")
    changes = changes_of(home, Source.API)
    changes.give(changes.identifiers(PHONES[:2]), [yes(), provide()])
    changes.withdraw(changes.identifiers(PHONES[:1]))
    bring_in(home)
    kinds = [event.type.value for event in home.audit.events()]
    assert kinds.count("consent.granted") == 4
    assert kinds.count("consent.withdrawn") == 2
    assert {event.actor for event in home.audit.events()} == {"api"}
    assert files_with(tmp_path, PHONES[0]) == []
    # Erasing the subject's key leaves the log as it is, and its reference leads nowhere.
    tokens = home.consents.tokens("phone/plain", changes.identifiers(PHONES[:1]))
    before = home.consents.srefs(tokens, "marketing", datetime.now(UTC).year)[0]
    assert before in {event.sref for event in home.audit.events()}
    home.consents.forget(tokens)
    assert home.consents.srefs(tokens, "marketing", datetime.now(UTC).year)[0] != before
    assert len(list(home.audit.events())) == len(kinds)


# --- from the command line


def run(home, *arguments, stdin=None):
    done = CliRunner().invoke(
        consent_app, [arguments[0], "--home", str(home.folder), *arguments[1:]], input=stdin
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_consent_from_standard_input_to_its_withdrawal(tmp_path, home):
    done = run(home, "grant", "--purpose", "marketing", stdin=f"{PHONES[0]}\n\n {PHONES[1]} \n")
    assert "2" in done.output
    assert answers(home, PHONES[:3]) == [Answer.YES, Answer.YES, Answer.NEVER]
    (tmp_path / "who.txt").write_text(f"\ufeff{PHONES[0]}\n", "utf-8")
    run(home, "withdraw", str(tmp_path / "who.txt"))
    assert answers(home, PHONES[:2]) == [Answer.WITHDRAWN, Answer.YES]
    (tmp_path / "who.txt").unlink()
    shown = run(home, "show", stdin=f"{PHONES[0]}\n{PHONES[2]}\n").output
    assert "withdrawn" in shown
    assert PHONES[0] not in shown
    assert json.loads(run(home, "count", "--json").output) == {"people": 1}
    assert files_with(tmp_path, PHONES[0]) == []


def test_every_option_of_a_consent(home):
    options = ("--kind", "separate", "--scope", "provide", "--recipient", "shop")
    run(
        home, "grant", "--purpose", "marketing", *options, "--notice", "n9", "--until", "2030-12-31", stdin=PHONES[0]
    )  # fmt: skip
    assert answers(home, PHONES[:1], PROVIDE, ("n9",)) == [Answer.YES]
    (one,) = json.loads(run(home, "show", "--json", stdin=PHONES[0]).output)
    end = datetime.fromisoformat(one["words"][0]["until"])
    assert end.astimezone().date() == date(2031, 1, 1)
    people = run(home, "count", "--purpose", "marketing", *options, "--json").output
    assert json.loads(people) == {"people": 1}
    run(home, "withdraw", "--recipient", "shop", stdin=PHONES[0])
    assert answers(home, PHONES[:1], PROVIDE, ("n9",)) == [Answer.WITHDRAWN]


def test_restricting_and_lifting(home):
    tokens = home.consents.tokens("phone/plain", np.array([PHONES[0].encode()], "S11"))
    run(home, "restrict", "--reason", "statutory", "--law", "AML 34", stdin=PHONES[0])
    assert home.consents.restricted(tokens, datetime.now(UTC)).all()
    assert "AML 34" in run(home, "show", stdin=PHONES[0]).output
    done = json.loads(run(home, "lift", "--json", stdin=PHONES[0]).output)
    assert done == {"version": home.consents.version, "subjects": 1}
    assert not home.consents.restricted(tokens, datetime.now(UTC)).any()


def test_importing_the_registered_log(tmp_path):
    home = make_home(tmp_path, f"phone,purpose,status\n{PHONES[0]},marketing,granted\n")
    assert json.loads(run(home, "import", "--json").output)["granted"] == 1
    assert "not changed" in run(home, "import").output
    assert json.loads(run(home, "import", "--json").output)["is_unchanged"] is True
    assert answers(home, PHONES[:1]) == [Answer.YES]


@pytest.mark.parametrize(
    ("arguments", "stdin", "key"),
    [
        (("grant", "--purpose", "marketing"), "", "consent_identifiers"),
        (("grant", "--purpose", "No Purpose"), PHONES[0], "consent_statement"),
        (("grant", "--purpose", "p", "--kind", "loud"), PHONES[0], "consent_statement"),
        (("grant", "--purpose", "p", "--scope", "provide"), PHONES[0], "consent_scope"),
        (("grant", "--purpose", "p", "--until", "tomorrow"), PHONES[0], "consent_day"),
        (("grant", "--purpose", "p", "nowhere.txt"), None, "file_missing"),
        (("grant", "--purpose", "p", "."), None, "consent_list_unreadable"),
        (("restrict", "--reason", "because"), PHONES[0], "consent_reason"),
        (("withdraw",), "nobody", "consent_identifiers"),
    ],
)
def test_what_the_command_line_refuses(home, arguments, stdin, key):
    with pytest.raises((ConfigInvalid, IdentifierInvalid)) as caught:
        run(home, *arguments, stdin=stdin)
    assert caught.value.key == key
    for language in LANGUAGES:
        assert PHONES[0] not in caught.value.render(language)
    assert home.consents.version == 0


def test_no_command_takes_an_identifier_as_an_argument(home):
    """A shell remembers its lines: what stands there is a file's name, and the message names no other."""
    with pytest.raises(ConfigInvalid) as caught:
        run(home, "withdraw", PHONES[0])
    assert caught.value.key == "file_missing"


# --- two processes

WRITER = """
import sys
from pathlib import Path
from clients.consents.cli import consent_app
for number in range(5):
    for command in (["grant", "--purpose", "marketing"], ["withdraw"]):
        consent_app([command[0], "--home", sys.argv[1], *command[1:], sys.argv[2]], standalone_mode=False)
"""


def test_a_node_sees_what_another_process_writes(tmp_path, home):
    """The node reads and writes its vault while the command line of an officer changes consents."""
    (tmp_path / "who.txt").write_text(PHONES[0], "utf-8")
    store, seen = home.consents, []
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(home.folder), str(tmp_path / "who.txt")])
    while child.poll() is None:
        version = store.version
        if not seen or version != seen[-1]:
            seen.append(version)
        home.vault.put("job/1/handle", bytes(1_000))
        tokens = store.changed_since(0)
        assert len(tokens) == (1 if version else 0) or store.version != version
    assert child.returncode == 0
    assert store.version == 10
    assert seen == sorted(set(seen))
    assert len(seen) > 2
    assert answers(home, PHONES[:1]) == [Answer.WITHDRAWN]
    assert NodeHome.open(home.folder).consents.version == 10
