"""One party's data and intermediate results in one session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Final

import numpy as np

from clients.answered import AnsweredToday
from clients.artefacts import Artefacts, Integers
from clients.consents.subjects import kind_label
from clients.cores import ParallelDecryptor, PooledZeros
from clients.finished import HANDLE, record_name, remove_rows
from clients.gate.gate import Gate
from clients.home import NodeHome
from clients.results import remove_customers
from clients.tables import CustomerTable
from clients.vault import Shelf
from federation.jobs import Job, PartyRole, Stage
from federation.roles import RERUN_SECONDS, View
from privacy.errors import CohortTooSmall, ConfigInvalid, UnexpectedMessage
from privacy.joining import Tokens
from privacy.paillier_secret import SecretKey
from privacy.parallel import Workers
from privacy.parameters import MINIMUM_KEY_BITS
from privacy.sealing import PublicIdentity

Labels = np.ndarray[Any, np.dtype[np.int8]]
PAILLIER_RECORD: Final = "paillier"
UNFINISHED: Final = "unfinished/"
"""Records under this prefix are what a rerun of a job may go on from."""


class StageContext:
    """What the stages of one party share in one session. Records go into the vault under `job/<session>/`."""

    def __init__(
        self,
        home: NodeHome,
        job: Job,
        session: str,
        gate: Gate,
        on_loading: Callable[[int, int], None] = lambda done, total: None,
        peers: Mapping[str, PublicIdentity] | None = None,
    ) -> None:
        """on_loading: told rows read and rows in all (0: unknown) while the table is read.

        peers: everybody else's keys, the coordinator's among them.
        """
        self.peers = dict(peers or {})
        self.home = home
        self.job = job
        self.gate = gate
        self._on_loading = on_loading
        self.plan = job.plan_of(home.settings.name)
        self.is_label_holder = self.plan.role is PartyRole.LABEL_HOLDER
        self.kept = Artefacts()
        self.is_settled = False
        """Whether a stage after the matching has begun: its result is final then."""
        self.is_unmatched = False
        """Whether the matching has to begin again and has not ended since."""
        self._closing = ExitStack()
        self._at_end: list[Callable[[], None]] = []
        self.trained: dict[str, str] = {}
        """The number of the model that this job has trained, by kind; a stage that began again has replaced its own."""
        self._answered: dict[bytes, AnsweredToday] = {}
        self.results = home.results / f"{job.name}-{session[:8]}"
        """Where this party's own people find the outcome."""
        if self.results.exists():  # another session's, whose name begins alike
            self.results = home.results / f"{job.name}-{session}"
        self.session = session
        self._prefix = record_name(session, "")

    @property
    def workers(self) -> Workers:
        """Where this node's owner lets long work run on ciphertexts under somebody else's key."""
        settings = self.home.settings
        return Workers(settings.n_jobs, settings.parallel_backend)

    @property
    def local_workers(self) -> Workers:
        """This machine's cores, for work on secrets and identifiers: they stay here whatever the owner's cluster is."""
        return Workers(self.home.settings.n_jobs)

    @property
    def k_min(self) -> int:
        return self.job.security.k_min

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the job names for this party, each once."""
        return self.plan.fields

    def admitted(self, fields: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the fields that the gate has let through."""
        return tuple(name for name in fields if name in self.table.fields)

    @cached_property
    def table(self) -> CustomerTable:
        """The eligible rows, loaded once: only the fields the job names, the label only for its holder."""
        with_label = self.is_label_holder and self.job.needs_label
        spec = self.home.settings.table
        if with_label and spec.label_column is None:
            raise ConfigInvalid("label_not_registered", file=spec.path)
        return self.gate.load(self.fields, with_label=with_label, on_progress=self._on_loading)

    def withdraw(self) -> tuple[Integers, bool] | None:
        """Rows whose consents no longer hold leave this party's part of the job, before anything else is sent.

        Returns (first places of those that were matched, whether the matching has to begin again), or None when no row
        is concerned that is still in the job. As long as the matching may have to be repeated, rows leave the list.
        """
        rows = self.gate.take_lost()
        if not len(rows):
            return None
        if not self.is_settled:
            self.unmatch()
            return np.empty(0, dtype=np.int64), True
        places = self.kept.places_of(rows)
        self.drop(places)
        return (places, False) if len(places) else None

    def unmatch(self) -> None:
        """The matching begins again, here or because of another party, without anybody who has left."""
        gone = self.gate.shrink()
        if len(gone):
            self.table = self.table.without(gone)
        self.kept = Artefacts()
        self.is_settled, self.is_unmatched = False, True

    def match(self, rows: Integers, subject_refs: np.ndarray[Any, Any]) -> None:
        """The result of the matching: own row, and what the project calls the subject, per aligned row."""
        self.kept.match(rows, subject_refs)
        self.is_unmatched = False

    def drop(self, places: Integers) -> None:
        """Matched rows leave, here or at another party, by their first places.

        Raises `UnexpectedMessage` for places that the matching did not have, `CohortTooSmall` when too few stay.
        """
        if not len(places):
            return
        if int(places.max()) >= len(self.kept):
            raise UnexpectedMessage("rows_unknown")
        self._remove(places)
        if len(self.kept.rows) < self.k_min:
            raise CohortTooSmall("rows_left_few", k_min=self.k_min)

    def _remove(self, places: Integers) -> None:
        """Rows leave what is kept: in memory, in the vault, in this party's own results."""
        gone = self.table.rows[self.kept.rows_at(places)]
        leaving = np.isin(self.kept.places, places)
        self.kept.drop(places)
        remove_rows(self.home.vault, self.session, leaving)
        remove_customers(self.results, gone)

    def keep_handle(self) -> None:
        """Store which rows are matched, and whose they are, for later jobs and for requests of their subjects."""
        self.keep(HANDLE, self.kept.handle(self.table.rows, self.tokens()))

    def tokens(self) -> Tokens:
        """(n, 2): what the consent store calls the subjects of the loaded rows."""
        label = kind_label(self.home.settings.table)
        return self.home.consents.tokens(label, self.table.own_identifiers)

    @cached_property
    def key(self) -> SecretKey:
        """This party's Paillier key for the job, made when it is first needed; it stays in this vault.

        The label holder's is the job's own; of the partners only a scorecard's last one has one.
        """
        bits = self.job.security.key_bits
        key = SecretKey.generate(bits, alpha=self.job.alpha_keys, testing_only=bits < MINIMUM_KEY_BITS)
        self.keep(PAILLIER_RECORD, key.to_bytes())
        return key

    @cached_property
    def decryptor(self) -> ParallelDecryptor:
        """The job's key as roles see it. Raises `CohortTooSmall`: it opens nothing about fewer people than k_min."""
        if len(self.kept.rows) < self.k_min:
            raise CohortTooSmall("key_cohort_small", k_min=self.k_min)
        decryptor = ParallelDecryptor(self.key, self.local_workers)
        self._closing.callback(decryptor.close)
        if self.key.public.bits >= MINIMUM_KEY_BITS:  # a test's key is not worth a process
            decryptor.start_workers()
        return decryptor

    @property
    def decrypted(self) -> int:
        """Ciphertexts that this party has opened in this session."""
        decryptor = self.__dict__.get("decryptor")  # asking for it would make a key
        return 0 if decryptor is None else decryptor.decrypted

    @cached_property
    def zeros(self) -> PooledZeros:
        """What hides how this party's results were made."""
        zeros = PooledZeros()
        self._closing.callback(zeros.close)
        return zeros

    def close(self) -> None:
        """End what works in the background for this session."""
        self._closing.close()

    def aligned(self, fields: tuple[str, ...]) -> View:
        """The named fields of the matched rows, in aligned order."""
        view = self.table.view(self.admitted(fields))
        return View(view.fields, view.values[self.kept.rows])

    @property
    def file_places(self) -> Integers:
        """The places in this party's file of all aligned rows."""
        rows: Integers = self.table.rows[self.kept.rows]
        return rows

    def file_rows(self, places: Integers) -> Integers:
        """The places in this party's file of some aligned rows: they stay the same when a job is run again."""
        return self.file_places[places]

    def aligned_label(self) -> Labels:
        """The label of the matched rows. Raises `ConfigInvalid` when none is registered."""
        if self.table.label is None:
            raise ConfigInvalid("label_not_registered", file=self.table.file)
        return self.table.label[self.kept.rows]

    def shelf(self, stage: Stage) -> Shelf:
        """What a rerun of this job may go on from in one stage."""
        return Shelf(self.home.vault, f"{UNFINISHED}{self.job.digest}/{stage.value}/")

    def answered(self, model_id: bytes) -> AnsweredToday:
        """How often this party has answered with a model today, and for whom in this session."""
        if model_id not in self._answered:
            self._answered[model_id] = AnsweredToday(self.home, model_id)
        return self._answered[model_id]

    def at_end(self, act: Callable[[], None]) -> None:
        """What is to be done when the whole job has succeeded everywhere, and not before."""
        self._at_end.append(act)

    def end(self) -> None:
        """The job is done: what waited for that, and nothing of it will be run again."""
        self.gate.look()
        left = self.kept.places_of(self.gate.take_lost())
        if len(left):
            self._remove(left)  # a word that came while the others finished
        for act in self._at_end:
            act()
        self.forget_unfinished()

    def forget_unfinished(self) -> None:
        """Keep nothing that a rerun could go on from."""
        self.home.vault.remove(f"{UNFINISHED}{self.job.digest}/")

    def keep(self, name: str, data: bytes) -> None:
        """Store a record of this job in the vault."""
        self.home.vault.put(self._prefix + name, data, days=self.gate.terms.retention_days)


def forget_stale(home: NodeHome) -> None:
    """Remove what unfinished jobs left that were not run again in time."""
    home.vault.remove_older(UNFINISHED, RERUN_SECONDS)


def forget_keys(home: NodeHome) -> None:
    """Remove jobs' secret keys from the vault: a session's own when it ends (a node takes part in one at a time),
    and before the next one begins what a killed node left there."""
    for name in home.vault.names("job/"):
        if name.endswith("/" + PAILLIER_RECORD):
            home.vault.remove(name)
