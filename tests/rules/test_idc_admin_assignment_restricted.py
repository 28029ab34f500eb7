import json
import re
from typing import Any

import pytest

from keyward.actions import Enforcement
from keyward.errors import SettingsError
from keyward.findings import Reason, Severity
from keyward.model import AccountAssignment, PolicyDocument, PrincipalKind
from keyward.rules.idc_admin_assignment_restricted import RULE
from keyward.settings import validated
from tests.builders import (
    DEVELOPER,
    GROUP_ID,
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
PRODUCTION = "ou-ab12-11111111"
ROOT = "r-ab12"


def a_document(*actions: str) -> PolicyDocument:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return PolicyDocument(name="AdministratorAccess", text=text)


EVERYTHING = a_document("*")
READING = a_document("s3:GetObject")


def read(
    *documents: PolicyDocument,
    account: str = HUB,
    parents: tuple[str, ...] | None = (PRODUCTION, ROOT),
    **of_the_set: Any,
) -> AccountAssignment:
    """An assignment to a group, as Identity Center shows it."""
    known = a_permission_set(attributes=DEVELOPER, documents=documents, **of_the_set)
    return an_assignment(
        PrincipalKind.GROUP, account=account, permission_set=known, parents=parents
    )


def found(subject: AccountAssignment, **settings: object) -> list[Reason]:
    return reasons(RULE, subject, ASSIGNED, **({"accounts": (HUB,)} | settings))


@pytest.mark.parametrize(
    ("pattern", "is_let_be"),
    [
        (f"arn:aws:iam::{HUB}:role/jit/*", True),
        (f"arn:aws:iam::{MEMBER}:role/jit/*", False),
        (f"arn:aws:iam::{HUB}:role/*", False),
    ],
)
def test_what_just_in_time_tools_assign_is_let_be(pattern: str, *, is_let_be: bool) -> None:
    by = a_center_hint("CreateAccountAssignment", actor=a_role_session("jit/elevator", account=HUB))
    asked = {"accounts": (HUB,), "just_in_time": (pattern,)}
    assert bool(reasons(RULE, read(EVERYTHING), by, **asked)) is not is_let_be


def test_where_a_sweep_cannot_tell_who_assigned_it_it_is_told_and_not_removed() -> None:
    tools = {"accounts": (HUB,), "just_in_time": (f"arn:aws:iam::{HUB}:role/jit/*",)}
    (reason,) = reasons(RULE, read(EVERYTHING), a_check(), **tools)
    assert reason.report_only
    (reason,) = reasons(RULE, read(EVERYTHING), a_check(), accounts=(HUB,))
    assert not reason.report_only


@pytest.mark.parametrize("kind", list(PrincipalKind))
def test_the_event_alone_only_tells_that_the_account_is_reserved(kind: PrincipalKind) -> None:
    (reason,) = found(an_assignment(kind, account=HUB))
    assert (reason.code, reason.maybe) == ("admin", True)


def test_an_account_that_nobody_reserved_is_compliant_and_not_looked_at() -> None:
    assert found(an_assignment(account=MEMBER)) == []
    assert found(read(EVERYTHING, account=MEMBER)) == []
    assert reasons(RULE, read(EVERYTHING), ASSIGNED) == []


def test_administrators_in_a_reserved_account_are_objected_to() -> None:
    (reason,) = found(read(EVERYTHING))
    assert (reason.code, reason.maybe, reason.report_only) == ("admin", False, False)
    assert f"in account {HUB}, which is reserved: " in reason.text
    assert "(everything; AdministratorAccess: statement 1)" in reason.text
    assert reason.details[0] in reason.text
    assert not any("attach-user-policy" in line for line in reason.details)


def test_of_very_many_ways_ten_are_listed() -> None:
    services = ("iam:CreatePolicyVersion", "iam:Attach*", "iam:Put*", "iam:PassRole", "lambda:*")
    (reason,) = found(read(a_document(*services, "ec2:*", "glue:*", "ecs:*", "codebuild:*")))
    assert len(reason.details) == 11
    assert re.fullmatch(r"and \d+ ways more", reason.details[-1])


def test_what_does_not_reach_that_far_is_compliant() -> None:
    assert found(read(READING)) == []
    assert found(read()) == []


def test_the_policies_count_together_and_under_the_boundary() -> None:
    halves = (
        a_document("lambda:CreateFunction", "lambda:InvokeFunction"),
        PolicyDocument(name="half", text=a_document("iam:PassRole").text),
    )
    assert found(read(halves[0])) == []
    assert found(read(*halves))
    assert found(read(EVERYTHING, boundary_document=READING)) == []


def test_settings_say_from_where_on_a_set_counts() -> None:
    commanding = read(a_document("ssm:SendCommand"))
    assert found(commanding) == []
    assert found(commanding, reach="indirect")
    escalating = read(a_document("iam:AttachUserPolicy"))
    assert found(escalating)
    assert found(escalating, reach="admin") == []


@pytest.mark.parametrize("principal", [GROUP_ID, PERSON_ID])
def test_whoever_may_have_it_is_compliant_and_not_looked_at(principal: str) -> None:
    allowed = {"allowed_principals": (GROUP_ID,)}
    claim = an_assignment(account=HUB, principal_id=principal)
    assert (found(claim, **allowed) == []) is (principal == GROUP_ID)


@pytest.mark.parametrize("unit", [PRODUCTION, ROOT])
def test_an_ou_reserves_all_accounts_below(unit: str) -> None:
    settings = {"accounts": (), "organizational_units": (unit,)}
    assert found(an_assignment(account=MEMBER), **settings)[0].maybe
    (reason,) = found(read(EVERYTHING, account=MEMBER), **settings)
    assert not reason.report_only
    assert found(read(EVERYTHING, account=MEMBER, parents=(ROOT[:-1],)), **settings) == []


def test_where_the_ous_cannot_be_seen_it_is_told_and_not_removed() -> None:
    unseen = read(EVERYTHING, account=MEMBER, parents=None)
    (reason,) = found(unseen, organizational_units=(PRODUCTION,))
    assert reason.report_only
    assert "whose OUs can't be seen" in reason.text
    (certain,) = found(read(EVERYTHING, parents=None), organizational_units=(PRODUCTION,))
    assert not certain.report_only


@pytest.mark.parametrize(
    "wrong",
    [
        {"organizational_units": ["Production"]},
        {"organizational_units": ["ou-AB12-11111111"]},
        {"accounts": ["12345"]},
        {"reach": "none"},
    ],
)
def test_settings_that_name_no_such_thing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        validated(RULE.id, RULE.settings, wrong)


def test_it_is_critical_and_that_assignment_is_removed() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REMOVE_ASSIGNMENT
    assert RULE.needs == "state"


def test_an_assignment_is_exempt_by_its_unique_id() -> None:
    subject = read(EVERYTHING)
    exemption = an_exemption(RULE.id, account=HUB, unique_id=f"{SET_ARN}/GROUP/{GROUP_ID}")
    del exemption["user_id"]
    settings = settings_in_force(exemptions={"ours": exemption})
    assert settings.exemption(rule=RULE.id, subject=subject, now=ASSIGNED.time) == "ours"
