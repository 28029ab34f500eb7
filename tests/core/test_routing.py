"""Which places hear of what, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyward import routing
from keyward.findings import Notice, Severity
from keyward.settings import Alerts
from tests.builders import MEMBER, NOW, OTHER_MEMBER
from tests.core.test_text_and_alerts import a_record

TOPIC = f"sns:arn:aws:sns:eu-central-1:{MEMBER}:iam-team"
UNIT = "ou-ab12-cdefgh34"


def alerts(**fields: object) -> Alerts:
    return Alerts.model_validate(fields, strict=False)


def a_notice(**fields: object) -> Notice:
    said = {"kind": "budget-spent", "id": "1", "title": "t", "text": "x", "at": NOW}
    return Notice.model_validate(said | {"severity": Severity.HIGH} | fields)


def nowhere(_account: str) -> tuple[str, ...]:
    message = "asked where no route names a unit"
    raise AssertionError(message)


def in_unit(_account: str) -> tuple[str, ...]:
    return (UNIT, "r-ab12")


def test_without_routes_the_topic_hears_all_and_slack_what_it_is_set_for() -> None:
    assert routing.places(a_record(), alerts(), nowhere) == ("topic",)
    to_slack = alerts(slack="slack:C0123456")
    assert routing.places(a_record(), to_slack, nowhere) == ("topic", "slack:C0123456")


@pytest.mark.parametrize(
    ("route", "fits"),
    [
        ({}, True),
        ({"severity": "critical"}, False),
        ({"severity": "medium"}, True),
        ({"rules": ["iam-access-key-created"]}, True),
        ({"rules": ["iam-*"]}, True),
        ({"rules": ["idc-*"]}, False),
        ({"rules": ["iam-access-key"]}, False),
        ({"accounts": [MEMBER]}, True),
        ({"accounts": [OTHER_MEMBER]}, False),
        ({"units": [UNIT]}, True),
        ({"units": ["r-ab12"]}, True),
        ({"units": ["ou-ab12-99999999"]}, False),
        ({"accounts": [OTHER_MEMBER], "units": [UNIT]}, True),
        ({"rules": ["idc-*"], "units": [UNIT]}, False),
    ],
)
def test_route_takes_what_fits_all_its_conditions(route: dict[str, object], fits: bool) -> None:  # noqa: FBT001 - a table
    settings = alerts(routes=[{"to": [TOPIC], **route}])
    found = routing.places(a_record(severity=Severity.HIGH), settings, in_unit)
    assert found == (("topic", TOPIC) if fits else ("topic",))


def test_rule_that_is_folded_into_another_counts_too() -> None:
    settings = alerts(routes=[{"to": [TOPIC], "rules": ["iam-user-created"]}])
    record = a_record(also=("iam-user-created",))
    assert routing.places(record, settings, nowhere) == ("topic", TOPIC)


def test_notice_goes_by_its_kind_and_one_of_no_account_fits_no_account() -> None:
    by_kind = alerts(routes=[{"to": [TOPIC], "rules": ["budget-*"]}])
    assert routing.places(a_notice(), by_kind, nowhere) == ("topic", TOPIC)
    by_account = alerts(routes=[{"to": [TOPIC], "accounts": [MEMBER]}])
    assert routing.places(a_notice(), by_account, nowhere) == ("topic",)


def test_notice_for_some_places_goes_there_alone() -> None:
    settings = alerts(slack="slack:C0123456", routes=[{"to": [TOPIC]}])
    assert routing.places(a_notice(to=("slack:C7654321",)), settings, nowhere) == (
        "slack:C7654321",
    )


def test_slacks_default_hears_what_no_route_brings_to_slack_and_each_place_once() -> None:
    settings = alerts(
        slack="slack:C0123456",
        routes=[
            {"to": ["slack:C7654321", TOPIC], "severity": "high"},
            {"to": [TOPIC, "slack:C7654321"], "rules": ["iam-*"]},
        ],
    )
    grave = routing.places(a_record(severity=Severity.HIGH), settings, nowhere)
    assert grave == ("topic", "slack:C7654321", TOPIC)
    light = a_record(severity=Severity.LOW, rule="idc-abac-changed", also=())
    assert routing.places(light, settings, nowhere) == ("topic", "slack:C0123456")


def test_place_is_named_while_settings_have_it() -> None:
    settings = alerts(slack="slack:C0123456", routes=[{"to": [TOPIC]}])
    for place in ("topic", "slack:C0123456", TOPIC):
        assert routing.is_named(place, settings)
    assert not routing.is_named("slack:C7654321", settings)


@pytest.mark.parametrize(
    ("begin", "end", "hour", "quiet"),
    [
        ("20:00", "07:00", 21, True),
        ("20:00", "07:00", 6, True),
        ("20:00", "07:00", 7, False),
        ("20:00", "07:00", 20, True),
        ("20:00", "07:00", 12, False),
        ("09:00", "17:00", 12, True),
        ("09:00", "17:00", 17, False),
        ("09:00", "09:00", 3, True),
    ],
)
def test_hours_are_quiet_from_their_begin_to_before_their_end(
    begin: str,
    end: str,
    hour: int,
    quiet: bool,  # noqa: FBT001 - a table
) -> None:
    settings = alerts(quiet_hours={"begin": begin, "end": end})
    assert routing.is_quiet(settings, datetime(2026, 11, 20, hour, tzinfo=UTC)) is quiet


def test_hours_are_those_of_the_time_zone_in_summer_and_winter() -> None:
    settings = alerts(timezone="Europe/Berlin", quiet_hours={"begin": "20:00", "end": "07:00"})
    assert routing.is_quiet(settings, datetime(2026, 7, 1, 18, 30, tzinfo=UTC))
    assert not routing.is_quiet(settings, datetime(2026, 12, 1, 18, 30, tzinfo=UTC))


@pytest.mark.parametrize("severity", list(Severity))
def test_only_low_and_medium_wait_and_what_tells_of_the_past_never_does(
    severity: Severity,
) -> None:
    settings = alerts(quiet_hours={"begin": "00:00", "end": "00:00"})
    waits = severity in {Severity.LOW, Severity.MEDIUM}
    assert routing.is_held_back(a_record(severity=severity), settings, NOW) is waits
    assert routing.is_held_back(a_notice(severity=severity), settings, NOW) is waits
    assert not routing.is_held_back(a_notice(kind="digest", severity=severity), settings, NOW)


def test_days_digest_is_due_from_its_hour_on_for_the_local_day() -> None:
    settings = alerts(timezone="Asia/Tokyo", daily_digest="08:00")
    assert routing.digest_day(settings, datetime(2026, 11, 20, 22, 59, tzinfo=UTC)) is None
    assert routing.digest_day(settings, datetime(2026, 11, 20, 23, 0, tzinfo=UTC)) == "2026-11-21"
    assert routing.digest_day(alerts(daily_digest=None), NOW) is None


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-11-20T22:57", None),
        ("2026-11-20T22:58", "2026-11-20"),
        ("2026-11-20T23:00", "2026-11-20"),
        ("2026-11-20T23:50", "2026-11-20"),
        ("2026-11-21T00:05", None),
        ("2026-11-21T12:00", None),
    ],
)
def test_digest_of_shortly_before_midnight_is_due_after_it(at: str, day: str | None) -> None:
    """Scheduled runs come every five minutes: none need come between the two."""
    late = Alerts(timezone="Europe/Berlin", daily_digest="23:58")
    assert routing.digest_day(late, datetime.fromisoformat(f"{at}+00:00")) == day


def test_digest_whose_hour_the_clocks_skip_is_due_after_it() -> None:
    early = Alerts(timezone="Europe/Berlin", daily_digest="02:30")
    before, after = (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC))
    assert (routing.digest_day(early, before), routing.digest_day(early, after)) == (
        None,
        "2026-03-29",
    )


def test_quiet_hours_across_midnight_end_when_the_clock_says_so_though_clocks_are_changed() -> None:
    """In the night of the change they are an hour shorter or longer."""
    nightly = Alerts.model_validate(
        {"timezone": "Europe/Berlin", "quiet_hours": {"begin": "20:00", "end": "07:00"}}
    )
    for ends in (datetime(2026, 3, 29, 5, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC)):
        assert routing.is_quiet(nightly, ends - timedelta(minutes=1))
        assert not routing.is_quiet(nightly, ends)
