"""What the sweep asks of the emulator: reports, details, credentials, schedules."""

from __future__ import annotations

import csv
import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from local.emulator import MANAGEMENT_ACCOUNT, running_emulator
from local.organization import join, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local.caller import Caller
    from local.organization import Organization

MEMBER = "sandbox-ana"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
QUEUE = f"arn:aws:sqs:us-east-1:{MANAGEMENT_ACCOUNT}"


@pytest.fixture(scope="module")
def plain() -> Iterator[Organization]:
    """An organization without a hub, and one member account as the StackSet leaves it."""
    with running_emulator() as emulator:
        made = seed(emulator)
        join(made, MEMBER)
        yield made


@pytest.fixture
def account(plain: Organization) -> Caller:
    return plain.member(MEMBER)


@pytest.fixture
def user(account: Caller) -> str:
    name = f"user-{uuid.uuid4().hex[:8]}"
    account.iam.create_user(UserName=name)
    return name


def refused(call: Callable[[], object]) -> str | None:
    """Return the error's code, or None where the call went through."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def document(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def report(account: Caller) -> dict[str, dict[str, str]]:
    while account.iam.generate_credential_report()["State"] != "COMPLETE":
        time.sleep(0.2)
    content = account.iam.get_credential_report()["Content"].decode()
    return {row["user"]: row for row in csv.DictReader(content.splitlines())}


def test_first_credential_report_is_not_there_at_once(plain: Organization) -> None:
    iam = plain.member("audit").iam
    assert refused(iam.get_credential_report) == "ReportNotPresent"
    assert iam.generate_credential_report()["State"] == "STARTED"
    assert refused(iam.get_credential_report) == "ReportInProgress"
    assert iam.generate_credential_report()["State"] == "INPROGRESS"
    time.sleep(1.1)
    assert refused(iam.get_credential_report) is None
    assert iam.generate_credential_report()["State"] == "COMPLETE"


def test_credential_report_is_of_the_account_alone(
    plain: Organization, account: Caller, user: str
) -> None:
    assert user in report(account)
    assert user not in report(plain.member("sandbox-ben"))


def test_credential_report_tells_active_keys_with_their_date(account: Caller, user: str) -> None:
    keys = [account.iam.create_access_key(UserName=user)["AccessKey"] for _ in range(2)]
    account.iam.update_access_key(
        UserName=user, AccessKeyId=keys[1]["AccessKeyId"], Status="Inactive"
    )
    row = report(account)[user]
    made = datetime.fromisoformat(row["access_key_1_last_rotated"])
    assert made == keys[0]["CreateDate"].astimezone(UTC)
    assert row["access_key_1_active"] == "true"
    assert row["access_key_1_last_used_date"] == "N/A"
    assert (row["access_key_2_active"], row["access_key_2_last_rotated"]) == ("false", "N/A")
    assert (row["password_enabled"], row["password_last_used"]) == ("false", "N/A")
    assert (row["mfa_active"], row["cert_1_active"]) == ("false", "false")


def test_credential_report_tells_passwords_and_certificates(account: Caller, user: str) -> None:
    account.iam.create_login_profile(UserName=user, Password="Example-1!")
    account.iam.upload_signing_certificate(UserName=user, CertificateBody="-----BEGIN-----")
    row = report(account)[user]
    assert (row["password_enabled"], row["password_last_used"]) == ("true", "no_information")
    assert datetime.fromisoformat(row["password_last_changed"]) <= datetime.now(UTC)
    assert (row["cert_1_active"], row["cert_2_active"]) == ("true", "false")


def test_credential_report_tells_the_root_users_keys(plain: Organization) -> None:
    root = plain.member("sandbox-chris")
    before = report(root)["<root_account>"]
    assert before["access_key_1_active"] == "false"
    assert before["password_enabled"] == "not_supported"
    root.iam.create_access_key()
    after = report(root)["<root_account>"]
    assert after["access_key_1_active"] == "true"
    assert after["arn"] == f"arn:aws:iam::{plain.accounts['sandbox-chris']}:root"


def test_use_of_a_key_is_known(account: Caller, user: str) -> None:
    account.iam.attach_user_policy(UserName=user, PolicyArn=ADMINISTRATOR)
    key = account.iam.create_access_key(UserName=user)["AccessKey"]
    asked = {"AccessKeyId": key["AccessKeyId"]}
    before = account.iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"]
    assert "LastUsedDate" not in before
    assert before["ServiceName"] == "N/A"
    account.using(key["AccessKeyId"], key["SecretAccessKey"]).sqs.list_queues()
    after = account.iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"]
    assert after["ServiceName"] == "sqs"
    assert datetime.now(UTC) - after["LastUsedDate"] < timedelta(minutes=1)
    row = report(account)[user]
    assert row["access_key_1_last_used_service"] == "sqs"
    assert datetime.fromisoformat(row["access_key_1_last_used_date"]) == after["LastUsedDate"]


def test_key_is_as_old_as_told(plain: Organization, account: Caller, user: str) -> None:
    key = account.iam.create_access_key(UserName=user)["AccessKey"]
    plain.emulator.make_older(plain.accounts[MEMBER], key["AccessKeyId"], days=400)
    made = datetime.fromisoformat(report(account)[user]["access_key_1_last_rotated"])
    assert datetime.now(UTC) - made > timedelta(days=399)
    (listed,) = account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    assert listed["CreateDate"] == made


def test_account_joined_as_long_ago_as_told(plain: Organization) -> None:
    id_ = plain.accounts["network"]
    plain.emulator.make_older(id_, days=100)
    joined = plain.hub.organizations.describe_account(AccountId=id_)["Account"]["JoinedTimestamp"]
    assert timedelta(days=99) < datetime.now(UTC) - joined < timedelta(days=101)


def test_details_tell_the_boundary(account: Caller, user: str) -> None:
    account.iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary=READ_ONLY)
    account.iam.attach_user_policy(UserName=user, PolicyArn=READ_ONLY)
    pages = account.iam.get_paginator("get_account_authorization_details")
    found = {
        it["UserName"]: it
        for page in pages.paginate(Filter=["User"])
        for it in page["UserDetailList"]
    }
    assert found[user]["PermissionsBoundary"]["PermissionsBoundaryArn"] == READ_ONLY
    attached = [it["PolicyArn"] for it in found[user]["AttachedManagedPolicies"]]
    assert attached == [READ_ONLY]


def test_details_come_in_pages(plain: Organization) -> None:
    iam = plain.member("network").iam
    names = {f"user-{number:03}" for number in range(105)}
    for name in names:
        iam.create_user(UserName=name)
    iam.create_group(GroupName="team")
    first = iam.get_account_authorization_details(Filter=["User", "Group"])
    assert (len(first["UserDetailList"]), first["IsTruncated"]) == (100, True)
    assert first["GroupDetailList"] == []
    second = iam.get_account_authorization_details(Filter=["User", "Group"], Marker=first["Marker"])
    assert second["IsTruncated"] is False
    assert [it["GroupName"] for it in second["GroupDetailList"]] == ["team"]
    listed = [it["UserName"] for page in (first, second) for it in page["UserDetailList"]]
    assert (len(listed), set(listed)) == (105, names)


def test_credentials_of_all_users_are_listed_at_once(plain: Organization, account: Caller) -> None:
    made = set()
    for name in (f"user-{uuid.uuid4().hex[:8]}" for _ in range(2)):
        account.iam.create_user(UserName=name)
        account.iam.create_service_specific_credential(
            UserName=name, ServiceName="codecommit.amazonaws.com"
        )
        made.add(name)
    found = account.iam.list_service_specific_credentials(AllUsers=True)
    assert made <= {it["UserName"] for it in found["ServiceSpecificCredentials"]}
    other = plain.member("audit").iam.list_service_specific_credentials(AllUsers=True)
    assert other["ServiceSpecificCredentials"] == []
    both = lambda: account.iam.list_service_specific_credentials(  # noqa: E731  asked once
        AllUsers=True, UserName=min(made)
    )
    assert refused(both) == "ValidationError"


def test_user_without_policies_may_read_none_of_it(account: Caller, user: str) -> None:
    key = account.iam.create_access_key(UserName=user)["AccessKey"]
    iam = account.using(key["AccessKeyId"], key["SecretAccessKey"]).iam
    assert refused(iam.generate_credential_report) == "AccessDenied"
    assert refused(iam.get_credential_report) == "AccessDenied"
    assert refused(iam.get_account_authorization_details) == "AccessDenied"
    assert refused(lambda: iam.list_service_specific_credentials(AllUsers=True)) == "AccessDenied"


def test_batch_of_messages_is_allowed_where_one_is(plain: Organization) -> None:
    name = f"sender-{uuid.uuid4().hex[:8]}"
    url = plain.hub.sqs.create_queue(QueueName=name)["QueueUrl"]
    plain.hub.iam.create_user(UserName=name)
    key = plain.hub.iam.create_access_key(UserName=name)["AccessKey"]
    sqs = plain.hub.using(key["AccessKeyId"], key["SecretAccessKey"]).sqs
    send = lambda: sqs.send_message_batch(  # noqa: E731  asked again
        QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "a hint"}]
    )
    assert refused(send) == "AccessDenied"
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": f"{QUEUE}:{name}"}
    plain.hub.iam.put_user_policy(
        UserName=name, PolicyName="send", PolicyDocument=document(statement)
    )
    assert refused(send) is None


def test_rule_is_read_by_whom_that_rule_is_allowed(plain: Organization) -> None:
    name, hub = f"reader-{uuid.uuid4().hex[:8]}", plain.hub
    bus = hub.events.create_event_bus(Name=f"{name}-bus")["EventBusArn"]
    for rule, of in ((name, "default"), (f"{name}-other", "default"), (name, f"{name}-bus")):
        hub.events.put_rule(Name=rule, EventPattern='{"source": ["x"]}', EventBusName=of)
    hub.iam.create_user(UserName=name)
    key = hub.iam.create_access_key(UserName=name)["AccessKey"]
    events = hub.using(key["AccessKeyId"], key["SecretAccessKey"]).events
    allowed = {
        "Effect": "Allow",
        "Action": ["events:DescribeRule", "events:ListTargetsByRule"],
        "Resource": bus.replace(f"event-bus/{name}-bus", f"rule/{name}"),
    }
    hub.iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=document(allowed))
    other = {"Name": f"{name}-other"}
    on_bus = {"Name": name, "EventBusName": f"{name}-bus"}
    assert refused(lambda: events.describe_rule(Name=name)) is None
    assert refused(lambda: events.list_targets_by_rule(Rule=name)) is None
    assert refused(lambda: events.describe_rule(**other)) == "AccessDeniedException"
    assert refused(lambda: events.describe_rule(**on_bus)) == "AccessDeniedException"


def test_bucket_that_refuses_plain_http_takes_objects(plain: Organization) -> None:
    name = f"lines-{uuid.uuid4().hex[:8]}"
    s3 = plain.hub.s3
    s3.create_bucket(Bucket=name)
    everything = {"Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{name}/*"}
    encrypted = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    closed = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    role = "writer"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": MANAGEMENT_ACCOUNT},
        "Action": "sts:AssumeRole",
    }
    plain.hub.iam.create_role(RoleName=role, AssumeRolePolicyDocument=document(trust))
    allowed = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"}
    plain.hub.iam.put_role_policy(
        RoleName=role, PolicyName="write", PolicyDocument=document(allowed)
    )
    writer = plain.hub.assuming(f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/{role}", "test")
    put = lambda: writer.s3.put_object(Bucket=name, Key="1", Body=b"")  # noqa: E731  asked again
    s3.put_bucket_policy(Bucket=name, Policy=document({**everything, **closed}))
    assert refused(put) == "AccessDenied"
    s3.put_bucket_policy(Bucket=name, Policy=document({**everything, **encrypted}))
    assert refused(put) is None


@dataclass(frozen=True, slots=True)
class Way:
    """A way that canaries go: from the default bus over one of its name to a queue of its name."""

    hub: Caller
    name: str

    def plan(self, expression: str) -> None:
        detail = {"sent": "<aws.scheduler.scheduled-time>", "way": self.name}
        self.hub.scheduler.create_schedule(
            Name=self.name,
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": f"arn:aws:events:us-east-1:{MANAGEMENT_ACCOUNT}:event-bus/default",
                "RoleArn": f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/canary",
                "EventBridgeParameters": {
                    "Source": "keyward.canary",
                    "DetailType": "Keyward Canary",
                },
                "Input": json.dumps(detail),
            },
        )

    def arrived(self, seconds: float = 10) -> dict[str, object]:
        url = self.hub.sqs.get_queue_url(QueueName=self.name)["QueueUrl"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in self.hub.sqs.receive_message(QueueUrl=url).get("Messages", []):
                event: dict[str, object] = json.loads(message["Body"])
                return event
            time.sleep(0.1)
        raise TimeoutError(self.name)


@pytest.fixture
def way(plain: Organization) -> Way:
    hub, name = plain.hub, f"canary-{uuid.uuid4().hex[:8]}"
    bus = hub.events.create_event_bus(Name=name)["EventBusArn"]
    hub.sqs.create_queue(QueueName=name)
    pattern = json.dumps({"source": ["keyward.canary"], "detail": {"way": [name]}})
    hub.events.put_rule(Name=name, EventPattern=pattern)
    hub.events.put_targets(Rule=name, Targets=[{"Id": "bus", "Arn": bus}])
    hub.events.put_rule(Name=name, EventPattern=pattern, EventBusName=name)
    hub.events.put_targets(
        Rule=name, EventBusName=name, Targets=[{"Id": "queue", "Arn": f"{QUEUE}:{name}"}]
    )
    return Way(hub, name)


def check_canary(event: dict[str, object], way: str) -> None:
    detail = event["detail"]
    assert event["source"] == "keyward.canary"
    assert isinstance(detail, dict)
    assert detail["way"] == way
    assert datetime.now(UTC) - datetime.fromisoformat(detail["sent"]) < timedelta(minutes=1)


def test_schedule_puts_its_event_on_the_bus_and_rules_carry_it_to_another(way: Way) -> None:
    way.plan(datetime.now(UTC).strftime("at(%Y-%m-%dT%H:%M:%S)"))
    check_canary(way.arrived(), way.name)


def test_driver_does_at_once_what_a_schedule_does_later(plain: Organization, way: Way) -> None:
    way.plan("rate(10 minutes)")
    assert f"default/{way.name}" in plain.driver.schedules(plain.hub, "canary-")
    plain.driver.fire(plain.hub, f"default/{way.name}")
    check_canary(way.arrived(), way.name)


def test_canary_of_a_switched_off_rule_goes_nowhere(plain: Organization, way: Way) -> None:
    way.plan("rate(10 minutes)")
    plain.hub.events.disable_rule(Name=way.name)
    plain.driver.fire(plain.hub, f"default/{way.name}")
    with pytest.raises(TimeoutError):
        way.arrived(seconds=1)
