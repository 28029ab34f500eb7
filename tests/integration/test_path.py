"""The deployed functions: from the event of a real call to what is true in the account."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from local.inbox import wait_until
from tests.integration import in_force

if TYPE_CHECKING:
    from local.caller import Caller
    from local.cloudtrail import Record
    from local.inbox import Inbox
    from local.organization import Organization

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass(frozen=True, slots=True)
class Stage:
    """The organization while rules are in force, one account of it, and what people hear."""

    organization: Organization
    account: Caller
    inbox: Inbox

    def key_of(self, user: str) -> tuple[str, Record]:
        """Create a user that nobody objects to yet, and a key for it by a call that is told."""
        self.account.iam.create_user(UserName=user)
        event = self.call("CreateAccessKey", UserName=user)
        key = self.account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"][0]
        return key["AccessKeyId"], event

    def call(self, operation: str, **parameters: object) -> Record:
        return self.organization.driver.call(
            self.account, self.account.iam, operation, **parameters
        )

    def statuses(self, user: str) -> list[str]:
        found = self.account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        return [key["Status"] for key in found]

    def ask(self, act: str, **arguments: object) -> dict[str, object]:
        request = {"act": act, "by": "arn:aws:iam::111122223333:user/operator", **arguments}
        answer = self.organization.hub.lambda_.invoke(
            FunctionName="keyward-operator", Payload=json.dumps(request).encode()
        )
        found: dict[str, object] = json.loads(answer["Payload"].read())
        assert found.get("ok") is True, found
        return found


@pytest.fixture(scope="module")
def enforcing(organization: Organization) -> Inbox:
    return in_force.enforcing(organization)


@pytest.fixture
def stage(organization: Organization, enforcing: Inbox) -> Stage:
    enforcing.read()
    return Stage(organization, organization.member("sandbox-ana"), enforcing)


@pytest.fixture
def name() -> str:
    return f"user-{uuid.uuid4().hex[:8]}"


def test_new_key_is_deactivated_and_told_once(stage: Stage, name: str) -> None:
    key, event = stage.key_of(name)
    told = stage.inbox.read_when_quiet()
    assert stage.statuses(name) == ["Inactive"]
    assert len(told) == 1
    assert told[0].attributes["state"] == "acted"
    assert key in told[0].subject
    for part in (key, name, str(event["account"]), "192.0.2.10", "keyward release"):
        assert part in told[0].body


def test_second_delivery_changes_and_tells_nothing(stage: Stage, name: str) -> None:
    _, event = stage.key_of(name)
    stage.inbox.read_when_quiet()
    for _ in range(3):
        stage.organization.driver.deliver(event)
    assert stage.inbox.read_when_quiet() == []
    assert stage.statuses(name) == ["Inactive"]


def test_new_user_is_denied_everything(stage: Stage, name: str) -> None:
    iam = stage.account.iam
    event = stage.call("CreateUser", UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=ADMINISTRATOR)
    assert event["account"] == stage.account.access_key_id
    told = stage.inbox.read_when_quiet()
    assert [alert.attributes["enforcement"] for alert in told] == ["quarantine-user"]
    attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    assert DENY_ALL in {policy["PolicyArn"] for policy in attached}
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = stage.account.using(key["AccessKeyId"], key["SecretAccessKey"])
    with pytest.raises(ClientError, match="AccessDenied"):
        user.iam.list_users()


def test_key_made_active_again_is_deactivated_again(stage: Stage, name: str) -> None:
    key, _ = stage.key_of(name)
    stage.inbox.read_when_quiet()
    stage.call("UpdateAccessKey", UserName=name, AccessKeyId=key, Status="Active")
    told = stage.inbox.read_when_quiet()
    assert stage.statuses(name) == ["Inactive"]
    assert {alert.attributes["severity"] for alert in told} == {"critical"}


def test_exempt_user_keeps_its_key(stage: Stage, name: str) -> None:
    exempt = Stage(stage.organization, stage.organization.member("shop-staging"), stage.inbox)
    exempt.key_of(f"ci-{name}")
    assert exempt.inbox.read_when_quiet() == []
    assert exempt.statuses(f"ci-{name}") == ["Active"]


def test_release_restores_the_key_and_is_not_undone(stage: Stage, name: str) -> None:
    _, event = stage.key_of(name)
    finding = stage.inbox.read_when_quiet()[0].attributes["finding"]
    stage.ask("release", finding=finding, reason="it was meant to be")
    assert stage.statuses(name) == ["Active"]
    stage.organization.driver.deliver(event)
    stage.inbox.read_when_quiet()
    assert stage.statuses(name) == ["Active"]


def test_bad_setting_changes_nothing_and_is_told(stage: Stage, name: str) -> None:
    hub = stage.organization.hub
    parameter = "/keyward/rules/iam-access-key-created"
    good = hub.ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    hub.ssm.put_parameter(Name=parameter, Value='{"mode": "enforc"}', Type="String", Overwrite=True)
    stage.organization.driver.parameter_changed(hub, parameter)
    told = stage.inbox.read_when_quiet()
    stage.key_of(name)
    stage.inbox.read_when_quiet()
    hub.ssm.put_parameter(Name=parameter, Value=good, Type="String", Overwrite=True)
    stage.organization.driver.parameter_changed(hub, parameter)
    stage.inbox.read_when_quiet()
    assert len(told) == 1
    assert parameter in told[0].subject
    for part in ("version", "mode", "enforce"):
        assert part in told[0].body
    assert stage.statuses(name) == ["Inactive"]


def test_only_the_poison_record_goes_to_the_dead_letters(stage: Stage, name: str) -> None:
    sqs = stage.organization.hub.sqs
    queue = sqs.get_queue_url(QueueName="keyward-iam-guard")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName="keyward-iam-guard-dead-letters")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=queue, MessageBody="no event")
    stage.key_of(name)
    letters: list[str] = []

    def arrived() -> bool:
        found = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)
        letters.extend(message["Body"] for message in found.get("Messages", []))
        return bool(letters)

    wait_until(arrived, "the poison record is among the dead letters")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})
    stage.inbox.read_when_quiet()
    assert letters == ["no event"]
    assert stage.statuses(name) == ["Inactive"]


def test_account_without_the_member_role_is_told(stage: Stage, name: str) -> None:
    bare = Stage(stage.organization, stage.organization.member("network"), stage.inbox)
    policies = bare.account.iam.list_role_policies(RoleName="keyward-member")["PolicyNames"]
    for policy in policies:
        bare.account.iam.delete_role_policy(RoleName="keyward-member", PolicyName=policy)
    bare.account.iam.delete_role(RoleName="keyward-member")
    bare.key_of(name)
    told = bare.inbox.read_when_quiet()
    assert bare.statuses(name) == ["Active"]
    assert len(told) == 1
    assert "cannot enforce here" in told[0].body


def test_account_that_is_no_active_member_is_left_alone(stage: Stage, name: str) -> None:
    retired = Stage(stage.organization, stage.organization.member("retired"), stage.inbox)
    organizations = stage.organization.hub.organizations
    organizations.close_account(AccountId=retired.account.access_key_id)
    retired.key_of(name)
    told = retired.inbox.read_when_quiet()
    assert retired.statuses(name) == ["Active"]
    assert [alert.attributes["kind"] for alert in told] == ["stranger"]
