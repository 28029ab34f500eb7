"""The deployed operators: what Slack gets, and what a press of its buttons does in the account."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.emulator import MANAGEMENT_ACCOUNT
from local.inbox import wait_until
from local.phone import OPERATOR, Phone
from local.slack import MEMBERS
from tests.integration import in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.caller import Caller
    from local.inbox import Inbox
    from local.organization import Organization
    from local.slack import Message

BUS = "keyward-out"
INGRESS = "keyward-slack-ingress"
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Stage:
    """The organization while rules are in force, one account, what people hear, and Slack."""

    organization: Organization
    account: Caller
    inbox: Inbox

    def phone(self, name: str) -> Phone:
        return Phone(self.organization, name)

    def call(self, operation: str, **parameters: object) -> None:
        self.organization.driver.call(self.account, self.account.iam, operation, **parameters)
        self.inbox.wait_until_quiet()

    def contained_key_of(self, user: str) -> Message:
        """Have a key of a new user contained, and return Slack's message of it."""
        self.account.iam.create_user(UserName=user)
        self.call("CreateAccessKey", UserName=user)
        assert self.statuses(user) == ["Inactive"]
        return self.newest(user)

    def newest(self, about: str) -> Message:
        found = [it for it in self.messages() if about in it.shown()]
        assert found, f"Slack has no message about {about}"
        return found[-1]

    def messages(self) -> list[Message]:
        return self.organization.slack.in_channel(in_force.CHANNEL)

    def thread(self, message: Message) -> str:
        return "\n".join(it.shown() for it in self.organization.slack.thread_of(message))

    def statuses(self, user: str) -> list[str]:
        found = self.account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        return [key["Status"] for key in found]

    def acts(self, user: str) -> list[dict[str, Any]]:
        """What the ledger has of what was asked for about findings of this user."""
        shown = self.newest(user).shown()
        return [it for it in self.ask("acts")["acts"] if it["finding"] and it["finding"] in shown]

    def ask(self, act: str, **arguments: object) -> dict[str, Any]:
        request = {"act": act, "by": "arn:aws:iam::111122223333:user/operator", **arguments}
        answer = self.organization.hub.lambda_.invoke(
            FunctionName=OPERATOR, Payload=json.dumps(request).encode()
        )
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        assert found.get("ok") is True, found
        return found


@pytest.fixture(scope="module")
def enforcing(organization: Organization) -> Inbox:
    """Rules in force, and functions that know by now where Slack is."""
    inbox = in_force.enforcing(organization)
    found = Stage(organization, organization.member("audit"), inbox)

    def heard() -> bool:
        user = f"user-{uuid.uuid4().hex[:8]}"
        found.account.iam.create_user(UserName=user)
        found.call("CreateAccessKey", UserName=user)
        return any(user in it.shown() for it in found.messages())

    wait_until(heard, "Slack hears of a key", SECONDS)
    return inbox


@pytest.fixture
def stage(organization: Organization, enforcing: Inbox) -> Stage:
    enforcing.read()
    return Stage(organization, organization.member("audit"), enforcing)


@pytest.fixture
def name() -> str:
    return f"user-{uuid.uuid4().hex[:8]}"


def test_contained_key_is_one_message_that_says_all_and_has_buttons(
    stage: Stage, name: str
) -> None:
    message = stage.contained_key_of(name)
    assert len([it for it in stage.messages() if name in it.shown()]) == 1
    for part in ("HIGH", "audit", str(stage.account.access_key_id), "192.0.2.10", "Way back"):
        assert part in message.shown()
    assert list(message.buttons()) == ["Acknowledge", "Release"]
    assert stage.organization.slack.refused == []


def test_release_by_button_makes_the_key_active_and_the_thread_and_message_say_so(
    stage: Stage, name: str
) -> None:
    message = stage.contained_key_of(name)
    stage.phone("ana").fill_in(message, "Release", why="it is meant to be, OPS-1")
    assert stage.statuses(name) == ["Active"]
    assert "OPS-1" in stage.thread(message)
    assert "released" in message.shown().casefold()
    assert "Release" not in message.buttons()
    (act,) = [it for it in stage.acts(name) if it["outcome"] == "done"]
    assert (act["act"], act["via"], act["reason"]) == (
        "release",
        "slack",
        "it is meant to be, OPS-1",
    )


def test_critical_release_takes_two_people(stage: Stage, name: str) -> None:
    stage.contained_key_of(name)
    (key,) = stage.account.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    stage.call("UpdateAccessKey", UserName=name, AccessKeyId=key["AccessKeyId"], Status="Active")
    message = stage.newest(name)
    assert "CRITICAL" in message.shown()
    stage.phone("ana").fill_in(message, "Release", why="it is meant to be, OPS-2")
    assert stage.statuses(name) == ["Inactive"]
    stage.phone("ana").press(message, "Approve")
    assert stage.statuses(name) == ["Inactive"]
    stage.phone("ben").press(message, "Approve")
    assert stage.statuses(name) == ["Active"]
    assert "Ben" in stage.thread(message)


