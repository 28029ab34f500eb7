"""What Keyward tells itself to look at: nothing is missed for ever because an event was lost."""

from __future__ import annotations

import json
from typing import Any

from keyward.events import check_message
from keyward.findings import State
from tests.flow.center import ADMINISTRATOR_ACCESS, DEVELOPER, READ_ONLY_ACCESS, Center
from tests.flow.world import HUB, REGION

DELETED_RULE = "idc-permission-set-deleted"


def sweep(center: Center, **parameters: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(
        check_message(
            id_="sweep-1",
            account=HUB,
            region=REGION,
            time=center.world.now,
            why="Sweep",
            parameters=parameters,
        )
    )
    return message


def reporting(center: Center) -> None:
    center.world.settings(permission_sets={"Developer": DEVELOPER}, settings={"ceiling": "report"})


def states(center: Center) -> dict[str, State]:
    return {record.rule: record.state for record in center.world.findings()}


def test_a_set_that_is_back_settles_that_it_was_missing(center: Center) -> None:
    reporting(center)
    center.deliver(sweep(center, permissionSetName="Developer"))
    assert states(center) == {DELETED_RULE: State.OPEN}
    center.developer()
    center.deliver(sweep(center, permissionSetName="Developer"))
    assert states(center) == {DELETED_RULE: State.RESOLVED}


def test_a_set_that_somebody_made_anew_at_once_is_no_finding(center: Center) -> None:
    arn = center.developer()
    center.deliver(sweep(center, permissionSetArn=arn))
    event = center.do("DeletePermissionSet", PermissionSetArn=arn)
    again = center.developer()
    center.settle(event)
    assert center.world.findings() == []
    assert center.named("Developer") == again


def test_a_drift_that_people_mended_is_settled(center: Center) -> None:
    reporting(center)
    arn = center.permission_set("Developer", READ_ONLY_ACCESS, hours=12)
    center.deliver(sweep(center, permissionSetArn=arn))
    assert set(states(center).values()) == {State.OPEN}
    center.admin.update_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, SessionDuration="PT4H"
    )
    center.deliver(sweep(center, permissionSetArn=arn))
    assert set(states(center).values()) == {State.RESOLVED}


def test_what_a_sweep_finds_is_told_and_not_acted_on(center: Center) -> None:
    arn = center.permission_set("Developer", READ_ONLY_ACCESS, ADMINISTRATOR_ACCESS, hours=12)
    center.settle(sweep(center, permissionSetArn=arn))
    (record,) = center.world.findings()
    assert (record.severity.value, record.state) == ("critical", State.OPEN)
    assert record.held == "existed before the rule began to enforce"
    assert {record.rule, *record.also} == {
        "idc-permission-set-admin-equivalent",
        "idc-permission-set-drift",
        "idc-session-too-long",
    }
    assert center.policies(arn) == {READ_ONLY_ACCESS, ADMINISTRATOR_ACCESS}


def test_accounts_that_are_behind_are_brought_up_to_date_where_settings_include_them(
    center: Center,
) -> None:
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS)
    center.assigned(arn, "GROUP", center.group("Contractors"))
    center.admin.update_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, SessionDuration="PT2H"
    )
    assert center.stale(arn)
    rule = "idc-permission-set-not-provisioned"
    center.settle(sweep(center, permissionSetArn=arn))
    assert states(center) == {rule: State.OPEN}
    center.world.settings(rules={rule: {"mode": "enforce", "existing": "enforce"}})
    center.settle(sweep(center, permissionSetArn=arn))
    assert states(center) == {rule: State.ACTED}
    assert center.stale(arn) == []


def test_too_many_sets_are_one_finding(center: Center) -> None:
    center.world.settings()
    arns = [center.permission_set(f"Set{number}", READ_ONLY_ACCESS) for number in range(7)]
    for arn in arns:
        center.deliver(sweep(center, permissionSetArn=arn))
    (record,) = center.world.findings()
    assert record.rule == "idc-permission-set-unlisted"
    assert record.reason.endswith("is one of 7, more than 6")


def test_an_assignment_that_aws_still_makes_is_removed_once_it_is_there(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.behaviour.looks_in_progress = 1
    event = center.do(
        "CreateAccountAssignment",
        PermissionSetArn=arn,
        PrincipalType="USER",
        PrincipalId=user,
        TargetType="AWS_ACCOUNT",
        TargetId=center.world.member,
    )
    center.deliver(event)
    assert center.world.findings() == []
    center.follow()
    assert center.principals(arn) == set()
    assert states(center) == {"idc-assignment-to-user": State.ACTED}


def test_what_an_old_console_assigned_is_told_and_stays(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "USER", user)
    event = center.event(
        "AssociateProfile",
        {"accessorId": user, "accessorType": "USER", "profileId": "p-1", "instanceId": "ins-1"},
    )
    center.settle(event)
    (record,) = center.world.findings()
    assert (record.rule, record.account) == ("idc-assignment-to-user", center.world.member)
    assert record.held == "existed before the rule began to enforce"
    assert center.principals(arn) == {("USER", user)}
