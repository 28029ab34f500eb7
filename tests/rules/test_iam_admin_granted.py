import json
from dataclasses import replace

import pytest

from keyward.actions import DENY_ALL_ARN
from keyward.findings import Severity
from keyward.model import IamPrincipal, PolicyDocument
from keyward.policy import Reach
from keyward.rules.iam_admin_granted import RULE
from tests.builders import (
    MEMBER,
    NOW,
    USER_ID,
    a_hint,
    a_role_session,
    an_exemption,
    an_iam_user,
    reasons,
    settings_in_force,
)

EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
NOTHING = json.dumps({"Version": "2012-10-17", "Statement": []})
DENIED = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
)


def a_principal(
    *texts: str,
    kind: str = "user",
    name: str = "bob",
    added: PolicyDocument | None = None,
    boundary: str | None = None,
) -> IamPrincipal:
    return IamPrincipal(
        account=MEMBER,
        kind=kind,  # type: ignore[arg-type]  # one of the three words
        name=name,
        principal_id=USER_ID if kind == "user" else "AROACKCEVSQ6C2EXAMPLE",
        arn=f"arn:aws:iam::{MEMBER}:{kind}/{name}",
        policies=tuple(
            PolicyDocument(name=f"policy-{number}", text=text) for number, text in enumerate(texts)
        )
        or None,
        boundary=boundary and PolicyDocument(name="boundary", text=boundary),  # type: ignore[arg-type]  # None stays None
        added=added,
        user=an_iam_user() if kind == "user" else None,
        since=NOW,
    )


def test_whoever_may_do_everything_is_admin_and_the_reason_names_the_policy() -> None:
    (reason,) = reasons(RULE, a_principal(NOTHING, EVERYTHING))
    assert not reason.maybe
    assert "reaches admin" in reason.text
    assert any("policy-1" in line for line in reason.details)


@pytest.mark.parametrize("texts", [(NOTHING,), (EVERYTHING, DENIED)])
def test_whoever_may_do_nothing_is_compliant(texts: tuple[str, ...]) -> None:
    assert reasons(RULE, a_principal(*texts)) == []


def test_a_boundary_that_holds_the_principal_back_makes_it_compliant() -> None:
    assert reasons(RULE, a_principal(EVERYTHING, boundary=NOTHING)) == []
    assert reasons(RULE, a_principal(EVERYTHING, boundary=EVERYTHING)) != []


def test_roles_and_groups_are_only_reported() -> None:
    assert [
        reason.report_only
        for kind in ("user", "role", "group")
        for reason in reasons(RULE, a_principal(EVERYTHING, kind=kind))
    ] == [False, True, True]


@pytest.mark.parametrize(
    ("arn", "found"),
    [
        (f"arn:aws:iam::{MEMBER}:role/OrganizationAccountAccessRole", 0),
        (f"arn:aws:iam::{MEMBER}:role/team/OrganizationAccountAccessRole", 1),
        (f"arn:aws:iam::{MEMBER}:role/OrganizationAccountAccessRole2", 1),
        (f"arn:aws:iam::{MEMBER}:role/aws-service-role/ops.apigateway.amazonaws.com/AWSX", 0),
    ],
)
def test_who_may_be_admin_is_told_by_the_whole_arn(arn: str, found: int) -> None:
    principal = replace(a_principal(EVERYTHING, kind="role"), arn=arn)
    assert len(reasons(RULE, principal)) == found


def test_from_which_reach_on_it_counts_is_a_setting() -> None:
    text = json.dumps(
        {"Statement": [{"Effect": "Allow", "Action": "lambda:UpdateFunctionCode", "Resource": "*"}]}
    )
    assert reasons(RULE, a_principal(text)) == []
    assert len(reasons(RULE, a_principal(text), reach=Reach.INDIRECT)) == 1
    assert reasons(RULE, a_principal(EVERYTHING), reach=Reach.ADMIN) != []


def test_an_event_alone_only_makes_somebody_look() -> None:
    added = PolicyDocument(
        name="AdministratorAccess", text="", arn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    (reason,) = reasons(RULE, a_principal(added=added))
    assert reason.maybe


@pytest.mark.parametrize("arn", ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", DENY_ALL_ARN])
def test_a_policy_of_aws_that_leads_nowhere_makes_nobody_look(arn: str) -> None:
    added = PolicyDocument(name=arn.rpartition("/")[2], text="", arn=arn)
    assert reasons(RULE, a_principal(added=added)) == []


def test_what_identity_center_provisions_makes_nobody_look() -> None:
    path = "aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO"
    hint = a_hint("AttachRolePolicy", actor=a_role_session(path, invoked_by="sso.amazonaws.com"))
    added = PolicyDocument(name="all", text=EVERYTHING)
    assert reasons(RULE, a_principal(kind="role", added=added), hint) == []
    assert len(reasons(RULE, a_principal(kind="role", added=added))) == 1


def test_it_is_critical() -> None:
    assert RULE.settings().severity is Severity.CRITICAL


def test_an_exempted_user_is_exempt_and_an_exempted_role_by_its_id() -> None:
    user, role = a_principal(EVERYTHING), a_principal(EVERYTHING, kind="role")
    by_id = an_exemption(RULE.id, unique_id=role.unique_id)
    del by_id["user_id"]
    settings = settings_in_force(exemptions={"user": an_exemption(RULE.id), "role": by_id})
    assert settings.exemption(rule=RULE.id, subject=user, now=NOW) == "user"
    assert settings.exemption(rule=RULE.id, subject=role, now=NOW) == "role"
