"""What another engine is asked: enough by itself, on whatever resource, and when it is worth it."""

import pytest

from keyward.policy import Reach
from keyward.policy.sentinels import NAME, SENTINELS, resources, worth_asking
from tests.policy.writing import Json, a_document, allow, deny, of

RESOURCES = resources(partition="aws", account="111122223333")
TAKEN_AT_ONCE = 100


@pytest.mark.parametrize("action", SENTINELS)
def test_each_sentinel_by_itself_makes_admin_where_it_is_allowed_on_all(action: str) -> None:
    assert of(allow(action)).reach is Reach.ESCALATION
    assert of(allow(action, [f"{it.removesuffix(NAME)}mine" for it in RESOURCES])).reach is (
        Reach.INDIRECT
    )


def test_the_calls_that_everybody_knows_are_among_them() -> None:
    assert {
        "iam:CreatePolicyVersion",
        "iam:AttachRolePolicy",
        "iam:PutUserPolicy",
        "iam:UpdateAssumeRolePolicy",
        "iam:AddUserToGroup",
    } <= set(SENTINELS)


@pytest.mark.parametrize(
    "action", ["iam:PassRole", "sts:AssumeRole", "sso:CreateAccountAssignment", "iam:CreateRole"]
)
def test_what_is_not_enough_by_itself_everywhere_is_none(action: str) -> None:
    assert action not in SENTINELS


def test_resources_are_whole_arns_of_each_kind() -> None:
    assert sorted(RESOURCES) == [
        f"arn:aws:iam::111122223333:{kind}/{NAME}" for kind in ("group", "policy", "role", "user")
    ]
    assert resources(partition="aws-us-gov", account="111122223333")[0].startswith(
        "arn:aws-us-gov:iam::111122223333:"
    )


def test_no_more_is_asked_than_one_call_takes() -> None:
    assert 0 < len(SENTINELS) <= TAKEN_AT_ONCE
    assert len(RESOURCES) <= TAKEN_AT_ONCE


@pytest.mark.parametrize(
    ("statement", "is_worth_it"),
    [
        (allow("iam:PassRole"), True),
        (allow("iam:AttachRolePolicy", "arn:aws:iam::*:role/app/*"), True),
        (allow("iam:CreateAccessKey", "arn:aws:iam::*:user/${aws:username}"), True),
        (deny("iam:*"), True),
        (allow("s3:*"), False),
        (allow("iam:AttachRolePolicy"), False),
        (allow("*"), False),
        ({"Effect": "Perhaps"}, True),
    ],
)
def test_it_is_worth_asking_where_we_see_less_than_there_might_be(
    statement: Json, *, is_worth_it: bool
) -> None:
    assert worth_asking(a_document(statement)) is is_worth_it


def test_it_is_not_worth_asking_about_a_policy_that_nobody_has_read() -> None:
    unread = a_document()
    assert not worth_asking(type(unread)(name="Gone", text="", arn="arn:aws:iam::aws:policy/Gone"))
