"""Identity Center end to end, as AWS behaves: who holds what, and what drifted is put back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from keyward import operating
from keyward.alerts import alert
from keyward.events import check_message
from keyward.findings import State
from tests.flow.center import (
    ADMINISTRATOR_ACCESS,
    DEVELOPER,
    POWER_USER_ACCESS,
    READ_ONLY_ACCESS,
    Center,
)
from tests.flow.world import HUB, REGION, an_administrator

USER_RULE = "idc-assignment-to-user"
DRIFT_RULE = "idc-permission-set-drift"
ADMIN_RULE = "idc-permission-set-admin-equivalent"
SESSION_RULE = "idc-session-too-long"


# Assignments


def test_a_person_assigned_directly_is_removed_and_the_group_keeps_its_access(
    center: Center,
) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    center.assigned(arn, "GROUP", group)
    center.settle(center.assign_user(arn, user))
    assert center.principals(arn) == {("GROUP", group)}
    record = center.world.finding(USER_RULE)
    assert record.state is State.ACTED
    assert record.account == center.world.member
    assert "jane" in record.subject
    assert "sessions begun before may live until" in (record.outcome or "")
    assert len(center.world.untold()) == 1


def test_a_group_assignment_costs_no_call(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    event = center.do(
        "CreateAccountAssignment",
        PermissionSetArn=arn,
        PrincipalType="GROUP",
        PrincipalId=group,
        TargetType="AWS_ACCOUNT",
        TargetId=center.world.member,
    )
    center.world.services.accepted(center.world.now)
    assert not center.counted(event)


def test_a_removal_that_aws_begins_and_fails_is_asked_for_again(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    center.behaviour.fail("DeleteAccountAssignment", "role is in use")
    center.settle(event)
    assert center.principals(arn) == set()
    assert center.world.finding(USER_RULE).state is State.ACTED


def test_a_removal_that_fails_every_time_is_told_with_its_reason(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    for _ in range(5):
        center.behaviour.fail("DeleteAccountAssignment", "role quota reached")
    center.settle(event)
    record = center.world.finding(USER_RULE)
    assert (record.state, record.severity.value) == (State.FAILED, "critical")
    assert "role quota reached" in (record.outcome or "")
    assert center.principals(arn) == {("USER", user)}


@pytest.mark.parametrize("effective", [True, False])
def test_a_status_that_aws_forgot_is_no_reason_to_stop(center: Center, *, effective: bool) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    center.behaviour.lose("DeleteAccountAssignment", effective=effective)
    center.settle(event)
    assert center.principals(arn) == set()
    assert center.world.finding(USER_RULE).state is State.ACTED


@pytest.mark.parametrize("code", ["ConflictException", "ThrottlingException"])
def test_a_conflict_is_tried_again_soon(center: Center, code: str) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    center.behaviour.refuse("DeleteAccountAssignment", code, times=4)
    began = center.world.now
    center.settle(event)
    assert center.principals(arn) == set()
    assert center.world.now - began < timedelta(minutes=3)


def test_no_more_is_asked_for_than_aws_takes_at_once(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    center.behaviour.looks_in_progress = 3
    for number in range(15):
        center.do(
            "CreateAccountAssignment",
            PermissionSetArn=arn,
            PrincipalType="USER",
            PrincipalId=center.user(f"other-{number}"),
            TargetType="AWS_ACCOUNT",
            TargetId=center.world.other_member,
        )
    center.deliver(event)
    record = center.world.finding(USER_RULE)
    assert record.pending is not None
    assert "as many assignments as AWS allows" in record.pending.stage
    center.follow()
    assert center.principals(arn) == set()


def test_an_act_that_aws_never_finishes_is_told_after_half_an_hour(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    center.behaviour.looks_in_progress = 10_000
    began = center.world.now
    center.settle(event)
    record = center.world.finding(USER_RULE)
    assert record.state is State.FAILED
    assert "has not finished in 30 minutes" in (record.outcome or "")
    assert center.world.now - began < timedelta(minutes=35)


def test_a_release_gives_the_assignment_back_and_holds(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    center.settle(event)
    record = center.world.finding(USER_RULE)
    answer = release(center, record.key)
    assert answer["ok"]
    center.follow()
    assert center.principals(arn) == {("USER", user)}
    assert center.world.finding(USER_RULE).state is State.RELEASED
    center.settle(center.event("CreateAccountAssignment", asked(center, arn, user)))
    assert center.principals(arn) == {("USER", user)}


def test_an_exempt_assignment_stays(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.world.settings(
        permission_sets={"Developer": DEVELOPER},
        exemptions={"jane": an_exemption(center.world.member, f"{arn}/USER/{user}", USER_RULE)},
    )
    center.settle(center.assign_user(arn, user))
    assert center.principals(arn) == {("USER", user)}
    assert center.world.finding(USER_RULE).state is State.EXEMPT


def test_the_exemption_of_one_account_is_none_in_another(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.world.settings(
        permission_sets={"Developer": DEVELOPER},
        exemptions={
            "jane": an_exemption(center.world.other_member, f"{arn}/USER/{user}", USER_RULE)
        },
    )
    center.settle(center.assign_user(arn, user))
    assert center.principals(arn) == set()


def test_break_glass_keeps_its_assignment_and_pages(center: Center) -> None:
    arn, user = center.developer(), center.user("break-glass")
    protected = {
        "account": center.world.member,
        "principal_id": user,
        "why": "break-glass",
    }
    center.world.settings(
        permission_sets={"Developer": DEVELOPER},
        settings={"ceiling": "enforce", "protected": [protected]},
    )
    center.settle(center.assign_user(arn, user))
    assert center.principals(arn) == {("USER", user)}
    record = center.world.finding(USER_RULE)
    assert record.severity.value == "critical"
    assert record.held == "protected principal: break-glass"


def test_the_management_account_is_left_alone_unless_settings_name_it(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.settle(center.assign_user(arn, user, HUB))
    assert center.principals(arn, HUB) == {("USER", user)}
    assert "management account" in (center.world.finding(USER_RULE).held or "")


def test_an_assignment_of_another_instance_is_none_of_ours(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "USER", user)
    other = "arn:aws:sso:::instance/ssoins-0000000000000000"
    event = center.event("CreateAccountAssignment", asked(center, arn, user, instance=other))
    center.settle(event)
    assert center.principals(arn) == {("USER", user)}


def test_an_event_that_comes_ten_times_gives_one_removal_and_one_alert(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    with center.world.recorded():
        for _ in range(10):
            center.deliver(event)
        center.follow()
    names = [name for name, _ in center.world.calls]
    assert names.count("DeleteAccountAssignment") == 1
    assert len(center.world.untold()) == 1


def test_a_message_that_comes_twice_begins_no_second_chain(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.behaviour.looks_in_progress = 6
    center.deliver(center.assign_user(arn, user))
    message = center.next_message()
    assert message is not None
    for _ in range(3):
        center.deliver(message)
    assert center.next_message() is not None
    assert center.next_message() is None


def test_a_chain_that_broke_is_taken_up_by_whichever_message_comes(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.deliver(center.assign_user(arn, user))
    message = center.next_message()
    assert message is not None
    center.deliver(message)
    assert center.next_message() is not None  # and that one is lost
    center.world.later(minutes=6)
    center.deliver(message)
    center.follow()
    assert center.principals(arn) == set()
    assert center.world.finding(USER_RULE).state is State.ACTED


def test_an_assignment_that_comes_back_is_a_new_offence(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.settle(center.assign_user(arn, user))
    center.world.later(minutes=10)
    center.settle(center.assign_user(arn, user))
    assert center.principals(arn) == set()
    assert center.world.finding(USER_RULE).episode == 2


# Sessions that outlive the removal


def live(center: Center, **changes: Any) -> None:
    center.world.settings(
        permission_sets={"Developer": DEVELOPER},
        settings={"ceiling": "enforce", "identity_center": {"deny_live_sessions": True}},
        **changes,
    )


def inline(center: Center, arn: str) -> str:
    found = center.admin.get_inline_policy_for_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn
    )
    return str(found.get("InlinePolicy") or "")


def test_what_is_left_of_a_session_is_denied_and_the_deny_lifted_after_it(center: Center) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    live(center)
    center.assigned(arn, "GROUP", group)
    center.deliver(center.assign_user(arn, user))
    while center.world.finding(USER_RULE).state is State.ACTING:
        message = center.next_message()
        assert message is not None
        center.deliver(message)
    record = center.world.finding(USER_RULE)
    assert "are denied until" in (record.outcome or "")
    assert user in inline(center, arn)
    assert center.stale(arn) == []
    nearly = center.world.now + timedelta(hours=3, minutes=50)
    center.follow()
    assert center.world.now >= nearly
    assert inline(center, arn) == ""
    assert center.world.finding(USER_RULE).pending is None
    assert len(center.world.untold()) == 1


def test_a_deny_that_keyward_put_in_is_no_drift(center: Center) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    live(center)
    center.assigned(arn, "GROUP", group)
    center.deliver(center.assign_user(arn, user))
    while center.world.finding(USER_RULE).state is State.ACTING:
        center.deliver(center.next_message() or "")
    event = center.event(
        "PutInlinePolicyToPermissionSet",
        {
            "InstanceArn": center.instance,
            "PermissionSetArn": arn,
            "InlinePolicy": inline(center, arn),
        },
        at=center.world.now - timedelta(seconds=30),
    )
    center.deliver(event)
    assert {record.rule for record in center.world.findings()} == {USER_RULE}
    assert user in inline(center, arn)


def test_a_role_that_is_gone_needs_no_deny(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    live(center)
    center.settle(center.assign_user(arn, user))
    assert "its role is gone" in (center.world.finding(USER_RULE).outcome or "")
    assert inline(center, arn) == ""


# Permission sets


def test_a_console_save_is_one_finding_with_all_differences(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    center.assigned(arn, "GROUP", group)
    saved = center.world.now
    events = [
        center.do("UpdatePermissionSet", PermissionSetArn=arn, Description="Mine", at=saved),
        center.do(
            "AttachManagedPolicyToPermissionSet",
            PermissionSetArn=arn,
            ManagedPolicyArn=POWER_USER_ACCESS,
            at=saved,
        ),
        center.do(
            "DetachManagedPolicyFromPermissionSet",
            PermissionSetArn=arn,
            ManagedPolicyArn=READ_ONLY_ACCESS,
            at=saved,
        ),
    ]
    for event in events:
        center.deliver(event)
    assert center.world.findings() == []
    center.follow()
    record = center.world.finding(DRIFT_RULE)
    assert record.state is State.ACTED
    assert record.episode == 1
    assert set(record.details) == {
        "- description: Mine",
        "+ description: Builds and runs things",
        f"- managed policy: {POWER_USER_ACCESS}",
        f"+ managed policy: {READ_ONLY_ACCESS}",
    }
    assert center.policies(arn) == {READ_ONLY_ACCESS}
    assert center.described(arn)["Description"] == DEVELOPER["description"]
    assert center.stale(arn) == []
    (told,) = center.world.untold()
    assert "+ description: Builds and runs things" in alert(told).body


def test_administrator_access_on_developer_is_detached_at_once(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    center.assigned(arn, "GROUP", group)
    event = center.do(
        "AttachManagedPolicyToPermissionSet",
        PermissionSetArn=arn,
        ManagedPolicyArn=ADMINISTRATOR_ACCESS,
    )
    center.deliver(event)
    assert center.policies(arn) == {READ_ONLY_ACCESS}
    center.follow()
    record = center.world.finding(ADMIN_RULE)
    assert record.state is State.ACTED
    assert record.severity.value == "critical"
    assert "AdministratorAccess" in record.reason
    assert center.stale(arn) == []


def test_a_session_of_twelve_hours_is_put_back(center: Center) -> None:
    arn = center.developer()
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    assert center.described(arn)["SessionDuration"] == "PT4H"
    record = center.world.finding(SESSION_RULE)
    assert record.state is State.ACTED


def test_the_session_of_a_set_that_nobody_listed_is_cut_to_the_limit(center: Center) -> None:
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS)
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    assert center.described(arn)["SessionDuration"] == "PT8H"
    assert center.policies(arn) == {READ_ONLY_ACCESS}


def test_what_keyward_does_itself_leads_to_no_other_act(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    center.assigned(arn, "GROUP", group)
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H")
    with center.world.recorded():
        center.settle(event)
        own = [
            center.event(name, {k: v for k, v in params.items() if k != "_account"}, actor=guard())
            for name, params in center.world.calls
            if name in {"UpdatePermissionSet", "ProvisionPermissionSet"}
        ]
        center.world.calls.clear()
        for one in own:
            center.settle(one)
    assert not {"UpdatePermissionSet", "ProvisionPermissionSet"} & {
        name for name, _ in center.world.calls
    }
    assert len(center.world.findings()) == 1


def test_a_release_puts_back_the_drifted_set_as_it_was(center: Center) -> None:
    arn = center.developer()
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    (record,) = center.world.findings()
    assert release(center, record.key)["ok"]
    center.follow()
    assert center.described(arn)["SessionDuration"] == "PT12H"
    event = center.event(
        "UpdatePermissionSet",
        {"InstanceArn": center.instance, "PermissionSetArn": arn, "SessionDuration": "PT12H"},
    )
    center.settle(event)
    assert center.described(arn)["SessionDuration"] == "PT12H"


def test_a_set_that_people_hold_in_the_management_account_is_left_alone(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    center.assigned(arn, "GROUP", group, HUB)
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    assert center.described(arn)["SessionDuration"] == "PT12H"
    (record,) = center.world.findings()
    assert "management account" in (record.held or "")


def test_control_towers_sets_are_not_repaired(center: Center) -> None:
    arn = center.permission_set("AWSPowerUserAccess", POWER_USER_ACCESS, hours=1)
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    assert center.described(arn)["SessionDuration"] == "PT12H"
    assert "Control Tower" in (center.world.finding(SESSION_RULE).held or "")


def test_the_owners_change_of_the_catalogue_is_brought_to_identity_center(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    center.assigned(arn, "GROUP", group)
    center.world.settings(permission_sets={"Developer": {**DEVELOPER, "session_hours": 2}})
    center.settle(check(center, "Developer"))
    assert center.described(arn)["SessionDuration"] == "PT2H"
    assert center.stale(arn) == []


def test_a_check_of_a_set_that_is_in_order_leaves_no_trace(center: Center) -> None:
    center.developer()
    center.settle(check(center, "Developer"))
    assert center.world.findings() == []
    assert center.world.untold() == []


def test_a_deleted_set_of_the_catalogue_is_made_again_with_its_groups(center: Center) -> None:
    arn, group, user = center.developer(), center.group("Developers"), center.user("jane")
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT4H"))
    removed = [
        center.event("DeleteAccountAssignment", asked(center, arn, who, kind=kind))
        for kind, who in (("GROUP", group), ("USER", user))
    ]
    deletion = center.do("DeletePermissionSet", PermissionSetArn=arn)
    center.world.extension.trail = [event["detail"] for event in (*removed, deletion)]
    center.settle(deletion)
    record = center.world.finding("idc-permission-set-deleted")
    assert record.state is State.ACTED
    again = center.named("Developer")
    assert again is not None
    assert again != arn
    assert center.principals(again) == {("GROUP", group)}
    assert center.policies(again) == {READ_ONLY_ACCESS}
    assert release(center, record.key)["ok"]
    center.follow()
    assert center.named("Developer") is None


def test_a_set_that_was_made_again_and_deleted_at_once_is_made_again(center: Center) -> None:
    arn = center.developer()
    center.world.ledger.remember_set(arn, "Developer")
    for _ in range(2):
        arn = center.named("Developer") or ""
        deletion = center.do("DeletePermissionSet", PermissionSetArn=arn)
        center.world.extension.trail = [deletion["detail"]]
        center.settle(deletion)
        center.world.later(minutes=10)
    assert center.named("Developer") not in {None, arn}
    assert center.world.finding("idc-permission-set-deleted").episode == 2


def test_an_event_from_a_clock_that_is_ahead_is_dealt_with_at_once(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "USER", user)
    ahead = center.world.now + timedelta(seconds=4)
    center.deliver(center.event("CreateAccountAssignment", asked(center, arn, user), at=ahead))
    assert center.world.finding(USER_RULE).state is State.ACTING


def test_an_event_of_the_delegated_administrators_account_counts_the_same(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    delegated = center.world.other_member
    event["account"] = delegated
    event["detail"]["recipientAccountId"] = delegated
    event["detail"]["userIdentity"] = an_administrator(delegated)
    center.settle(event)
    assert center.principals(arn) == set()


def test_in_mode_report_nothing_is_touched(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.world.settings(permission_sets={"Developer": DEVELOPER}, settings={"ceiling": "report"})
    center.settle(center.assign_user(arn, user))
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    assert center.principals(arn) == {("USER", user)}
    assert center.described(arn)["SessionDuration"] == "PT12H"
    assert {record.state for record in center.world.findings()} == {State.OPEN}


def test_without_a_catalogue_an_edit_that_is_in_order_costs_no_call(center: Center) -> None:
    arn = center.permission_set("Contractors", READ_ONLY_ACCESS)
    center.world.settings()
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT1H")
    center.world.services.accepted(center.world.now)
    assert not center.counted(event)


# What a reader of the code found


def test_what_comes_back_while_keyward_may_not_act_is_told_anew(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.settle(center.assign_user(arn, user))
    for item in center.world.untold():
        center.world.ledger.told(item)
    center.world.settings(permission_sets={"Developer": DEVELOPER}, settings={"ceiling": "report"})
    center.world.later(minutes=10)
    center.settle(center.assign_user(arn, user))
    record = center.world.finding(USER_RULE)
    assert (record.state, record.episode) == (State.OPEN, 2)
    assert len(center.world.untold()) == 1


def test_what_control_tower_assigns_is_let_be(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)
    event["detail"]["userIdentity"] = control_tower()
    center.settle(event)
    assert center.principals(arn) == {("USER", user)}
    assert center.world.finding(USER_RULE).held == "made by Control Tower"


def test_no_deny_goes_into_the_management_account_unless_settings_name_it(center: Center) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    live(center)
    center.assigned(arn, "GROUP", group)
    center.assigned(arn, "GROUP", group, HUB)
    center.settle(center.assign_user(arn, user))
    record = center.world.finding(USER_RULE)
    assert record.state is State.ACTED
    assert "settings spare it" in (record.outcome or "")
    assert inline(center, arn) == ""


def test_a_deny_that_cannot_be_brought_there_is_taken_back_and_told(center: Center) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    live(center)
    center.assigned(arn, "GROUP", group)
    event = center.assign_user(arn, user)
    for _ in range(3):
        center.behaviour.fail("ProvisionPermissionSet", "role is in use")
    center.settle(event)
    record = center.world.finding(USER_RULE)
    assert record.state is State.ACTED
    assert "could not be denied" in (record.outcome or "")
    assert inline(center, arn) == ""


def test_an_alert_of_a_deny_says_what_was_done(center: Center) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    live(center)
    center.assigned(arn, "GROUP", group)
    center.deliver(center.assign_user(arn, user))
    while center.world.finding(USER_RULE).state is State.ACTING:
        center.deliver(center.next_message() or "")
    (told,) = center.world.untold()
    assert "are denied until" in alert(told).body
    assert "under way" not in alert(told).body


def test_whoever_is_assigned_again_during_a_deny_is_denied_for_as_long(center: Center) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    live(center)
    center.assigned(arn, "GROUP", group)
    for _ in range(2):
        center.deliver(center.assign_user(arn, user))
        while center.world.finding(USER_RULE).state is State.ACTING:
            center.deliver(center.next_message() or "")
        center.world.later(hours=1)
    (deny,) = center.world.ledger.live_denies(arn, now=center.world.now)
    assert deny.until > center.world.now + timedelta(hours=2, minutes=50)


def test_a_set_made_again_is_given_to_nobody_in_the_management_account(center: Center) -> None:
    arn, group = center.developer(), center.group("Developers")
    center.world.ledger.remember_set(arn, "Developer")
    here = asked(center, arn, group, kind="GROUP")
    removed = [
        center.event("DeleteAccountAssignment", here | {"TargetId": account})
        for account in (center.world.member, HUB)
    ]
    deletion = center.do("DeletePermissionSet", PermissionSetArn=arn)
    center.world.extension.trail = [event["detail"] for event in (*removed, deletion)]
    center.settle(deletion)
    again = center.named("Developer") or ""
    assert center.principals(again) == {("GROUP", group)}
    assert center.principals(again, HUB) == set()


def test_a_deletion_waits_shortly_for_the_history_that_lags(center: Center) -> None:
    arn = center.developer()
    center.world.ledger.remember_set(arn, "Developer")
    center.deliver(center.do("DeletePermissionSet", PermissionSetArn=arn))
    assert center.delays == [60]


def test_more_sets_than_an_account_has_budget_are_brought_to_the_catalogue(center: Center) -> None:
    names = [f"Team{number}" for number in range(7)]
    for name in names:
        center.permission_set(name, READ_ONLY_ACCESS)
    center.world.settings(
        permission_sets={name: {**DEVELOPER, "session_hours": 2} for name in names}
    )
    for name in names:
        center.settle(check(center, name))
    assert {record.state for record in center.world.findings()} == {State.ACTED}


def test_a_later_edit_of_a_set_that_drifted_already_is_told_with_its_diff(center: Center) -> None:
    arn = center.developer()
    center.world.settings(permission_sets={"Developer": DEVELOPER}, settings={"ceiling": "report"})
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT3H"))
    for item in center.world.untold():
        center.world.ledger.told(item)
    center.world.later(minutes=10)
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT2H"))
    record = center.world.finding(DRIFT_RULE)
    assert "- session: 2 h" in record.details
    assert len(center.world.untold()) == 1


def test_an_exempt_set_that_is_in_order_leaves_no_trace(center: Center) -> None:
    arn = center.developer()
    exempt = an_exemption(HUB, arn, DRIFT_RULE, SESSION_RULE, "idc-boundary-missing")
    center.world.settings(permission_sets={"Developer": DEVELOPER}, exemptions={"dev": exempt})
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT4H"))
    assert center.world.findings() == []


def test_an_exempt_set_may_drift(center: Center) -> None:
    arn = center.developer()
    exempt = an_exemption(HUB, arn, DRIFT_RULE, SESSION_RULE, "idc-boundary-missing")
    center.world.settings(permission_sets={"Developer": DEVELOPER}, exemptions={"dev": exempt})
    center.settle(center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT12H"))
    assert center.described(arn)["SessionDuration"] == "PT12H"


def test_what_another_worker_is_at_comes_again_in_seconds(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    event = center.assign_user(arn, user)

    def dies(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "DeleteAccountAssignment":
            raise Died
        return call()

    center.world.fault = dies
    with pytest.raises(Died), center.world.recorded():
        center.deliver(event)
    center.world.fault = None
    center.deliver(event)
    assert center.delays == [5]
    center.follow()
    assert center.principals(arn) == set()


class Died(BaseException):
    """The function was killed."""


def test_what_keyward_may_not_look_at_is_not_told_as_if_it_were_so(center: Center) -> None:
    arn = center.developer()
    event = center.do("UpdatePermissionSet", PermissionSetArn=arn, SessionDuration="PT4H")
    center.world.later(minutes=1)
    center.behaviour.refuse("DescribePermissionSet", "AccessDeniedException", times=50)
    center.deliver(event)
    (record,) = center.world.findings()
    assert record.reason.startswith("Keyward could not look: ")
    assert "cannot enforce here" in (record.held or "")


# What tests say shortly


def release(center: Center, finding: str) -> dict[str, object]:
    request = {"act": "release", "by": "ana", "finding": finding, "reason": "it was meant so"}
    return operating.answer(request, services=center.world.services, now=center.world.now)


def asked(
    center: Center, arn: str, principal: str, *, kind: str = "USER", instance: str | None = None
) -> dict[str, Any]:
    return {
        "InstanceArn": instance or center.instance,
        "PermissionSetArn": arn,
        "PrincipalType": kind,
        "PrincipalId": principal,
        "TargetType": "AWS_ACCOUNT",
        "TargetId": center.world.member,
    }


def an_exemption(account: str, unique_id: str, *rules: str) -> dict[str, Any]:
    return {
        "owner": "ana@example.com",
        "reason": "a pilot project",
        "ticket": "SEC-1",
        "until": "2999-01-01T00:00:00Z",
        "account": account,
        "unique_id": unique_id,
        "rules": list(rules),
    }


def check(center: Center, name: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(
        check_message(
            id_="settings-2",
            account=HUB,
            region=REGION,
            time=center.world.now,
            why="CatalogueChanged",
            parameters={"permissionSetName": name},
        )
    )
    return message


def guard() -> dict[str, Any]:
    """The guard's own role."""
    return a_role("keyward-identity-center-guard", path="keyward")


def control_tower() -> dict[str, Any]:
    return a_role("AWSControlTowerAdmin", path="service-role")


def a_role(role: str, *, path: str) -> dict[str, Any]:
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{role}",
        "arn": f"arn:aws:sts::{HUB}:assumed-role/{role}/{role}",
        "accountId": HUB,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "arn": f"arn:aws:iam::{HUB}:role/{path}/{role}",
                "accountId": HUB,
                "userName": role,
            }
        },
    }
