"""Letters into cases: a batch of them in one transaction, which also queues what is answered at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from clients.home import NodeHome
from clients.rights.cases import Case
from clients.rights.courier import Courier, Received, sign_answer
from clients.rights.letters import (
    case_of,
    check_repeated,
    keys_of,
    number_here,
    numbers_in,
    numbers_key,
    refusal_of,
    with_answer,
)
from clients.rights.limits import queue
from clients.rights.store import CaseStore
from clients.rights.telling import CASES_WITH_EVENT, tell
from privacy.audit import EventType
from privacy.errors import SignatureInvalid, UnexpectedMessage
from privacy.rights import CaseState, Task, TaskAnswer

log = logging.getLogger("silhouette.rights")

_NODE: Final = "node"


def take_letters(
    home: NodeHome, store: CaseStore, courier: Courier, letters: Sequence[Received], now: datetime
) -> None:
    """Take letters in; those that are refused are logged, and the sender of a task is told."""
    keys, own = keys_of(home), home.settings.name
    numbers = numbers_key(home)
    refused: list[Received] = []
    with store.transaction() as connection:
        known = store.many(numbers_in(letters, numbers), connection)
        new: dict[str, Case] = {}
        changed: dict[str, Case] = {}
        for letter in letters:
            message = letter.message
            try:
                if isinstance(message, TaskAnswer):
                    told = with_answer(known.get(message.case), letter, message, keys)
                    if told is not None:
                        known[told.number] = changed[told.number] = _woken(told, now)
                    continue
                number = number_here(known, letter.party, message, numbers)
                case = known.get(number)
                if case is None:
                    known[number] = new[number] = case_of(letter.party, message, now, number)
                else:
                    check_repeated(case, letter.party, message)
                    if case.record.answered is not None:
                        courier.send(letter.party, case.record.answered, case.record.signature, connection)
            except (UnexpectedMessage, SignatureInvalid) as error:
                log.warning("a letter from %s is refused: %s", letter.party, error.code)
                refused.append(letter)
                if isinstance(message, Task):
                    answer = refusal_of(own, message, now)
                    courier.send(letter.party, answer, sign_answer(home.identity, answer), connection)
        tell(home, EventType.DSR_RECEIVED, list(new.values()))
        tell(home, EventType.DSR_TASK_RESULT, list(changed.values()))
        _tell_refused(home, refused)
        store.add(connection, list(new.values()))
        queue(connection, new.values())
        store.save(connection, list(changed.values()))


def _woken(case: Case, now: datetime) -> Case:
    """A case that waited for others goes on when nobody is left to wait for, or somebody could not do it all."""
    is_waiting = case.state is CaseState.PARTIAL and not case.open_partners
    return msgspec.structs.replace(case, wake=now) if is_waiting else case


def _tell_refused(home: NodeHome, refused: Sequence[Received]) -> None:
    if len(refused) > CASES_WITH_EVENT:
        numbers = {"letters": len(refused)}
        home.audit.append(EventType.DSR_REJECTED, actor=_NODE, artefact="letters", numbers=numbers)
        return
    for letter in refused:
        home.audit.append(EventType.DSR_REJECTED, actor=letter.party, artefact=letter.message.case)
