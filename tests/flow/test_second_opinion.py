"""IAM Access Analyzer beside Keyward's own analysis: asked where it may, and never in the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from keyward import rules
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.settling import settle
from tests.flow.center import ADMINISTRATOR_ACCESS, DEVELOPER, READ_ONLY_ACCESS, Center
from tests.flow.world import HUB, REGION, aws_error

RULE = "idc-permission-set-admin-equivalent"
CHECK = "CheckAccessNotGranted"
ON = {"ceiling": "enforce", "identity_center": {"second_opinion": True}}
OBJECTS = {
    "result": "FAIL",
    "message": "The policy document grants access.",
    "reasons": [{"description": "One of the actions in the statement.", "statementIndex": 0}],
}


def policy(action: str, **others: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*", **others}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


PASSING = policy("iam:PassRole")


def put(center: Center, document: str = PASSING, name: str = "Contractors") -> list[dict[str, Any]]:
    """Puts an inline policy on a set, and returns what Access Analyzer was asked for it."""
    arn = center.named(name) or center.permission_set(name, READ_ONLY_ACCESS)
    event = center.do("PutInlinePolicyToPermissionSet", PermissionSetArn=arn, InlinePolicy=document)
    with center.world.recorded() as calls:
        center.settle(event)
        return [params for operation, params in calls if operation == CHECK]


def told(center: Center) -> list[FindingRecord]:
    return [record for record in center.world.findings() if record.rule == RULE]


def test_what_it_alone_objects_to_is_told_and_left(center: Center) -> None:
    center.world.settings(settings=ON)
    center.world.extension.opinion = OBJECTS
    (asked,) = put(center)
    (record,) = told(center)
    assert (record.state, record.severity) == (State.OPEN, Severity.MEDIUM)
    assert record.action is None
    assert record.details[0] == "One of the actions in the statement."
    assert json.loads(asked["policyDocument"]) == json.loads(PASSING)
    assert asked["_account"] == HUB


def test_where_it_agrees_nothing_is_told(center: Center) -> None:
    center.world.settings(settings=ON)
    assert len(put(center)) == 1
    assert told(center) == []


def test_it_is_not_asked_unless_a_setting_allows_it(center: Center) -> None:
    center.world.settings()
    center.world.extension.opinion = OBJECTS
    assert put(center) == []
    assert told(center) == []


@pytest.mark.parametrize(
    "document", [policy("s3:GetObject"), policy("*"), policy("iam:AttachRolePolicy")]
)
def test_it_is_not_asked_about_what_keyward_is_sure_of(center: Center, document: str) -> None:
    center.world.settings(settings=ON)
    assert put(center, document) == []


def test_it_is_not_asked_about_what_the_catalogue_names(center: Center) -> None:
    entry = {**DEVELOPER, "inline_policy": json.loads(PASSING)}
    center.world.settings(settings=ON, permission_sets={"Developer": entry})
    assert put(center, PASSING, "Developer") == []
    assert len(put(center, PASSING, "Contractors")) == 1


def test_the_same_policy_is_asked_about_once_while_a_function_is_warm(center: Center) -> None:
    center.world.settings(settings=ON)
    assert len(put(center)) == 1
    assert put(center) == []
    center.world.restart()
    assert len(put(center)) == 1


# Its absence


def refusing(code: str, status: int, *, refused: str = CHECK) -> Callable[..., Any]:
    def fault(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == refused:
            raise aws_error(code, operation, status)
        return call()

    return fault


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDeniedException", 403),
        ("ThrottlingException", 429),
        ("InternalServerException", 500),
        ("InvalidParameterException", 400),
        ("ResourceNotFoundException", 404),
        ("UnrecognizedClientException", 403),
    ],
)
def test_that_it_does_not_answer_changes_nothing(
    center: Center, caplog: pytest.LogCaptureFixture, code: str, status: int
) -> None:
    center.world.settings(settings=ON)
    center.world.fault = refusing(code, status)
    assert len(put(center)) == 1
    assert told(center) == []
    assert [line for line in caplog.messages if line == "no second opinion"]


def test_without_it_what_keyward_finds_is_acted_upon_all_the_same(center: Center) -> None:
    center.world.settings(settings=ON)
    center.world.fault = refusing("AccessDeniedException", 403)
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS)
    attached = {"PermissionSetArn": arn, "ManagedPolicyArn": ADMINISTRATOR_ACCESS}
    event = center.do("AttachManagedPolicyToPermissionSet", None, **attached)
    with center.world.recorded():
        center.settle(event)
    assert center.policies(arn) == {READ_ONLY_ACCESS}
    put(center)
    assert [record.state for record in told(center)] == [State.ACTED]


# The catalogue's inline policies


VALIDATE = "ValidatePolicy"
DOUBT = {
    "findingType": "SECURITY_WARNING",
    "issueCode": "PASS_ROLE_WITH_STAR_IN_RESOURCE",
    "findingDetails": "It can be overly permissive",
}


def catalogued(center: Center, *names: str, action: str = "iam:PassRole") -> int:
    """The owners write a permission set of each name; how often Access Analyzer was asked."""
    client = boto3.client("ssm", region_name=REGION)
    entry = {**DEVELOPER, "inline_policy": json.loads(policy(action))}
    for name in names:
        text = json.dumps(entry)
        parameter = f"/keyward/permission-sets/{name}"
        client.put_parameter(Name=parameter, Value=text, Type="String", Overwrite=True)
    center.world.later(minutes=1)
    services = center.world.services
    with center.world.recorded() as calls:
        compilation = settle(
            ssm=services.ssm,
            ledger=services.ledger,
            rules=rules.every(),
            now=center.world.now,
            hub=services,
        )
        assert not compilation.refused
        return [name for name, _ in calls].count(VALIDATE)


def allow_it(*, allowed: bool = True) -> None:
    text = json.dumps({"identity_center": {"second_opinion": allowed}})
    boto3.client("ssm", region_name=REGION).put_parameter(
        Name="/keyward/settings", Value=text, Type="String", Overwrite=True
    )


def doubted(center: Center) -> list[Notice]:
    return [
        one
        for one in center.world.untold()
        if isinstance(one, Notice) and one.kind == "policy-doubted"
    ]


def test_what_it_doubts_in_the_catalogue_is_told_once_and_in_force(center: Center) -> None:
    allow_it()
    center.world.extension.doubts = [DOUBT]
    assert catalogued(center, "Builder") == 1
    assert catalogued(center, "Builder") == 0
    (notice,) = doubted(center)
    assert "permission set Builder" in notice.title
    assert "PASS_ROLE_WITH_STAR_IN_RESOURCE: It can be overly permissive." in notice.text
    assert "/keyward/permission-sets/Builder" in notice.text
    accepted = center.world.ledger.accepted()
    assert accepted is not None
    assert "Builder" in accepted.permission_sets
    assert catalogued(center, "Builder", action="iam:GetRole") == 1
    assert len(doubted(center)) == 2


def test_the_catalogue_is_not_doubted_unless_a_setting_allows_it(center: Center) -> None:
    allow_it(allowed=False)
    center.world.extension.doubts = [DOUBT]
    assert catalogued(center, "Builder") == 0
    assert doubted(center) == []


def test_a_catalogue_in_which_it_finds_nothing_is_not_told(center: Center) -> None:
    allow_it()
    assert catalogued(center, "Builder") == 1
    assert doubted(center) == []


@pytest.mark.parametrize(
    ("code", "asked"), [("AccessDeniedException", 2), ("ThrottlingException", 1)]
)
def test_without_it_the_catalogue_is_in_force_and_looked_at(
    center: Center, code: str, asked: int
) -> None:
    allow_it()
    center.world.fault = refusing(code, 400, refused=VALIDATE)
    assert catalogued(center, "Builder", "Tester") == asked
    assert doubted(center) == []
    accepted = center.world.ledger.accepted()
    assert accepted is not None
    assert {"Builder", "Tester"} <= set(accepted.permission_sets)
    assert not accepted.unchecked
    message = center.next_message() or ""
    assert json.loads(message)["parameters"]["permissionSetName"] in {"Builder", "Tester"}
