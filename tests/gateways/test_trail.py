"""CloudTrail's event history, asked who lost what before a permission set went."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from keyward.actions import AssignmentTarget, PermissionSetTarget
from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.trail import PAGES_OF_REMOVALS, TrailGateway
from keyward.model import PrincipalKind

HUB = "123456789012"
ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
REGION = "eu-west-1"
INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
OTHER_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-fedcba9876543210"
WENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TARGET = PermissionSetTarget(
    account=HUB, instance_arn=INSTANCE, arn=None, permission_set_name="Developer"
)
GUARD = f"arn:aws:iam::{HUB}:role/keyward/keyward-identity-center-guard"
ADMINISTRATOR = (
    f"arn:aws:iam::{HUB}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"
)


@dataclass
class History:
    """The event history as LookupEvents shows it: by name and time, latest first, in pages."""

    now: datetime = WENT + timedelta(minutes=20)
    records: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    page_size: int = 50
    refusal: str | None = None

    def add(
        self,
        name: str,
        *,
        before: timedelta = timedelta(),
        by: str = ADMINISTRATOR,
        source: str = "sso.amazonaws.com",
        error: str | None = None,
        **parameters: object,
    ) -> None:
        self.records.append(
            {
                "eventVersion": "1.11",
                "eventID": str(uuid.uuid4()),
                "eventSource": source,
                "eventName": name,
                "eventTime": (WENT - before).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "awsRegion": REGION,
                "recipientAccountId": HUB,
                "userIdentity": {
                    "type": "AssumedRole",
                    "accountId": HUB,
                    "sessionContext": {"sessionIssuer": {"arn": by}},
                },
                "requestParameters": {"instanceArn": INSTANCE, **parameters},
                **({"errorCode": error} if error else {}),
            }
        )

    def deleted(self, arn: str = SET, **more: Any) -> None:
        self.add("DeletePermissionSet", permissionSetArn=arn, **more)

    def removed(
        self,
        group: str,
        *,
        minutes: float = 10,
        account: str = ACCOUNT,
        arn: str = SET,
        kind: str = "GROUP",
        **more: Any,
    ) -> None:
        self.add(
            "DeleteAccountAssignment",
            before=timedelta(minutes=minutes),
            permissionSetArn=arn,
            targetId=account,
            targetType="AWS_ACCOUNT",
            principalType=kind,
            principalId=group,
            **more,
        )

    def answer(self, model: Any, params: dict[str, Any], **_: object) -> tuple[AWSResponse, Any]:
        """What stands for AWS: LookupEvents' own rules."""
        assert model.name == "LookupEvents"
        asked = json.loads(params["body"])
        self.asked.append(asked)
        if self.refusal is not None:
            body = {"Error": {"Code": self.refusal, "Message": ""}, "ResponseMetadata": {}}
            return AWSResponse("", 400, HTTPHeaders(), None), body
        (attribute,) = asked["LookupAttributes"]
        assert attribute["AttributeKey"] == "EventName"
        begins, ends = asked.get("StartTime", 0), asked.get("EndTime", float("inf"))
        found = [
            json.dumps(record)
            for record in sorted(self.records, key=lambda it: str(it["eventTime"]), reverse=True)
            if record["eventName"] == attribute["AttributeValue"]
            and begins <= datetime.fromisoformat(str(record["eventTime"])).timestamp() <= ends
        ]
        found += self.raw
        first = int(asked.get("NextToken", 0))
        last = first + min(asked["MaxResults"], self.page_size)
        page = {
            "Events": [{"CloudTrailEvent": text} for text in found[first:last]],
            "ResponseMetadata": {},
            **({"NextToken": str(last)} if last < len(found) else {}),
        }
        return AWSResponse("", 200, HTTPHeaders(), None), page

    def groups(self, **more: Any) -> dict[tuple[str, str], AssignmentTarget]:
        found = self.gateway.groups_removed(SET, TARGET, **more)
        keyed = {(it.account, it.principal_id): it for it in found}
        assert len(keyed) == len(found)
        return keyed

    gateway: TrailGateway = field(init=False)


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    client = boto3.client("cloudtrail", region_name=REGION)
    history = History()
    client.meta.events.register(
        "before-call",
        history.answer,  # type: ignore[arg-type]  # the stubs don't know that it may answer
    )
    history.gateway = TrailGateway(client, sleep=history.slept.append, clock=lambda: history.now)
    return history


def refusal(history: History, **more: Any) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        history.groups(**more)
    return raised.value


def test_the_groups_that_were_removed_before_the_set_went_are_found(history: History) -> None:
    history.removed("group-1", account=OTHER_ACCOUNT)
    history.removed("group-1")
    history.removed("group-2")
    history.deleted()
    assert history.gateway.groups_removed(SET, TARGET) == tuple(
        AssignmentTarget(
            account=account,
            instance_arn=INSTANCE,
            permission_set_arn=SET,
            permission_set_name="Developer",
            principal_kind=PrincipalKind.GROUP,
            principal_id=group,
        )
        for account, group in (
            (ACCOUNT, "group-1"),
            (ACCOUNT, "group-2"),
            (OTHER_ACCOUNT, "group-1"),
        )
    )


def test_users_and_other_sets_and_failed_calls_are_left_out(history: History) -> None:
    history.removed("a-user", kind="USER")
    history.removed("of-another-set", arn=OTHER_SET)
    history.removed("still-there", error="ConflictException")
    history.removed("of-another-service", source="example.amazonaws.com")
    history.deleted()
    assert history.groups() == {}


