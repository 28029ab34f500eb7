"""What a hostile reader of the Identity Center guard tried: each was once a way to break it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from keyward.alerts import alert
from keyward.errors import GatewayError
from keyward.findings import State
from tests.flow.center import (
    ADMINISTRATOR_ACCESS,
    DEVELOPER,
    POWER_USER_ACCESS,
    READ_ONLY_ACCESS,
    Center,
)
from tests.flow.test_change_windows import put, settled
from tests.flow.test_identity_center import (
    ADMIN_RULE,
    DRIFT_RULE,
    SESSION_RULE,
    USER_RULE,
    check,
    inline,
    live,
    release,
)
from tests.flow.world import REGION, an_administrator, aws_error

BOUNDED: dict[str, Any] = {**DEVELOPER, "boundary": {"managed_policy_arn": POWER_USER_ACCESS}}
DELETED_RULE = "idc-permission-set-deleted"


def modes(**of: str) -> dict[str, dict[str, str]]:
    """All rules enforce but these."""
    from keyward import rules  # noqa: PLC0415

    every = {rule.id: {"mode": "enforce"} for rule in rules.every()}
    return every | {name.replace("_", "-"): {"mode": mode} for name, mode in of.items()}


def until_acted(center: Center, rule: str) -> None:
    while center.world.finding(rule).state is State.ACTING:
        center.deliver(center.next_message() or "")


# Only the offending object


def test_a_session_put_back_lets_be_what_another_rule_only_reports(center: Center) -> None:
    center.world.settings(
        permission_sets={"Developer": DEVELOPER}, rules=modes(idc_permission_set_drift="report")
    )
    arn = center.permission_set("Developer", READ_ONLY_ACCESS, POWER_USER_ACCESS)
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    assert center.described(arn)["SessionDuration"] == "PT4H"
    assert center.policies(arn) == {READ_ONLY_ACCESS, POWER_USER_ACCESS}


def test_a_boundary_put_back_lets_be_what_another_rule_only_reports(center: Center) -> None:
    center.world.settings(
        permission_sets={"Developer": BOUNDED}, rules=modes(idc_permission_set_drift="report")
    )
    arn = center.permission_set("Developer", READ_ONLY_ACCESS, POWER_USER_ACCESS)
    boundary = {"ManagedPolicyArn": POWER_USER_ACCESS}
    center.admin.put_permissions_boundary_to_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, PermissionsBoundary=boundary
    )
    center.settle(center.do("DeletePermissionsBoundaryFromPermissionSet", PermissionSetArn=arn))
    found = center.admin.get_permissions_boundary_for_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn
    )["PermissionsBoundary"]
    assert found == boundary
    assert center.policies(arn) == {READ_ONLY_ACCESS, POWER_USER_ACCESS}


def test_a_session_cut_of_an_unlisted_set_undoes_no_edit_that_came_after(center: Center) -> None:
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS)
    center.assigned(arn, "GROUP", center.group("Contractors"))
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H")
    center.world.later(seconds=60)
    center.deliver(event)
    assert center.world.finding(SESSION_RULE).state is State.ACTING
    center.admin.attach_managed_policy_to_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, ManagedPolicyArn=POWER_USER_ACCESS
    )
    center.follow()
    assert center.described(arn)["SessionDuration"] == "PT8H"
    assert center.policies(arn) == {READ_ONLY_ACCESS, POWER_USER_ACCESS}


def test_the_catalogue_of_now_counts_while_a_set_is_put_back(center: Center) -> None:
    arn = center.developer()
    center.assigned(arn, "GROUP", center.group("Developers"))
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT2H")
    center.world.later(seconds=60)
    center.deliver(event)
    assert center.world.finding(DRIFT_RULE).state is State.ACTING
    center.world.settings(permission_sets={"Developer": {**DEVELOPER, "session_hours": 2}})
    center.deliver(check(center, "Developer"))
    center.follow()
    assert center.described(arn)["SessionDuration"] == "PT2H"
    assert center.stale(arn) == []


# Releases


def test_the_release_of_a_detached_policy_brings_that_policy_alone(center: Center) -> None:
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS, POWER_USER_ACCESS)
    center.settle(
        center.do(
            "AttachManagedPolicyToPermissionSet",
            PermissionSetArn=arn,
            ManagedPolicyArn=ADMINISTRATOR_ACCESS,
        )
    )
    record = center.world.finding(ADMIN_RULE)
    assert record.state is State.ACTED
    center.admin.detach_managed_policy_from_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, ManagedPolicyArn=POWER_USER_ACCESS
    )
    tags = [{"Key": "owner", "Value": "ana"}]
    center.admin.tag_resource(InstanceArn=center.instance, ResourceArn=arn, Tags=tags)
    assert release(center, record.key)["ok"]
    center.follow()
    assert center.policies(arn) == {READ_ONLY_ACCESS, ADMINISTRATOR_ACCESS}
    found = center.admin.list_tags_for_resource(InstanceArn=center.instance, ResourceArn=arn)
    assert found["Tags"] == tags


def test_the_release_of_a_drift_undoes_no_edit_that_came_after(center: Center) -> None:
    arn = center.developer()
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT2H"))
    record = center.world.finding(DRIFT_RULE)
    tags = [{"Key": "owner", "Value": "ana"}]
    center.admin.tag_resource(InstanceArn=center.instance, ResourceArn=arn, Tags=tags)
    assert release(center, record.key)["ok"]
    center.follow()
    assert center.described(arn)["SessionDuration"] == "PT2H"
    found = center.admin.list_tags_for_resource(InstanceArn=center.instance, ResourceArn=arn)
    assert found["Tags"] == tags


def test_the_release_of_a_set_made_again_deletes_no_other_of_that_name(center: Center) -> None:
    arn = center.developer()
    center.world.ledger.remember_set(arn, "Developer")
    deletion = center.do("DeletePermissionSet", PermissionSetArn=arn)
    center.world.extension.trail = [deletion["detail"]]
    center.settle(deletion)
    record = center.world.finding(DELETED_RULE)
    center.admin.delete_permission_set(
        InstanceArn=center.instance, PermissionSetArn=center.named("Developer")
    )
    owners = center.developer()
    release(center, record.key)
    center.follow()
    assert center.named("Developer") == owners


def test_a_release_brings_back_no_deny_that_has_ended(center: Center) -> None:
    live(center)
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "GROUP", center.group("Developers"))
    center.deliver(center.assign_user(arn, user))
    until_acted(center, USER_RULE)
    assert user in inline(center, arn)
    drifted = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT2H")
    held_back = [center.next_message()]
    center.world.later(seconds=60)
    center.deliver(drifted)
    until_acted(center, DRIFT_RULE)
    assert user in inline(center, arn)
    center.deliver(held_back[0] or "")
    center.follow()
    assert inline(center, arn) == ""
    assert release(center, center.world.finding(DRIFT_RULE).key)["ok"]
    center.follow()
    assert inline(center, arn) == ""
    assert center.described(arn)["SessionDuration"] == "PT2H"


# Denies of live sessions


def test_whoever_has_the_set_through_a_group_is_not_denied(center: Center) -> None:
    live(center)
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    center.assigned(arn, "GROUP", group)
    center.directory.create_group_membership(
        IdentityStoreId=center.store, GroupId=group, MemberId={"UserId": user}
    )
    center.settle(center.assign_user(arn, user))
    record = center.world.finding(USER_RULE)
    assert record.state is State.ACTED
    assert inline(center, arn) == ""
    assert "through a group" in (record.outcome or "")


def test_a_set_put_back_meanwhile_keeps_the_deny_that_came_meanwhile(center: Center) -> None:
    live(center)
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "GROUP", center.group("Developers"))
    drifted = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT2H")
    center.world.later(seconds=60)
    center.behaviour.looks_in_progress = 30
    center.deliver(drifted)
    center.behaviour.looks_in_progress = 2
    center.deliver(center.assign_user(arn, user))
    until_acted(center, USER_RULE)
    until_acted(center, DRIFT_RULE)
    assert user in inline(center, arn)


def test_a_release_lifts_the_deny_in_the_account_as_well(center: Center) -> None:
    live(center)
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "GROUP", center.group("Developers"))
    center.deliver(center.assign_user(arn, user))
    until_acted(center, USER_RULE)
    assert center.stale(arn) == []
    center.assigned(arn, "USER", user)  # by hand, before anybody thinks of the release
    assert release(center, center.world.finding(USER_RULE).key)["ok"]
    center.follow()
    assert inline(center, arn) == ""
    assert center.stale(arn) == []


def test_a_deny_is_lifted_though_the_assignment_came_back_under_report(center: Center) -> None:
    live(center)
    arn, user = center.permission_set("Contractors", READ_ONLY_ACCESS), center.user("jane")
    center.assigned(arn, "GROUP", center.group("Contractors"))
    center.deliver(center.assign_user(arn, user))
    until_acted(center, USER_RULE)
    waits = center.next_message()
    center.world.settings(settings={"ceiling": "report"})
    center.deliver(center.assign_user(arn, user))
    assert center.world.finding(USER_RULE).episode == 2
    center.deliver(waits or "")
    center.follow()
    assert inline(center, arn) == ""


def test_a_deny_is_lifted_though_the_queue_failed_once(center: Center) -> None:
    live(center)
    arn, user = center.permission_set("Contractors", READ_ONLY_ACCESS), center.user("jane")
    center.assigned(arn, "GROUP", center.group("Contractors"))
    center.deliver(center.assign_user(arn, user))
    until_acted(center, USER_RULE)
    waits = center.next_message() or ""

    def refused(operation: str, _params: dict[str, Any], call: Any) -> Any:
        if operation == "SendMessage":
            raise aws_error("ServiceUnavailable", operation, 503)
        return call()

    center.world.fault = refused
    with center.world.recorded(), pytest.raises(GatewayError, match="ServiceUnavailable"):
        center.deliver(waits)
    center.world.fault = None
    center.world.later(seconds=360)  # the queue's visibility timeout
    center.deliver(waits)
    center.follow()
    assert inline(center, arn) == ""


# What fails elsewhere


def test_an_identity_store_that_does_not_answer_keeps_no_assignment(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)

    def denied(operation: str, _params: dict[str, Any], call: Any) -> Any:
        if operation == "DescribeUser":
            raise aws_error("AccessDeniedException", operation, 400)
        return call()

    center.world.fault = denied
    with center.world.recorded():
        center.settle(event)
    center.world.fault = None
    assert center.principals(arn) == set()


def test_a_group_that_is_gone_keeps_no_other_from_its_set(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    center.world.ledger.remember_set(arn, "Developer")
    gone = "00000000-0000-4000-8000-000000000000"
    removed = [
        center.event(
            "DeleteAccountAssignment",
            {
                "InstanceArn": center.instance,
                "PermissionSetArn": arn,
                "PrincipalType": "GROUP",
                "PrincipalId": who,
                "TargetType": "AWS_ACCOUNT",
                "TargetId": center.world.member,
            },
        )
        for who in (gone, group)
    ]
    deletion = center.do("DeletePermissionSet", PermissionSetArn=arn)
    center.world.extension.trail = [event["detail"] for event in (*removed, deletion)]
    center.settle(deletion)
    record = center.world.finding(DELETED_RULE)
    assert record.state is State.ACTED
    assert center.principals(center.named("Developer") or "") == {("GROUP", group)}


# Policies that say something else than they seem to


def test_a_policy_with_a_member_twice_is_not_the_one_without(center: Center) -> None:
    wanted = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    center.world.settings(permission_sets={"Developer": {**DEVELOPER, "inline_policy": wanted}})
    arn = center.developer()
    everything = '[{"Effect": "Allow", "Action": "*", "Resource": "*"}]'
    text = f'{{"Statement": {everything}, {json.dumps(wanted)[1:]}'
    center.settle(
        center.do("PutInlinePolicyToPermissionSet", PermissionSetArn=arn, InlinePolicy=text)
    )
    assert json.loads(inline(center, arn)) == wanted
    assert everything not in inline(center, arn)


# Races


def everything(sid: str) -> str:
    statement = {"Sid": sid, "Effect": "Allow", "Action": "*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_an_inline_policy_put_again_while_it_is_taken_off_goes_as_well(center: Center) -> None:
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS)
    center.assigned(arn, "GROUP", center.group("Contractors"))
    put = "PutInlinePolicyToPermissionSet"
    center.deliver(center.do(put, PermissionSetArn=arn, InlinePolicy=everything("One")))
    assert inline(center, arn) == ""
    assert center.world.finding(ADMIN_RULE).state is State.ACTING
    center.deliver(center.do(put, PermissionSetArn=arn, InlinePolicy=everything("Two")))
    center.follow()
    assert inline(center, arn) == ""
    assert center.stale(arn) == []
    assert center.world.finding(ADMIN_RULE).state is State.ACTED


# Control Tower


def test_no_deny_is_put_into_a_set_of_control_tower(center: Center) -> None:
    live(center)
    arn, user = center.permission_set("AWSReadOnlyAccess", READ_ONLY_ACCESS), center.user("jane")
    center.assigned(arn, "GROUP", center.group("Auditors"))
    center.settle(center.assign_user(arn, user))
    assert center.principals(arn) & {("USER", user)} == set()
    assert inline(center, arn) == ""
    assert "may live until" in (center.world.finding(USER_RULE).outcome or "")


# What can't be put back


def test_a_tag_that_cannot_be_put_back_keeps_no_policy_in_the_accounts(center: Center) -> None:
    tagged = {**DEVELOPER, "tags": {"team": "platform"}}
    center.world.settings(permission_sets={"Developer": tagged})
    arn = center.developer()
    center.assigned(arn, "GROUP", center.group("Developers"))
    event = center.do(
        "AttachManagedPolicyToPermissionSet",
        PermissionSetArn=arn,
        ManagedPolicyArn=POWER_USER_ACCESS,
    )
    center.admin.provision_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, TargetType="ALL_PROVISIONED_ACCOUNTS"
    )
    center.behaviour.refuse("TagResource", "ServiceQuotaExceededException", times=50)
    center.world.later(seconds=60)
    center.settle(event)
    assert center.policies(arn) == {READ_ONLY_ACCESS}
    assert center.stale(arn) == []
    record = center.world.finding(DRIFT_RULE)
    assert (record.state, record.severity.value) == (State.FAILED, "critical")
    assert "TagResource" in (record.outcome or "")


def test_a_boundary_that_cannot_be_put_back_keeps_no_policy_on_the_set(center: Center) -> None:
    center.world.settings(permission_sets={"Developer": BOUNDED})
    arn = center.permission_set("Developer", POWER_USER_ACCESS)
    center.assigned(arn, "GROUP", center.group("Developers"))
    refused = "PutPermissionsBoundaryToPermissionSet"
    center.behaviour.refuse(refused, "ValidationException", times=50)
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT2H")
    center.world.later(seconds=60)
    center.settle(event)
    assert center.policies(arn) == set()  # and without its boundary it gets nothing
    assert center.stale(arn) == []
    assert center.world.finding(DRIFT_RULE).state is State.FAILED


# What Keyward can't see


def test_what_could_not_be_read_is_one_finding_whoever_administers(center: Center) -> None:
    arn = center.developer()
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT2H")
    delegated = center.world.other_member
    event["account"] = event["detail"]["recipientAccountId"] = delegated
    event["detail"]["userIdentity"] = an_administrator(delegated)
    center.world.later(seconds=60)
    center.behaviour.refuse("DescribePermissionSet", "AccessDeniedException", times=1)
    center.deliver(event)
    (record,) = center.world.findings()
    assert "cannot enforce here" in (record.held or "")
    center.settle(event)
    (record,) = center.world.findings()
    assert record.state is State.ACTED


# Whole texts


def test_the_longest_inline_policies_fit_the_ledger_and_the_alert(center: Center) -> None:
    def long(letter: str) -> str:
        actions = [f"{letter}{number:x}:*" for number in range(0x400, 0x400 + 1120)]
        statement = {"Effect": "Deny", "Action": actions, "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    wanted = {**DEVELOPER, "inline_policy": json.loads(long("a"))}
    center.world.settings(permission_sets={"Developer": wanted})
    arn = center.developer()
    center.settle(
        center.do("PutInlinePolicyToPermissionSet", PermissionSetArn=arn, InlinePolicy=long("b"))
    )
    record = center.world.finding(DRIFT_RULE)
    assert record.state is State.ACTED
    assert len(record.model_dump_json()) < 300_000
    assert len(alert(record).body) < 100_000


# What was there before


def test_the_first_settings_ever_change_no_set_that_was_there_before(center: Center) -> None:
    arn = center.permission_set("Developer", READ_ONLY_ACCESS, POWER_USER_ACCESS)
    boto3.client("dynamodb", region_name=REGION).delete_item(
        TableName="keyward-ledger", Key={"pk": {"S": "settings"}, "sk": {"S": "accepted"}}
    )
    put("settings", {"ceiling": "enforce"})
    put(f"rules/{DRIFT_RULE}", {"mode": "enforce"})
    put("permission-sets/Developer", DEVELOPER)
    settled(center.world)
    center.follow()
    record = center.world.finding(DRIFT_RULE)
    assert record.held == "existed before the rule began to enforce"
    assert center.policies(arn) == {READ_ONLY_ACCESS, POWER_USER_ACCESS}


def test_a_policy_taken_off_leaves_the_deny_of_a_session(center: Center) -> None:
    live(center)
    arn, user = center.permission_set("Contractors", READ_ONLY_ACCESS), center.user("jane")
    center.assigned(arn, "GROUP", center.group("Contractors"))
    center.deliver(center.assign_user(arn, user))
    until_acted(center, USER_RULE)
    document = json.loads(inline(center, arn))
    document["Statement"].append(json.loads(everything("One"))["Statement"][0])
    text = json.dumps(document)
    center.next_message()  # its end is not what this is about
    center.settle(
        center.do("PutInlinePolicyToPermissionSet", PermissionSetArn=arn, InlinePolicy=text)
    )
    assert center.world.finding(ADMIN_RULE).state is State.ACTED
    assert user in inline(center, arn)
    assert "One" not in inline(center, arn)
    assert center.stale(arn) == []


def test_a_pause_stops_an_act_that_is_under_way(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    center.behaviour.fail("DeleteAccountAssignment", "role is in use")
    center.deliver(event)
    assert center.world.finding(USER_RULE).state is State.ACTING
    center.world.settings(
        permission_sets={"Developer": DEVELOPER},
        paused_until=center.world.now + timedelta(hours=4),
    )
    center.follow()
    assert center.principals(arn) == {("USER", user)}
    record = center.world.finding(USER_RULE)
    assert record.state is State.FAILED
    assert "interrupted" in (record.outcome or "")


def test_a_deny_ends_when_a_group_gives_the_set_by_the_next_removal(center: Center) -> None:
    live(center)
    arn, user = center.permission_set("Contractors", READ_ONLY_ACCESS), center.user("jane")
    group = center.group("Contractors")
    center.assigned(arn, "GROUP", group)
    center.deliver(center.assign_user(arn, user))
    until_acted(center, USER_RULE)
    assert user in inline(center, arn)
    center.directory.create_group_membership(
        IdentityStoreId=center.store, GroupId=group, MemberId={"UserId": user}
    )
    center.world.later(minutes=10)
    center.deliver(center.assign_user(arn, user))
    began = center.world.now
    center.follow()
    assert center.world.finding(USER_RULE).episode == 2
    assert inline(center, arn) == ""
    assert center.stale(arn) == []
    assert center.world.now - began < timedelta(hours=1)
