"""An owner changes a permission set by its parameter; the guard brings Identity Center there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3

from keyward.findings import State
from keyward.rules import every
from keyward.settling import CHECK_SECONDS, settle
from tests.flow.center import DEVELOPER, READ_ONLY_ACCESS, Center
from tests.flow.world import REGION, World

if TYPE_CHECKING:
    from keyward.compiling import Compilation

SECURITY_AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
DRIFT = "idc-permission-set-drift"
OTHER = {**DEVELOPER, "managed_policies": [READ_ONLY_ACCESS, SECURITY_AUDIT], "session_hours": 2}


def put(name: str, value: object) -> None:
    boto3.client("ssm", region_name=REGION).put_parameter(
        Name=f"/keyward/{name}", Value=json.dumps(value), Type="String", Overwrite=True
    )


def settled(world: World) -> Compilation:
    """What settings_guard does on a change, while a warm guard has just read what was before."""
    world.later(minutes=1)
    world.services.accepted(world.now)
    return settle(
        ssm=world.services.ssm,
        ledger=world.ledger,
        rules=every(),
        now=world.now,
        hub=world.services,
    )


def in_force(center: Center, *, mode: str) -> str:
    """A set as the catalogue has it, in an account, and the rule on drift in this mode."""
    arn = center.developer()
    center.assigned(arn, "GROUP", center.group("developers"))
    put("settings", {"ceiling": "enforce"})
    put(f"rules/{DRIFT}", {"mode": mode})
    put("permission-sets/Developer", DEVELOPER)
    assert settled(center.world).changed
    center.follow()
    assert center.world.findings() == []
    return arn


def test_a_changed_parameter_changes_the_permission_set_in_every_account(
    world: World, center: Center
) -> None:
    arn = in_force(center, mode="enforce")
    put("permission-sets/Developer", OTHER)
    settled(world)
    assert center.delays == [CHECK_SECONDS]
    center.follow()
    assert center.policies(arn) == {READ_ONLY_ACCESS, SECURITY_AUDIT}
    assert center.described(arn)["SessionDuration"] == "PT2H"
    assert center.stale(arn) == []
    record = world.finding(DRIFT)
    assert record.state is State.ACTED
    assert f"+ managed policy: {SECURITY_AUDIT}" in record.details


def test_a_rule_that_only_reports_tells_what_the_change_asks_for(
    world: World, center: Center
) -> None:
    arn = in_force(center, mode="report")
    put("permission-sets/Developer", OTHER)
    settled(world)
    center.follow()
    assert center.policies(arn) == {READ_ONLY_ACCESS}
    assert world.finding(DRIFT).state is State.OPEN


def test_what_stays_as_it_was_is_not_looked_at(world: World, center: Center) -> None:
    in_force(center, mode="enforce")
    put("permission-sets/Developer", {"$comment": "why", **DEVELOPER})
    settled(world)
    assert center.follow() == 0


def test_an_entry_that_is_refused_changes_nothing(world: World, center: Center) -> None:
    arn = in_force(center, mode="enforce")
    put("permission-sets/Developer", {**OTHER, "session_hours": 13})
    assert settled(world).refused
    assert center.follow() == 0
    assert center.policies(arn) == {READ_ONLY_ACCESS}
    assert center.described(arn)["SessionDuration"] == "PT4H"
