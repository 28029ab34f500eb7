"""What a sweep has looked at of one IAM user: the same findings and acts as by events."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from keyward import alerts
from keyward.actions import DENY_ALL_ARN
from keyward.errors import EventError
from keyward.events import check_message
from keyward.facts.iam import LOOKS, USER_CHECK
from keyward.findings import FindingRecord, Severity, State
from tests.flow.test_access_keys import release
from tests.flow.world import HUB, UNCOUNTED, aws_error

if TYPE_CHECKING:
    from tests.flow.world import World

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
LEAKED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
EVERYTHING = ",".join(sorted(LOOKS))
KEY = "iam-access-key-created"
USER = "iam-user-created"


def a_check(world: World, user: str | None = "eve", **parameters: str) -> str:
    """A sweep's word about one user, each time by another sweep."""
    named = {"userName": user} if user is not None else {}
    world.later(seconds=1)
    return check_message(
        id_=f"sweep-{world.now.timestamp():.0f}",
        account=world.member,
        region="us-east-1",
        time=world.now,
        why=USER_CHECK,
        parameters=named | parameters,
    )


def look(world: World, user: str | None = "eve", **parameters: str) -> None:
    world.deliver(a_check(world, user, **parameters))


def id_of(world: World, user: str = "eve") -> str:
    return str(world.iam().get_user(UserName=user)["User"]["UserId"])


def a_user(world: World, name: str = "eve") -> str:
    """A user of whom no event came; its id."""
    return str(world.iam().create_user(UserName=name)["User"]["UserId"])


def a_key_of(world: World, user: str = "eve") -> str:
    return str(world.iam().create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])


def report_only(world: World) -> None:
    world.settings(settings={"ceiling": "report"})


def by_rule(world: World) -> dict[str, FindingRecord]:
    return {record.rule: record for record in world.findings()}


def states(world: World) -> dict[str, State]:
    return {rule: record.state for rule, record in by_rule(world).items()}


def calls_of(world: World, check: str) -> Counter[str]:
    """The calls to IAM of one check, once warm."""
    with world.recorded() as calls:
        world.deliver(check)
    dynamo = {"GetItem", "PutItem", "TransactWriteItems", "Query", "UpdateItem"}
    return Counter(name for name, _ in calls if name not in UNCOUNTED | dynamo)


# ------------------------------------------------------------------ what it finds


def test_key_that_no_event_told_of_is_deactivated(world: World) -> None:
    a_user(world)
    key = a_key_of(world)
    look(world, looks="keys")
    assert world.key_status("eve", key) == "Inactive"
    record = world.finding(KEY)
    assert (record.state, record.unique_id) == (State.ACTED, key)
    assert "Who:      unknown: a sweep found it" in alerts.alert(record).body


def test_user_that_no_event_told_of_is_quarantined(world: World) -> None:
    user_id = a_user(world)
    look(world, userId=user_id, looks="user")
    assert world.is_denied("eve")
    assert world.finding(USER).user_id == user_id
