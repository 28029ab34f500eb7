"""Which places hear of what, and when. Pure: settings in, places out."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from keyward.findings import FindingRecord, Notice, Severity
from keyward.settings import Alerts, Route
from keyward.told import TOPIC

NEVER_HELD_BACK = frozenset({"digest", "daily-digest", "report", "test"})
"""Kinds of notices that are never held back: they are what was, or asked for just now."""

LATE = timedelta(hours=1)
"""So long after midnight the digest of the day before may be made, where its hour was as late."""

LOUD = frozenset({Severity.HIGH, Severity.CRITICAL})

Parents = Callable[[str], tuple[str, ...]]
"""The ids of an account's OUs and root: asked only where a route names some."""


def places(what: FindingRecord | Notice, alerts: Alerts, parents: Parents) -> tuple[str, ...]:
    """The places where people hear of it: the alert topic, then what routes and settings say.

    Each once, in a stable order. Whatever `parents` raises is raised.
    """
    if isinstance(what, Notice) and what.to is not None:
        return what.to
    routed = [place for route in alerts.routes if _fits(route, what, parents) for place in route.to]
    if alerts.slack is not None and not any(map(of_slack, routed)):
        routed.append(alerts.slack)
    return tuple(dict.fromkeys((TOPIC, *routed)))


def of_slack(place: str) -> bool:
    """Whether the place is one of Slack's."""
    return place.startswith(("slack:", "webhook:"))


def is_named(place: str, alerts: Alerts) -> bool:
    """Whether settings still name the place; the alert topic always is one."""
    routed = {place for route in alerts.routes for place in route.to}
    return place in {TOPIC, alerts.slack} | routed


def beside(alerts: Alerts) -> tuple[str, ...]:
    """All places that settings name beside the alert topic, each once."""
    named = [place for route in alerts.routes for place in route.to]
    first = [alerts.slack] if alerts.slack is not None else []
    return tuple(place for place in dict.fromkeys([*first, *named]) if place != TOPIC)


def slack_places(alerts: Alerts) -> tuple[str, ...]:
    """All of Slack's places that settings name, each once."""
    named = [place for route in alerts.routes for place in route.to if of_slack(place)]
    return tuple(dict.fromkeys([*([alerts.slack] if alerts.slack else []), *named]))


def _fits(route: Route, what: FindingRecord | Notice, parents: Parents) -> bool:
    if what.severity.rank < route.severity.rank:
        return False
    names = {what.kind} if isinstance(what, Notice) else {what.rule, *what.also}
    if route.rules and not any(_is_named(name, route.rules) for name in names):
        return False
    if not route.accounts and not route.units:
        return True
    if what.account is None:
        return False
    if what.account in route.accounts:
        return True
    return bool(route.units) and not set(route.units).isdisjoint(parents(what.account))


def _is_named(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in patterns
    )


def is_held_back(what: FindingRecord | Notice, alerts: Alerts, now: datetime) -> bool:
    """Whether it waits until the quiet hours are over: only what is low or medium does."""
    if what.severity in LOUD or (isinstance(what, Notice) and what.kind in NEVER_HELD_BACK):
        return False
    return is_quiet(alerts, now)


def is_quiet(alerts: Alerts, now: datetime) -> bool:
    """Whether these are quiet hours. Hours that begin when they end are the whole day."""
    hours = alerts.quiet_hours
    if hours is None:
        return False
    clock = now.astimezone(ZoneInfo(alerts.timezone)).time()
    begin, end = time.fromisoformat(hours.begin), time.fromisoformat(hours.end)
    if begin < end:
        return begin <= clock < end
    return clock >= begin or clock < end


def digest_day(alerts: Alerts, now: datetime) -> str | None:
    """The day whose daily digest is due, as YYYY-MM-DD; None before its hour, or where none is.

    One of shortly before midnight is due until LATE: no run need come between the two.
    """
    if alerts.daily_digest is None:
        return None
    zone, hour = ZoneInfo(alerts.timezone), time.fromisoformat(alerts.daily_digest)
    local, before = now.astimezone(zone), (now - LATE).astimezone(zone)
    if local.time() >= hour:
        return f"{local:%Y-%m-%d}"
    if before.date() < local.date() and before.time() <= hour:
        return f"{before:%Y-%m-%d}"
    return None
