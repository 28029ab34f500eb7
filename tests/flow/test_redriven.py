"""What every guard has judged already, and its words to itself, change nothing once redriven."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyward import telling
from keyward.findings import Notice, State
from keyward.redriving import DEAD
from tests.flow.accounts import MISSING, Accounts, the_accounts
from tests.flow.center import Center, a_center
from tests.flow.operated import Operated, an_operated
from tests.flow.test_account_baseline import AUDITORS, DEVELOPERS
from tests.flow.test_identity_center import USER_RULE
from tests.flow.test_operating import ask
from tests.flow.test_operating_sweep import writes
from tests.flow.world import World

OWN_QUEUES = {"SendMessage", "ReceiveMessage", "DeleteMessage"}


@pytest.fixture
def operated(world: World) -> Iterator[Operated]:
    with an_operated(world) as made:
        yield made


@pytest.fixture
def center(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> Iterator[Center]:
    with a_center(operated.world, monkeypatch) as made:
        yield made


@pytest.fixture
def accounts(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    with the_accounts(operated.world, monkeypatch) as made:
        yield made


def bodies_of(first: dict[str, Any], of: Center | Accounts) -> list[str]:
    """An event, and all that the guard told itself until it was done; told, too."""
    bodies = [json.dumps(first)]
    of.deliver(bodies[0])
    while (body := of.next_message()) is not None:
        bodies.append(body)
        of.deliver(body)
    assert len(bodies) > 1
    return bodies


def tell(world: World) -> None:
    telling.tell(world.untold(), services=world.services, now=world.now)
    assert world.untold() == []


def redriven(
    operated: Operated,
    queue: str,
    bodies: list[str],
    *,
    deliver: Callable[[str], None],
    follow: Callable[[], object],
) -> list[str]:
    """Puts them among the dead letters, redrives them, has them judged: what changed by that."""
    world = operated.world
    for body in bodies:
        operated.put(queue + DEAD, body)
    moved = ask(world, "redrive", name=queue, run="now")
    assert moved["moved"] == {queue: len(bodies)}
    again = operated.taken(queue)
    assert sorted(again) == sorted(bodies)
    with world.recorded() as calls:
        for body in again:
            deliver(body)
        follow()
    return [name for name in writes(calls) if name not in OWN_QUEUES]


@pytest.mark.parametrize("released", [False, True])
def test_an_assignment_that_was_removed_or_given_back(
    operated: Operated, center: Center, *, released: bool
) -> None:
    world = operated.world
    arn, user = center.developer(), center.user("jane")
    bodies = bodies_of(center.assign_user(arn, user), center)
    record = world.finding(USER_RULE)
    assert record.state is State.ACTED
    if released:
        assert ask(world, "release", finding=record.key, reason="agreed")["ok"]
        center.follow()
    tell(world)
    before, held = world.findings(), center.principals(arn)
    assert held == ({("USER", user)} if released else set())
    changed = redriven(
        operated,
        "keyward-identity-center-guard",
        bodies,
        deliver=center.deliver,
        follow=center.follow,
    )
    assert changed == []
    assert center.principals(arn) == held
    assert world.findings() == before
    assert world.untold() == []


def test_access_that_an_account_was_given(operated: Operated, accounts: Accounts) -> None:
    world = operated.world
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, AUDITORS)})
    accounts.move(accounts.workloads)
    bodies = bodies_of(accounts.enrolled(), accounts)
    assert [it.state for it in accounts.found(MISSING)] == [State.ACTED]
    tell(world)
    before, held = world.findings(), accounts.held()
    assert held == {DEVELOPERS, AUDITORS}
    changed = redriven(
        operated,
        "keyward-account-baseline",
        bodies,
        deliver=accounts.deliver,
        follow=accounts.follow,
    )
    assert changed == []
    assert accounts.held() == held
    assert world.findings() == before
    assert [it for it in world.untold() if isinstance(it, Notice)] == []
    assert world.untold() == []
