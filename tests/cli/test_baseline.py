"""`keyward baseline` and `keyward status --account`, against an Identity Center as AWS's is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from keyward.observability import metrics
from keyward.rollout import RolloutState
from keyward_cli import baseline, progress
from tests.cli.conftest import Cli
from tests.flow.accounts import MISSING, Accounts, the_accounts
from tests.flow.test_operating_baseline import DEVELOPERS, EVERYBODY, NOBODY, a_rollout
from tests.flow.world import World


@pytest.fixture
def accounts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """An account whose baseline wants two assignments; whoever waits lets the next step happen."""
    with the_accounts(world, monkeypatch) as made:
        made.move(made.workloads)
        made.settings({"workloads": made.baseline(DEVELOPERS, EVERYBODY)})

        def slept(_seconds: float) -> None:
            body = made.next_message()
            assert body is not None, "it waits for what nobody does"
            metrics.clear_metrics()  # as in the operator
            made.deliver(body)

        monkeypatch.setattr(baseline, "sleep", slept)
        yield made


def planned(cli: Cli, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = cli.json("baseline", "plan", *options)
    return found


# Plans


def test_a_plan_shows_what_accounts_lack_and_changes_nothing(cli: Cli, accounts: Accounts) -> None:
    shown = cli("baseline", "plan")
    assert shown.exit_code == 0, shown.output
    lines = [line for line in shown.stdout.splitlines() if accounts.world.member in line]
    assert len(lines) == 2
    assert all("workload " in line and "workloads" in line for line in lines)
    assert "Developer -> Developers" in shown.stdout
    assert "ReadOnly -> Everybody" in shown.stdout
    assert "2 assignments in 1 accounts, of 1 that baselines select" in shown.stdout
    assert "keyward baseline apply " in shown.stdout
    assert accounts.next_message() is None
    assert accounts.held() == set()
    assert accounts.world.findings() == []


def test_a_plan_as_json_has_each_assignment(cli: Cli, accounts: Accounts) -> None:
    accounts.center.assigned(
        accounts.sets["ReadOnly"], "GROUP", accounts.groups["Everybody"], accounts.world.member
    )
    found = planned(cli)
    assert found["plan"] == [
        {
            "account": accounts.world.member,
            "name": "workload",
            "group": "Developers",
            "permission_set": "Developer",
            "baselines": ["workloads"],
        }
    ]
    assert (found["rollout"]["state"], found["rollout"]["total"]) == ("planned", 1)
    assert found["rollout"]["automatic"] is False


def test_where_nothing_is_missing_the_plan_says_so(cli: Cli, accounts: Accounts) -> None:
    accounts.settle(accounts.enrolled())
    shown = cli("baseline", "plan")
    assert shown.exit_code == 0
    assert "Nothing to assign" in shown.stdout
    assert "baseline apply" not in shown.stdout


def test_a_plan_of_one_account_or_baseline_leaves_out_others(cli: Cli, accounts: Accounts) -> None:
    other = accounts.world.other_member
    accounts.settings(
        {
            "sandbox": accounts.baseline(EVERYBODY, accounts=[{"ids": [other]}]),
            "workloads": accounts.baseline(DEVELOPERS),
        }
    )
    assert {it["account"] for it in planned(cli)["plan"]} == {accounts.world.member, other}
    assert {it["account"] for it in planned(cli, "--account", other)["plan"]} == {other}
    of_baseline = planned(cli, "--baseline", "workloads")
    assert of_baseline["rollout"]["scope"] == "baseline workloads"
    assert {it["account"] for it in of_baseline["plan"]} == {accounts.world.member}


def test_skipped_accounts_and_unknown_names_are_shown_with_the_plan(
    cli: Cli, accounts: Accounts
) -> None:
    other = accounts.world.other_member
    accounts.organizations.close_account(AccountId=other)
    wants = accounts.baseline(DEVELOPERS, ("Ghosts", "ReadOnly"), accounts=[{"everything": True}])
    accounts.settings({"all": wants})
    found = planned(cli)
    assert [it["account"] for it in found["skipped"]] == [other]
    assert found["unknown"] == ["group Ghosts (baseline all)"]
    accounts.world.later(seconds=1)
    shown = cli("baseline", "plan").stdout
    assert other in shown
    assert "Identity Center has no group Ghosts" in shown


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--baseline", "nobody"), 1, "there are workloads"),
        (("--account", "12"), 1, "12 digits"),
        (("--account", NOBODY, "--baseline", "workloads"), 2, "not both"),
    ],
)
def test_a_plan_of_nothing_is_refused(
    cli: Cli, accounts: Accounts, options: tuple[str, ...], status: int, says: str
) -> None:
    result = cli("baseline", "plan", *options)
    assert (result.exit_code, says in result.stderr) == (status, True)
    assert accounts.world.ledger.rollouts() == []


def test_without_baselines_there_is_nothing_to_plan(cli: Cli, accounts: Accounts) -> None:
    accounts.settings({})
    result = cli("baseline", "plan")
    (line,) = result.stderr.splitlines()
    assert (result.exit_code, "no baselines are in force" in line) == (1, True)


# Applying


def test_apply_asks_assigns_and_follows_to_the_end(cli: Cli, accounts: Accounts) -> None:
    id_ = planned(cli)["rollout"]["id"]
    assert cli("baseline", "apply", id_, typed="n\n").exit_code == 1
    assert accounts.held() == set()
    done = cli("baseline", "apply", id_, typed="y\n")
    assert done.exit_code == 0, done.output
    assert "2 assignments in 1 accounts" in done.stdout
    assert "Assign 2?" in done.stderr
    assert "Done: 2 of 2 assigned" in done.stdout
    assert accounts.held() == {DEVELOPERS, EVERYBODY}
    assert planned(cli)["plan"] == []


def test_apply_need_not_wait(cli: Cli, accounts: Accounts) -> None:
    id_ = planned(cli)["rollout"]["id"]
    begun = cli("baseline", "apply", id_, "--yes", "--no-wait")
    assert begun.exit_code == 0, begun.output
    assert f"keyward baseline show {id_}" in begun.stdout
    assert accounts.held() == set()
    followed = cli("baseline", "apply", id_)
    assert followed.exit_code == 0, followed.output
    assert "runs already" in followed.stdout
    assert accounts.held() == {DEVELOPERS, EVERYBODY}


def test_with_json_nobody_is_asked(cli: Cli, accounts: Accounts) -> None:
    id_ = planned(cli)["rollout"]["id"]
    result = cli("baseline", "apply", id_, "--json")
    assert (result.exit_code, "--yes" in result.stderr) == (1, True)
    assert accounts.held() == set()
    done = cli.json("baseline", "apply", id_, "--yes")
    assert (done["rollout"]["state"], done["rollout"]["assigned"]) == ("done", 2)
    assert done["failed"] == []


def test_what_could_not_be_assigned_is_named_and_exit_status_1(
    cli: Cli, accounts: Accounts
) -> None:
    id_ = planned(cli)["rollout"]["id"]
    for _ in range(10):
        accounts.center.behaviour.fail("CreateAccountAssignment", "Role quota exceeded")
    result = cli("baseline", "apply", id_, "--yes")
    assert result.exit_code == 1, result.output
    assert "Role quota exceeded" in result.stdout
    assert accounts.world.member in result.stdout
    assert "are assigned, not all" in result.stderr.splitlines()[-1]


def test_a_plan_of_other_baselines_is_not_applied(cli: Cli, accounts: Accounts) -> None:
    id_ = planned(cli)["rollout"]["id"]
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS)})
    result = cli("baseline", "apply", id_, "--yes")
    (line,) = result.stderr.splitlines()
    assert (result.exit_code, "plan it again" in line) == (1, True)
    assert accounts.held() == set()
    assert "since it was planned" in cli("baseline", "show", id_).stdout


def test_a_plan_may_be_applied_though_other_settings_changed(cli: Cli, accounts: Accounts) -> None:
    id_ = planned(cli)["rollout"]["id"]
    cli("pause", "4h", "--reason", "migration", "--yes")
    cli("resume", "--reason", "migration done", "--yes")
    done = cli("baseline", "apply", id_, "--yes")
    assert done.exit_code == 0, done.output
    assert accounts.held() == {DEVELOPERS, EVERYBODY}


def test_a_plan_lasts_a_day(cli: Cli, accounts: Accounts) -> None:
    id_ = planned(cli)["rollout"]["id"]
    accounts.world.later(hours=24, minutes=10)
    result = cli("baseline", "apply", id_, "--yes")
    assert (result.exit_code, "older than 24 hours" in result.stderr) == (1, True)
    assert accounts.held() == set()


def test_what_the_operator_refuses_is_one_line(cli: Cli, accounts: Accounts) -> None:
    accounts.settings(
        {"workloads": accounts.baseline(DEVELOPERS, EVERYBODY)}, rules={MISSING: {"mode": "report"}}
    )
    id_ = planned(cli)["rollout"]["id"]
    result = cli("baseline", "apply", id_, "--yes")
    (line,) = result.stderr.splitlines()
    assert (result.exit_code, f"{MISSING} is in mode report" in line) == (1, True)
    for command in ("apply", "show"):
        unknown = cli("baseline", command, "nonsense")
        (line,) = unknown.stderr.splitlines()
        assert (unknown.exit_code, "no rollout nonsense" in line) == (1, True)


def test_an_exempt_account_is_skipped_with_the_reason(cli: Cli, accounts: Accounts) -> None:
    world = accounts.world
    until = (world.now + timedelta(days=30)).isoformat()
    exemption = {
        "owner": "team@example.com",
        "reason": "is wound up",
        "ticket": "SEC-1",
        "until": until,
        "account": world.member,
        "unique_id": f"{world.member}/access",
        "rules": [MISSING],
    }
    accounts.settings(
        {"workloads": accounts.baseline(DEVELOPERS)}, exemptions={"closing": exemption}
    )
    found = planned(cli)
    assert (found["plan"], found["rollout"]["total"]) == ([], 0)
    (skipped,) = found["skipped"]
    assert skipped["account"] == world.member
    assert "closing" in skipped["why"]
    result = cli("baseline", "apply", found["rollout"]["id"], "--yes")
    assert (result.exit_code, "Nothing to assign" in result.stdout) == (0, True)
    assert accounts.held() == set()


# Stopping


def test_a_rollout_is_stopped_and_nothing_more_is_assigned(cli: Cli, accounts: Accounts) -> None:
    id_ = planned(cli)["rollout"]["id"]
    cli("baseline", "apply", id_, "--yes", "--no-wait")
    stopped = cli("baseline", "stop", id_, "--reason", "the wrong group", "--yes")
    assert stopped.exit_code == 0, stopped.output
    assert f"Stopped {id_}: 0 of 2" in stopped.stdout
    accounts.follow()
    assert accounts.held() == set()
    kept = accounts.world.ledger.rollout(id_)
    assert kept is not None
    assert kept.state is RolloutState.STOPPED
    assert "the wrong group" in kept.model_dump_json()
    again = cli("baseline", "stop", id_, "--reason", "the wrong group", "--yes")
    assert (again.exit_code, "nothing to stop" in again.stderr) == (1, True)


# Looking


def test_rollouts_are_listed_newest_first(cli: Cli, accounts: Accounts) -> None:
    for number in range(3):
        a_rollout(accounts.world, f"r-{number}")
    assert [it["id"] for it in cli.json("baseline", "rollouts")] == ["r-2", "r-1", "r-0"]
    assert [it["id"] for it in cli.json("baseline", "rollouts", "--limit", 2)] == ["r-2", "r-1"]
    shown = cli("baseline", "rollouts", "--limit", 2).stdout
    assert "waits for keyward baseline apply" in shown
    assert "more than 2" in shown


def test_a_list_of_rollouts_is_read_in_pages(cli: Cli, accounts: Accounts) -> None:
    for number in range(60):
        a_rollout(accounts.world, f"r-{number:02}")
    found = [it["id"] for it in cli.json("baseline", "rollouts", "--limit", 55)]
    assert found == [f"r-{number:02}" for number in range(59, 4, -1)]


def test_a_rollout_is_shown_with_its_plan_in_pages(
    cli: Cli, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward.operating.ACCOUNTS_A_PAGE", 2)
    missing = {f"{number:012}": (0, 1) for number in range(5)}
    a_rollout(
        accounts.world,
        missing=missing,
        total=10,
        skipped={NOBODY: "SUSPENDED"},
        failed={"000000000003": ("Role quota exceeded",)},
    )
    found = cli.json("baseline", "show", "r-1")
    assert [it["account"] for it in found["plan"]] == [
        account for account in sorted(missing) for _ in range(2)
    ]
    assert [it["group"] for it in found["plan"]] == ["Developers", "g-2"] * 5
    assert found["skipped"] == [{"account": NOBODY, "name": None, "why": "SUSPENDED"}]
    assert [it["why"] for it in found["failed"]] == ["Role quota exceeded"]


def test_an_account_is_shown_with_what_it_has_and_what_is_done(
    cli: Cli, accounts: Accounts
) -> None:
    accounts.center.assigned(
        accounts.sets["ReadOnly"], "GROUP", accounts.groups["Everybody"], accounts.world.member
    )
    accounts.deliver(accounts.enrolled())
    shown = cli("baseline", "show", accounts.world.member)
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["lacks", "Developer", "Developers", "workloads"] in rows
    assert ["has", "ReadOnly", "Everybody", "workloads"] in rows
    assert "has 1 of 2 assignments" in shown.stdout
    assert "acting (mode enforce)" in shown.stdout
    assert "waits for" in shown.stdout
    accounts.follow()
    assert "has 2 of 2 assignments" in cli("baseline", "show", accounts.world.member).stdout
    found = cli.json("baseline", "show", accounts.world.member)
    assert found["finding"]["state"] == "acted"
    assert "ok" not in found


def test_an_account_that_cannot_be_read_is_exit_status_1(cli: Cli, accounts: Accounts) -> None:  # noqa: ARG001 - the organization
    result = cli("baseline", "show", NOBODY)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "the organization has no such account" in line


def test_status_of_one_account_is_short(cli: Cli, accounts: Accounts) -> None:
    world = accounts.world
    accounts.deliver(accounts.enrolled())
    world.do("CreateUser", UserName="ci")
    world.deliver(world.do("CreateAccessKey", UserName="ci"))
    shown = cli("status", "--account", world.member)
    assert shown.exit_code == 0, shown.output
    assert "has 0 of 2 assignments" in shown.stdout
    assert MISSING in shown.stdout
    assert "deactivate-access-key" in shown.stdout
    assert cli.json("status", "--account", world.member)["account"] == world.member
    other = cli("status", "--account", world.other_member).stdout
    assert "No findings to look at" in other
    assert "Contained" not in other


def test_status_of_an_account_without_baselines_says_so(cli: Cli, accounts: Accounts) -> None:
    accounts.settings({})
    assert "none are in force" in cli("status", "--account", accounts.world.member).stdout


def test_status_of_what_is_no_account_is_one_line(cli: Cli, accounts: Accounts) -> None:  # noqa: ARG001 - the operator
    result = cli("status", "--account", "12")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


# How far it is


class Clock:
    """Goes on by what is slept; what is to happen meanwhile happens after each sleep."""

    def __init__(self, steps: Iterable[Callable[[], object]]) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self._steps = list(steps)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        if self._steps:
            self._steps.pop(0)()


def advance(world: World, **changes: Any) -> Callable[[], object]:
    """A step that makes the rollout something else."""

    def step() -> None:
        old = world.ledger.rollout("r-1")
        assert old is not None
        new = old.model_copy(update={"version": old.version + 1, **changes})
        world.ledger.save_rollout(new, replacing=old)

    return step


def running(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    steps: Iterable[Callable[[], object]],
    **changes: Any,
) -> Clock:
    """A rollout that runs, and a clock by which `steps` happen to it."""
    a_rollout(world, state=RolloutState.RUNNING, started_at=world.now, **changes)
    clock = Clock(steps)
    monkeypatch.setattr(baseline, "monotonic", clock)
    monkeypatch.setattr(progress, "monotonic", clock)
    monkeypatch.setattr(progress, "PIPED_SECONDS", 10)
    monkeypatch.setattr(baseline, "sleep", clock.sleep)
    return clock


def test_what_is_done_soon_shows_no_progress(
    cli: Cli, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = accounts.world
    done = advance(world, state=RolloutState.DONE, assigned=2, ended_at=world.now)
    running(world, monkeypatch, [done])
    result = cli("baseline", "apply", "r-1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Done: 2 of 2 assigned" in result.stdout


def test_what_takes_longer_shows_progress_on_standard_error_and_no_more_than_is_read(
    cli: Cli, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = accounts.world
    monkeypatch.setattr(baseline, "STUCK_SECONDS", 60)  # it takes longer, but doesn't stand still
    clock = running(
        world,
        monkeypatch,
        [
            *(advance(world, total=100, assigned=number) for number in range(1, 30)),
            lambda: None,
            advance(world, state=RolloutState.DONE, assigned=100, ended_at=world.now),
        ],
    )
    result = cli("baseline", "apply", "r-1", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rollout"]["assigned"] == 100
    told = result.stderr.splitlines()
    assert [line.split(",")[0] for line in told[:2]] == ["2 of 100 assigned", "5 of 100 assigned"]
    assert clock.waits == sorted(clock.waits)
    assert clock.waits[-1] == baseline.LONGEST_WAIT_SECONDS


def test_on_a_terminal_progress_is_one_line_that_is_taken_away_in_the_end(
    cli: Cli, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminal(**options: Any) -> Console:
        return Console(**options, force_terminal=True)

    world = accounts.world
    monkeypatch.setattr(progress, "Console", terminal)
    running(
        world,
        monkeypatch,
        [
            *(advance(world, total=100, assigned=number) for number in range(1, 5)),
            advance(world, state=RolloutState.DONE, assigned=100, ended_at=world.now),
        ],
    )
    result = cli("baseline", "apply", "r-1")
    assert result.exit_code == 0, result.output
    assert "4 of 100 assigned" in result.stderr
    assert result.stderr.count("\n") < 5
    assert result.stderr.endswith("\x1b[2K")  # the line is empty


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": RolloutState.DONE, "assigned": 2}, 0),
        ({"state": RolloutState.DONE, "assigned": 1}, 1),
        ({"state": RolloutState.DONE, "assigned": 2, "failed": {NOBODY: ("refused",)}}, 1),
        ({"state": RolloutState.STOPPED, "assigned": 2, "outcome": "stopped by ana"}, 1),
    ],
)
def test_exit_status_0_is_only_of_what_ended_with_all_assigned(
    cli: Cli,
    accounts: Accounts,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    status: int,
) -> None:
    running(accounts.world, monkeypatch, [advance(accounts.world, **changes)])
    result = cli("baseline", "apply", "r-1")
    assert result.exit_code == status
    assert len(result.stderr.splitlines()) == status
    for text in (changes.get("outcome"), *changes.get("failed", {}).get(NOBODY, ())):
        assert text is None or text in result.stdout


def test_a_rollout_that_stands_still_is_given_up_on_with_one_line(
    cli: Cli, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later() -> None:
        accounts.world.later(seconds=10)  # by which another time is left

    monkeypatch.setattr(baseline, "STUCK_SECONDS", 120)
    clock = running(accounts.world, monkeypatch, 50 * [later], total=100)
    result = cli("baseline", "apply", "r-1")
    assert result.exit_code == 1
    assert "keyward baseline show r-1" in result.stderr.splitlines()[-1]
    assert 120 < clock.now < 180


def test_who_breaks_off_reads_that_it_goes_on(
    cli: Cli, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise KeyboardInterrupt

    running(accounts.world, monkeypatch, [broken])
    result = cli("baseline", "apply", "r-1")
    assert result.exit_code == 130
    assert "it goes on by itself" in result.stderr


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 min"), (1, "1 min"), (60, "1 min"), (5401, "1 h 31 min")]
)
def test_a_length_of_time_is_rounded_up(seconds: int, text: str) -> None:
    assert baseline._time(timedelta(seconds=seconds).total_seconds()) == text