@pytest.mark.parametrize(
    ("minutes", "is_found"), [(0, True), (59, True), (60, True), (61, False), (-1, False)]
)
def test_only_the_hour_before_it_went_counts(
    history: History, minutes: float, *, is_found: bool
) -> None:
    history.removed("group-1", minutes=minutes)
    history.deleted()
    assert bool(history.groups()) is is_found


def test_a_set_that_went_long_ago_is_looked_up_at_its_own_hour(history: History) -> None:
    history.now = WENT + timedelta(days=30)
    history.removed("group-1")
    history.deleted()
    history.deleted(OTHER_SET, before=timedelta(days=-29))
    assert set(history.groups()) == {(ACCOUNT, "group-1")}


def test_what_keyward_removed_stays_removed(history: History) -> None:
    history.removed("by-keyward", by=GUARD)
    history.removed("by-a-person")
    history.removed("by-a-namesake", by=f"arn:aws:iam::{HUB}:role/keyward-identity-center-guard")
    history.removed("by-a-member", by=f"arn:aws:iam::{ACCOUNT}:role/keyward/keyward-notifier")
    history.deleted()
    assert {group for _, group in history.groups()} == {
        "by-a-person",
        "by-a-namesake",
        "by-a-member",
    }


def test_the_last_removal_of_an_assignment_decides(history: History) -> None:
    history.removed("given-again-by-a-person", minutes=30, by=GUARD)
    history.removed("given-again-by-a-person", minutes=20)
    history.removed("taken-again-by-keyward", minutes=30)
    history.removed("taken-again-by-keyward", minutes=20, by=GUARD)
    history.deleted()
    assert set(history.groups()) == {(ACCOUNT, "given-again-by-a-person")}


def test_a_deletion_that_failed_is_none(history: History) -> None:
    history.removed("group-1", minutes=30)
    history.deleted(before=timedelta(minutes=120), error="ConflictException")
    history.deleted()
    assert set(history.groups()) == {(ACCOUNT, "group-1")}


def test_a_deletion_that_the_history_lacks_leaves_the_hour_before_now(history: History) -> None:
    history.now = WENT + timedelta(minutes=5)
    history.removed("group-1", minutes=69)
    history.removed("long-before", minutes=71)
    assert set(history.groups()) == {(ACCOUNT, "group-1")}


def test_a_history_that_may_lag_is_asked_again_later(history: History) -> None:
    history.now = WENT + timedelta(minutes=14)
    history.removed("group-1")
    error = refusal(history, deleted_at=WENT)
    assert (error.code, error.retryable) == ("HistoryLags", True)
    history.deleted()
    assert set(history.groups(deleted_at=WENT)) == {(ACCOUNT, "group-1")}


def test_a_deletion_that_never_shows_leaves_the_hour_before_it(history: History) -> None:
    history.now = WENT + timedelta(minutes=15)
    history.removed("group-1", minutes=59)
    history.removed("long-before", minutes=61)
    assert set(history.groups(deleted_at=WENT)) == {(ACCOUNT, "group-1")}


def test_every_page_is_read_at_most_two_in_a_second(history: History) -> None:
    history.page_size = 10
    for number in range(45):
        history.removed(f"group-{number}")
    history.deleted()
    assert len(history.groups()) == 45
    assert len(history.asked) == 1 + 5
    assert history.slept == [0.5] * 4


def test_two_calls_are_enough_for_few_and_need_no_pause(history: History) -> None:
    history.removed("group-1")
    history.deleted()
    history.groups()
    assert (len(history.asked), history.slept) == (2, [])


def test_as_many_pages_as_are_read_are_enough(history: History) -> None:
    for number in range(50 * PAGES_OF_REMOVALS):
        history.removed(f"group-{number}")
    history.deleted()
    assert len(history.groups()) == 50 * PAGES_OF_REMOVALS


def test_half_of_the_groups_never_pass_for_all(history: History) -> None:
    for number in range(50 * PAGES_OF_REMOVALS + 1):
        history.removed(f"group-{number}")
    history.deleted()
    error = refusal(history)
    assert (error.code, error.retryable) == ("TooMuchHistory", False)
    assert SET in str(error)
    assert len(history.asked) == 1 + PAGES_OF_REMOVALS + 1


@pytest.mark.parametrize("text", ["{", "[]", '{"eventID": "1"}'])
def test_a_record_that_nobody_can_read_is_no_record_to_skip(history: History, text: str) -> None:
    history.removed("group-1")
    history.deleted()
    history.raw.append(text)
    error = refusal(history)
    assert (error.code, error.retryable) == ("UnreadableHistory", False)


def test_a_parameter_that_is_no_text_is_no_record_to_skip(history: History) -> None:
    history.add("DeleteAccountAssignment", permissionSetArn=["not", "text"])
    history.deleted()
    error = refusal(history)
    assert (error.code, error.retryable) == ("UnreadableHistory", False)


@pytest.mark.parametrize(
    ("code", "retryable"), [("ThrottlingException", True), ("AccessDeniedException", False)]
)
def test_a_refusal_is_the_gateways_error(history: History, code: str, *, retryable: bool) -> None:
    history.refusal = code
    error = refusal(history)
    assert (error.code, error.retryable) == (code, retryable)
    assert not isinstance(error, NotFoundError)
