from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import AccountAssignment, PrincipalKind
from keyward.rules.account_factory_user_assignment import RULE
from tests.builders import (
    MEMBER,
    a_lifecycle,
    a_permission_set,
    an_account,
    an_assignment,
    an_expectation,
    exempt_by_id,
    reasons,
)

ADMINISTRATOR = "AWSAdministratorAccess"


def held(
    permission_set: str | None = ADMINISTRATOR,
    kind: PrincipalKind = PrincipalKind.USER,
    **expected: Any,
) -> AccountAssignment:
    """The first user's access, with everything in place and the grace period over."""
    known = {"in_place": True, "grace_over": True}
    return an_assignment(
        kind,
        permission_set=a_permission_set(permission_set),
        principal_name="jane",
        expected=an_expectation(**(known | expected)),
    )


def test_an_account_whose_grace_period_is_over_may_have_its_first_user_still() -> None:
    (reason,) = reasons(RULE, an_account(grace_over=True))
    assert (reason.code, reason.maybe) == ("user", True)


def test_before_the_grace_period_is_over_nobody_looks() -> None:
    assert reasons(RULE, an_account()) == []
    assert reasons(RULE, held(grace_over=False)) == []
    assert reasons(RULE, held(grace_over=False, in_place=False)) == []


def test_an_account_that_was_read_is_judged_by_its_assignments() -> None:
    assert reasons(RULE, an_account(grace_over=True, wanted=(), missing=())) == []


def test_the_first_user_s_access_is_objected_to_once_the_baselines_is_in_place() -> None:
    (reason,) = reasons(RULE, held())
    assert (reason.code, reason.maybe, reason.report_only) == ("user", False, False)
    assert reason.text == (
        f"assignment of permission set {ADMINISTRATOR} to user jane in account {MEMBER} "
        "is still there, though the account has its baselines' access"
    )


def test_until_then_it_is_only_reported() -> None:
    (reason,) = reasons(RULE, held(in_place=False))
    assert (reason.code, reason.report_only) == ("user", True)
    assert reason.text.endswith("hasn't all of its baselines' access yet")


@pytest.mark.parametrize(
    ("name", "listed", "is_found"),
    [
        (ADMINISTRATOR, (ADMINISTRATOR, "AWSPowerUserAccess"), True),
        ("AWSPowerUserAccess", (ADMINISTRATOR,), False),
        ("AWSPowerUserAccess", (ADMINISTRATOR, "AWSPowerUserAccess"), True),
        (ADMINISTRATOR, (), False),
        (None, (ADMINISTRATOR,), False),
    ],
)
def test_only_the_permission_sets_in_its_settings_count(
    name: str | None, listed: tuple[str, ...], *, is_found: bool
) -> None:
    assert bool(reasons(RULE, held(name), permission_sets=listed)) is is_found


def test_what_groups_hold_is_compliant() -> None:
    assert reasons(RULE, held(kind=PrincipalKind.GROUP)) == []


def test_what_was_not_read_or_no_baseline_was_asked_about_is_let_be() -> None:
    assert reasons(RULE, replace(held(), permission_set=None)) == []
    assert reasons(RULE, replace(held(), expected=None)) == []


def test_other_subjects_are_none_of_its_business() -> None:
    assert reasons(RULE, a_lifecycle()) == []


@pytest.mark.parametrize(
    ("minutes", "is_valid"), [(-1, False), (0, True), (10_080, True), (10_081, False)]
)
def test_the_grace_period_is_a_week_at_most(minutes: int, *, is_valid: bool) -> None:
    if is_valid:
        assert RULE.settings(grace_minutes=minutes).grace_minutes == minutes
    else:
        with pytest.raises(ValidationError, match="grace_minutes"):
            RULE.settings(grace_minutes=minutes)


def test_it_is_medium_and_removes_the_assignment_after_an_hour() -> None:
    settings = RULE.settings()
    assert (settings.severity, settings.grace_minutes) == (Severity.MEDIUM, 60)
    assert RULE.enforcement is Enforcement.REMOVE_ASSIGNMENT
    assert (RULE.needs, dict(RULE.triggers)) == ("state", {})


def test_an_assignment_or_all_of_an_account_is_exempt_by_its_unique_id() -> None:
    assert exempt_by_id(RULE, held()) == "ours"
    assert exempt_by_id(RULE, held(), unique_id=f"{MEMBER}/access") == "ours"
    assert exempt_by_id(RULE, an_account(), unique_id=f"{MEMBER}/access") == "ours"
