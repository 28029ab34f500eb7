"""What operators ask for about baselines: accounts, plans and rollouts; exempting and releasing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from keyward import operating
from keyward.baselines import baselines_of
from keyward.events import check_message
from keyward.findings import State
from keyward.rollout import Pair, Rollout, RolloutState, digests
from tests.flow.accounts import MISSING, STALE, Accounts, the_accounts
from tests.flow.world import REGION, World

DEVELOPERS = ("Developers", "Developer")
EVERYBODY = ("Everybody", "ReadOnly")
NOBODY = "999988887777"
LIFECYCLE = "account-lifecycle-failed"


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
            "baselines": digests(baselines_of(accepted.baselines)),
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
            "accounts": 1,
            "total": 2,
            **changes,
        }
    )
    world.ledger.save_rollout(made, replacing=None)
    return made


def look_at(accounts: Accounts, account: str | None = None) -> None:
    """Keyward's word to itself to look at an account, and everything that follows from it."""
    world = accounts.world
    account = account or world.member
    accounts.settle(
        check_message(
            id_=f"check-{account}-{world.now.timestamp()}",
            account=account,
            region=REGION,
            time=world.now,
            why="AccountCheck",
            parameters={"account": account},
        )
    )


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
    a_rollout(world, "r-4", skipped={world.member: "exempt"})
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
    look_at(accounts)
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


def exempted(accounts: Accounts, rule: str = MISSING) -> dict[str, Any]:
    """An exemption of the account, as an operator makes it from the finding."""
    (record,) = accounts.found(rule)
    return ask(
        accounts.world,
        "exempt",
        finding=record.key,
        owner="team@example.com",
        reason="is wound up",
        ticket="SEC-1",
        until=(accounts.world.now + timedelta(days=30)).isoformat(),
    )


def test_an_exempt_account_is_given_nothing(accounts: Accounts) -> None:
    world = accounts.world
    baselines = {"workloads": accounts.baseline(DEVELOPERS)}
    world.settings(settings={"ceiling": "report"}, baselines=baselines)
    look_at(accounts)
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
    world.settings(exemptions={made["exemption"]: exemption}, baselines=baselines)
    look_at(accounts)
    assert accounts.held() == set()
    assert accounts.missing().state is State.EXEMPT


@pytest.mark.parametrize("rule", [STALE, LIFECYCLE])
def test_what_else_is_found_about_accounts_can_be_exempted(accounts: Accounts, rule: str) -> None:
    accounts.settings(
        {"sandbox": accounts.baseline(DEVELOPERS, accounts=[{"unit": accounts.sandbox}])}
    )
    accounts.center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Developers"])
    is_lifecycle = rule == LIFECYCLE
    event = accounts.enrolled(state="FAILED") if is_lifecycle else accounts.move(accounts.root)
    accounts.settle(event)
    made = exempted(accounts, rule)
    assert made["ok"], made
    (record,) = accounts.found(rule)
    assert (record.state, record.exempt_by) == (State.EXEMPT, made["exemption"])


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
    look_at(accounts)
    look_at(accounts, world.other_member)
    assert accounts.held() == set()
    assert accounts.held(world.other_member) == {DEVELOPERS}


def test_releasing_takes_back_what_was_given_and_leaves_the_account_alone(
    accounts: Accounts,
) -> None:
    world = accounts.world
    look_at(accounts)
    assert accounts.held() == {DEVELOPERS, EVERYBODY}
    answer = ask(world, "release", finding=accounts.missing().key, reason="agreed with its owner")
    assert answer["ok"], answer
    accounts.follow()
    assert accounts.missing().state is State.RELEASED
    assert accounts.held() == set()
    look_at(accounts)
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


# Plans and rollouts

