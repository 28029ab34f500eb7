"""What operators ask for about baselines: accounts, plans and rollouts; exempting and releasing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from keyward import operating
from keyward.findings import State
from keyward.rollout import Pair, Rollout, RolloutState
from tests.flow.accounts import MISSING, Accounts, the_accounts
from tests.flow.world import World

DEVELOPERS = ("Developers", "Developer")
EVERYBODY = ("Everybody", "ReadOnly")
NOBODY = "999988887777"


@pytest.fixture
def accounts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """An account in the unit Workloads, whose baseline wants two assignments there."""
    with the_accounts(world, monkeypatch) as made:
        made.move(made.workloads)
        made.settings({"workloads": made.baseline(DEVELOPERS, EVERYBODY)})
        yield made


def ask(world: World, act: str, **more: object) -> dict[str, Any]:
    request = {"act": act, "by": "arn:aws:iam::123456789012:user/ana", **more}
    answer = operating.answer(request, services=world.services, now=world.now)
    json.dumps(answer)
    return answer


def a_rollout(world: World, id_: str = "r-1", **changes: Any) -> Rollout:
    """A plan for the member, of two assignments, that waits; kept in the ledger."""
    accepted = world.ledger.accepted()
    assert accepted is not None
    made = Rollout(
        **{
            "id": id_,
            "state": RolloutState.PLANNED,
            "scope": "everything",
            "by": "ana",
            "reason": "asked for a plan",
            "created_at": world.now,
            "settings_version": accepted.version,
            "pairs": (
                Pair(
                    group_id="g-1",
                    permission_set_arn="arn:1",
                    group_name="Developers",
                    permission_set_name="Developer",
                    baselines=("workloads",),
                ),
                Pair(group_id="g-2", permission_set_arn="arn:2", baselines=("workloads",)),
            ),
            "names": {world.member: "workload"},
            "wanted": {world.member: (0, 1)},
            "missing": {world.member: (0, 1)},
            "total": 2,
            **changes,
        }
    )
    world.ledger.save_rollout(made, replacing=None)
    return made


# An account


def test_what_an_account_has_and_lacks_is_read(accounts: Accounts) -> None:
    world = accounts.world
    accounts.center.assigned(
        accounts.sets["ReadOnly"], "GROUP", accounts.groups["Everybody"], world.member
    )
    found = ask(world, "baseline-account", account=world.member)
    assert (found["name"], found["state"], found["unread"]) == ("workload", "ACTIVE", None)
    assert list(found["baselines"]) == ["workloads"]
    assert [(it["group"], it["permission_set"], it["has"]) for it in found["wanted"]] == [
        (*DEVELOPERS, False),
        (*EVERYBODY, True),
    ]
    assert found["finding"] is None
    assert found["rollouts"] == []


def test_reading_an_account_changes_nothing(accounts: Accounts) -> None:
    world = accounts.world
    ask(world, "baseline-account", account=world.member)
    assert (accounts.held(), world.findings()) == (set(), [])
    assert accounts.next_message() is None


def test_what_is_done_about_an_account_now_is_shown(accounts: Accounts) -> None:
    world = accounts.world
    accounts.deliver(accounts.enrolled())
    during = ask(world, "baseline-account", account=world.member)["finding"]
    assert (during["rule"], during["state"]) == (MISSING, "acting")
    assert during["pending"]["stage"]
    accounts.follow()
    after = ask(world, "baseline-account", account=world.member)
    assert after["finding"]["state"] == "acted"
    assert all(it["has"] for it in after["wanted"])
    assert after["finding"]["history"]


def test_an_account_that_no_baseline_selects_wants_nothing(accounts: Accounts) -> None:
    found = ask(accounts.world, "baseline-account", account=accounts.world.other_member)
    assert (list(found["baselines"]), found["wanted"]) == ([], [])


def test_names_that_nobody_knows_are_shown(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, ("Ghosts", "ReadOnly"))})
    found = ask(accounts.world, "baseline-account", account=accounts.world.member)
    assert list(found["unknown"]) == ["group Ghosts (baseline workloads)"]
    assert [it["group"] for it in found["wanted"]] == ["Developers"]


def test_an_account_of_others_is_not_read(accounts: Accounts) -> None:
    found = ask(accounts.world, "baseline-account", account=NOBODY)
    assert found["ok"] is True
    assert found["unread"] == "the organization has no such account"
    assert found["wanted"] == []


def test_a_closed_account_is_shown_with_its_state_and_not_asked_about(accounts: Accounts) -> None:
    world = accounts.world
    accounts.organizations.close_account(AccountId=world.member)
    with world.recorded() as calls:
        found = ask(world, "baseline-account", account=world.member)
    assert found["state"] != "ACTIVE"
    assert found["wanted"] == []
    assert "ListPermissionSetsProvisionedToAccount" not in {name for name, _ in calls}


def test_where_aws_says_no_the_rest_is_shown_all_the_same(accounts: Accounts) -> None:
    world = accounts.world
    accounts.deliver(accounts.enrolled())
    refuse = accounts.center.behaviour.refuse
    refuse("ListPermissionSetsProvisionedToAccount", "AccessDeniedException")
    found = ask(world, "baseline-account", account=world.member)
    assert "AccessDenied" in found["unread"]
    assert found["finding"]["state"] == "acting"


def test_rollouts_that_are_to_bring_something_are_named(accounts: Accounts) -> None:
    world = accounts.world
    a_rollout(world, "r-1")
    a_rollout(world, "r-2", state=RolloutState.STOPPED)
    a_rollout(world, "r-3", missing={world.other_member: (0,)})
    found = ask(world, "baseline-account", account=world.member)
    assert found["rollouts"] == [{"id": "r-1", "state": "planned", "lacking": 2}]


@pytest.mark.parametrize("account", ["12345", "12345678901x", "", None, 7])
def test_what_is_no_account_is_refused(accounts: Accounts, account: object) -> None:
    for act in ("baseline-account", "status"):
        if act == "status" and account is None:
            continue
        answer = ask(accounts.world, act, account=account)
        assert answer["ok"] is False
        assert "account" in answer["error"]


# The status of one account


def test_status_of_an_account_has_access_findings_and_who_is_contained(accounts: Accounts) -> None:
    world = accounts.world
    accounts.deliver(accounts.enrolled())
    world.do("CreateUser", UserName="ci")
    world.deliver(world.do("CreateAccessKey", UserName="ci"))
    found = ask(world, "status", account=world.member)
    assert [it["has"] for it in found["access"]["wanted"]] == [False, False]
    rules = {it["rule"]: it for it in found["findings"]}
    assert {MISSING, "iam-access-key-created"} <= rules.keys()
    assert rules[MISSING]["waits_for"]
    assert found["more_findings"] is False
    (held,) = found["contained"]
    assert (held["user"], held["action"]) == ("ci", "deactivate-access-key")


def test_status_of_an_account_leaves_out_others_and_what_is_settled(accounts: Accounts) -> None:
    world = accounts.world
    accounts.settle(accounts.enrolled())
    other = ask(world, "status", account=world.other_member)
    assert (other["findings"], other["contained"]) == ([], [])
    ask(world, "release", finding=accounts.missing().key, reason="agreed with its owner")
    accounts.follow()
    assert accounts.missing().state is State.RELEASED
    assert ask(world, "status", account=world.member)["findings"] == []


def test_status_of_an_account_reads_nothing_where_there_are_no_baselines(
    accounts: Accounts,
) -> None:
    world = accounts.world
    accounts.settings({})
    with world.recorded() as calls:
        found = ask(world, "status", account=world.member)
    assert found["access"] is None
    assert {name for name, _ in calls} == {"GetItem", "Query"}


def test_many_findings_of_an_account_are_cut_and_that_is_said(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operating, "FINDINGS_OF_ACCOUNT", 1)
    world = accounts.world
    for number in range(2):
        world.do("CreateUser", UserName=f"ci-{number}")
        world.deliver(world.do("CreateAccessKey", UserName=f"ci-{number}"))
    found = ask(world, "status", account=world.member)
    assert (len(found["findings"]), found["more_findings"]) == (1, True)


# Exempting and releasing


def exempted(accounts: Accounts) -> dict[str, Any]:
    """An exemption of the account, as an operator makes it from the finding."""
    return ask(
        accounts.world,
        "exempt",
        finding=accounts.missing().key,
        owner="team@example.com",
        reason="is wound up",
        ticket="SEC-1",
        until=(accounts.world.now + timedelta(days=30)).isoformat(),
    )


def test_an_exempt_account_is_given_nothing(accounts: Accounts) -> None:
    world = accounts.world
    kept = {"baselines": {"workloads": accounts.baseline(DEVELOPERS)}}
    world.settings(settings={"ceiling": "report"}, **kept)
    accounts.settle(accounts.enrolled())
    assert accounts.missing().state is State.OPEN
    made = exempted(accounts)
    assert made["ok"], made
    assert accounts.missing().state is State.EXEMPT
    accepted = world.ledger.accepted()
    assert accepted is not None
    exemption = accepted.exemptions[made["exemption"]]
    assert (exemption["account"], exemption["unique_id"]) == (
        world.member,
        f"{world.member}/access",
    )
    world.settings(exemptions={made["exemption"]: exemption}, **kept)
    accounts.settle(accounts.enrolled())
    assert accounts.held() == set()
    assert accounts.missing().state is State.EXEMPT


def test_an_exemption_of_an_account_covers_no_other(accounts: Accounts) -> None:
    world = accounts.world
    world.settings(
        baselines={"all": accounts.baseline(DEVELOPERS, accounts=[{"everything": True}])},
        exemptions={
            "member": {
                "owner": "team@example.com",
                "reason": "is wound up",
                "ticket": "SEC-1",
                "until": (world.now + timedelta(days=30)).isoformat(),
                "account": world.member,
                "unique_id": f"{world.member}/access",
                "rules": [MISSING],
            }
        },
    )
    accounts.settle(accounts.enrolled())
    accounts.settle(accounts.enrolled(world.other_member))
    assert accounts.held() == set()
    assert accounts.held(world.other_member) == {DEVELOPERS}


def test_releasing_takes_back_what_was_given_and_leaves_the_account_alone(
    accounts: Accounts,
) -> None:
    world = accounts.world
    accounts.settle(accounts.enrolled())
    assert accounts.held() == {DEVELOPERS, EVERYBODY}
    answer = ask(world, "release", finding=accounts.missing().key, reason="agreed with its owner")
    assert answer["ok"], answer
    accounts.follow()
    assert accounts.missing().state is State.RELEASED
    assert accounts.held() == set()
    accounts.settle(accounts.enrolled())
    assert accounts.held() == set()


def test_a_release_of_an_account_in_a_rollout_says_until_when_it_waits(
    accounts: Accounts,
) -> None:
    world = accounts.world
    accounts.deliver(accounts.enrolled())
    record = accounts.missing()
    assert record.pending is not None
    until = world.now + timedelta(hours=2)
    world.ledger.finish(
        record.model_copy(
            update={
                "version": record.version + 1,
                "claim_until": until,
                "pending": record.pending.model_copy(update={"stage": "in rollout r-1"}),
            }
        ),
        replacing=record,
    )
    answer = ask(world, "release", finding=record.key, reason="agreed with its owner")
    assert answer["ok"] is False
    assert f"in rollout r-1, until {until:%Y-%m-%d %H:%M} UTC" in answer["error"]
