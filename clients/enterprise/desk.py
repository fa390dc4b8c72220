"""Due-diligence tasks at the bank: kept sealed in the vault as long as results, taken on and concluded by people.

A task names its firm by a keyed reference of this node (`ConsentStore.srefs`), never by its code; customers.csv has the
numbers of tasks, so that the bank's own people find the firm. A firm with a task that is not concluded gets no second
one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from clients.consents.subjects import kind_label
from federation.enterprise import alerts
from federation.enterprise.alerts import Evidence, Outcome, State, Task
from federation.enterprise.early_warning import BASE_MONTHS, GAP_MONTHS, Strength
from federation.enterprise.wording import FALLING_ELECTRICITY
from federation.pace import today
from privacy.errors import ConfigInvalid, Denied, SealBroken

if TYPE_CHECKING:
    from clients.context import StageContext
    from clients.home import NodeHome

ALERTS: Final = "alerts/"
"""Vault records of tasks begin so."""
PROJECT: Final = "alerts"
"""Of references to firms in tasks: those in jobs cannot be linked with them."""
_NUMBER_BYTES: Final = 8


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task, and after how many days it goes to the next person."""

    task: Task
    days: int


def firm_of(record: bytes) -> str:
    """What a task's record calls its firm. Raises `msgspec.MsgspecError` for a record that is none."""
    return msgspec.msgpack.decode(record, type=_Kept).task.firm


class AlertDesk:
    """The tasks of one node."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home

    def open_for(self, context: StageContext, holder: str) -> list[str]:
        """Opens a task for each firm of the job that has a warning; the numbers of tasks by aligned row, "" for none.

        holder: whose panel the warnings rest on.
        """
        columns, plan = context.kept.columns, context.job.enterprise
        months, strengths = columns["warning_month"].tolist(), columns["warning_strength"].tolist()
        identifiers = context.table.own_identifiers[context.kept.rows]
        tokens = self._home.consents.tokens(kind_label(self._home.settings.table), identifiers)
        firms = self._home.consents.srefs(tokens, PROJECT, 0)
        days = alerts.ACKNOWLEDGE_DAYS if plan is None else plan.acknowledge_days
        open_ones = {task.firm: task.number for task in self.all() if task.state is not State.CONCLUDED}
        found: list[str] = []
        for firm, month, strength in zip(firms, months, strengths, strict=True):
            if not strength:
                found.append("")
                continue
            if firm not in open_ones:
                evidence = Evidence(
                    FALLING_ELECTRICITY, holder, min(int(month), BASE_MONTHS + GAP_MONTHS + 1)
                )
                number = secrets.token_hex(_NUMBER_BYTES)
                task = alerts.open_task(number, firm, Strength(strength), [evidence], today(), days)
                self._home.vault.put(
                    ALERTS + number,
                    msgspec.msgpack.encode(_Kept(task, days)),
                    days=context.gate.terms.retention_days,
                )
                open_ones[firm] = number
            found.append(open_ones[firm])
        return found

    def all(self) -> list[Task]:
        """All tasks whose time is not over, the one that is due first first; what is overdue has gone up."""
        tasks = []
        for name in self._home.vault.names(ALERTS):
            try:
                tasks.append(self._read(name.removeprefix(ALERTS)).task)
            except Denied:
                continue  # its time is over, and the sweeper has not come yet
        return sorted(tasks, key=lambda task: (task.state is State.CONCLUDED, task.due, task.number))

    def acknowledge(self, number: str, by: str) -> Task:
        """Somebody takes a task on. Raises `ConfigInvalid`, `Denied`."""
        return self._change(number, lambda task, day: alerts.acknowledge(task, by, day))

    def conclude(self, number: str, outcome: Outcome, by: str) -> Task:
        """What was found. Raises `ConfigInvalid`, `Denied`."""
        return self._change(number, lambda task, day: alerts.conclude(task, outcome, by, day))

    def _change(self, number: str, act: Callable[[Task, date], Task]) -> Task:
        kept = self._read(number)
        changed = msgspec.structs.replace(kept, task=act(kept.task, today()))
        self._home.vault.put(ALERTS + number, msgspec.msgpack.encode(changed))
        return changed.task

    def _read(self, number: str) -> _Kept:
        """A task as it is today: who did not answer in time is not asked alone any more."""
        data = self._home.vault.get(ALERTS + number)
        if data is None:
            raise ConfigInvalid("alert_unknown", name=number)
        try:
            kept = msgspec.msgpack.decode(data, type=_Kept)
        except msgspec.MsgspecError:
            raise SealBroken("vault_broken", name=number) from None
        return msgspec.structs.replace(kept, task=alerts.escalate(kept.task, today(), kept.days))


def overdue(tasks: Sequence[Task]) -> int:
    """For how many of them the whole chain has been asked in vain."""
    return sum(alerts.is_overdue(task, today()) for task in tasks)
