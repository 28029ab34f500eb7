"""An access key, from event to verified containment, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyward.findings import State

if TYPE_CHECKING:
    from tests.flow.world import World


def test_created_key_is_deactivated_verified_and_recorded(world: World) -> None:
    world.do("CreateUser", UserName="ci")
    event = world.do("CreateAccessKey", UserName="ci")
    key_id = event["detail"]["responseElements"]["accessKey"]["accessKeyId"]

    world.deliver(event)

    assert world.key_status("ci", key_id) == "Inactive"
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.ACTED
    assert finding.outcome == f"access key {key_id} is inactive"
    assert finding.account == world.member
    assert world.untold() == [finding]


def test_calls_for_a_deactivated_key_are_at_most_six(world: World) -> None:
    world.do("CreateUser", UserName="ci")
    world.deliver(world.do("CreateAccessKey", UserName="ci"))
    calls = world.counted(world.do("CreateAccessKey", UserName="ci"))
    assert calls.total() <= 6, calls
