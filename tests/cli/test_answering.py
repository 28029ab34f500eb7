"""What changes something shows first what it will do, and asks; programs say --yes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from keyward.findings import State
from tests.cli.test_acts import NO_FINDING, answering, contained

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.flow.world import World

WHY = ("--reason", "agreed with its owner")
RECORD: dict[str, Any] = {
    "key": NO_FINDING,
    "episode": 1,
    "severity": "critical",
    "state": "open",
    "rule": "iam-access-key-created",
    "mode": "report",
    "enforcement": "deactivate-access-key",
    "subject": "access key AKIAIOSFODNN7EXAMPLE of ci",
    "account": "111122223333",
    "first_seen": "2027-01-30T08:00:00+00:00",
    "last_seen": "2027-01-31T08:00:00+00:00",
    "reason": "a key was made",
    "seen": 1,
    "fix": "use a role",
}


def test_release_shows_what_was_done_and_asks(cli: Cli, world: World) -> None:
    finding, key_id = contained(world)
    refused = cli("release", finding, *WHY, typed="n\n")
    assert (refused.exit_code, "nothing was done" in refused.stderr) == (1, True)
    assert world.key_status("ci", key_id) == "Inactive"
    shown = refused.stdout
    assert key_id in shown
    assert "deactivate-access-key" in shown
    done = cli("release", finding, *WHY, "--days", 3, typed="y\n")
    assert done.exit_code == 0, done.output
    assert "for 3 days" in done.stdout
    assert world.key_status("ci", key_id) == "Active"


@pytest.mark.parametrize(
    "command",
    [
        ("release", NO_FINDING, *WHY),
        ("approve", NO_FINDING),
        ("quarantine", NO_FINDING, *WHY),
        ("exempt", NO_FINDING, *WHY, "--owner", "ana", "--ticket", "SEC-1", "--until", "9d"),
        ("pause", "4h", *WHY),
        ("resume", *WHY),
        ("test-alert",),
        ("baseline", "stop", "r-1", *WHY),
        ("sweep", "--confirm", "iam-access-key-created:1f0c93a2b4d5"),
        ("redrive", "--replay", "--from", "6h", "--to", "2h"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_nobody_can_be_asked_it_is_refused_before_aws_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    calls = answering(monkeypatch, {})
    result = cli(*command, *options, stdin="y\n")
    assert (result.exit_code, result.stdout, calls) == (1, "", [])
    (line,) = result.stderr.splitlines()
    assert "--yes" in line


@pytest.mark.parametrize("command", [("release", NO_FINDING), ("pause", "4h"), ("resume",)])
def test_a_reason_is_asked_for_at_a_terminal_alone(cli: Cli, command: tuple[str, ...]) -> None:
    assert cli(*command, "--yes", stdin="a reason that nobody meant\n").exit_code == 2
    assert cli(*command, "--yes", "--json", typed="a reason\n").exit_code == 2


def test_a_reason_is_taken_as_it_is_typed(cli: Cli, world: World) -> None:
    finding, _ = contained(world)
    result = cli("release", finding, "--yes", typed="the build needs it\n")
    assert result.exit_code == 0, result.output
    notes = " ".join(step.note for step in world.finding("iam-access-key-created").history)
    assert "the build needs it" in notes


def test_pause_and_resume_ask(cli: Cli, world: World) -> None:
    assert cli("pause", "90m", *WHY, typed="n\n").exit_code == 1
    assert cli.json("status")["ceiling"] == "enforce"
    assert "only reports" in cli("pause", "90m", *WHY, typed="y\n").stdout
    assert cli.json("status")["ceiling"] == "report"
    assert cli("resume", *WHY, typed="n\n").exit_code == 1
    assert cli.json("resume", *WHY, "--yes")["resumed"] is True
    assert cli.json("status")["ceiling"] == "enforce"
    assert world.findings() == []


def test_acknowledged_findings_say_so(cli: Cli, world: World) -> None:
    finding, _ = contained(world)
    assert cli("acknowledge", finding, "--note", "I look").exit_code == 0
    shown = cli("findings", "show", finding).stdout
    assert "acknowledged" in shown
    assert "I look" in shown
    assert world.finding("iam-access-key-created").state is State.ACTED
    again = cli("acknowledge", finding)
    assert (again.exit_code, len(again.stderr.splitlines())) == (1, 1)


def test_acts_tell_who_did_what_and_why(cli: Cli, world: World) -> None:
    finding, _ = contained(world)
    cli("release", finding, *WHY, "--yes")
    cli("release", NO_FINDING, *WHY, "--yes")
    found = cli.json("acts", "--day", f"{world.now:%Y-%m-%d}")
    assert [(it["act"], it["finding"]) for it in found if it["outcome"] == "done"] == [
        ("release", finding)
    ]
    shown = cli("acts", "--day", f"{world.now:%Y-%m-%d}").stdout
    assert finding in shown
    assert WHY[1] in shown
    assert "Nobody did anything" in cli("acts", "--day", "2020-02-02").stdout


def test_acts_of_days_are_asked_for_day_by_day(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    days: list[str] = []

    def asked(_caller: object, act: str, *, day: str) -> dict[str, object]:
        assert act == "acts"
        days.append(day)
        return {"acts": []}

    monkeypatch.setattr("keyward_cli.findings.ask", asked)
    assert cli.json("acts", "--days", 3) == []
    assert days == sorted(set(days))
    assert len(days) == 3


@pytest.mark.parametrize(("day", "status"), [("soon", 1), ("2027-02-30", 1), ("", 1)])
def test_a_day_that_is_none_is_one_line(cli: Cli, day: str, status: int) -> None:
    result = cli("acts", "--day", day)
    assert (result.exit_code, len(result.stderr.splitlines())) == (status, 1)


class Operator:
    """Answers acts as it is told to, and knows what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **replies: dict[str, Any]) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self._replies = replies
        for module in ("answering", "findings"):
            monkeypatch.setattr(f"keyward_cli.{module}.ask", self)

    def __call__(self, _caller: object, act: str, **arguments: object) -> dict[str, Any]:
        self.asked.append((act, arguments))
        return {"ok": True, **self._replies[act]}


