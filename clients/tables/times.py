"""Columns of dates and times to moments: microseconds since 1970 in UTC, 0 for an empty cell.

Source. ISO 8601, in the forms 2026-12-31, 20261231 and 2026-12-31T08:30:00.5 with or without a zone. A time without a
zone is the holder's local time, as its computer knows it; a date alone is a whole local day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clients.tables.columns import Mask

Moments = np.ndarray[Any, np.dtype[np.int64]]

NO_MOMENT: Final = 0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HOUR: Final = timedelta(hours=1) // _MICROSECOND
_DAY: Final = timedelta(days=1) // _MICROSECOND
_LATEST: Final = (datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""Files write "open-ended" as the end of 9999: a moment that Python's calendar still has in every zone."""
_LAST_KNOWN_ZONE_HOUR: Final = (datetime(2100, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(hours=1)

_DATE: Final = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME: Final = r"[T ]([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?"
_ZONE: Final = r"(Z|[+-]\d{2}(:?\d{2})?)$"


def moment(at: datetime) -> int:
    """Microseconds since 1970; a time without a zone is the holder's local one."""
    return (at.astimezone(UTC) - _EPOCH) // _MICROSECOND


def time_of(when: int) -> datetime | None:
    """Inverse of `moment`, in UTC; None for `NO_MOMENT`."""
    return None if when == NO_MOMENT else _EPOCH + when * _MICROSECOND


def as_moments(column: pa.Array, *, is_end: bool = False) -> tuple[Moments, Mask]:
    """(n,) moments, and where a cell is no date or time from 1970 on.

    is_end: a date alone means the end of that day, which is the next midnight; otherwise its beginning.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_temporal(column.type) and not pa.types.is_time(column.type):
        return _of_temporal(column, is_end)
    text = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    text = pc.replace_substring_regex(text, r"^(\d{4})(\d{2})(\d{2})", r"\1-\2-\3")
    is_empty = _mask(pc.or_kleene(pc.is_null(text), pc.equal(text, "")))
    is_date = _mask(pc.match_substring_regex(text, f"{_DATE}$"))
    is_local = _mask(pc.match_substring_regex(text, f"{_DATE}{_TIME}$"))
    is_zoned = _mask(pc.match_substring_regex(text, f"{_DATE}{_TIME}{_ZONE}"))
    moments = np.zeros(len(text), np.int64)
    for rows, zone in ((is_date | is_local, None), (is_zoned, "UTC")):
        moments[rows] = _parsed(text.filter(pa.array(rows)), pa.timestamp("us", zone))
    bad = ~is_empty & (moments <= NO_MOMENT)
    moments[is_date & ~bad] += _DAY * is_end
    is_ours = (is_date | is_local) & ~bad
    moments[is_ours] = _from_local(moments[is_ours])
    moments[bad] = NO_MOMENT
    return np.minimum(moments, _LATEST), bad


def _of_temporal(column: pa.Array, is_end: bool) -> tuple[Moments, Mask]:
    zone = getattr(column.type, "tz", None)
    is_empty = _mask(pc.is_null(column))
    moments = _plain(column.cast(pa.timestamp("us", zone), safe=False))
    bad = ~is_empty & (moments <= NO_MOMENT)
    held = ~is_empty & ~bad
    moments[held] += _DAY * (is_end and pa.types.is_date(column.type))
    if zone is None:
        moments[held] = _from_local(moments[held])
    moments[~held] = NO_MOMENT
    return np.minimum(moments, _LATEST), bad


def _parsed(text: pa.Array, kind: pa.DataType) -> Moments:
    """Cells of the right form; one that the calendar does not have (31 April) becomes `NO_MOMENT`."""
    try:
        return _plain(text.cast(kind))
    except pa.ArrowInvalid:
        if len(text) == 1:
            return np.zeros(1, np.int64)
        half = len(text) // 2
        return np.concatenate([_parsed(text[:half], kind), _parsed(text[half:], kind)])


def _from_local(moments: Moments) -> Moments:
    """Local clock readings to moments in UTC: the zone's offset is asked for once per hour that occurs."""
    hours, places = np.unique(np.minimum(moments // _HOUR, _LAST_KNOWN_ZONE_HOUR), return_inverse=True)
    offsets = [_local_offset(hour) for hour in hours.tolist()]
    shifted: Moments = moments - np.array(offsets, np.int64)[places]
    return np.maximum(shifted, NO_MOMENT + 1)


def _local_offset(hour: int) -> int:
    reading = _EPOCH.replace(tzinfo=None) + timedelta(hours=hour)
    offset = reading.astimezone().utcoffset()
    return 0 if offset is None else offset // _MICROSECOND


def _plain(times: pa.Array) -> Moments:
    return np.array(pc.fill_null(times.cast(pa.int64()), NO_MOMENT).to_numpy(zero_copy_only=False), np.int64)


def _mask(values: pa.Array) -> Mask:
    return np.array(pc.fill_null(values, False).to_numpy(zero_copy_only=False), np.bool_)
