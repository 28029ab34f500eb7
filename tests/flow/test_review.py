"""What an adversary tried: orders, races and refusals that ended unsafe or without a way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keyward import telling
from keyward.actions import DENY_ALL_ARN, QUARANTINE_GROUP
from keyward.errors import GatewayError
from keyward.findings import State
from tests.flow.test_access_keys import a_key, exemption, release
from tests.flow.test_quarantine import a_user_with_keys, fill_policy_slots, groups
from tests.flow.world import aws_error

if TYPE_CHECKING:
    from tests.flow.world import World

LEAKED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


def refuse(world: World, operation: str, code: str, *, times: int = 99) -> None:
    """AWS refuses this operation so often."""
    left = [times]

    def fault(name: str, _params: object, call: Any) -> object:
        if name == operation and left[0]:
            left[0] -= 1
            raise aws_error(code, name, 403)
        return call()

    world.fault = fault


def deliver(world: World, event: dict[str, Any]) -> None:
    """One delivery with the faults that are set; afterwards there are none."""
    try:
        with world.recorded():
            world.deliver(event)
    finally:
        world.fault = None


def deliver_in_vain(world: World, event: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as raised:
        deliver(world, event)
    assert raised.value.retryable
    world.later(minutes=6)


def test_released_user_is_not_contained_by_an_act_that_was_interrupted_before(
    world: World,
) -> None:
    event, keys = a_user_with_keys(world)
    world.deliver(event)
    password = world.do("CreateLoginProfile", UserName="eve", Password="Secret-1-of-a-test")
    refuse(world, "TagUser", "Throttling", times=1)
    deliver_in_vain(world, password)
    release(world, world.finding("iam-user-created").key)

    world.deliver(password)

    assert not world.is_denied("eve")
    assert world.key_status("eve", keys[0]) == "Active"


def test_act_taken_over_after_a_release_has_ended_can_be_released_again(world: World) -> None:
    event, keys = a_user_with_keys(world)
    world.deliver(event)
    password = world.do("CreateLoginProfile", UserName="eve", Password="Secret-1-of-a-test")
    refuse(world, "TagUser", "Throttling", times=1)
    deliver_in_vain(world, password)
    release(world, world.finding("iam-user-created").key, days=1)
    world.later(days=2)
    world.deliver(password)
    assert world.is_denied("eve")

    release(world, world.finding("iam-console-password-set").key)

    assert not world.is_denied("eve")
    assert world.key_status("eve", keys[0]) == "Active"
    assert world.key_status("eve", keys[1]) == "Inactive"


def test_key_that_is_deleted_meanwhile_keeps_no_other_key_active(world: World) -> None:
    world.do("CreateUser", UserName="eve")
    iam = world.iam()
    keys = [iam.create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"] for _ in range(2)]
    event = world.do("AttachUserPolicy", UserName="eve", PolicyArn=LEAKED)
    refuse(world, "UpdateAccessKey", "Throttling", times=1)
    deliver_in_vain(world, event)
    iam.delete_access_key(UserName="eve", AccessKeyId=keys[0])

    world.deliver(event)

    assert world.key_status("eve", keys[1]) == "Inactive"
    assert world.finding("iam-key-quarantined-by-aws").state is State.ACTED


def test_user_is_contained_by_the_next_rung_where_attaching_is_forbidden(world: World) -> None:
    event, keys = a_user_with_keys(world)
    refuse(world, "AttachUserPolicy", "AccessDenied")
    deliver(world, event)
    assert groups(world) == {"keyward-quarantine"}
    assert world.key_status("eve", keys[0]) == "Inactive"
    assert world.finding("iam-user-created").state is State.ACTED


def test_throttled_deny_leaves_no_key_active_meanwhile(world: World) -> None:
    event, keys = a_user_with_keys(world)
    refuse(world, "AttachUserPolicy", "Throttling")
    deliver_in_vain(world, event)
    assert world.key_status("eve", keys[0]) == "Inactive"
    world.deliver(event)
    assert world.is_denied("eve")
    release(world, world.finding("iam-user-created").key)
    assert world.key_status("eve", keys[0]) == "Active"


@pytest.mark.parametrize("code", ["AccessDenied", "LimitExceeded"])
def test_marker_that_is_refused_makes_no_contained_user_uncontained(
    world: World, code: str
) -> None:
    event, _ = a_user_with_keys(world)
    refuse(world, "TagUser", code)
    deliver(world, event)
    finding = world.finding("iam-user-created")
    assert world.is_denied("eve")
    assert finding.state is State.ACTED
    assert finding.outcome is not None
    assert "not marked" in finding.outcome


def test_key_made_while_its_user_is_quarantined_is_found_by_the_next_delivery(
    world: World,
) -> None:
    world.settings(rules={"iam-user-created": {"mode": "enforce"}})
    event = world.do("CreateUser", UserName="eve")
    made: list[str] = []

    def quick(operation: str, _params: object, call: Any) -> object:
        if operation == "AttachUserPolicy" and not made:
            made.append("")
            made[0] = world.iam().create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"]
        return call()

    world.fault = quick
    deliver_in_vain(world, event)

    world.deliver(event)

    assert world.key_status("eve", made[0]) == "Inactive"
    assert world.finding("iam-user-created").state is State.ACTED


def test_attacker_cannot_spend_the_budget_by_activating_a_key_again_and_again(
    world: World,
) -> None:
    """However grave the owners call the rule that is about the key itself."""
    world.settings(
        rules={
            "iam-access-key-created": {"mode": "enforce", "severity": "critical"},
            "iam-quarantine-undone": {"mode": "enforce"},
        }
    )
    key_id, event = a_key(world)
    world.deliver(event)
    for _ in range(12):
        world.deliver(
            world.do("UpdateAccessKey", UserName="ci", AccessKeyId=key_id, Status="Active")
        )
        assert world.key_status("ci", key_id) == "Inactive"


def test_release_that_was_never_finished_poisons_no_event(world: World) -> None:
    event, _ = a_user_with_keys(world)
    world.deliver(event)
    key = world.finding("iam-user-created").key
    refuse(world, "DetachUserPolicy", "AccessDenied")
    with world.recorded():
        assert release(world, key)["ok"] is False
    world.fault = None
    world.later(minutes=6)

    world.deliver(event)

    assert world.finding("iam-user-created").state is State.RELEASING
    assert release(world, key)["ok"] is True
    assert not world.is_denied("eve")


def tell_all(world: World) -> None:
    for what in world.untold():
        world.ledger.told(what)


def test_second_key_that_leaks_is_contained_and_told_as_the_first_was(world: World) -> None:
    world.do("CreateUser", UserName="eve")
    iam = world.iam()
    first = iam.create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"]
    world.deliver(world.do("AttachUserPolicy", UserName="eve", PolicyArn=LEAKED))
    tell_all(world)
    iam.detach_user_policy(UserName="eve", PolicyArn=LEAKED)
    iam.delete_access_key(UserName="eve", AccessKeyId=first)
    second = iam.create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"]
    world.later(days=30)

    world.deliver(world.do("AttachUserPolicy", UserName="eve", PolicyArn=LEAKED, at=world.now))

    assert world.key_status("eve", second) == "Inactive"
    finding = world.finding("iam-key-quarantined-by-aws")
    assert finding.episode == 2
    assert world.untold() == [finding]


def test_password_of_a_user_whose_quarantine_is_lost_contains_it_again(world: World) -> None:
    """The event of the loss never came: CloudTrail delivers as well as it can."""
    world.do("CreateUser", UserName="eve")
    world.deliver(world.do("CreateLoginProfile", UserName="eve", Password="Secret-1-of-a-test"))
    world.iam().detach_user_policy(UserName="eve", PolicyArn=DENY_ALL_ARN)
    world.deliver(world.do("UpdateLoginProfile", UserName="eve", Password="Secret-2-of-a-test"))
    assert world.is_denied("eve")


def test_password_of_a_user_in_the_quarantine_group_is_told_once(world: World) -> None:
    world.do("CreateUser", UserName="eve")
    fill_policy_slots(world)
    world.deliver(world.do("CreateLoginProfile", UserName="eve", Password="Secret-1-of-a-test"))
    tell_all(world)
    world.deliver(world.do("UpdateLoginProfile", UserName="eve", Password="Secret-2-of-a-test"))
    assert world.untold() == []
    assert world.finding("iam-console-password-set").episode == 1


def tampering(world: World) -> dict[str, Any]:
    asked = {"RoleName": "keyward-member", "PolicyName": "more", "PolicyDocument": "{}"}
    return world.event("PutRolePolicy", asked, at=world.now)


def test_each_later_change_of_keyward_itself_is_told(world: World) -> None:
    first = tampering(world)
    world.deliver(first)
    tell_all(world)
    world.later(days=30)
    second = tampering(world)
    world.deliver(second)
    assert [what.episode for what in world.findings() if what in world.untold()] == [2]
    tell_all(world)

    for again in (first, second):
        world.deliver(again)

    assert world.untold() == []


def test_second_key_of_root_is_told_as_the_first_was(world: World) -> None:
    root = {"type": "Root", "arn": f"arn:aws:iam::{world.member}:root", "accountId": world.member}

    def key_exists(operation: str, _params: object, call: Any) -> object:
        if operation == "GetAccountSummary":
            return {"SummaryMap": {"AccountAccessKeysPresent": 1}}
        return call()

    for key_id in ("AKIAIOSFODNN7EXAMPL1", "AKIAIOSFODNN7EXAMPL2"):
        tell_all(world)
        world.later(days=30)
        answer = {"AccessKey": {"AccessKeyId": key_id, "Status": "Active"}}
        world.fault = key_exists
        deliver(world, world.event("CreateAccessKey", {}, answer, actor=root, at=world.now))
        assert world.untold() == [world.finding("iam-root-access-key-created")]


def test_finding_that_is_seen_again_and_again_is_told_all_the_same(world: World) -> None:
    world.settings(settings={"ceiling": "report"})
    key_id, event = a_key(world)
    world.deliver(event)
    activated = {"UserName": "ci", "AccessKeyId": key_id, "Status": "Active"}
    for _ in range(3):
        world.later(seconds=40)
        world.deliver(world.event("UpdateAccessKey", activated))
        telling.tell_the_rest(services=world.services, now=world.now)
    assert world.untold() == []


def test_index_that_lags_behind_has_nothing_told_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ci", "cd"):
        world.deliver(a_key(world, name)[1])
    stale = world.untold()
    world.later(minutes=2)
    monkeypatch.setattr(world.ledger, "untold", lambda **_limits: list(stale))
    with world.recorded() as calls:
        telling.tell_the_rest(services=world.services, now=world.now)
    assert [name for name, _ in calls].count("Publish") == 1


def test_what_is_contained_can_be_released_though_it_was_exempted_meanwhile(world: World) -> None:
    event, keys = a_user_with_keys(world)
    refuse(world, "AttachUserPolicy", "AccessDenied")
    world.iam().delete_group_policy(GroupName=QUARANTINE_GROUP, PolicyName="keyward-deny-all")
    own = "arn:aws:iam::aws:policy/PowerUserAccess"
    world.iam().put_user_permissions_boundary(UserName="eve", PermissionsBoundary=own)
    deliver(world, event)
    assert world.finding("iam-user-created").state is State.FAILED
    covering = exemption(world) | {"user_pattern": "eve", "rules": ["iam-user-created"]}
    world.settings(exemptions={"eve": covering})
    world.deliver(event)
    assert world.finding("iam-user-created").state is State.EXEMPT

    answer = release(world, world.finding("iam-user-created").key)

    assert answer["ok"] is True
    assert world.key_status("eve", keys[0]) == "Active"


def test_credentials_that_aws_refuses_are_not_kept(world: World) -> None:
    world.deliver(a_key(world)[1])
    key_id, event = a_key(world, "cd")
    refuse(world, "GetUser", "InvalidClientTokenId")
    deliver_in_vain(world, event)
    with world.recorded() as calls:
        world.deliver(event)
    assert "AssumeRole" in [name for name, _ in calls]
    assert world.key_status("cd", key_id) == "Inactive"


@pytest.mark.parametrize("is_taken", [False, True])
def test_renamed_user_is_not_forgotten_but_can_be_released_under_its_old_name(
    world: World, *, is_taken: bool
) -> None:
    event, keys = a_user_with_keys(world)
    world.deliver(event)
    key = world.finding("iam-user-created").key
    iam = world.iam()
    iam.update_user(UserName="eve", NewUserName="eva")
    if is_taken:
        iam.create_user(UserName="eve")

    answer = release(world, key)

    assert "renamed" in str(answer["restored"])
    assert world.is_denied("eva")
    if is_taken:
        assert not world.is_denied("eve")
        iam.delete_user(UserName="eve")
    iam.update_user(UserName="eva", NewUserName="eve")
    assert release(world, key)["ok"] is True
    assert not world.is_denied("eve")
    assert world.key_status("eve", keys[0]) == "Active"


def test_boundary_that_somebody_set_meanwhile_is_left_by_a_release(world: World) -> None:
    event, _ = a_user_with_keys(world)
    world.deliver(event)
    own = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    world.iam().put_user_permissions_boundary(UserName="eve", PermissionsBoundary=own)
    assert release(world, world.finding("iam-user-created").key)["ok"] is True
    assert world.extension.boundaries == {(world.member, "eve"): own}


def test_key_of_a_user_who_was_renamed_meanwhile_is_deactivated(world: World) -> None:
    key_id, event = a_key(world, "mallory")
    world.iam().update_user(UserName="mallory", NewUserName="alice")
    world.deliver(event)
    assert world.key_status("alice", key_id) == "Inactive"
    assert world.finding("iam-access-key-created").state is State.ACTED


def test_release_of_an_undone_containment_leaves_a_key_that_was_inactive_before(
    world: World,
) -> None:
    event, keys = a_user_with_keys(world)
    world.deliver(event)
    world.deliver(world.do("UpdateAccessKey", UserName="eve", AccessKeyId=keys[1], Status="Active"))
    release(world, world.finding("iam-quarantine-undone").key)
    assert world.key_status("eve", keys[1]) == "Inactive"


def test_exemption_that_cannot_be_read_holds_back_acts_in_its_account(world: World) -> None:
    unreadable = {"account": world.member, "of_another_version": True}
    world.settings(exemptions={"build": unreadable})
    key_id, event = a_key(world)
    world.deliver(event)
    assert world.key_status("ci", key_id) == "Active"
    held = world.finding("iam-access-key-created").held
    assert held == "exemption build cannot be read, and may cover it"


def test_ceiling_of_off_judges_nothing(world: World) -> None:
    world.settings(settings={"ceiling": "off"})
    world.deliver(a_key(world)[1])
    assert world.findings() == []
