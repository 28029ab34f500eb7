"""`keyward sweep`, `redrive`, `inventory`, and what `keyward status` says is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto.events.models import Replay, ReplayState, events_backends
from rich.console import Console

from keyward.redriving import DEAD
from keyward.sweep import IDENTITY_CENTER, SweepState
from keyward_cli import progress, sweep
from keyward_cli.asking import past
from keyward_cli.paging import answers
from tests.cli.conftest import Cli
from tests.flow.operated import Operated, an_operated
from tests.flow.test_access_keys import a_key
from tests.flow.test_operating_sweep import DEAD_OF_IAM, RULE, leave, only_report
from tests.flow.world import HUB, REGION, World


@pytest.fixture
def operated(world: World) -> Iterator[Operated]:
    with an_operated(world) as made:
        yield made


@pytest.fixture
def found(operated: Operated) -> Operated:
    """A key that existed before its rule enforced, and a sweep that was everywhere."""
    only_report(operated.world)
    operated.world.deliver(a_key(operated.world)[1])
    operated.swept()
    return operated


# Plans


def test_a_plan_shows_whom_it_hits_and_how_to_confirm_it(cli: Cli, found: Operated) -> None:
    shown = cli("sweep", "--plan", "--rule", RULE)
    assert shown.exit_code == 0, shown.output
    (line,) = [it for it in shown.stdout.splitlines() if "deactivate-access-key" in it]
    assert line.startswith(found.world.member)
    assert f"{RULE} (mode report): acts on 1 in 1 accounts" in shown.stdout
    digest = cli.json("sweep", "--plan", "--rule", RULE)["plans"][0]["digest"]
    assert shown.stdout.splitlines()[-1] == f"keyward sweep --confirm {RULE}:{digest}"
    assert "Careful" not in shown.stdout


def test_a_plan_without_existing_needs_no_confirming(cli: Cli, found: Operated) -> None:
    assert found.world.findings()
    shown = cli("sweep", "--plan", "--rule", RULE, "--no-existing").stdout
    assert "not: existed before" in shown
    assert "does nothing, 1 held back" in shown
    assert "--confirm" not in shown


def test_a_plan_over_the_budget_says_that_it_takes_its_time(cli: Cli, found: Operated) -> None:
    assert "The budget" not in cli("sweep", "--plan", "--rule", RULE).stdout
    few = {"ceiling": "report", "budgets": {"organization": 0, "window_minutes": 30}}
    found.world.settings(settings=few, enforcing_since={})
    shown = cli("sweep", "--plan", "--rule", RULE).stdout
    assert "The budget lets 0 of them happen in 30 min" in shown


def test_a_plan_says_what_it_may_not_know(cli: Cli, operated: Operated) -> None:
    only_report(operated.world)
    shown = cli("sweep", "--plan").stdout
    assert "Careful: no sweep was complete yet" in shown
    assert "Nothing is open" in shown


def test_a_plan_that_changes_between_its_pages_is_asked_for_again(
    cli: Cli, found: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = found.world
    world.deliver(a_key(world, "cd")[1])
    monkeypatch.setattr("keyward.confirming.ROWS_A_PAGE", 1)

    def meanwhile(*of: Any, **more: Any) -> Iterator[dict[str, object]]:
        for number, answer in enumerate(answers(*of, **more)):
            yield answer
            if number == 0:
                world.deliver(a_key(world, "late")[1])

    monkeypatch.setattr(sweep, "answers", meanwhile)
    result = cli("sweep", "--plan", "--rule", RULE)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "changed while" in result.stderr


def test_confirming_asks_first_and_names_the_setting(cli: Cli, found: Operated) -> None:
    digest = cli.json("sweep", "--plan", "--rule", RULE)["plans"][0]["digest"]
    confirm = ("sweep", "--confirm", f"{RULE}:{digest}")
    refused = cli(*confirm, typed="n\n")
    assert (refused.exit_code, "acts on 1 in 1 accounts" in refused.stdout) == (1, True)
    assert found.world.ledger.confirmed_plan(RULE) is None
    done = cli(*confirm, typed="y\n")
    assert done.exit_code == 0, done.output
    assert f"rules/{RULE}.json" in done.stdout
    confirmed = found.world.ledger.confirmed_plan(RULE)
    assert confirmed is not None
    assert (confirmed.digest, confirmed.count) == (digest, 1)
    assert "A plan was confirmed" in cli("sweep", "--plan", "--rule", RULE).stdout


def test_confirming_with_json_never_asks(cli: Cli, found: Operated) -> None:
    digest = cli.json("sweep", "--plan", "--rule", RULE)["plans"][0]["digest"]
    refused = cli("sweep", "--confirm", f"{RULE}:{digest}", "--json")
    assert (refused.exit_code, "--yes" in refused.stderr) == (1, True)
    assert cli.json("sweep", "--confirm", f"{RULE}:{digest}", "--yes")["acts"] == 1
    assert found.world.ledger.confirmed_plan(RULE) is not None


@pytest.mark.parametrize("text", [RULE, f"{RULE}:", f"{RULE}:x", "nonsense:000000000000"])
def test_a_digest_that_is_none_is_one_line(cli: Cli, found: Operated, text: str) -> None:
    result = cli("sweep", "--confirm", text, "--yes")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert found.world.ledger.confirmed_plan(RULE) is None


@pytest.mark.parametrize(
    "options",
    [
        ("--plan", "--confirm", "a:b"),
        ("--plan", "--wait"),
        ("--confirm", "a:b", "--full"),
        ("--rule", RULE),
    ],
)
def test_options_that_contradict_are_wrong_usage(cli: Cli, options: tuple[str, ...]) -> None:
    assert cli("sweep", *options).exit_code == 2


# Sweeps


@dataclass
class Steps:
    """How often somebody waited; `silent` accounts say nothing until the end."""

    waited: int = 0
    silent: int = 0


@pytest.fixture
def steps(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Whoever waits lets the sweep go on by a step: it lists, waits for its parts, and is done."""
    world = operated.world
    steps = Steps()

    def slept(_seconds: float) -> None:
        newest = world.ledger.newest_sweep()
        assert newest is not None
        changes: dict[str, Any] = {"version": newest.version + 1, "claim_until": None}
        match steps.waited:
            case 0:
                changes |= {"state": SweepState.LISTING, "asked": 2}
            case 1:
                changes |= {"state": SweepState.WAITING, "asked": 3, "listed_at": world.now}
                operated.saw(newest, world.member, ok=False, why="no role")
            case _:
                changes |= {"state": SweepState.DONE, "ended_at": world.now + timedelta(minutes=9)}
                changes |= {"complete": not steps.silent, "silent": steps.silent, "failed": 1}
        steps.waited += 1
        world.ledger.save_sweep(newest.model_copy(update=changes), replacing=newest)

    monkeypatch.setattr(sweep, "sleep", slept)
    monkeypatch.setattr(progress, "PIPED_SECONDS", 0)
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    return steps


