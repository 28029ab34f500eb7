"""What existed before a rule enforced: swept, planned, confirmed, and then acted on by a sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from keyward import rules, settling
from keyward.findings import State
from keyward.sweep import IDENTITY_CENTER
from tests.flow.center import a_center
from tests.flow.sweeping import Sweeping, the_sweeping
from tests.flow.test_operating import ask
from tests.flow.world import HUB, World

RULE = "iam-access-key-created"
EXISTING = {"mode": "enforce", "existing": "enforce"}


@pytest.fixture
def sweeping(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweeping]:
    with the_sweeping(world) as made, a_center(world, monkeypatch):
        world.settings(settings={"ceiling": "report"}, enforcing_since={})
        yield made


def a_key_without_event(world: World, user: str, account: str) -> str:
    iam = world.iam(account)
    iam.create_user(UserName=user)
    return str(iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])


def written(world: World, value: dict[str, Any]) -> list[str]:
    """The setting as owners write it, compiled; why it was refused."""
    tree = {"/keyward/settings": {"ceiling": "enforce"}, f"/keyward/rules/{RULE}": value}
    for name, it in tree.items():
        world.services.ssm.put(name, json.dumps(it), replace=True)
    found = settling.settle(
        ssm=world.services.ssm, ledger=world.ledger, rules=rules.every(), now=world.now
    )
    world.services._settings = None
    return [refusal.text for refusal in found.refused]


def test_what_existed_is_planned_from_a_sweep_and_acted_on_only_once_confirmed(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    places = {"ci": world.member, "cd": world.other_member}
    keys = {user: a_key_without_event(world, user, account) for user, account in places.items()}
    world.later(hours=1)

    def statuses() -> set[str]:
        return {world.key_status(user, keys[user], account) for user, account in places.items()}

    assert sweeping.run(full=True).complete
    found = ask(world, "sweep-plan", rule=RULE)
    assert found["doubts"] == []
    assert {(row["account"], row["action"]) for row in found["rows"]} == {
        (account, "deactivate-access-key") for account in places.values()
    }
    assert ask(world, "sweep-plan", rule=RULE, existing=False)["plans"][0]["acts"] == 0

    assert written(world, {"mode": "enforce"}) == []
    sweeping.run(full=True)
    assert statuses() == {"Active"}, "what existed is reported, never acted on"
    assert len(written(world, EXISTING)) == 1

    (plan,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    assert ask(world, "sweep-confirm", rule=RULE, digest=plan["digest"])["acts"] == 2
    sweeping.run(full=True)
    assert statuses() == {"Active"}, "a confirmed plan alone does nothing"

    assert written(world, EXISTING) == []
    sweeping.run(full=True)
    assert statuses() == {"Inactive"}
    acted = [it for it in sweeping.records() if it.rule == RULE]
    assert [it.state for it in acted] == [State.ACTED, State.ACTED]
    (after,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    assert (after["acts"], after["held"]) == (0, 0)


def test_a_sweep_leaves_what_status_and_inventory_show(sweeping: Sweeping) -> None:
    world = sweeping.world
    key = a_key_without_event(world, "ci", world.member)
    sweep = sweeping.run(full=True)
    keys = ask(world, "inventory", kind="access-key")
    assert keys["sweep"] == sweep.id
    assert [(it["account"], it["user"], it["active"]) for it in keys["lines"]] == [
        (world.member, "ci", True)
    ]
    assert key not in json.dumps(ask(world, "inventory")["lines"]), "the report has no key ids"
    rows = {it["account"]: it for it in ask(world, "status", accounts=True)["accounts"]}
    assert set(rows) == {HUB, world.member, world.other_member, IDENTITY_CENTER}
    assert all(row["readable"] for row in rows.values())
    assert (rows[world.member]["users"], rows[world.member]["keys"]) == (1, 1)
    found = ask(world, "status")
    assert found["sweep"]["last_complete"]["id"] == sweep.id
    assert found["accounts"] == {"known": 3, "unread": 0, "not_forwarding": 0, "silent": 0}
    assert set(rows[world.member]["forwarders"].values()) == {""}