@pytest.mark.parametrize("stranger", ["dana", "chris"])
def test_press_of_who_may_not_is_refused_and_told_to_them_alone(
    stage: Stage, name: str, stranger: str
) -> None:
    message = stage.contained_key_of(name)
    before = len(stage.phone(stranger).whispers())
    assert stage.phone(stranger).press(message, "Release") == 200
    assert len(stage.phone(stranger).whispers()) == before + 1
    assert stage.statuses(name) == ["Inactive"]
    assert stage.thread(message) == ""
    assert {it["outcome"] for it in stage.acts(name)} == {"refused"}


def test_forged_press_goes_nowhere(stage: Stage, name: str) -> None:
    message = stage.contained_key_of(name)
    ana = stage.phone("ana")
    request = stage.organization.slack.pressing(message, "Acknowledge", by="ana")
    assert ana.send(request.forged()) == 401
    assert ana.send(request.altered(MEMBERS["ana"][0], MEMBERS["ben"][0])) == 401
    assert stage.acts(name) == []
    assert stage.thread(message) == ""


def test_press_that_comes_twice_does_one_thing(stage: Stage, name: str) -> None:
    message = stage.contained_key_of(name)
    ana = stage.phone("ana")
    request = stage.organization.slack.pressing(message, "Acknowledge", by="ana")
    assert ana.send(request) == 200
    thread = stage.thread(message)
    assert "Ana" in message.shown()
    assert ana.send(request) == 200
    assert stage.thread(message) == thread
    assert sorted(it["outcome"] for it in stage.acts(name)) == ["done", "refused"]


def test_order_contains_what_a_rule_only_reports(stage: Stage, name: str) -> None:
    stage.account.iam.create_user(UserName=name)
    stage.call("CreateLoginProfile", UserName=name, Password="Correct-horse-1")
    message = stage.newest(name)
    stage.phone("ana").fill_in(message, "Quarantine", why="nobody knows them, OPS-3")
    stage.inbox.wait_until_quiet()
    attached = stage.account.iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    assert [it["PolicyName"] for it in attached] == ["AWSDenyAll"]
    assert "OPS-3" in stage.thread(message)


def test_exemption_by_button_lasts_as_long_as_chosen(stage: Stage, name: str) -> None:
    stage.account.iam.create_user(UserName=name)
    stage.call("CreateLoginProfile", UserName=name, Password="Correct-horse-1")
    stage.phone("ana").fill_in(
        stage.newest(name), "Exempt", why="a screen in the lobby", ticket=name, long="30 days"
    )
    pages = stage.organization.hub.ssm.get_paginator("get_parameters_by_path")
    found = [
        json.loads(it["Value"])
        for page in pages.paginate(Path="/keyward/exemptions")
        for it in page["Parameters"]
        if name in it["Value"]
    ]
    assert [it["account"] for it in found] == [stage.account.access_key_id]
    assert found[0]["owner"].startswith("Ana ")
    assert stage.newest(name).buttons() == {}


def test_other_programs_hear_of_each_finding(stage: Stage, name: str) -> None:
    hub = stage.organization.hub
    queue = hub.sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = hub.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    hub.events.put_rule(Name=name, EventBusName=BUS, EventPattern='{"source": ["keyward"]}')
    hub.events.put_targets(
        Rule=name,
        EventBusName=BUS,
        Targets=[{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}],
    )
    stage.contained_key_of(name)
    heard: list[dict[str, Any]] = []

    def came() -> bool:
        found = hub.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        heard.extend(json.loads(it["Body"]) for it in found.get("Messages", []))
        return {it["detail-type"] for it in heard} == {"keyward.finding", "keyward.action"}

    wait_until(came, "finding and action are heard")
    hub.events.remove_targets(Rule=name, EventBusName=BUS, Ids=["queue"])
    hub.events.delete_rule(Name=name, EventBusName=BUS)
    assert all(name in json.dumps(it["detail"]) for it in heard)


@contextmanager
def opened(hub: Caller, role: str) -> Iterator[Caller]:
    """Let the account's root user into a function's role for a while."""
    known = hub.iam.get_role(RoleName=role)["Role"]
    before = json.dumps(known["AssumeRolePolicyDocument"])
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    opening = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    hub.iam.update_assume_role_policy(RoleName=role, PolicyDocument=opening)
    try:
        yield hub.assuming(known["Arn"], "looks-what-it-may")
    finally:
        hub.iam.update_assume_role_policy(RoleName=role, PolicyDocument=before)


def test_door_of_slack_may_read_its_secret_put_on_its_queue_and_nothing_else(
    stage: Stage,
) -> None:
    hub = stage.organization.hub
    with opened(hub, INGRESS) as door:
        secret = door.secretsmanager.get_secret_value(SecretId="keyward/slack-signing")
        assert "signing_secret" in secret["SecretString"]
        queue = hub.sqs.get_queue_url(QueueName=OPERATOR)["QueueUrl"]
        guard = hub.sqs.get_queue_url(QueueName="keyward-iam-guard")["QueueUrl"]
        for refused in (
            lambda: door.dynamodb.scan(TableName="keyward-ledger"),
            lambda: door.secretsmanager.get_secret_value(SecretId="keyward/slack"),
            lambda: door.sqs.receive_message(QueueUrl=queue),
            lambda: door.sqs.send_message(QueueUrl=guard, MessageBody="{}"),
            lambda: door.lambda_.invoke(FunctionName=OPERATOR, Payload=b"{}"),
            lambda: door.ssm.get_parameter(Name="/keyward/settings"),
            door.iam.list_users,
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused()
