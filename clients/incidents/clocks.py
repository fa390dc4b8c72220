"""By when an incident is to be told, and what says so (PIPL 57).

PIPL 57 says "at once" and no number of hours. Numbers, and how sure we are of each:
- 4 h, grave incidents (from 1,000,000 people on, or important data): 国家网络安全事件报告管理办法, in force since
  2025-11-01, 较大 and above; for operators of critical infrastructure 1 h; a final report within 30 days. Read in a
  secondary source that quotes it.
- 24 h, dangers to national security or the public interest: 网络数据安全管理条例 article 10. Read in the text itself.
- 24 h otherwise, and for the people concerned: our reading of "at once", no source.
A bank has more clocks (its supervisor's), which are not here. An incident that nobody has classified yet counts as a
grave one. Clocks begin when it is noticed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from clients.incidents.register import Incident, People, Status
from privacy.texts import text

GRAVE_HOURS: Final = 4
CRITICAL_HOURS: Final = 1
SECURITY_HOURS: Final = 24
AT_ONCE_HOURS: Final = 24
FINAL_DAYS: Final = 30
REPORTING: Final = "国家网络安全事件报告管理办法"
NETWORK_DATA: Final = "网络数据安全管理条例 10"
LAW: Final = "PIPL 57"


class Confidence(StrEnum):
    """How sure the number of a clock is."""

    READ = "read"
    SECONDARY = "secondary"
    OURS = "ours"


class Duty(StrEnum):
    """What is to be done by a clock's end."""

    AUTHORITY = "authority"
    INDIVIDUALS = "individuals"
    FINAL = "final"


class Clock(msgspec.Struct, frozen=True):
    """One clock of an incident. done: when it was stopped, None while it runs."""

    duty: Duty
    due: datetime
    source: str
    confidence: Confidence
    done: datetime | None = None

    def is_late(self, now: datetime) -> bool:
        """Whether what it asks was done after its end, or is not done by now."""
        return (self.done or now) > self.due


def clocks_of(incident: Incident, *, is_critical: bool) -> tuple[Clock, ...]:
    """The clocks of an incident. is_critical: the holder operates critical information infrastructure."""
    hours, source, confidence = _for_authority(incident, is_critical)
    noticed = incident.noticed
    found = [
        Clock(Duty.AUTHORITY, noticed + timedelta(hours=hours), source, confidence, incident.told_authority)
    ]
    if incident.concerns_people:
        due = noticed + timedelta(hours=AT_ONCE_HOURS)
        found.append(Clock(Duty.INDIVIDUALS, due, LAW, Confidence.OURS, incident.told_individuals))
    if _is_grave(incident):
        due = noticed + timedelta(days=FINAL_DAYS)
        found.append(Clock(Duty.FINAL, due, REPORTING, Confidence.SECONDARY, incident.closed))
    return tuple(found)


def alarms(incident: Incident, now: datetime, *, is_critical: bool, language: str | None = None) -> list[str]:
    """A line for each clock that has run out while its duty is not done; none for a closed incident."""
    if incident.status is Status.CLOSED:
        return []
    return [
        text(
            f"incidents.late.{clock.duty.value}",
            language=language,
            number=incident.number,
            due=clock.due.astimezone().isoformat(" ", "minutes"),
        )
        for clock in clocks_of(incident, is_critical=is_critical)
        if clock.done is None and clock.is_late(now)
    ]


def _is_grave(incident: Incident) -> bool:
    known = incident.known
    return known is None or known.important_data or known.people is People.FROM_1M


def _for_authority(incident: Incident, is_critical: bool) -> tuple[int, str, Confidence]:
    if _is_grave(incident):
        return (CRITICAL_HOURS if is_critical else GRAVE_HOURS), REPORTING, Confidence.SECONDARY
    if incident.known is not None and incident.known.national_security:
        return SECURITY_HOURS, NETWORK_DATA, Confidence.READ
    return AT_ONCE_HOURS, LAW, Confidence.OURS
