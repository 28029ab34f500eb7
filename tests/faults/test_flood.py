"""Storms: all of it recorded, little of it acted on, few messages; decoys open no door."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyward import pipeline, rules, telling
from keyward.actions import DENY_ALL_ARN
from keyward.findings import FindingRecord, Severity, State
from keyward.ledger import Ledger, told_document
from keyward.settings import Accepted
from tests.faults.memory import MemoryServices, MemoryTable
from tests.faults.scenarios import AWS_QUARANTINE
from tests.flow.world import World, an_administrator

FIVE_MINUTES = timedelta(minutes=5)
ACCOUNTS = tuple(f"{number:012}" for number in range(200_000_000_001, 200_000_000_011))


def everything_enforced(now: datetime) -> Accepted:
    every = [rule.id for rule in rules.every()]
    return Accepted.model_validate_json(
        json.dumps(
            {
                "version": 1,
                "settings": {"ceiling": "enforce"},
                "rules": {rule: {"mode": "enforce"} for rule in every},
                "enforcing_since": dict.fromkeys(every, (now - timedelta(days=1)).isoformat()),
            }
        )
    )


def a_created_user(account: str, name: str, user_id: str, *, at: datetime) -> dict[str, Any]:
    user = {"userName": name, "userId": user_id, "path": "/"}
    return {
        "account": account,
        "source": "aws.iam",
        "detail": {
            "eventID": f"event-{user_id}",
            "eventSource": "iam.amazonaws.com",
            "eventName": "CreateUser",
            "eventTime": at.isoformat(),
            "awsRegion": "us-east-1",
            "recipientAccountId": account,
            "userIdentity": an_administrator(account),
            "requestParameters": {"userName": name},
            "responseElements": {"user": user},
        },
    }


@pytest.mark.parametrize(("users", "phase_seconds"), [(10_000, 150), (2_000, 0)])
def test_ten_thousand_users_in_five_minutes_are_recorded_capped_and_folded(
    users: int, phase_seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    """`phase_seconds`: how far into a window of alerts, and of the schedule, the storm begins.

    What is told is told by windows, and so fewer users show the same of another phase.
    """
    caplog.set_level(logging.CRITICAL, logger="keyward")
    start = datetime(2026, 11, 20, 9, 0, tzinfo=UTC) + timedelta(seconds=phase_seconds)
    services = MemoryServices()
    services.ledger.accept(everything_enforced(start), replacing=0)
    guard = rules.of_guard("iam_guard")
    scheduled = datetime(2026, 11, 20, 9, 5, tzinfo=UTC)
    services.table.stream.clear()
    for number in range(users):
        now = start + number * FIVE_MINUTES / users
        while now >= scheduled:
            telling.tell_the_rest(services=services, now=scheduled)
            scheduled += FIVE_MINUTES
        account, name = ACCOUNTS[number % len(ACCOUNTS)], f"user-{number}"
        services.iam(account, now).add(name, f"AIDA{number}", at=now)
        event = a_created_user(account, name, f"AIDA{number}", at=now)
        pipeline.enforce(json.dumps(event), rules=guard, services=services, now=now)
        written, services.table.stream = services.table.stream, []
        told = [told_document(item) for item in written if "untold" in item]
        telling.tell(told, services=services, now=now)
    while services.ledger.untold(before=scheduled, limit=1):
        telling.tell_the_rest(services=services, now=scheduled)
        scheduled += FIVE_MINUTES

    records = [
        FindingRecord.model_validate_json(item["doc"]["S"])
        for (pk, _), item in services.table.items.items()
        if pk.startswith("finding#")
    ]
    assert len(records) == users
    budgets = everything_enforced(start).settings.budgets
    acted = [record for record in records if record.state is State.ACTED]
    assert len(acted) == budgets.organization
    assert sum(len(iam.denied) for iam in services.accounts.values()) == budgets.organization
    in_accounts = Counter(record.account for record in acted)
    assert max(in_accounts.values()) <= budgets.account
    assert all(record.untold is None for record in records)
    assert len(services.topic.subjects) <= 20, services.topic.subjects
    assert any("budget" in subject for subject in services.topic.subjects) or any(
        "budget-spent" in body for body in services.topic.bodies
    )


def test_table_in_memory_does_what_motos_does(world: World) -> None:
    """A few users over a budget of two, through either table: the same items."""
    world.settings(settings={"ceiling": "enforce", "budgets": {"account": 2}})
    found = []
    events = [world.do("CreateUser", UserName=f"user-{number}") for number in range(5)]
    accepted = world.ledger.accepted()
    assert accepted is not None
    theirs = world.ledger
    for user in range(5):
        world.deliver(events[user])
    found.append(sorted(r.model_dump_json() for r in world.findings()))
    memory = MemoryTable()
    world.services.__dict__["ledger"] = Ledger(memory, claim_seconds=90)
    assert world.ledger is not theirs
    world.ledger.accept(accepted.model_copy(update={"version": 1}), replacing=0)
    for user in range(5):
        world.iam().detach_user_policy(
            UserName=f"user-{user}", PolicyArn=DENY_ALL_ARN
        ) if world.is_denied(f"user-{user}") else None
        world.iam().untag_user(UserName=f"user-{user}", TagKeys=["keyward:quarantined"])
        world.deliver(events[user])
    found.append(sorted(r.model_dump_json() for r in world.findings()))
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_decoys_in_one_account_leave_another_its_budget(world: World) -> None:
    for number in range(12):
        world.deliver(world.do("CreateUser", UserName=f"decoy-{number}"))
    decoys = [record for record in world.findings() if record.state is State.ACTED]
    assert len(decoys) == 5
    world.deliver(world.do("CreateUser", UserName="real", account=world.other_member))
    assert world.is_denied("real", world.other_member)


def test_decoys_that_use_up_the_organizations_budget_leave_the_critical_reserve(
    world: World,
) -> None:
    budgets = {"organization": 3, "account": 3, "critical_reserve": 2}
    world.settings(settings={"ceiling": "enforce", "budgets": budgets})
    for number in range(6):
        world.deliver(world.do("CreateUser", UserName=f"decoy-{number}"))
    other = world.other_member
    world.do("CreateUser", UserName="leaked", account=other)
    key = world.iam(other).create_access_key(UserName="leaked")["AccessKey"]["AccessKeyId"]
    world.deliver(world.do("CreateUser", UserName="late", account=other))
    assert not world.is_denied("late", other)
    world.deliver(
        world.do("AttachUserPolicy", account=other, UserName="leaked", PolicyArn=AWS_QUARANTINE)
    )
    finding = world.finding("iam-key-quarantined-by-aws")
    assert (finding.state, finding.severity) == (State.ACTED, Severity.CRITICAL)
    assert world.key_status("leaked", key, other) == "Inactive"
