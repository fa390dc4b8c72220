"""One job at one data holder's gate: may it begin, may it go on, which rows and values may it see (PIPL 4 to 56).

Nothing else loads a table for a job. The gate decides by the policy in force (`privacy.decision`), by what each subject
said last (`clients.consents`) and by what a column really holds (`privacy.scanner`). What it admits is bound to an
attestation; when consents change while a job runs, the rows concerned leave before the next message.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, NoReturn

import msgspec
import numpy as np

from clients.consents.node import bring_in
from clients.consents.subjects import kind_label
from clients.gate.abroad import AbroadCounter
from clients.gate.policy import active_policy, catalog_of, policy_for_use
from clients.gate.rows import asked_of
from clients.gate.table import TableRules, check_file
from clients.home import NodeHome
from clients.tables import CustomerTable
from clients.tables.files import Progress, no_progress
from clients.tables.loading import load
from federation.jobs import Job
from federation.messages import COORDINATOR
from federation.pace import Every, today, utc_now
from federation.session import Attestation
from privacy.audit import EventType
from privacy.catalog import Catalog
from privacy.consent import Answer, reason_of
from privacy.decision import Request, Terms, check_crossborder_count, decide
from privacy.errors import Denied
from privacy.joining import Tokens
from privacy.policy import Policy
from privacy.reasons import Finding, Findings, Reason
from privacy.snapshots import Snapshot

Positions = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
ASK_EVERYBODY: Final = -1
"""Before every version of a store: nobody's answers have been seen."""
SNAPSHOT_RECORD: Final = "snapshot"
POLICY_SECONDS: Final = 1.0
"""A policy that is put in force while a job runs is noticed within about this time."""

Clock = Callable[[], datetime]


def decide_for(
    home: NodeHome, job: Job, policy: Policy, catalog: Catalog, today: date
) -> tuple[Findings, Terms | None]:
    """Whether a home's own settings, roster and policy let a job begin: (all failing reasons, the terms or None)."""
    settings = home.settings
    declared = {item.name: item.kind for item in settings.table.fields}
    request = Request(
        purpose=job.purpose,
        own=settings.name,
        label_holder=job.roles.label_holder,
        parties=job.roles.all,
        fields={name: declared.get(name, "") for name in job.plan_of(settings.name).fields},
        methods=job.methods,
        coordinator=home.roster.identities(settings.name)[COORDINATOR].fingerprint,
        today=today,
        tested=_tested(home, job),
    )
    findings, terms = decide(policy, catalog, request)
    until = settings.table.retain_until
    if until is not None and until < today:
        return Findings.of([*findings, Finding(Reason.RETENTION_EXPIRED, "table")]), None
    return findings, terms


def _tested(home: NodeHome, job: Job) -> Mapping[str, str]:
    """Only who trains a model on its own label tests one."""
    is_holder = home.settings.name == job.roles.label_holder and job.needs_label
    return home.settings.table.tested_columns if is_holder else {}


def preview(home: NodeHome, job: Job) -> Findings:
    """Every reason for which the gate would refuse a job today, without reading a row or writing to the log."""
    policy = active_policy(home)
    return decide_for(home, job, policy, catalog_of(policy), today())[0]