def test_a_sweep_is_begun_and_goes_on_by_itself(cli: Cli, operated: Operated) -> None:
    begun = cli("sweep", "--full")
    assert begun.exit_code == 0, begun.output
    (made,) = operated.world.ledger.sweeps()
    assert f"Sweep {made.id} begins in full" in begun.stdout
    assert made.full
    operated.world.later(minutes=1)
    again = cli.json("sweep")
    assert (again["begun"], again["sweep"]["id"]) == (False, made.id)
    assert f"Sweep {made.id} is under way" in cli("sweep").stdout


def test_a_sweep_is_followed_to_its_end(cli: Cli, operated: Operated, steps: Steps) -> None:
    done = cli("sweep", "--wait")
    assert done.exit_code == 0, done.output
    assert steps.waited == 3
    assert "2 accounts listed" in done.stderr
    assert "1 of 4 parts done" in done.stderr
    assert f"{operated.world.member} could not be read" in done.stdout
    assert "in 9 min" in done.stdout


def test_a_sweep_that_was_not_everywhere_exits_1(cli: Cli, steps: Steps) -> None:
    steps.silent = 2
    done = cli("sweep", "--wait", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["sweep"]["silent"] == 2
    assert "2 accounts said nothing" in done.stderr.splitlines()[-1]


def test_on_a_terminal_a_bar_shows_how_far_it_is(
    cli: Cli, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        progress, "Console", lambda **more: Console(**more, force_terminal=True, width=120)
    )
    done = cli("sweep", "--wait")
    assert done.exit_code == 0
    assert steps.waited == 3
    assert "parts done" in done.stderr
    assert "\x1b[" in done.stderr


def test_who_stops_following_does_not_stop_the_sweep(
    cli: Cli, operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "sleep", interrupted)
    done = cli("sweep", "--wait")
    assert (done.exit_code, "goes on by itself" in done.stderr) == (130, True)
    assert operated.length("keyward-sweep") == 1


# Dead letters


def test_dead_letters_are_moved_call_by_call_until_none_is_left(
    cli: Cli, operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward.redriving.BATCHES", 1)
    body = json.dumps(a_key(operated.world)[1])
    for _ in range(23):
        operated.put(DEAD_OF_IAM, body)
    operated.put("keyward-account-baseline" + DEAD, body)
    moved = cli("redrive", "--yes")
    assert moved.exit_code == 0, moved.output
    assert "keyward-iam-guard: 23 moved to keyward-iam-guard" in moved.stdout
    assert "keyward-account-baseline: 1 moved" in moved.stdout
    assert operated.length("keyward-iam-guard") == 23
    assert cli.json("redrive") == {"redriven": []}
    assert "No dead letters" in cli("redrive", "--yes").stdout


def test_only_those_of_a_guard_are_moved_where_it_is_named(cli: Cli, operated: Operated) -> None:
    body = json.dumps(a_key(operated.world)[1])
    operated.put(DEAD_OF_IAM, body)
    operated.put("keyward-account-baseline" + DEAD, body)
    (moved,) = cli.json("redrive", "iam-guard", "--yes")["redriven"]
    assert (moved["of"], moved["moved"]) == ("keyward-iam-guard", {"keyward-iam-guard": 1})
    assert operated.length("keyward-account-baseline" + DEAD) == 1


def test_what_stays_is_named_with_what_to_do(cli: Cli, operated: Operated) -> None:
    operated.put(DEAD_OF_IAM, "no JSON")
    operated.put(DEAD_OF_IAM, json.dumps(a_key(operated.world)[1]))
    operated.put("keyward-notifier" + DEAD, "{}")
    moved = cli("redrive", "--yes")
    assert moved.exit_code == 1
    assert "keyward-iam-guard: 1 moved" in moved.stdout
    assert "keyward-iam-guard: 1 stays: this version can't read it" in moved.stdout
    assert "keyward-notifier: 1 stays: no events" in moved.stdout
    assert "2 dead letters stay" in moved.stderr
    assert operated.length(DEAD_OF_IAM) == 1


def test_a_name_that_has_no_dead_letters_is_one_line(cli: Cli, operated: Operated) -> None:
    assert operated.length(DEAD_OF_IAM) == 0
    result = cli("redrive", "iam-gaurd")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "iam-guard" in result.stderr


# Replays


@pytest.fixture
def archive(operated: Operated) -> Any:
    """The archive, empty: what comes of what it holds is shown elsewhere."""
    assert operated.length("keyward-iam-guard") == 0
    client = boto3.client("events", region_name=REGION)
    arn = client.create_event_bus(Name="keyward")["EventBusArn"]
    client.create_archive(ArchiveName="keyward", EventSourceArn=arn)
    return client


def test_a_replay_asks_first_and_sends_what_came_in_between(cli: Cli, archive: Any) -> None:
    replay = ("redrive", "--replay", "--from", "6h", "--to", "2h")
    assert cli(*replay, typed="n\n").exit_code == 1
    assert archive.list_replays()["Replays"] == []
    done = cli(*replay, typed="y\n")
    assert done.exit_code == 0, done.output
    (made,) = archive.list_replays()["Replays"]
    assert made["ReplayName"] in done.stdout
    span = made["EventEndTime"] - made["EventStartTime"]
    assert span == timedelta(hours=4)


def test_a_replay_is_followed_to_its_end(
    cli: Cli, archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    backend = events_backends[HUB][REGION]

    def runs(replay: Replay, _archive: object) -> None:
        replay.state = ReplayState.RUNNING

    def slept(seconds: float) -> None:
        waited.append(seconds)
        (replay,) = backend.replays.values()
        replay.state = ReplayState.FAILED

    monkeypatch.setattr(Replay, "replay_events", runs)
    monkeypatch.setattr(sweep, "sleep", slept)
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    done = cli("redrive", "--replay", "--from", "6h", "--to", "2h", "--yes", "--wait")
    assert len(waited) == 1
    assert (done.exit_code, "running" in done.stderr) == (1, True)
    assert "failed" in done.stderr.splitlines()[-1]
    assert len(archive.list_replays()["Replays"]) == 1


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--replay",), 2),
        (("--replay", "--from", "6h"), 2),
        (("--from", "6h", "--to", "2h"), 2),
        (("--wait",), 2),
        (("iam-guard", "--replay", "--from", "6h", "--to", "2h"), 2),
        (("--replay", "--from", "2h", "--to", "6h", "--yes"), 1),
        (("--replay", "--from", "91d", "--to", "6h", "--yes"), 1),
        (("--replay", "--from", "yesterday", "--to", "6h", "--yes"), 1),
        (("--replay", "--from", "2020-01-01T00:00", "--to", "6h", "--yes"), 1),
        (("--replay", "--from", "6h", "--to", "2999-01-01", "--yes"), 1),
        (("--replay", "--from", "6h", "--to", "2h", "--json"), 1),
    ],
)
def test_a_replay_that_can_not_be_is_refused(
    cli: Cli, archive: Any, options: tuple[str, ...], status: int
) -> None:
    result = cli("redrive", *options)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    assert archive.list_replays()["Replays"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6h", datetime(2027, 1, 31, 6, tzinfo=UTC)),
        ("2027-01-30", datetime(2027, 1, 30, tzinfo=UTC)),
        ("2027-01-30T08:00Z", datetime(2027, 1, 30, 8, tzinfo=UTC)),
        ("2027-01-30T08:00+01:00", datetime(2027, 1, 30, 7, tzinfo=UTC)),
    ],
)
def test_times_that_have_passed_are_read(text: str, expected: datetime) -> None:
    assert past(text, now=datetime(2027, 1, 31, 12, tzinfo=UTC)) == expected


