"""The consent store equals a dictionary of latest words, whatever is said, imported, restricted and forgotten."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clients.consents.importing import import_consents
from clients.consents.store import ConsentStore
from clients.consents.tables import Source
from clients.tables import ConsentSpec, TableSpec
from clients.vault import Vault
from privacy.consent import Answer, ConsentKind, Need, Statement
from privacy.identifiers import IdentifierKind

START = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = [f"customer-{number}" for number in range(6)]
NEEDS = [Need("a"), Need("b"), Need("a", ConsentKind.SEPARATE, "provide", "shop")]
NOTICES = ["n1", "n2"]
LABEL = "opaque/plain"

people = st.lists(st.sampled_from(PEOPLE), max_size=4)
words = st.tuples(st.sampled_from(NEEDS), st.booleans(), st.sampled_from(NOTICES))
hours = st.none() | st.integers(0, 200)


def identifiers(names):
    return np.array([name.encode() for name in names], "S10")


def rank(hour):
    """A word without a time is outweighed by every word with one."""
    return -1 if hour is None else hour


def row(name, need, granted, notice, stated, until):
    cells = [name, need.purpose, need.kind.value, need.scope, need.recipient]
    cells += ["granted" if granted else "withdrawn", notice]
    cells += ["" if hour is None else (START + timedelta(hours=hour)).isoformat() for hour in (stated, until)]
    return ",".join(cells)


class StoreMachine(RuleBasedStateMachine):
    """The model: (person, need) -> (granted, notice, stated, until); stated is None for a word without a time."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.vault = Vault.create(self.path)
        self.store = ConsentStore(self.vault)
        self.hour = 300
        self.model = {}
        self.restricted = {}
        self.known = {}  # version -> who has changed since, or None

    def teardown(self):
        self.vault.close()
        self.folder.cleanup()

    @property
    def now(self):
        return START + timedelta(hours=self.hour)

    def changed(self, names):
        for version in self.known:
            self.known[version] |= set(names)

    @rule(names=people, word=words, until=hours)
    def say(self, names, word, until):
        need, granted, notice = word
        said = Statement(
            purpose=need.purpose, kind=need.kind, scope=need.scope, recipient=need.recipient,
            granted=granted, notice=notice, until=None if until is None else START + timedelta(hours=until),
        )  # fmt: skip
        self.hour += 1
        self.store.record(LABEL, identifiers(names), said, Source.CLI, self.now)
        self.changed(names)
        for name in names:
            self.model[name, need] = (granted, notice, self.hour, until)

    @rule(rows=st.lists(st.tuples(st.sampled_from(PEOPLE), words, hours, hours), min_size=1, max_size=6))
    def bring_in(self, rows):
        self.hour += 1
        lines = [
            row(name, need, granted, notice, stated, until)
            for name, (need, granted, notice), stated, until in rows
        ]
        file = self.path / "consents.csv"
        file.write_text(
            "id,purpose,kind,scope,recipient,status,notice,stated,until\n" + "\n".join(lines), "utf-8"
        )
        consents = ConsentSpec(
            path=str(file), id_column="id", kind_column="kind", scope_column="scope", recipient_column="recipient",
            notice_column="notice", stated_column="stated", until_column="until",
        )  # fmt: skip
        spec = TableSpec(path="-", id_column="id", id_kind=IdentifierKind.OPAQUE, consents=consents)
        for _ in range(2):  # the second time finds the file unchanged
            import_consents(self.store, spec, self.now)
        latest = {}
        for name, (need, granted, notice), stated, until in rows:
            before = latest.get((name, need))
            if before is None or rank(stated) >= rank(before[2]):
                latest[name, need] = (granted, notice, stated, until)
        for (name, need), word in latest.items():
            before = self.model.get((name, need))
            if before != word and (before is None or rank(word[2]) >= rank(before[2])):
                self.model[name, need] = word
                self.changed([name])

    @rule(names=people, lift=st.booleans())
    def restrict(self, names, lift):
        self.hour += 1
        tokens = self.store.tokens(LABEL, identifiers(names))
        if lift:
            self.store.lift(tokens, self.now)
            self.changed([name for name in names if self.restricted.get(name)])
        else:
            self.store.restrict(tokens, "request", "PIPL 47", self.now)
            self.changed(names)
        for name in names:
            self.restricted[name] = not lift

    @rule(names=people)
    def forget(self, names):
        self.store.forget(self.store.tokens(LABEL, identifiers(names)))
        self.known.clear()
        self.model = {key: word for key, word in self.model.items() if key[0] not in names}
        self.restricted = {name: held for name, held in self.restricted.items() if name not in names}

    @rule()
    def look(self):
        self.known[self.store.version] = set()

    @invariant()
    def everything_agrees(self):
        tokens = self.store.tokens(LABEL, identifiers(PEOPLE))
        for need in NEEDS:
            found = self.store.answers(tokens, need, ["n1"], self.now).tolist()
            assert found == [self.expected(name, need) for name in PEOPLE]
        held = self.store.restricted(tokens, self.now).tolist()
        assert held == [self.restricted.get(name, False) for name in PEOPLE]
        valid = {
            name for (name, _), (granted, _, _, until) in self.model.items()
            if granted and (until is None or until > self.hour)
        }  # fmt: skip
        assert self.store.people(self.now) == len(valid)
        by_token = dict(zip(map(tuple, tokens.tolist()), PEOPLE, strict=True))
        for version, names in self.known.items():
            changed = self.store.changed_since(version)
            assert {by_token[tuple(token)] for token in changed.tolist()} == names

    def expected(self, name, need):
        word = self.model.get((name, need))
        if word is None:
            return Answer.NEVER
        granted, notice, _, until = word
        if not granted:
            return Answer.WITHDRAWN
        if until is not None and until <= self.hour:
            return Answer.EXPIRED
        return Answer.YES if notice == "n1" else Answer.STALE


StoreMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestConsentStore = StoreMachine.TestCase
