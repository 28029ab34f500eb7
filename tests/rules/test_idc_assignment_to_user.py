from dataclasses import replace

import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import PrincipalKind
from keyward.rules.idc_assignment_to_user import RULE
from tests.builders import (
    HUB,
    MEMBER,
    PERSON_ID,
    SET_ARN,
    a_center_hint,
    a_check,
    a_permission_set,
    a_role_session,
    an_assignment,
    an_exemption,
    reasons,
    settings_in_force,
)

ASSIGNED = a_center_hint("CreateAccountAssignment")
ELEVATOR = a_center_hint(
    "CreateAccountAssignment", actor=a_role_session("jit/elevator", account=HUB)
)


def test_an_assignment_to_a_person_is_objected_to_whether_read_or_claimed() -> None:
    claim = an_assignment()
    for subject in (claim, replace(claim, permission_set=a_permission_set())):
        (reason,) = reasons(RULE, subject, ASSIGNED)
        assert (reason.code, reason.maybe, reason.report_only) == ("user", False, False)


def test_the_reason_says_who_holds_what_and_where() -> None:
    subject = an_assignment(permission_set=a_permission_set(), principal_name="jane")
    (reason,) = reasons(RULE, subject, ASSIGNED)
    assert reason.text == (
        f"assignment of permission set Developer to user jane in account {MEMBER}, not to a group"
    )


@pytest.mark.parametrize(
    ("name", "tools", "only_told"),
    [
        ("Developer", (), False),
        ("Developer", (f"arn:aws:iam::{HUB}:role/jit/elevator",), True),
        ("AWSAdministratorAccess", (), True),
    ],
)
def test_where_a_sweep_cannot_tell_who_assigned_it_it_is_told_and_not_removed(
    name: str, tools: tuple[str, ...], *, only_told: bool
) -> None:
    subject = an_assignment(permission_set=a_permission_set(name))
    (reason,) = reasons(RULE, subject, a_check(), just_in_time=tools)
    assert reason.report_only is only_told
    (reason,) = reasons(RULE, subject, ASSIGNED, just_in_time=tools)
    assert reason.report_only is False


def test_a_group_assignment_is_compliant() -> None:
    assert reasons(RULE, an_assignment(PrincipalKind.GROUP), ASSIGNED) == []


def test_what_an_old_console_assigned_only_may_be_so_until_it_is_read() -> None:
    claim = an_assignment(permission_set_arn="p-1a2b3c4d5e6f7a8b")
    (reason,) = reasons(RULE, claim, a_center_hint("AssociateProfile"))
    assert (reason.code, reason.maybe) == ("user", True)


@pytest.mark.parametrize(
    ("pattern", "is_let_be"),
    [
        (f"arn:aws:iam::{HUB}:role/jit/elevator", True),
        (f"arn:aws:iam::{HUB}:role/jit/*", True),
        (f"arn:aws:iam::{HUB}:role/*", False),
        (f"arn:aws:iam::{MEMBER}:role/jit/elevator", False),
        ("elevator", False),
    ],
)
def test_what_just_in_time_tools_assign_is_compliant(pattern: str, *, is_let_be: bool) -> None:
    found = reasons(RULE, an_assignment(), ELEVATOR, just_in_time=(pattern,))
    assert (found == []) is is_let_be


def test_it_is_high_and_that_assignment_is_removed() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REMOVE_ASSIGNMENT
    assert (RULE.needs, RULE.patience_seconds) == (None, 0)


def test_an_assignment_is_exempt_by_its_unique_id_in_its_account_only() -> None:
    unique_id = f"{SET_ARN}/USER/{PERSON_ID}"
    exemption = an_exemption(RULE.id, unique_id=unique_id)
    del exemption["user_id"]
    settings = settings_in_force(exemptions={"ours": exemption})
    now = ASSIGNED.time
    for account, name in ((MEMBER, "ours"), (HUB, None)):
        subject = an_assignment(account=account)
        assert settings.exemption(rule=RULE.id, subject=subject, now=now) == name
