"""Who becomes admin in an account, by whichever way, end to end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from keyward.findings import State
from tests.flow.world import World

RULE = "iam-admin-granted"
ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY_ACCESS = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def policy(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def only(world: World) -> World:
    """Only this rule enforces: others would contain the users that are made for the tests."""
    world.settings(
        rules={RULE: {"mode": "enforce"}, "iam-user-policy-attached": {"mode": "off"}},
    )
    world.iam().create_user(UserName="eve")
    world.iam().create_role(RoleName="deployer", AssumeRolePolicyDocument=TRUST)
    return world


def test_a_user_who_became_admin_is_quarantined(only: World) -> None:
    only.deliver(only.do("AttachUserPolicy", UserName="eve", PolicyArn=ADMINISTRATOR_ACCESS))
    assert only.is_denied("eve")
    record = only.finding(RULE)
    assert (record.state, record.severity.value) == (State.ACTED, "critical")
    assert "everything" in record.reason


def test_a_role_that_became_admin_is_reported_and_keeps_its_policy(only: World) -> None:
    event = only.do("AttachRolePolicy", RoleName="deployer", PolicyArn=ADMINISTRATOR_ACCESS)
    only.deliver(event)
    record = only.finding(RULE)
    assert (record.state, record.held) == (State.OPEN, None)
    attached = only.iam().list_attached_role_policies(RoleName="deployer")["AttachedPolicies"]
    assert [item["PolicyArn"] for item in attached] == [ADMINISTRATOR_ACCESS]


def test_two_policies_that_only_together_lead_to_more_are_found(only: World) -> None:
    first = only.do(
        "PutRolePolicy",
        RoleName="deployer",
        PolicyName="pass",
        PolicyDocument=policy("iam:PassRole"),
    )
    only.deliver(first)
    assert only.findings() == []
    second = only.do(
        "PutRolePolicy",
        RoleName="deployer",
        PolicyName="make",
        PolicyDocument=policy("lambda:*"),
    )
    only.deliver(second)
    record = only.finding(RULE)
    assert any("pass" in line and "make" in line for line in record.details)


def test_whoever_joins_a_group_of_admins_is_quarantined(only: World) -> None:
    iam = only.iam()
    iam.create_group(GroupName="admins")
    iam.put_group_policy(GroupName="admins", PolicyName="all", PolicyDocument=policy("*"))
    only.deliver(only.do("AddUserToGroup", UserName="eve", GroupName="admins"))
    assert only.is_denied("eve")


def test_a_new_version_of_a_policy_concerns_everybody_who_has_it(only: World) -> None:
    iam = only.iam()
    made = iam.create_policy(PolicyName="team", PolicyDocument=policy("s3:GetObject"))
    arn = made["Policy"]["Arn"]
    iam.attach_user_policy(UserName="eve", PolicyArn=arn)
    iam.attach_role_policy(RoleName="deployer", PolicyArn=arn)
    event = only.do(
        "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=policy("*"), SetAsDefault=True
    )
    only.deliver(event)
    assert only.is_denied("eve")
    assert {(record.subject, record.state) for record in only.findings()} == {
        ("IAM user eve", State.ACTED),
        ("IAM role deployer", State.OPEN),
    }


def test_a_boundary_that_holds_makes_nobody_admin(only: World) -> None:
    only.extension.boundaries[only.member, "eve"] = READ_ONLY_ACCESS
    only.deliver(only.do("AttachUserPolicy", UserName="eve", PolicyArn=ADMINISTRATOR_ACCESS))
    assert only.findings() == []
    assert not only.is_denied("eve")


def test_a_policy_that_leads_nowhere_costs_no_call(only: World) -> None:
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    event = only.event("AttachUserPolicy", {"UserName": "eve", "PolicyArn": arn})
    only.services.accepted(only.now)
    assert not only.counted(event)


def test_the_text_of_a_version_is_read_once(only: World) -> None:
    event = only.do("AttachRolePolicy", RoleName="deployer", PolicyArn=ADMINISTRATOR_ACCESS)
    assert only.counted(event)["GetPolicyVersion"] == 1
    only.later(minutes=1)
    again = only.do("AttachRolePolicy", RoleName="deployer", PolicyArn=ADMINISTRATOR_ACCESS)
    counted = only.counted(again)
    assert (counted["GetPolicy"], counted["GetPolicyVersion"]) == (1, 0)


def test_a_policy_made_anew_under_the_same_name_is_read_anew(only: World) -> None:
    iam = only.iam()
    for action in ("lambda:UpdateFunctionCode", "*"):
        made = iam.create_policy(PolicyName="team", PolicyDocument=policy(action))
        arn = made["Policy"]["Arn"]
        only.deliver(only.do("AttachRolePolicy", RoleName="deployer", PolicyArn=arn))
        iam.detach_role_policy(RoleName="deployer", PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)
    assert "everything" in only.finding(RULE).reason


def test_whose_name_was_given_to_another_is_left_alone(only: World) -> None:
    event = only.event(
        "AttachUserPolicy",
        {"UserName": "eve", "PolicyArn": ADMINISTRATOR_ACCESS},
        at=only.now - timedelta(days=1),
    )
    only.iam().attach_user_policy(UserName="eve", PolicyArn=ADMINISTRATOR_ACCESS)
    only.deliver(event)
    assert not only.is_denied("eve")
