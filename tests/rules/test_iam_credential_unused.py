from dataclasses import replace
from datetime import timedelta

import pytest

from keyward.actions import Enforcement
from keyward.errors import SettingsError
from keyward.findings import Severity
from keyward.model import AccessKey, ConsolePassword
from keyward.rules.iam_credential_unused import RULE, Settings
from keyward.settings import validated
from tests.builders import NOW, a_check, a_hint, a_key, a_password, an_iam_user, exempt_by, reasons

CHECK = a_check(userName="bob")


def key(made: float, used: float | None = None, *, active: bool = True) -> AccessKey:
    """A key that was made, and used last, so many days ago."""
    at = NOW - timedelta(days=made)
    used_at = None if used is None else NOW - timedelta(days=used)
    return replace(a_key(active=active), created_at=at, since=at, used_at=used_at, use_known=True)


def password(made: float, used: float | None = None) -> ConsolePassword:
    """A password that was set, and used last, so many days ago."""
    used_at = None if used is None else NOW - timedelta(days=used)
    since = NOW - timedelta(days=made)
    return replace(a_password(), since=since, used_at=used_at, use_known=True)


@pytest.mark.parametrize(
    "credential", [key(400, 10), key(10), password(400, 10), password(10), key(400, 45)]
)
def test_what_is_used_or_young_is_compliant(credential: AccessKey | ConsolePassword) -> None:
    assert reasons(RULE, credential, CHECK) == []


def test_a_day_of_margin_is_left_for_what_iam_tells_late() -> None:
    assert reasons(RULE, key(400, 46), CHECK) == []
    at_once = replace(key(400, 46), used_at=NOW - timedelta(days=46, seconds=1))
    (reason,) = reasons(RULE, at_once, CHECK)
    assert reason.since == NOW - timedelta(seconds=1)


def test_a_key_that_was_used_last_long_ago_is_objected_to() -> None:
    (reason,) = reasons(RULE, key(400, 80), CHECK)
    assert (reason.code, reason.maybe, reason.grace_days) == ("unused", False, 14)
    assert reason.text == (
        "access key AKIAIOSFODNN7EXAMPLE of IAM user bob was used last on 2026-09-01: "
        "80 days unused, 45 days are allowed"
    )
    assert reason.since == NOW - timedelta(days=80 - 46)


def test_a_key_that_was_never_used_counts_from_when_it_was_made() -> None:
    (reason,) = reasons(RULE, key(50), CHECK)
    assert reason.text == (
        "access key AKIAIOSFODNN7EXAMPLE of IAM user bob was never used, though it could be since "
        "2026-10-01: 50 days unused, 45 days are allowed"
    )
    assert reason.since == NOW - timedelta(days=50 - 46)


def test_a_key_that_was_switched_on_again_has_a_new_chance() -> None:
    again = replace(key(400, 300), since=NOW - timedelta(days=20))
    assert reasons(RULE, again, CHECK) == []


def test_an_unused_password_is_objected_to() -> None:
    (reason,) = reasons(RULE, password(400, 80), CHECK)
    assert reason.text.startswith("console password of IAM user bob was used last on 2026-09-01")
    (reason,) = reasons(RULE, password(400), CHECK)
    assert "was never used" in reason.text


def test_an_inactive_key_is_compliant() -> None:
    assert reasons(RULE, key(400, active=False), CHECK) == []


@pytest.mark.parametrize(
    "credential",
    [
        replace(key(400), use_known=False),
        replace(password(400), use_known=False),
        replace(key(400), created_at=None, since=None),
    ],
)
def test_what_was_not_read_may_be_so_and_is_never_acted_on(
    credential: AccessKey | ConsolePassword,
) -> None:
    (reason,) = reasons(RULE, credential, CHECK)
    assert (reason.code, reason.maybe, reason.report_only) == ("unused", True, True)


def test_it_judges_keys_and_passwords_only() -> None:
    assert reasons(RULE, an_iam_user(age=timedelta(days=400)), CHECK) == []


def test_settings_say_how_long() -> None:
    assert reasons(RULE, key(400, 80), CHECK, unused_days=80) == []
    (reason,) = reasons(RULE, key(400, 80), CHECK, unused_days=30, grace_days=3)
    assert reason.grace_days == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("unused_days", 0), ("unused_days", 3651), ("grace_days", -1), ("grace_days", 366)],
)
def test_settings_out_of_bounds_are_refused(name: str, value: int) -> None:
    with pytest.raises(SettingsError, match=name):
        validated(RULE.id, Settings, {name: value})


def test_an_exemption_covers_it() -> None:
    assert exempt_by(RULE, key(400)) == "ours"
    assert exempt_by(RULE, password(400)) == "ours"


def test_no_event_raises_it_but_the_sweep_does() -> None:
    assert RULE.concerns(CHECK)
    assert not RULE.concerns(a_hint("CreateAccessKey"))


def test_it_is_medium_and_contains() -> None:
    assert RULE.settings().severity is Severity.MEDIUM
    assert RULE.enforcement is Enforcement.CONTAIN
    assert RULE.needs == "state"