# Inventories


def test_an_inventory_is_a_table_for_each_kind(cli: Cli, operated: Operated) -> None:
    id_ = operated.swept().id
    lines = leave(operated, id_)
    shown = cli("inventory")
    assert shown.exit_code == 0, shown.output
    for kind in ("user: 2", "access-key: 2", "assignment: 1", "permission-set: 1"):
        assert kind in shown.stdout.splitlines()
    assert f"{len(lines)} lines of sweep {id_}" in shown.stdout
    assert len(cli.lines("inventory", "--kind", "user")) == 2
    of_member = cli.lines("inventory", "--account", operated.world.member, "--sweep", id_)
    assert {it["account"] for it in of_member} == {operated.world.member}


def test_an_inventory_comes_whole_however_many_pages(
    cli: Cli, operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward.inventory.CHARACTERS_A_PAGE", 60)
    lines = leave(operated, operated.swept().id)
    assert sorted(map(str, cli.lines("inventory"))) == sorted(map(str, lines))


def test_an_inventory_that_there_is_not_is_one_line(cli: Cli, operated: Operated) -> None:
    assert operated.world.ledger.sweeps() == []
    result = cli("inventory")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert cli("inventory", "--kind", "keys").exit_code == 2


# What is wrong


def test_status_says_what_is_wrong_and_what_to_do(cli: Cli, operated: Operated) -> None:
    sweep_ = operated.swept()
    operated.canaries()
    assert "Nothing is wrong" in cli("status", "--check").stdout
    operated.saw(sweep_, operated.world.member, ok=False, why="no role")
    shown = cli("status")
    assert shown.exit_code == 0
    assert f"- account {operated.world.member} can't be entered or read: no role" in shown.stdout
    assert "keyward-members" in shown.stdout
    assert cli("status", "--check").exit_code == 1
    assert cli("status", "--check", "--json").exit_code == 1


def test_status_lists_every_account(
    cli: Cli, operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward.standing.ACCOUNTS_A_PAGE", 1)
    sweep_ = operated.swept()
    off = {"keyward-forward@us-east-1": "it is off", "keyward-forward-watch@us-east-1": ""}
    operated.saw(sweep_, operated.world.member, forwarders=off)
    rows = cli.json("status", "--accounts")
    ids = {HUB, operated.world.member, operated.world.other_member, IDENTITY_CENTER}
    assert {row["account"] for row in rows} == ids
    shown = cli("status", "--accounts", "--check")
    assert shown.exit_code == 1
    (line,) = [it for it in shown.stdout.splitlines() if it.startswith(operated.world.member)]
    assert "1 of 2 rules" in line
    assert "keyward-forward@us-east-1: it is off" in line
    assert cli("status", "--accounts", "--account", HUB).exit_code == 2


def test_the_status_of_one_account_says_how_it_is_seen(cli: Cli, operated: Operated) -> None:
    sweep_ = operated.swept()
    operated.saw(sweep_, operated.world.member, ok=False, why="no role")
    shown = cli("status", "--account", operated.world.member, "--check")
    assert (shown.exit_code, "can't be read: no role" in shown.stdout) == (1, True)
    assert cli("status", "--account", HUB, "--check").exit_code == 0