LIMIT_BYTES = 6_000_000
"""What Lambda sends at most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


@pytest.mark.parametrize(
    "scope",
    ["", "all", "baseline ", "baseline A", "account 12", "unit x", "everything\n", "everything x"],
)
def test_a_scope_that_is_none_is_refused(accounts: Accounts, scope: str) -> None:
    answer = ask(accounts.world, "baseline-plan", scope=scope)
    assert answer["ok"] is False
    assert answer["error"].startswith("baseline-plan: scope: ")
    assert accounts.world.ledger.rollouts() == []


def test_a_rollout_of_a_thousand_accounts_comes_in_answers_that_lambda_sends(
    accounts: Accounts,
) -> None:
    world = accounts.world
    reason = "Received a 409 status error: " + 170 * "x"
    missing = {f"{number:012}": tuple(range(15)) for number in range(1000)}
    a_rollout(
        world,
        pairs=tuple(
            Pair(
                group_id=f"{number:08}-0000-0000-0000-000000000000",
                permission_set_arn=f"arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-{number:016}",
                group_name=100 * "g",
                permission_set_name=32 * "s",
                baselines=tuple(64 * "b" for _ in range(10)),
            )
            for number in range(15)
        ),
        names=dict.fromkeys(missing, 50 * "n"),
        missing=missing,
        failed=dict.fromkeys(missing, 15 * (reason,)),
        total=15_000,
    )
    seen: list[str] = []
    sizes, after = [], None
    while True:
        answer = ask(world, "baseline-rollout", id="r-1", accounts=True, after=after)
        sizes.append(len(json.dumps(answer)))
        seen += [row["account"] for row in answer["accounts"]]
        assert ("pairs" in answer) is (after is None)
        after = answer["next"]
        if after is None:
            break
    assert seen == sorted(missing)
    assert len(sizes) == 5
    assert max(sizes) < LIMIT_BYTES / 2
    whole = ask(world, "baseline-rollouts")
    assert len(json.dumps(whole)) < 2_000
    assert whole["rollouts"][0]["total"] == 15_000


def test_an_account_of_very_many_assignments_is_a_page_by_itself(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operating, "PAIRS_A_PAGE", 3)
    world = accounts.world
    missing = {"000000000001": (0, 1), "000000000002": (0, 1, 0, 1), "000000000003": (0,)}
    a_rollout(world, missing=missing)
    pages, after = [], None
    while True:
        answer = ask(world, "baseline-rollout", id="r-1", accounts=True, after=after)
        pages.append([row["account"] for row in answer["accounts"]])
        after = answer["next"]
        if after is None:
            break
    assert pages == [[account] for account in missing]


def test_how_far_a_rollout_is_comes_without_its_accounts(accounts: Accounts) -> None:
    a_rollout(accounts.world, assigned=1)
    answer = ask(accounts.world, "baseline-rollout", id="r-1")
    assert "accounts" not in answer
    assert (answer["rollout"]["assigned"], answer["rollout"]["total"]) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"state": RolloutState.PLANNING}, "still being planned"),
        ({"state": RolloutState.DONE}, "is done"),
        ({"state": RolloutState.STOPPED}, "is stopped"),
        ({"total": 3}, "is about 3 assignments by now"),
    ],
)
def test_what_is_no_plan_as_it_was_seen_is_not_applied(
    accounts: Accounts, changes: dict[str, Any], says: str
) -> None:
    before = a_rollout(accounts.world, **changes)
    answer = ask(accounts.world, "baseline-apply", id="r-1", total=2)
    assert answer["ok"] is False
    assert says in answer["error"]
    assert accounts.world.ledger.rollout("r-1") == before


def test_a_plan_is_not_applied_while_keyward_is_paused(accounts: Accounts) -> None:
    world = accounts.world
    before = a_rollout(world)
    ask(world, "pause", hours=4, reason="a migration")
    answer = ask(world, "baseline-apply", id="r-1")
    assert answer["ok"] is False
    assert "in mode report" in answer["error"]
    assert world.ledger.rollout("r-1") == before


def test_a_plan_is_outdated_by_a_change_of_its_own_baselines_only(accounts: Accounts) -> None:
    world = accounts.world
    workloads = accounts.baseline(DEVELOPERS, EVERYBODY)
    own = digests(baselines_of({"workloads": workloads}))
    a_rollout(world, "r-1", scope="baseline workloads", baselines=own)
    a_rollout(world, "r-2", scope="everything", baselines=own)

    def outdated() -> list[str | None]:
        return [it["outdated"] for it in ask(world, "baseline-rollouts")["rollouts"]]

    assert outdated() == [None, None]
    accounts.settings({"workloads": workloads, "sandbox": accounts.baseline(EVERYBODY)})
    changed = "baselines changed since it was planned"
    assert outdated() == [changed, None]
    accounts.settings({"workloads": accounts.baseline(EVERYBODY)})
    assert outdated() == [changed, changed]


@pytest.mark.parametrize(("age", "is_old"), [(24 * 60, False), (24 * 60 + 1, True)])
def test_a_plan_is_as_old_as_what_it_read(accounts: Accounts, *, age: int, is_old: bool) -> None:
    world = accounts.world
    planned_at = world.now - timedelta(minutes=age)
    a_rollout(world, created_at=planned_at - timedelta(hours=1), planned_at=planned_at)
    (found,) = ask(world, "baseline-rollouts")["rollouts"]
    assert (found["outdated"] is not None) is is_old


def test_what_runs_already_is_not_begun_anew(accounts: Accounts) -> None:
    world = accounts.world
    before = a_rollout(
        world,
        state=RolloutState.RUNNING,
        started_at=world.now,
        claim_until=world.now + timedelta(minutes=1),
    )
    answer = ask(world, "baseline-apply", id="r-1", total=2)
    assert (answer["ok"], answer["rollout"]["state"]) == (True, "running")
    assert world.ledger.rollout("r-1") == before
    assert accounts.next_message() is None


@pytest.mark.parametrize(
    "request_",
    [
        {"act": "baseline-apply"},
        {"act": "baseline-stop", "reason": "the wrong group"},
        {"act": "baseline-rollout"},
    ],
)
def test_a_rollout_that_there_is_not_is_one_line(
    accounts: Accounts, request_: dict[str, Any]
) -> None:
    answer = ask(accounts.world, **request_, id="r-9")
    assert answer == {
        "ok": False,
        "error": "no rollout r-9: keyward baseline rollouts shows those that there are",
    }