class Gate:
    """One job's gate. Raises `Denied` with every failing reason when the job may not even begin here."""

    def __init__(
        self, home: NodeHome, job: Job, session: str, now: Clock = utc_now, *, is_preview: bool = False
    ) -> None:
        """is_preview: the holder's own look at what a job would see; nothing leaves, so no snapshot is taken."""
        self._home, self._job, self._session, self._now = home, job, session, now
        self._is_preview = is_preview
        self._store = home.consents
        self._policy = policy_for_use(home)
        self._catalog = catalog_of(self._policy)
        self.terms = self._decide()
        self._table: CustomerTable | None = None
        self._tokens: Tokens = np.empty((0, 2), np.uint64)
        self._holds = np.empty(0, np.bool_)
        self._children = np.empty(0, np.bool_)
        self._blank: dict[str, Mask] = {}
        self._root = ""
        self._snapshots = 0
        self._seen = 0
        self._lost: list[Positions] = []
        self._loaded_by: tuple[object, ...] | None = None
        self._policy_looks = Every(POLICY_SECONDS)
        self._lock = threading.RLock()
        self.refused: Findings | None = None
        """What the log says that this gate has refused last."""
        self.on_snapshot: Callable[[bytes], None] = lambda binding: None
        """Told the binding of every snapshot that replaces another while the job runs."""

    # --- may it begin, may it go on

    def _decide(self) -> Terms:
        self._decided = self._now().astimezone().date()
        findings, terms = decide_for(self._home, self._job, self._policy, self._catalog, self._decided)
        if terms is None:
            self._refuse(findings)
        return terms

    def check(self) -> None:
        """Before every message: the same policy and the same day, or the whole decision again. Raises `Denied`."""
        is_new_day = self._now().astimezone().date() != self._decided
        if is_new_day and self._home.settings.table.retain_until_column is not None:
            self._refuse(
                Findings.of([Finding(Reason.RETENTION_EXPIRED, "rows")])
            )  # some may be over: load again
        if is_new_day or (self._policy_looks.is_due() and self._is_new_policy()):
            self.recheck()
            self._ask_everybody()  # some consents had yesterday as their last day

    def _is_new_policy(self) -> bool:
        return active_policy(self._home).digest != self._policy.digest

    def _ask_everybody(self) -> None:
        with self._lock:
            self._seen = ASK_EVERYBODY

    def recheck(self) -> None:
        """Before every stage: the decision again, by the policy that is in force now. Raises `Denied`."""
        policy = active_policy(self._home)
        if policy.digest != self._policy.digest:
            self._policy, self._catalog = policy, catalog_of(policy)
            self._ask_everybody()  # another notice may be the purpose's now
        terms = self._decide()
        if self._loaded_by is not None and self._row_rules(terms) != self._loaded_by:
            # What was loaded under the old rules is not what the new ones let through: the job has to begin again.
            self._refuse(Findings.of([Finding(Reason.CONSENT_STALE_SNAPSHOT, "policy")]))
        self.terms = terms

    @staticmethod
    def _row_rules(terms: Terms) -> tuple[object, ...]:
        """What decides about rows and values while a table is loaded, but for the consents themselves."""
        purpose = terms.purpose
        how = purpose.when_separate_consent_is_missing
        return terms.treatments, purpose.minimum_age, purpose.keep_unknown_age, how, sorted(terms.tested)

    def _refuse(self, findings: Findings) -> NoReturn:
        """Into the log, and out. Raises `Denied`."""
        self.note(EventType.DATASET_REFUSED, reasons=findings.codes)
        self.refused = findings
        for finding in findings:
            if finding.reason is Reason.AGREEMENT_EXPIRED:
                self._demand_return(finding.about)
        raise Denied.of(findings)

    def _demand_return(self, number: str) -> None:
        """An agreement has ended: what the other side holds is to be returned or deleted (21)."""
        agreement = self._policy.agreement(number)
        days = 0 if agreement is None else agreement.return_or_delete_days
        self.note(EventType.AGREEMENT_EXPIRED, artefact=number, numbers={"return_or_delete_days": days})

    def note(self, event: EventType, **fields: Any) -> None:
        """One event of this job in this holder's log. Raises `LogUnavailable`: without a log nothing goes on."""
        self._home.audit.append(
            event,
            actor="operator" if self._is_preview else "node",
            job=self._job.digest,
            session=self._session,
            policy=self._policy.digest,
            **fields,
        )

    # --- what it may see

    def load(
        self,
        fields: tuple[str, ...],
        *,
        with_label: bool,
        on_progress: Progress = no_progress,
    ) -> CustomerTable:
        """The rows and values that the job may see: the only way to the table. Raises `Denied`, `SchemaMismatch`."""
        spec, store = self._home.settings.table, self._store
        check_file(spec, self._catalog, self._refuse)
        bring_in(self._home)
        # From here on: what changes while rows are read shows as a change afterwards.
        self._seen = store.version
        rules = TableRules(spec, self.terms, store, self._now(), self._refuse, self._job.security.k_min)
        table = load(
            spec,
            self._job.purpose,
            fields,
            with_label=with_label,
            tested={key: spec.tested_columns[key] for key in self.terms.tested} if with_label else {},
            id_format=self._job.match.id_format,
            on_progress=on_progress,
            rules=rules,
        )
        table = rules.without_dropped(table)
        with self._lock:
            self._table = table
            self._tokens = store.tokens(kind_label(spec), table.own_identifiers)
            self._holds = np.ones(len(table), np.bool_)
            self._children = rules.children[table.rows]
            self._blank = {name: mask[table.rows] for name, mask in rules.blank.items()}
            self._loaded_by = self._row_rules(self.terms)
            self._count_abroad()
            self._take_snapshot()
        # Rounded down, so that the difference does not tell of a few.
        k_min = self._job.security.k_min
        counted = {"rows": table.funnel[0].rows, "eligible": table.funnel[-1].rows}
        numbers = {name: rows // k_min * k_min for name, rows in counted.items()}
        self.note(
            EventType.DATASET_ADMITTED,
            artefact=self._job.purpose,
            reasons=rules.codes(table.funnel),
            numbers=numbers,
            digests={"schema": self.schema_digest} | ({"snapshot": self._root} if self._root else {}),
        )
        applied = rules.applied | ({"fairness": len(table.attributes)} if table.attributes else {})
        self.note(EventType.MINIMISE_APPLIED, numbers=applied, digests={"schema": self.schema_digest})
        return table

    def _count_abroad(self) -> None:
        """How many people's data goes abroad this year, each once, and whether the mechanism allows so many (40)."""
        if not self.terms.abroad or self._is_preview:
            return
        counter = AbroadCounter(self._home, self._decided.year)
        before, new = counter.count(self._tokens)
        findings = check_crossborder_count(self.terms, before, new)
        self.note(EventType.COUNTER_SNAPSHOT, numbers={"before": before, "new": new})
        if findings:
            self._refuse(findings)
        counter.add(self._tokens)

    # --- what it works on

    @property
    def schema_digest(self) -> str:
        """SHA-256 over the columns that the job may use, their classes and how they are minimised."""
        schema: Mapping[str, Any] = {
            name: (item.key, msgspec.to_builtins(self.terms.treatments[name]))
            for name, item in self.terms.classes.items()
        }
        return hashlib.sha256(msgspec.json.encode(schema, order="deterministic")).hexdigest()

    def attestation(self) -> Attestation:
        """What this holder works on from now on."""
        purpose = self.terms.purpose
        return Attestation(
            policy=self._policy.digest,
            schema=self.schema_digest,
            snapshot=self._root,
            agreements=tuple(sorted({item.agreement for item in purpose.recipients})),
            pipia=purpose.pipia or "none",
        )

    def _take_snapshot(self) -> None:
        """A tree over the commitments of everybody whose consents hold; its leaves stay in the vault for proofs."""
        if self._is_preview:
            return
        self._root = self._keep_snapshot(self._holds)

    def _keep_snapshot(self, holds: Mask) -> str:
        context = f"{self._job.project_name}\x00{self._session}".encode()
        snapshot = Snapshot.of(self._store.commitments(self._tokens[holds], context))
        name = f"job/{self._session}/{SNAPSHOT_RECORD}/{self._snapshots}"
        self._home.vault.put(name, snapshot.members, days=self.terms.retention_days)
        self._snapshots += 1
        return snapshot.root.hex()

    def look(self) -> bool:
        """Whether rows of the job have lost a consent that they need, or a restriction has come, since `take_lost`.

        When a subject of the job is concerned, the snapshot is taken anew and told to `on_snapshot` at once. May be
        called by several threads; costs under a millisecond when nothing has changed.
        """
        with self._lock:
            if self._table is not None and self._store.version != self._seen:
                self._find_lost(self._table)
            return bool(self._lost)

    def take_lost(self) -> Positions:
        """The rows that `look` has found, as increasing places in the table; they are settled now."""
        with self._lock:
            places = np.unique(np.concatenate([np.empty(0, np.int64), *self._lost]))
            self._lost = []
            return places

    def _find_lost(self, table: CustomerTable) -> None:
        version = self._store.version
        changed = self._store.changed_since(self._seen)
        places = np.flatnonzero(self._holds & self._are_among(changed))
        if len(places):
            is_lost, reasons = self._lacking(places, table)
            places = places[is_lost]
        if len(places):
            # What can fail comes first: then nothing has changed here, and the next look finds the same again.
            holds = self._holds.copy()
            holds[places] = False
            root = self._keep_snapshot(holds)
            self.note(EventType.ROUND_VOIDED, reasons=reasons, digests={"snapshot": root})
            self._holds, self._root = holds, root
            self._lost.append(places)
            self.on_snapshot(self.attestation().binding)
        self._seen = version

    def _lacking(self, places: Positions, table: CustomerTable) -> tuple[Mask, tuple[str, ...]]:
        """Which of these rows may not be used as things stand now, and the codes of all reasons."""
        tokens, now, children = self._tokens[places], self._now(), self._children[places]
        asked = list(asked_of(self.terms, children))
        for name in table.fields:
            # Whose value the job never saw is not asked about it again.
            seen = ~self._blank[name][places] if name in self._blank else np.ones_like(children)
            asked += [(need, seen) for need in self.terms.field_needs.get(name, ())]
        lost = self._store.restricted(tokens, now)
        reasons = [Reason.RESTRICTED_STATE] if lost.any() else []
        forgotten = ~self._store.known(tokens)
        lost |= forgotten
        reasons += [Reason.CONSENT_WITHDRAWN] if forgotten.any() else []
        for need, concerned in asked:
            answers = self._store.answers(tokens, need, self.terms.notices, now)
            failing = concerned & (answers != Answer.YES)
            lost |= failing
            reasons += [reason_of(need, Answer(answer)) for answer in np.unique(answers[failing]).tolist()]
        return lost, tuple(dict.fromkeys(reason.value for reason in reasons))

    def shrink(self) -> Positions:
        """Rows that have been lost leave the table for good; their places in it as it was."""
        with self._lock:
            gone, stays = np.flatnonzero(~self._holds), self._holds
            self._lost = []
            self._tokens, self._children = self._tokens[stays], self._children[stays]
            self._blank = {name: mask[stays] for name, mask in self._blank.items()}
            self._holds = np.ones(len(self._tokens), np.bool_)
            return gone

    def _are_among(self, changed: Tokens | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows of the table belong to these subjects; None: everybody is to be asked about."""
        if changed is None:
            return np.ones(len(self._tokens), np.bool_)
        found = np.isin(self._tokens[:, 0], changed[:, 0])
        rows = np.flatnonzero(found)
        exact = {(int(a), int(b)) for a, b in changed}
        found[rows] = [(int(a), int(b)) in exact for a, b in self._tokens[rows]]
        return found
