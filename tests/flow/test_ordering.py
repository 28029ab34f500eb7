"""An operator's order: one finding is acted on as if its rule enforced, though it only reports."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from keyward import operating, ordering, rules
from keyward.actions import DENY_ALL_ARN
from keyward.alerts import alert
from keyward.errors import GatewayError, RequestError
from keyward.findings import FindingRecord, Notice, State
from keyward.model import CredentialKind
from tests.faults.injection import Crash
from tests.flow.accounts import FIRST_USER, STALE, Accounts
from tests.flow.center import ADMINISTRATOR_ACCESS, DEVELOPER, READ_ONLY_ACCESS, Center
from tests.flow.test_quarantine import a_credential
from tests.flow.world import HUB, IAM_SWEEP_QUEUE, REGION, aws_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.flow.world import World

BY = "arn:aws:sts::123456789012:assumed-role/Security/jane@example.com"
REASON = "the key is on a public page"
KEY = "iam-access-key-created"
FOR_OTHER = "iam-access-key-for-other-user"
UNDONE = "iam-quarantine-undone"
USER_RULE = "idc-assignment-to-user"
ADMIN_RULE = "idc-permission-set-admin-equivalent"


def report_only(world: World, **changes: Any) -> None:
    """Every rule reports, as after a fresh deployment."""
    world.settings(**{"settings": {"ceiling": "report"}, "rules": {}} | changes)


def ordered(world: World, record: FindingRecord) -> str:
    """The message that an order sends to iam_guard."""
    ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    sqs = boto3.client("sqs", region_name=REGION)
    url = f"https://sqs.{REGION}.amazonaws.com/{HUB}/{IAM_SWEEP_QUEUE}"
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return str(message["Body"])


def carried_out(world: World, record: FindingRecord) -> FindingRecord:
    """The finding after an order was given and carried out."""
    world.later(minutes=1)
    world.deliver(ordered(world, record))
    return now(world, record)


def now(world: World, record: FindingRecord) -> FindingRecord:
    found = world.ledger.finding(record.key)
    assert found is not None
    return found


def a_reported_key(world: World) -> FindingRecord:
    """A key of which an event told, with rules that only report."""
    report_only(world)
    world.do("CreateUser", UserName="eve")
    world.deliver(world.do("CreateAccessKey", UserName="eve"))
    (record,) = world.findings()
    assert (record.state, record.mode) == (State.OPEN, "report")
    return record


def everything_told(world: World) -> None:
    for item in world.untold():
        world.ledger.told(item)


def owner_of_eve(world: World) -> dict[str, Any]:
    return {
        "type": "IAMUser",
        "arn": f"arn:aws:iam::{world.member}:user/eve",
        "accountId": world.member,
        "userName": "eve",
    }


# IAM: what an order does


def test_an_access_key_becomes_inactive_and_the_record_says_by_whose_order(world: World) -> None:
    record = a_reported_key(world)
    everything_told(world)
    assert ordering.may_order(record) is None
    acted = carried_out(world, record)
    assert world.key_status("eve", record.unique_id) == "Inactive"
    assert (acted.state, acted.mode, acted.ordered_by) == (State.ACTED, "report", BY)
    assert acted.episode == record.episode
    assert f"ordered by {BY}: {REASON}" in [it.note for it in acted.history]
    assert [it.key for it in world.untold() if isinstance(it, FindingRecord)] == [record.key]
    assert "(mode report)" in alert(acted).body


def test_nothing_else_of_the_user_is_touched(world: World) -> None:
    record = a_reported_key(world)
    other = world.iam().create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"]
    carried_out(world, record)
    assert world.key_status("eve", other) == "Active"
    assert not world.is_denied("eve")
    assert [it.key for it in world.findings()] == [record.key]


def test_a_key_that_somebody_else_made_can_be_ordered_though_no_look_shows_who(
    world: World,
) -> None:
    report_only(world)
    world.do("CreateUser", UserName="eve")
    world.later(days=3)
    world.deliver(world.do("CreateAccessKey", UserName="eve", at=world.now))
    (record,) = world.findings()
    assert (record.rule, record.also) == (FOR_OTHER, (KEY,))
    acted = carried_out(world, record)
    assert acted.state is State.ACTED
    assert acted.reason == record.reason


def events_of(world: World, rule: str) -> dict[str, Any]:
    """An event that the rule reports."""
    created = world.do("CreateUser", UserName="eve")
    match rule:
        case "iam-user-created":
            return created
        case "iam-access-key-created":
            return world.do("CreateAccessKey", UserName="eve", actor=owner_of_eve(world))
        case "iam-console-password-set":
            return world.do("CreateLoginProfile", UserName="eve", Password="Correct-horse-9")
        case "iam-admin-granted":
            arn = "arn:aws:iam::aws:policy/AdministratorAccess"
            return world.do("AttachUserPolicy", UserName="eve", PolicyArn=arn)
        case "iam-key-quarantined-by-aws":
            world.iam().create_access_key(UserName="eve")
            arn = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
            return world.do("AttachUserPolicy", UserName="eve", PolicyArn=arn)
        case _:
            raise AssertionError(rule)


@pytest.mark.parametrize(
    ("rule", "act"),
    [
        ("iam-user-created", "quarantine-user"),
        ("iam-access-key-created", "deactivate-access-key"),
        ("iam-console-password-set", "quarantine-user"),
        ("iam-admin-granted", "quarantine-user"),
        ("iam-key-quarantined-by-aws", "deactivate-access-key"),
    ],
)
def test_each_rule_about_users_can_be_ordered(world: World, rule: str, act: str) -> None:
    report_only(world)
    world.deliver(events_of(world, rule))
    record = world.finding(rule)
    assert (record.rule, record.state) == (rule, State.OPEN)
    acted = carried_out(world, record)
    assert (acted.state, acted.action and acted.action.name) == (State.ACTED, act)
    assert world.is_denied("eve") is (act == "quarantine-user")
    keys = world.iam().list_access_keys(UserName="eve")["AccessKeyMetadata"]
    assert not [it for it in keys if it["Status"] == "Active"]


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_each_other_credential_can_be_ordered(world: World, kind: CredentialKind) -> None:
    report_only(world)
    world.do("CreateUser", UserName="eve")
    world.deliver(a_credential(world, kind))
    record = world.finding("iam-static-credential-created")
    acted = carried_out(world, record)
    assert acted.state is State.ACTED
    iam = world.services.iam(world.member, world.now)
    held = iam.credentials(iam.user("eve"), kind).values()
    assert [it.active for it in held] == [False]


def test_a_release_works_as_ever(world: World) -> None:
    record = carried_out(world, a_reported_key(world))
    world.later(minutes=5)
    answer = operating.answer(
        {"act": "release", "by": BY, "finding": record.key, "reason": "it was a test"},
        services=world.services,
        now=world.now,
    )
    assert answer["ok"] is True
    assert world.key_status("eve", record.unique_id) == "Active"
    assert now(world, record).state is State.RELEASED


def test_an_order_about_what_was_undone_puts_it_back(world: World) -> None:
    record = carried_out(world, a_reported_key(world))
    everything_told(world)
    world.later(minutes=5)
    key = record.unique_id
    again = world.do("UpdateAccessKey", UserName="eve", AccessKeyId=key, Status="Active")
    world.deliver(again)
    undone = world.finding(UNDONE)
    assert undone.state is State.OPEN
    assert carried_out(world, undone).state is State.ACTED
    assert world.key_status("eve", key) == "Inactive"


def test_an_attacker_who_undoes_it_is_met_by_a_rule_that_enforces(world: World) -> None:
    record = carried_out(world, a_reported_key(world))
    world.settings(
        rules={rule.id: {"mode": "report"} for rule in rules.every()}
        | {UNDONE: {"mode": "enforce"}}
    )
    world.later(minutes=5)
    key = record.unique_id
    world.deliver(world.do("UpdateAccessKey", UserName="eve", AccessKeyId=key, Status="Active"))
    assert world.key_status("eve", key) == "Inactive"
    assert world.finding(UNDONE).state is State.ACTED


def test_what_was_acted_on_by_order_is_nothing_new_to_a_later_look(world: World) -> None:
    record = carried_out(world, a_reported_key(world))
    everything_told(world)
    world.later(minutes=5)
    world.deliver(world.event("CreateAccessKey", {"UserName": "eve"}, answer_of(record)))
    after = now(world, record)
    assert (after.state, after.episode) == (State.ACTED, record.episode)
    assert world.untold() == []


def answer_of(record: FindingRecord) -> dict[str, Any]:
    made = {"UserName": "eve", "AccessKeyId": record.unique_id, "Status": "Active"}
    return {"AccessKey": made}


# What an order overrides, and what not


def test_what_was_there_before_the_rule_enforced_is_included(world: World) -> None:
    world.do("CreateUser", UserName="eve")
    world.settings(since=world.now + timedelta(days=1))
    world.deliver(world.do("CreateAccessKey", UserName="eve"))
    (record,) = world.findings()
    assert record.would is not None
    assert record.would.existed
    assert carried_out(world, record).state is State.ACTED


def test_a_protected_principal_is_not_to_be_ordered(world: World) -> None:
    record = a_reported_key(world)
    protect(world)
    not_done = carried_out(world, record)
    assert world.key_status("eve", record.unique_id) == "Active"
    assert "protected principal" in (not_done.held or "")
    assert "protected principal" in alert(not_done).body
    world.deliver(world.do("CreateAccessKey", UserName="eve"))
    protected = next(it for it in world.findings() if it.key != record.key)
    assert "protected principal" in (ordering.may_order(protected) or "")


def protect(world: World) -> None:
    user = world.iam().get_user(UserName="eve")["User"]
    principal = {"account": world.member, "arn": user["Arn"], "why": "break-glass"}
    report_only(world, settings={"ceiling": "report", "protected": [principal]})


def test_the_management_account_is_not_acted_on_unless_settings_name_it(world: World) -> None:
    report_only(world)
    world.do("CreateUser", UserName="eve", account=HUB)
    world.deliver(world.do("CreateAccessKey", UserName="eve", account=HUB))
    (record,) = world.findings()
    assert "management account" in (ordering.may_order(record) or "")
    with pytest.raises(RequestError, match="management account"):
        ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    report_only(world, settings={"ceiling": "report", "act_in_management_account": HUB})
    world.later(minutes=1)
    world.deliver(world.do("CreateLoginProfile", UserName="eve", Password="x-9Abc", account=HUB))
    password = world.finding("iam-console-password-set")
    assert carried_out(world, password).state is State.ACTED
    attached = world.iam(HUB).list_attached_user_policies(UserName="eve")["AttachedPolicies"]
    assert [it["PolicyArn"] for it in attached] == [DENY_ALL_ARN]


def test_settings_that_change_meanwhile_hold(world: World) -> None:
    report_only(world, settings={"ceiling": "report", "act_in_management_account": HUB})
    world.do("CreateUser", UserName="eve", account=HUB)
    world.deliver(world.do("CreateAccessKey", UserName="eve", account=HUB))
    (record,) = world.findings()
    message = ordered(world, record)
    report_only(world)
    world.deliver(message)
    assert world.key_status("eve", record.unique_id, HUB) == "Active"
    assert "management account" in (now(world, record).held or "")


def exempt(world: World) -> None:
    exemption = {
        "owner": "platform@example.com",
        "reason": "needed until the migration",
        "ticket": "SEC-1",
        "until": world.now + timedelta(days=30),
        "account": world.member,
        "user_pattern": "eve",
        "signed_by": "ana@example.com",
        "rules": [KEY, FOR_OTHER],
    }
    report_only(world, exemptions={"eve": exemption})


def test_who_is_exempt_meanwhile_is_left_alone(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)
    exempt(world)
    world.deliver(message)
    assert world.key_status("eve", record.unique_id) == "Active"
    assert (now(world, record).state, now(world, record).exempt_by) == (State.EXEMPT, "eve")


def test_what_is_gone_settles_the_finding(world: World) -> None:
    record = a_reported_key(world)
    world.iam().delete_access_key(UserName="eve", AccessKeyId=record.unique_id)
    settled = carried_out(world, record)
    assert settled.state is State.RESOLVED
    assert BY in (settled.outcome or "")


def test_a_user_who_is_another_by_now_is_not_touched(world: World) -> None:
    report_only(world)
    world.deliver(world.do("CreateUser", UserName="eve"))
    record = world.finding("iam-user-created")
    world.iam().delete_user(UserName="eve")
    world.iam().create_user(UserName="eve")
    assert carried_out(world, record).state is State.RESOLVED
    assert not world.is_denied("eve")


def test_an_order_that_is_an_hour_old_does_nothing(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)
    world.later(hours=1)
    world.deliver(message)
    assert world.key_status("eve", record.unique_id) == "Active"
    assert now(world, record) == record


def test_an_order_for_an_earlier_episode_does_nothing(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)
    newer = record.model_copy(update={"episode": 2, "version": record.version + 1})
    world.ledger.finish(newer, replacing=record)
    world.deliver(message)
    assert world.key_status("eve", record.unique_id) == "Active"


def test_without_an_order_in_the_ledger_the_message_does_nothing(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)
    table = boto3.client("dynamodb", region_name=REGION)
    table.delete_item(
        TableName="keyward-ledger",
        Key={"pk": {"S": f"order#{record.key}"}, "sk": {"S": "order"}},
    )
    world.deliver(message)
    assert world.key_status("eve", record.unique_id) == "Active"


def test_a_second_delivery_or_order_changes_nothing_more(world: World) -> None:
    record = a_reported_key(world)
    first = ordered(world, record)
    second = ordered(world, record)
    world.deliver(first)
    acted = now(world, record)
    for message in (first, second, first):
        world.deliver(message)
    assert now(world, record) == acted
    ordering.order(acted, by=BY, reason=REASON, services=world.services, now=world.now)
    with pytest.raises(RequestError, match="is acted"):
        ordering.order(acted, by="joe", reason=REASON, services=world.services, now=world.now)


def test_a_rule_that_is_off_takes_no_order(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)
    report_only(world, rules={record.rule: {"mode": "off"}})
    with pytest.raises(RequestError, match="mode off"):
        ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    world.deliver(message)
    assert world.key_status("eve", record.unique_id) == "Active"
    assert "nothing against it" in (now(world, record).held or "")


def test_an_order_may_use_the_critical_reserve_but_not_more(world: World) -> None:
    budgets = {"account": 1, "organization": 1, "critical_reserve": 1}
    report_only(world, settings={"ceiling": "report", "budgets": budgets})
    for name in ("eve", "mallory", "trent"):
        world.do("CreateUser", UserName=name)
        world.deliver(world.do("CreateAccessKey", UserName=name))
    states = [carried_out(world, it).state for it in world.findings()]
    assert sorted(states) == [State.ACTED, State.ACTED, State.OPEN]
    (left,) = [it for it in world.findings() if it.state is State.OPEN]
    assert "budget" in (left.held or "")
    assert [it.kind for it in world.untold() if isinstance(it, Notice)] == ["budget-spent"]


def test_an_exemption_that_nobody_can_read_holds_the_order_back(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)
    report_only(world, exemptions={"odd": {"account": world.member, "whom": "everybody"}})
    world.deliver(message)
    assert world.key_status("eve", record.unique_id) == "Active"
    assert "cannot be read" in (now(world, record).held or "")


def test_an_order_where_keyward_may_not_look_is_told_once(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)
    everything_told(world)

    def denied(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "GetUser":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    world.fault = denied
    for _ in range(2):
        with world.recorded():
            world.deliver(message)
    told = now(world, record)
    assert (told.state, told.untold) == (State.OPEN, world.now)
    assert "cannot enforce here" in (told.held or "")
    assert told.version == now(world, record).version
    world.fault = None
    assert carried_out(world, told).state is State.ACTED


def test_an_order_that_failed_can_be_given_again_and_is_not_repeated_by_itself(
    world: World,
) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)

    def denied(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "UpdateAccessKey":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    world.fault = denied
    with world.recorded():
        world.deliver(message)
    failed = now(world, record)
    assert failed.state is State.FAILED
    world.fault = None
    world.deliver(message)
    assert now(world, record) == failed
    assert carried_out(world, failed).state is State.ACTED


# Crashes


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_in_the_act_is_mended_by_the_next_delivery(world: World, *, after: bool) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)

    def crash(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation != "UpdateAccessKey":
            return call()
        if after:
            call()
        raise Crash

    world.fault = crash
    with world.recorded(), pytest.raises(Crash):
        world.deliver(message)
    world.fault = None
    world.restart()
    with pytest.raises(GatewayError, match="another worker"):
        world.deliver(message)
    world.later(hours=2)
    world.deliver(message)
    assert world.key_status("eve", record.unique_id) == "Inactive"
    assert (now(world, record).state, now(world, record).episode) == (State.ACTED, 1)


def test_what_a_crash_left_is_finished_by_an_event_though_the_rule_reports(world: World) -> None:
    record = a_reported_key(world)
    message = ordered(world, record)

    def crash(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "UpdateAccessKey":
            raise Crash
        return call()

    world.fault = crash
    with world.recorded(), pytest.raises(Crash):
        world.deliver(message)
    world.fault = None
    world.later(minutes=10)
    world.deliver(world.event("CreateAccessKey", {"UserName": "eve"}, answer_of(record)))
    assert world.key_status("eve", record.unique_id) == "Inactive"
    assert now(world, record).state is State.ACTED


# Identity Center


def center_reports(center: Center, **changes: Any) -> None:
    report_only(center.world, permission_sets={"Developer": DEVELOPER}, **changes)


def order_in_center(center: Center, record: FindingRecord) -> FindingRecord:
    world = center.world
    world.later(minutes=1)
    ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    center.follow()
    return now(world, record)


def a_reported_assignment(center: Center) -> tuple[str, FindingRecord]:
    center_reports(center)
    arn = center.developer()
    center.settle(center.assign_user(arn, center.user("jane")))
    record = center.world.finding(USER_RULE)
    assert record.state is State.OPEN
    return arn, record


def test_an_assignment_is_removed_and_given_back_by_a_release(center: Center) -> None:
    arn, record = a_reported_assignment(center)
    held = center.principals(arn)
    center.behaviour.looks_in_progress = 3
    acted = order_in_center(center, record)
    assert (acted.state, acted.mode, acted.ordered_by) == (State.ACTED, "report", BY)
    assert center.principals(arn) == set()
    answer = operating.answer(
        {"act": "release", "by": BY, "finding": record.key, "reason": "it was a test"},
        services=center.world.services,
        now=center.world.now,
    )
    assert answer["ok"] is True
    center.follow()
    assert center.principals(arn) == held


def test_an_assignment_is_removed_where_a_tool_makes_some_for_a_time(center: Center) -> None:
    arn, record = a_reported_assignment(center)
    pattern = "arn:aws:iam::*:role/just-in-time"
    center_reports(center, rules={USER_RULE: {"just_in_time": [pattern]}})
    assert order_in_center(center, record).state is State.ACTED
    assert center.principals(arn) == set()


def test_an_assignment_that_is_gone_settles_the_finding(center: Center) -> None:
    arn, record = a_reported_assignment(center)
    ((kind, principal),) = center.principals(arn)
    center.behaviour.looks_in_progress = 0
    center.admin.delete_account_assignment(
        InstanceArn=center.instance,
        TargetId=center.world.member,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=arn,
        PrincipalType=kind,
        PrincipalId=principal,
    )
    assert order_in_center(center, record).state is State.RESOLVED


def test_an_assignment_that_somebody_makes_again_is_reported_anew(center: Center) -> None:
    arn, record = a_reported_assignment(center)
    ((_, principal),) = center.principals(arn)
    order_in_center(center, record)
    center.world.later(minutes=5)
    center.settle(center.assign_user(arn, principal))
    again = now(center.world, record)
    assert (again.state, again.episode, again.ordered_by) == (State.OPEN, 2, None)
    assert center.principals(arn) == {("USER", principal)}


def test_a_crash_while_identity_center_is_at_it_is_mended(center: Center) -> None:
    arn, record = a_reported_assignment(center)
    world = center.world
    ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    message = center.next_message()
    assert message is not None

    def crash(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation != "DeleteAccountAssignment":
            return call()
        call()
        raise Crash

    world.fault = crash
    with world.recorded(), pytest.raises(Crash):
        center.deliver(message)
    world.fault = None
    world.restart()
    world.later(minutes=6)
    center.deliver(message)
    center.follow()
    assert center.principals(arn) == set()
    assert now(world, record).state is State.ACTED


def test_one_policy_is_taken_off_a_permission_set(center: Center) -> None:
    center_reports(center)
    arn = center.permission_set("Operators", READ_ONLY_ACCESS)
    center.settle(
        center.do(
            "AttachManagedPolicyToPermissionSet",
            PermissionSetArn=arn,
            ManagedPolicyArn=ADMINISTRATOR_ACCESS,
        )
    )
    record = center.world.finding(ADMIN_RULE)
    acted = order_in_center(center, record)
    assert (acted.state, acted.action and acted.action.name) == (State.ACTED, "detach-policy")
    assert center.policies(arn) == {READ_ONLY_ACCESS}


def test_a_policy_that_only_a_sweep_saw_is_taken_off(center: Center) -> None:
    center_reports(center)
    arn = center.permission_set("Operators", READ_ONLY_ACCESS)
    event = center.do(
        "AttachManagedPolicyToPermissionSet",
        PermissionSetArn=arn,
        ManagedPolicyArn=ADMINISTRATOR_ACCESS,
    )
    center.settle(event)
    center.world.later(hours=1)
    center.settle(a_look_at(center, arn))
    record = center.world.finding(ADMIN_RULE)
    assert record.would is not None
    assert record.would.action is None
    assert order_in_center(center, record).state is State.ACTED
    assert center.policies(arn) == {READ_ONLY_ACCESS}


def a_look_at(center: Center, arn: str) -> dict[str, Any]:
    return {
        "keyward": "check",
        "id": "sweep-1",
        "account": HUB,
        "region": REGION,
        "time": center.world.now.isoformat(),
        "why": "Sweep",
        "parameters": {"permissionSetArn": arn},
    }


def test_a_permission_set_that_drifted_is_restored(center: Center) -> None:
    center_reports(center)
    arn = center.developer()
    event = center.do(
        "AttachManagedPolicyToPermissionSet",
        PermissionSetArn=arn,
        ManagedPolicyArn="arn:aws:iam::aws:policy/PowerUserAccess",
    )
    center.world.later(seconds=30)
    center.settle(event)
    record = center.world.finding("idc-permission-set-drift")
    acted = order_in_center(center, record)
    assert (acted.state, center.policies(arn)) == (State.ACTED, {READ_ONLY_ACCESS})


def test_a_session_that_is_too_long_is_cut(center: Center) -> None:
    center_reports(center)
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS)
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H")
    center.world.later(seconds=30)
    center.settle(event)
    record = center.world.finding("idc-session-too-long")
    assert order_in_center(center, record).state is State.ACTED
    assert center.described(arn)["SessionDuration"] == "PT8H"


def test_accounts_with_an_older_version_are_given_the_new_one(center: Center) -> None:
    center_reports(center)
    arn = center.developer()
    center.assigned(arn, "GROUP", center.group("Developers"))
    center.admin.update_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, Description="Builds and runs things"
    )
    assert center.stale(arn) == [center.world.member]
    center.settle(a_look_at(center, arn))
    record = center.world.finding("idc-permission-set-not-provisioned")
    assert order_in_center(center, record).state is State.ACTED
    assert center.stale(arn) == []


def test_an_act_under_way_goes_on_while_the_rule_only_reports(center: Center) -> None:
    arn, record = a_reported_assignment(center)
    world = center.world
    center.behaviour.looks_in_progress = 6
    ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    for _ in range(3):
        message = center.next_message()
        assert message is not None
        center.deliver(message)
    assert now(world, record).state is State.ACTING
    world.later(minutes=10)
    center.settle(a_look_at_assignment(center, record))
    center.follow()
    assert (center.principals(arn), now(world, record).state) == (set(), State.ACTED)


def a_look_at_assignment(center: Center, record: FindingRecord) -> dict[str, Any]:
    arn, _, rest = record.unique_id.rpartition("/USER/")
    return a_look_at(center, arn) | {
        "parameters": {
            "accountId": center.world.member,
            "permissionSetArn": arn,
            "principalType": "USER",
            "principalId": rest,
        }
    }


def test_a_permission_set_that_is_gone_is_made_again(center: Center) -> None:
    center_reports(center)
    arn = center.developer()
    center.settle(a_look_at(center, arn))
    event = center.do("DeletePermissionSet", PermissionSetArn=arn)
    center.settle(event)
    record = center.world.finding("idc-permission-set-deleted")
    assert order_in_center(center, record).state is State.ACTED
    assert center.named("Developer") not in {None, arn}


# Accounts


def test_an_account_is_given_the_access_that_its_baselines_want(accounts: Accounts) -> None:
    world = accounts.world
    wanted = {"dev": accounts.baseline(("Developers", "Developer"))}
    report_only(world, baselines=wanted, permission_sets={"Developer": DEVELOPER})
    accounts.settle(accounts.move(accounts.workloads))
    record = accounts.missing()
    assert record.state is State.OPEN
    ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    accounts.follow()
    acted = now(world, record)
    assert (acted.state, acted.ordered_by) == (State.ACTED, BY)
    assert accounts.held() == {("Developers", "Developer")}


def test_what_an_exclusive_baseline_does_not_want_is_removed(accounts: Accounts) -> None:
    world = accounts.world
    wanted = {"dev": accounts.baseline(("Developers", "Developer"), exclusive=True)}
    report_only(world, baselines=wanted, permission_sets={"Developer": DEVELOPER})
    accounts.center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Developers"])
    accounts.center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Operators"])
    accounts.settle(accounts.move(accounts.workloads))
    (record,) = accounts.found(STALE)
    assert ordering.may_order(record) is None
    ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    accounts.follow()
    assert now(world, record).state is State.ACTED
    assert accounts.held() == {("Developers", "Developer")}


def test_the_first_users_own_access_is_removed(accounts: Accounts) -> None:
    world, center = accounts.world, accounts.center
    arn = center.permission_set("AWSAdministratorAccess")
    accounts.sets["AWSAdministratorAccess"] = arn
    accounts.groups["first-user"] = center.user("first-user")
    center.assigned(arn, "USER", accounts.groups["first-user"])
    center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Developers"])
    wanted = {"dev": accounts.baseline(("Developers", "Developer"))}
    report_only(world, baselines=wanted, permission_sets={"Developer": DEVELOPER})
    accounts.organizations.move_account(
        AccountId=world.member,
        SourceParentId=accounts.root,
        DestinationParentId=accounts.workloads,
    )
    accounts.settle(accounts.enrolled())
    (record,) = accounts.found(FIRST_USER)
    assert record.state is State.OPEN
    ordering.order(record, by=BY, reason=REASON, services=world.services, now=world.now)
    accounts.follow()
    assert now(world, record).state is State.ACTED
    assert accounts.held() == {("Developers", "Developer")}


# What can be ordered


def test_nothing_can_be_ordered_of_what_is_only_reported(world: World) -> None:
    report_only(world)
    world.do("CreateUser", UserName="eve")
    policy = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    world.deliver(
        world.do(
            "PutUserPolicy",
            UserName="eve",
            PolicyName="little",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [policy]}),
        )
    )
    record = world.finding("iam-user-policy-attached")
    assert "only ever reports" in (ordering.may_order(record) or "")


@pytest.mark.parametrize(
    "state",
    [it for it in State if it not in {State.OPEN, State.FAILED}],
)
def test_nothing_can_be_ordered_of_what_is_not_open(world: World, state: State) -> None:
    record = a_reported_key(world).model_copy(update={"state": state})
    assert state.value in (ordering.may_order(record) or "")
