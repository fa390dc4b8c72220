"""Lists for marketing at a node: the people of one segment who may be on it, for one purpose, for at most 30 days.

A list is the folder `audiences/<name>` of the node's home: `members.csv` (column identifier) and `audience.json`, which
says for what it was made, under which policy, and until when it may be used. Its time is kept in the vault, as that of
results is: a list that is over cannot be exported, and the sweep removes it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import pandas as pd
from msgspec import Meta

from clients.audiences.standing import counted, fewest_members, marketing_purpose, objections
from clients.gate.policy import policy_for_use
from clients.gate.retention import AUDIENCES, RESULTS
from clients.home import NodeHome
from clients.results import CUSTOMERS, read_people
from federation.files import replace_file
from federation.pace import today, utc_now
from privacy.audit import EventType, is_name
from privacy.errors import CohortTooSmall, ConfigInvalid, SealBroken
from privacy.policy import Digest, Name
from privacy.reasons import Reason

LONGEST_DAYS: Final = 30
"""How long a list may be used (our choice, for PIPL 19: lists grow old as people change their minds)."""
MEMBERS: Final = "members.csv"
DESCRIPTION: Final = "audience.json"
IDENTIFIER: Final = "identifier"


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One list. policy: digest of the one in force when it was built; results: the folder that it was made from;
    expires: the last day.
    """

    name: Name
    purpose: Name
    policy: Digest
    results: Annotated[str, Meta(max_length=200)]
    segment: int
    built: datetime
    expires: date


class Built(msgspec.Struct, frozen=True):
    """What building came to. left_out: people by reason code, for the node's own people."""

    audience: Audience
    people: int
    left_out: Mapping[str, int]


def folder_of(home: NodeHome, name: str) -> Path:
    """Where a list lies. Raises `ConfigInvalid` for a name that is none."""
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise ConfigInvalid("audience_name", name=name) from None
    if not is_name(name):
        raise ConfigInvalid("audience_name", name=name)
    return home.folder / "audiences" / name


def build(
    home: NodeHome, results: Path, segment: int, purpose: str, name: str, days: int = LONGEST_DAYS
) -> Built:
    """Make a list of the people of a segment, replacing one of the same name.

    Raises `Denied` for a purpose that is not for marketing and for results whose time is over, `CohortTooSmall` when
    fewer people than k_min may be on it, `ConfigInvalid` for files and names that are none.
    """
    folder = folder_of(home, name)
    policy = policy_for_use(home)
    registered = marketing_purpose(policy, purpose)
    home.vault.get(RESULTS + results.resolve().name)  # refused when their time is over
    found = _segment(results / CUSTOMERS, segment)
    members, left_out = divide(found, objections(home, policy, registered, found))
    fewest = fewest_members(home)
    if len(members) < fewest:
        tell_refused(home, name, policy.digest, {Reason.COHORT_TOO_SMALL, *left_out})
        raise CohortTooSmall("audience_small", k_min=fewest)
    kept_days = min(days, LONGEST_DAYS, registered.retention_days or LONGEST_DAYS)
    made = Audience(
        name=name,
        purpose=purpose,
        policy=policy.digest,
        results=results.resolve().name,
        segment=segment,
        built=utc_now(),
        expires=today() + timedelta(days=kept_days),
    )
    home.audit.append(
        EventType.TAG_ASSIGNED,
        actor="operator",
        artefact=name,
        policy=policy.digest,
        reasons=codes(left_out),
        numbers={"people": counted(len(members))},
    )
    home.vault.put(AUDIENCES + name, b"", days=kept_days)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(folder / MEMBERS, as_csv(members), secret=True)
    replace_file(folder / DESCRIPTION, msgspec.json.format(msgspec.json.encode(made)) + b"\n", secret=True)
    return Built(made, len(members), {reason.value: count for reason, count in sorted(left_out.items())})


def read(home: NodeHome, name: str) -> Audience:
    """One list. Raises `ConfigInvalid` for an unknown one, `Denied` for one whose time is over."""
    file = folder_of(home, name) / DESCRIPTION
    if home.vault.get(AUDIENCES + name) is None or not file.exists():
        raise ConfigInvalid("audience_unknown", name=name)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Audience)
    except msgspec.MsgspecError:
        raise SealBroken("vault_broken", name=AUDIENCES + name) from None


def members_of(home: NodeHome, name: str) -> list[str]:
    """Who is on a list, in its order. Raises `ConfigInvalid` for a file that is none."""
    return _read(folder_of(home, name) / MEMBERS)[IDENTIFIER].tolist()


def names(home: NodeHome) -> list[str]:
    """The lists that may still be used, sorted."""
    over = set(home.vault.expired())
    return [name.removeprefix(AUDIENCES) for name in home.vault.names(AUDIENCES) if name not in over]


def take_out(home: NodeHome, gone: Collection[str]) -> int:
    """People leave every list that is here, those that are over too; how many entries. Doing it again does no harm."""
    removed = 0
    for file in sorted((home.folder / "audiences").glob(f"*/{MEMBERS}")):
        before = _read(file)[IDENTIFIER].tolist()
        staying = [member for member in before if member not in gone]
        if len(staying) == len(before):
            continue
        home.audit.append(
            EventType.TAG_DELETED,
            actor="node",
            artefact=file.parent.name,
            numbers={"people": counted(len(before) - len(staying))},
        )
        replace_file(file, as_csv(staying), secret=True)
        removed += len(before) - len(staying)
    return removed


def remove(home: NodeHome, name: str) -> None:
    """Forget a list, and say that its tag is gone."""
    folder = folder_of(home, name)
    if folder.exists():
        people = len(members_of(home, name))
        home.audit.append(
            EventType.TAG_DELETED, actor="operator", artefact=name, numbers={"people": counted(people)}
        )
        shutil.rmtree(folder)
    home.vault.remove_one(AUDIENCES + name)


def divide(members: Sequence[str], found: Sequence[Reason | None]) -> tuple[list[str], Counter[Reason]]:
    """Who may stay, and how many may not, by reason."""
    staying = [member for member, reason in zip(members, found, strict=True) if reason is None]
    return staying, Counter(reason for reason in found if reason is not None)


def as_csv(members: Sequence[str]) -> bytes:
    """A list as people are given it."""
    return pd.DataFrame({IDENTIFIER: list(members)}).to_csv(index=False).encode()


def codes(reasons: Collection[Reason]) -> tuple[str, ...]:
    """The different codes, in order."""
    return tuple(sorted({reason.value for reason in reasons}))


def tell_refused(home: NodeHome, name: str, policy: str, reasons: Collection[Reason]) -> None:
    """The log hears that there is no list, and why."""
    home.audit.append(
        EventType.AUDIENCE_REFUSED, actor="operator", artefact=name, policy=policy, reasons=codes(reasons)
    )


def _segment(file: Path, segment: int) -> list[str]:
    """The identifiers of a segment, each once, in the order of the file."""
    found = _read(file)
    if "segment" not in found:
        raise ConfigInvalid("audience_segments", file=file)
    chosen: pd.Series[Any] = found[IDENTIFIER][found["segment"] == str(segment)]
    return list(dict.fromkeys(chosen.tolist()))


def _read(file: Path) -> pd.DataFrame:
    found = read_people(file, IDENTIFIER)
    if found is None:
        raise ConfigInvalid("audience_segments", file=file)
    return found
