from dataclasses import replace
from datetime import timedelta

import pytest

from keyward.actions import Enforcement
from keyward.errors import SettingsError
from keyward.findings import Severity
from keyward.model import AccessKey
from keyward.rules.iam_access_key_too_old import RULE, Settings
from keyward.settings import validated
from tests.builders import NOW, a_check, a_hint, a_key, exempt_by, reasons

CHECK = a_check(userName="bob")


def aged(days: float, *, newer: float | None = None, active: bool = True) -> AccessKey:
    """A key of this age; `newer` is the age of the other active key."""
    newer_since = None if newer is None else NOW - timedelta(days=newer)
    made = NOW - timedelta(days=days)
    return replace(a_key(active=active), created_at=made, since=made, newer_since=newer_since)


def test_a_young_key_is_compliant() -> None:
    assert reasons(RULE, aged(89), CHECK) == []


def test_at_its_very_age_it_is_compliant_and_a_second_later_it_is_not() -> None:
    assert reasons(RULE, aged(90), CHECK) == []
    key = replace(aged(90), created_at=NOW - timedelta(days=90, seconds=1))
    assert [reason.code for reason in reasons(RULE, key, CHECK)] == ["too-old"]


def test_an_old_key_is_objected_to_since_it_came_of_age_and_with_grace() -> None:
    (reason,) = reasons(RULE, aged(104), CHECK)
    assert (reason.code, reason.maybe, reason.report_only) == ("too-old", False, False)
    assert reason.text == (
        "access key AKIAIOSFODNN7EXAMPLE of IAM user bob is 104 days old (made on 2026-08-08); "
        "90 days are allowed"
    )
    assert reason.since == NOW - timedelta(days=14)
    assert reason.grace_days == 14


def test_an_inactive_key_is_compliant_however_old() -> None:
    assert reasons(RULE, aged(4000, newer=300, active=False), CHECK) == []


def test_both_keys_may_be_active_while_one_replaces_the_other() -> None:
    assert reasons(RULE, aged(60, newer=14), CHECK) == []


def test_the_older_of_two_active_keys_is_objected_to_after_the_overlap() -> None:
    (reason,) = reasons(RULE, aged(60, newer=15), CHECK)
    assert (reason.code, reason.grace_days) == ("second-key", 14)
    assert reason.since == NOW - timedelta(days=1)
    assert reason.text == (
        "access key AKIAIOSFODNN7EXAMPLE of IAM user bob (made on 2026-09-21) is still active "
        "15 days after the key that replaces it was made (2026-11-05); 14 days are allowed"
    )


def test_both_may_be_so() -> None:
    found = reasons(RULE, aged(100, newer=50), CHECK)
    assert [reason.code for reason in found] == ["too-old", "second-key"]


def test_what_was_not_read_may_be_so_and_is_never_acted_on() -> None:
    unread = replace(a_key(), created_at=None)
    found = reasons(RULE, unread, CHECK)
    assert [(reason.code, reason.maybe, reason.report_only) for reason in found] == [
        ("too-old", True, True),
        ("second-key", True, True),
    ]


def test_settings_say_how_old_and_how_long() -> None:
    (reason,) = reasons(RULE, aged(31), CHECK, max_age_days=30, grace_days=0)
    assert (reason.code, reason.grace_days) == ("too-old", 0)
    assert reasons(RULE, aged(31), CHECK, max_age_days=31) == []
    assert reasons(RULE, aged(31, newer=20), CHECK, overlap_days=20) == []
    assert reasons(RULE, aged(31, newer=20), CHECK, overlap_days=19)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_age_days", 0),
        ("max_age_days", 3651),
        ("grace_days", -1),
        ("grace_days", 366),
        ("overlap_days", -1),
    ],
)
def test_settings_out_of_bounds_are_refused(name: str, value: int) -> None:
    with pytest.raises(SettingsError, match=name):
        validated(RULE.id, Settings, {name: value})


def test_an_exemption_covers_it() -> None:
    assert exempt_by(RULE, aged(100)) == "ours"


def test_no_event_raises_it_but_the_sweep_does() -> None:
    assert RULE.concerns(CHECK)
    assert not RULE.concerns(a_hint("CreateAccessKey"))


def test_it_is_medium_and_deactivates_that_key() -> None:
    assert RULE.settings().severity is Severity.MEDIUM
    assert RULE.enforcement is Enforcement.DEACTIVATE_ACCESS_KEY
    assert RULE.needs == "state"