def test_a_release_of_what_was_only_reported_restores_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = {"finding": RECORD, "two_people": False, "waits": False}
    Operator(monkeypatch, finding=finding)
    shown = cli("release", NO_FINDING, *WHY, typed="n\n").stdout
    assert "exactly what was there" not in shown
    assert "nothing was done" in shown


def test_a_list_without_findings_says_so_and_knows_a_rule_that_is_none(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Operator(monkeypatch, findings={"findings": [], "next": None})
    assert cli("findings", "list").stdout.splitlines() == ["No finding fits"]
    mistyped = cli("findings", "list", "--rule", "iam-acess-key-created").stdout
    assert "no rule is called iam-acess-key-created" in mistyped
    assert cli.json("findings", "list") == []


def test_a_release_that_waits_for_a_second_person_says_so_and_exits_0(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = "it takes a second person: keyward approve"
    Operator(
        monkeypatch,
        finding={"finding": RECORD, "two_people": True, "waits": False},
        release={"waiting": waiting, "finding": RECORD},
    )
    asked = cli("release", NO_FINDING, *WHY, typed="y\n")
    assert (asked.exit_code, waiting in asked.stdout) == (0, True)
    assert "nothing is undone yet" in asked.stdout
    assert cli.json("release", NO_FINDING, *WHY, "--yes")["waiting"] == waiting


AWAITED = {"by": "ana", "at": "2027-01-31T08:00:00+00:00", "reason": "CI", "days": 3}


@pytest.mark.parametrize(
    ("finding", "said", "unsaid"),
    [
        (
            {"finding": RECORD, "two_people": True, "waits": False},
            ("takes two", "nothing is undone until then", "Ask for its release?"),
            ("unless settings",),
        ),
        (
            {"finding": RECORD, "two_people": False, "waits": False},
            ("Release it?",),
            ("takes two", "second person"),
        ),
        (
            {"finding": RECORD | {"awaited": AWAITED}, "two_people": True, "waits": True},
            ("ana at 2027-01-31T08:00:00+00:00: CI", "for 3 days", "Approve its release?"),
            ("nothing is undone until then", "for 9 days"),
        ),
        (
            {"finding": RECORD | {"awaited": AWAITED}, "two_people": True, "waits": False},
            ("nothing is undone until then", "for 9 days", "Ask for its release?"),
            ("ana",),
        ),
    ],
)
def test_a_release_says_beforehand_what_takes_two_people(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    finding: dict[str, Any],
    said: tuple[str, ...],
    unsaid: tuple[str, ...],
) -> None:
    Operator(monkeypatch, finding=finding)
    shown = cli("release", NO_FINDING, *WHY, "--days", 9, typed="n\n").output
    assert [it for it in said if it not in shown] == []
    assert [it for it in unsaid if it in shown] == []


def test_an_approval_shows_who_asked_for_the_release(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = {"finding": RECORD | {"state": "released"}, "restored": ["the key is active"]}
    operator = Operator(
        monkeypatch,
        finding={
            "finding": RECORD | {"awaited": AWAITED, "ordered_by": "ben"},
            "two_people": True,
            "waits": True,
        },
        approve=released,
    )
    shown = cli("findings", "show", NO_FINDING).stdout
    assert "ana asked for" in shown
    assert "ben" in shown
    done = cli("approve", NO_FINDING, "--note", "fine", typed="y\n")
    assert done.exit_code == 0, done.output
    assert "ana at 2027-01-31" in done.stdout
    assert "the key is active" in done.stdout
    assert operator.asked[-1] == ("approve", {"finding": NO_FINDING, "note": "fine"})


@pytest.mark.parametrize("takes_two", [True, False])
def test_the_way_back_says_whether_it_takes_two(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, *, takes_two: bool
) -> None:
    acted = RECORD | {"state": "acted"}
    Operator(monkeypatch, finding={"finding": acted, "two_people": takes_two, "waits": False})
    shown = cli("findings", "show", NO_FINDING).stdout
    assert ("takes two people" in shown) is takes_two


def test_what_waits_for_nobody_is_not_asked_about(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Operator(monkeypatch, finding={"finding": RECORD, "two_people": True, "waits": False})
    result = cli("approve", NO_FINDING, typed="y\n")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_what_was_asked_for_too_long_ago_is_not_asked_about(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = {"finding": RECORD | {"awaited": AWAITED}, "two_people": True, "waits": False}
    Operator(monkeypatch, finding=finding)
    result = cli("approve", NO_FINDING, typed="y\n")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "keyward release" in result.stderr


def test_quarantine_says_what_it_does_and_does_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator(
        monkeypatch, finding={"finding": RECORD}, quarantine={"ordered": NO_FINDING}
    )
    assert cli("quarantine", NO_FINDING, *WHY, typed="n\n").exit_code == 1
    assert [act for act, _ in operator.asked] == ["finding"]
    done = cli("quarantine", NO_FINDING, *WHY, typed="y\n")
    assert (done.exit_code, "deactivate-access-key" in done.stdout) == (0, True)
    assert operator.asked[-1] == ("quarantine", {"finding": NO_FINDING, "reason": WHY[1]})


def test_findings_are_chosen_by_severity_time_and_what_waits(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ages(days: int) -> dict[str, str]:
        return {"last_seen": (datetime.now(UTC) - timedelta(days=days)).isoformat()}

    rows = [
        RECORD | {"key": "a", "severity": "low"} | ages(9),
        RECORD | {"key": "b", "severity": "high", "awaited": {"by": "ana"}} | ages(8),
        RECORD | {"key": "c"} | ages(1),
    ]
    Operator(monkeypatch, findings={"findings": rows, "next": None})

    def keys(*options: object) -> list[str]:
        return [it["key"] for it in cli.json("findings", "list", *options)]

    assert keys("--severity", "high", "--severity", "low") == ["a", "b"]
    assert keys("--awaiting") == ["b"]
    assert keys("--since", "7d") == ["c"]
    assert keys("--sort", "severity") == ["c", "b", "a"]
    assert keys("--limit", 2) == ["a", "b"]
    assert "more than 2" in cli("findings", "list", "--limit", 2).stdout
