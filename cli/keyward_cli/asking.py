"""What people type for times and lengths of time -> what the operator function expects."""

import re
from datetime import UTC, datetime, time, timedelta

from keyward.errors import RequestError

_LENGTH = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)([mhdw])")
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def length(text: str) -> timedelta:
    """A length of time: 90m, 4h, 2d, 1w. Raises RequestError."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None or float(found[1]) == 0:
        message = f"{text}: expected a length of time like 90m, 4h, 2d or 1w"
        raise RequestError(message)
    return float(found[1]) * _UNITS[found[2]]


def moment(text: str, *, now: datetime) -> datetime:
    """A time to come: a date (to its end, in UTC), a time with a zone, or a length from now.

    Raises RequestError for anything else, and for what has passed.
    """
    if _LENGTH.fullmatch(text.strip().lower()):
        return now + length(text)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        message = (
            f"{text}: expected a date like 2027-01-31, a time with a zone, or a length like 90d"
        )
        raise RequestError(message) from error
    if len(text.strip()) == len("2027-01-31"):
        found = datetime.combine(found.date(), time(23, 59, 59), tzinfo=UTC)
    if found.tzinfo is None:
        message = f"{text}: expected a time zone, for example {text.strip()}Z"
        raise RequestError(message)
    if found <= now:
        message = f"{text}: has passed already; expected a time to come"
        raise RequestError(message)
    return found


def past(text: str, *, now: datetime) -> datetime:
    """A time that has passed: a date (its beginning, in UTC), a time with a zone, or so long ago.

    Raises RequestError for anything else, and for what is still to come.
    """
    if _LENGTH.fullmatch(text.strip().lower()):
        return now - length(text)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        message = (
            f"{text}: expected a time with a zone like 2027-01-31T08:00Z, a date, or a length "
            "like 6h, for six hours ago"
        )
        raise RequestError(message) from error
    if len(text.strip()) == len("2027-01-31"):
        found = datetime.combine(found.date(), time(), tzinfo=UTC)
    if found.tzinfo is None:
        message = f"{text}: expected a time zone, for example {text.strip()}Z"
        raise RequestError(message)
    if found > now:
        message = f"{text}: is still to come; expected a time that has passed"
        raise RequestError(message)
    return found
