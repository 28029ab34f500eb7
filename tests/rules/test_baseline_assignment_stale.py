from typing import Any

import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import AccountAssignment, PrincipalKind
from keyward.principals import CONTROL_TOWER_GROUPS
from keyward.rules.baseline_assignment_stale import RULE
from tests.builders import (
    MEMBER,
    a_lifecycle,
    a_permission_set,
    an_access,
    an_account,
    an_assignment,
    an_expectation,
    exempt_by_id,
    reasons,
)

SANDBOX = ("sandbox",)


def held(
    *, kind: PrincipalKind = PrincipalKind.GROUP, name: str | None = "Devs", **expected: Any
) -> AccountAssignment:
    return an_assignment(
        kind,
        permission_set=a_permission_set(),
        principal_name=name,
        expected=an_expectation(**expected),
    )


def test_an_account_that_was_not_read_may_hold_something_stale() -> None:
    (reason,) = reasons(RULE, an_account(moved=True))
    assert (reason.code, reason.maybe) == ("stale", True)


def test_an_account_that_is_where_it_was_holds_nothing_newly_stale() -> None:
    assert reasons(RULE, an_account()) == []


def test_an_account_that_was_read_is_judged_by_its_assignments() -> None:
    assert reasons(RULE, an_account(wanted=(), missing=())) == []
    assert reasons(RULE, an_account(wanted=(an_access(),), missing=(an_access(),))) == []


@pytest.mark.parametrize(
    ("expected", "report_only"),
    [
        ({"exclusive": True}, False),
        ({"exclusive": True, "elsewhere": SANDBOX}, False),
        ({"elsewhere": SANDBOX}, True),
    ],
)
def test_what_is_wanted_elsewhere_is_reported_and_removed_where_exclusive(
    expected: dict[str, Any], *, report_only: bool
) -> None:
    (reason,) = reasons(RULE, held(**expected))
    assert (reason.code, reason.maybe) == ("stale", False)
    assert reason.report_only is report_only


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"in_place": True, "grace_over": True},
        {"wanted": True},
        {"wanted": True, "exclusive": True, "elsewhere": SANDBOX},
    ],
)
def test_what_is_wanted_here_or_nowhere_is_compliant(expected: dict[str, Any]) -> None:
    assert reasons(RULE, held(**expected)) == []


def test_of_an_assignment_that_no_baseline_was_asked_about_nothing_is_said() -> None:
    assert reasons(RULE, an_assignment(PrincipalKind.GROUP, principal_name="Devs")) == []


def test_the_reason_says_who_holds_what_where_and_who_wants_it_elsewhere() -> None:
    (reason,) = reasons(RULE, held(elsewhere=("sandbox", "labs")))
    assert reason.text == (
        f"assignment of permission set Developer to group Devs in account {MEMBER}, "
        "where none of its baselines wants it; elsewhere: sandbox, labs"
    )
    (reason,) = reasons(RULE, held(exclusive=True))
    assert reason.text.endswith("which its baselines, one of them exclusive, don't want")


def test_what_people_hold_is_compliant() -> None:
    subject = held(kind=PrincipalKind.USER, exclusive=True, elsewhere=SANDBOX)
    assert reasons(RULE, subject) == []


@pytest.mark.parametrize("group", sorted(CONTROL_TOWER_GROUPS))
def test_what_control_tower_s_groups_hold_is_compliant(group: str) -> None:
    assert reasons(RULE, held(name=group, exclusive=True, elsewhere=SANDBOX)) == []


def test_a_group_whose_name_cannot_be_read_may_be_control_tower_s_and_loses_nothing() -> None:
    (reason,) = reasons(RULE, held(name=None, exclusive=True))
    assert reason.report_only


def test_other_subjects_are_none_of_its_business() -> None:
    assert reasons(RULE, a_lifecycle()) == []


def test_it_is_medium_and_removes_the_assignment() -> None:
    assert RULE.settings().severity is Severity.MEDIUM
    assert RULE.enforcement is Enforcement.REMOVE_ASSIGNMENT
    assert (RULE.needs, RULE.patience_seconds) == ("state", 0)


def test_an_assignment_or_all_of_an_account_is_exempt_by_its_unique_id() -> None:
    subject = held(exclusive=True)
    assert exempt_by_id(RULE, subject) == "ours"
    assert exempt_by_id(RULE, subject, unique_id=f"{MEMBER}/access") == "ours"
    assert exempt_by_id(RULE, an_account(), unique_id=f"{MEMBER}/access") == "ours"
