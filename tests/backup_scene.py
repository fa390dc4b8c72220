"""A node with a table, consents and the records of a finished job; a coordinator's shelf of ledgers in memory."""

from datetime import UTC, datetime

import msgspec
import numpy as np

from clients.consents.rows import as_bytes, as_tokens
from clients.consents.tables import Source
from clients.finished import handle_of, record_name
from clients.home import NodeHome, NodeSettings
from clients.results import CUSTOMERS
from clients.rights.located import Located
from clients.tables import FieldSpec, TableSpec
from federation.post_messages import LedgerHead, next_head
from privacy.consent import Statement
from privacy.errors import PeerDropped, UnexpectedMessage
from privacy.identifiers import IdentifierKind
from privacy.rights import Artefact, Outcome, Result, SharedRow

LABEL = "phone/plain"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SESSION = "5e55" * 8
CASE = "ca5e" * 8
OTHER_CASE = "0123" * 8
PEOPLE = 12


def phone(number):
    return f"139{number:08d}"


def ids(numbers):
    return np.array([phone(number) for number in numbers], "S11")


def ref_of(number):
    return bytes([number + 1]) * 16


class Shelf:
    """A coordinator's shelf for one party, by the rules of `server.post_ledger`."""

    def __init__(self):
        self.stored = []
        self.is_reachable = True

    def head(self):
        self._reach()
        head = LedgerHead()
        for entry in self.stored:
            head = next_head(head, entry)
        return head

    def entries(self, first):
        self._reach()
        return tuple(self.stored[first - 1 : first + 1])  # few in an answer, so that several are needed

    def put_entry(self, number, entry):
        self._reach()
        if number == len(self.stored) and self.stored[-1] == entry:
            return
        if number != len(self.stored) + 1:
            raise UnexpectedMessage("post_ledger_number", position=number)
        self.stored.append(entry)

    def _reach(self):
        if not self.is_reachable:
            raise PeerDropped("relay_unreachable")


def make_home(folder, people=PEOPLE, *, name="bank"):
    """A node whose table lies beside its home; every third row was not matched."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{name}.csv"
    lines = [f"{phone(number)},{1000 + number},name {number}" for number in range(people)]
    table.write_text("\n".join(["phone,income,remark", *lines]) + "\n", "utf-8")
    spec = TableSpec(
        path=str(table), id_column="phone", id_kind=IdentifierKind.PHONE, fields=(FieldSpec(name="income"),)
    )
    home = NodeHome.create(folder / "home", NodeSettings(name=name, table=spec))
    said = [Statement(purpose=purpose, granted=True, notice="n1") for purpose in ("marketing", "credit_risk")]
    home.consents.record(LABEL, ids(range(people)), said, Source.API, NOW)
    home.consents.record(LABEL, ids([0]), Statement(purpose="marketing", granted=False), Source.API, NOW)
    home.consents.restrict(home.consents.tokens(LABEL, ids([1])), "dispute", "PIPL 46", NOW)
    write_job(home, [number for number in range(people) if number % 3])
    return home


def write_job(home, matched):
    """Records and results of a job in which these rows were matched."""
    rows = np.array(matched, np.int64)
    refs = np.frombuffer(b"".join(ref_of(number % 200) for number in matched), np.uint8).reshape(-1, 16)
    segments = {"assignments": (rows % 4).tobytes(), "n_segments": 4}
    records = {
        "handle": handle_of(rows, refs, home.consents.tokens(LABEL, ids(matched))),
        "points": (rows * 10).astype(np.int32).tobytes(),
        "scores": (rows / 100).tobytes(),
        "train_rows": np.arange(0, len(rows), 2).tobytes(),
        "segments": msgspec.msgpack.encode(segments),
        "job": b"the job",
        "paillier": b"a secret key",
    }
    for name, data in records.items():
        home.vault.put(record_name(SESSION, name), data, days=30)
    folder = home.results / "tiny-5e555e55"
    folder.mkdir(parents=True)
    lines = [f"{row},{row % 4},0.{row:02d}" for row in matched]
    (folder / CUSTOMERS).write_text("\n".join(["row,segment,score", *lines]) + "\n")
    (folder / "report.txt").write_text("nobody is in it")


def located(home, number):
    """One subject, as the engine of requests writes it down."""
    identifier = phone(number).encode()
    token = as_bytes(home.consents.tokens(LABEL, ids([number])))[0]
    shared = (SharedRow(SESSION, ref_of(number)),) if number % 3 else ()
    return Located(identifier=identifier, token=token, row=number, shared=shared)


def erase(home, subjects, case):
    """What the erasers of other artefacts do, as far as these tests look: the subject leaves the consent store."""
    home.erased = [*getattr(home, "erased", []), *subjects]
    home.consents.forget(tokens_of(subjects))
    return [Outcome(artefact=Artefact.CONSENT, result=Result.ERASED)] * len(subjects)


def tokens_of(subjects):
    return as_tokens([one.token for one in subjects])
