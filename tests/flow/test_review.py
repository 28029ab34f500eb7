"""What an adversary tried: orders, races and refusals that ended unsafe or without a way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keyward.errors import GatewayError
from keyward.findings import State
from tests.flow.test_access_keys import a_key, release
from tests.flow.test_quarantine import a_user_with_keys, groups
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
