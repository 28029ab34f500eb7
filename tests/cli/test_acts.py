"""The commands that act: each asks the operator function, and nothing else."""

from __future__ import annotations

import io
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from botocore.client import BaseClient
from moto.iam.utils import random_resource_id

from keyward.findings import State
from keyward_cli.aws import Caller

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.flow.world import World

NO_FINDING = "0123456789abcdef0123"


def contained(world: World) -> tuple[str, str]:
    """A key that Keyward deactivated: the finding's key and the key's id."""
    world.do("CreateUser", UserName="ci")
    event = world.do("CreateAccessKey", UserName="ci")
    world.deliver(event)
    key_id = event["detail"]["responseElements"]["accessKey"]["accessKeyId"]
    assert world.key_status("ci", key_id) == "Inactive"
    return world.finding("iam-access-key-created").key, key_id


def test_findings_are_listed_and_shown(cli: Cli, world: World) -> None:
    finding, key_id = contained(world)
    (listed,) = cli.json("findings", "list")
    assert (listed["key"], listed["state"]) == (finding, "acted")
    assert finding in cli("findings", "list").stdout
    assert cli.json("findings", "show", finding)["key"] == finding
    shown = cli("findings", "show", finding).stdout
    assert key_id in shown
    assert f"keyward release {finding} --reason" in shown


def test_findings_are_chosen_by_state_account_and_rule(cli: Cli, world: World) -> None:
    contained(world)
    listed = ("findings", "list")
    assert len(cli.json(*listed, "--state", "acted", "--account", world.member)) == 1
    assert cli.json(*listed, "--state", "open") == []
    assert cli.json(*listed, "--account", world.other_member) == []
    assert cli.json(*listed, "--rule", "iam-user-created") == []


def test_a_long_list_is_read_to_its_limit(cli: Cli, world: World) -> None:
    for number in range(3):
        name = f"ci-{number}"
        world.do("CreateUser", UserName=name)
        world.deliver(world.do("CreateAccessKey", UserName=name))
    assert len(cli.json("findings", "list", "--limit", 2)) == 2
    assert len(cli.json("findings", "list")) == 3
    assert "more than 2" in cli("findings", "list", "--limit", 2).stdout


def test_release_restores_what_was_there(cli: Cli, world: World) -> None:
    finding, key_id = contained(world)
    result = cli("release", finding, "--reason", "agreed with its owner", "--days", 3, "--yes")
    assert result.exit_code == 0, result.output
    assert world.key_status("ci", key_id) == "Active"
    record = world.finding("iam-access-key-created")
    assert record.state is State.RELEASED
    assert "for 3 days" in (record.outcome or "")


def test_releasing_is_recorded_with_who_asked_and_why(cli: Cli, world: World) -> None:
    finding, _ = contained(world)
    cli("release", finding, "--reason", "agreed with its owner", "--yes")
    notes = " ".join(step.note for step in world.finding("iam-access-key-created").history)
    assert Caller().arn() in notes
    assert "agreed with its owner" in notes


def test_exempt_writes_an_exemption_that_is_in_force(
    cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto's user ids don't look like AWS's.
    monkeypatch.setattr(
        "moto.iam.models.random_resource_id",
        lambda size=16: f"AIDA{random_resource_id(size).upper()[:16]}",
    )
    finding, _ = contained(world)
    until = (world.now + timedelta(days=90)).isoformat()
    made = cli.json(
        *("exempt", finding, "--owner", "team@example.com", "--reason", "vendor has no roles"),
        *("--ticket", "SEC-1", "--until", until, "--yes"),
    )
    accepted = world.ledger.accepted()
    assert accepted is not None
    written = accepted.exemptions[made["exemption"]]
    assert (written["owner"], written["ticket"]) == ("team@example.com", "SEC-1")
    assert made["parameter"] == f"/keyward/exemptions/{made['exemption']}"


def test_an_exemption_of_an_unknown_rule_is_never_asked_for(cli: Cli) -> None:
    result = cli(
        *("exempt", NO_FINDING, "--owner", "team", "--reason", "why", "--ticket", "SEC-1"),
        *("--until", "90d", "--rule", "iam-usr-created"),
    )
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "iam-usr-created" in result.stderr


@pytest.mark.parametrize("until", ["2020-01-01", "soon", "2099-01-01T00:00:00", "0d", "-1d"])
def test_an_end_that_is_none_is_refused(cli: Cli, until: str) -> None:
    result = cli(
        *("exempt", NO_FINDING, "--owner", "team", "--reason", "why", "--ticket", "SEC-1"),
        *("--until", until),
    )
    assert result.exit_code == 1
    assert result.stderr.startswith(f"keyward: {until}: ")


def test_pause_and_resume(cli: Cli, world: World) -> None:
    paused = cli.json("pause", "90m", "--reason", "migration", "--yes")
    assert paused["paused_until"] == (world.now + timedelta(minutes=90)).isoformat()
    assert cli.json("status")["ceiling"] == "report"
    assert cli("resume", "--reason", "migration done", "--yes").exit_code == 0
    assert cli.json("status")["ceiling"] == "enforce"


@pytest.mark.parametrize("text", ["4", "h", "0h", "-4h", "4 hours", "NaNh", "1e9h"])
def test_a_length_that_is_none_is_refused(cli: Cli, text: str) -> None:
    result = cli("pause", "--reason", "migration", "--", text)
    assert result.exit_code == 1
    assert "expected a length of time" in result.stderr


def test_status_says_what_is_in_force(cli: Cli, world: World) -> None:
    contained(world)
    found = cli.json("status")
    assert found["counts"]["acted"] == 1
    assert found["contained"] == 1
    assert found["rules"]["iam-user-created"] == "enforce"
    shown = cli("status").stdout
    assert "1 acted" in shown
    assert "iam-user-created" in shown


def test_test_alert_is_sent(cli: Cli, world: World) -> None:  # noqa: ARG001 - the topic
    sent = cli.json("test-alert", "--yes")
    assert sent["message_id"]
    assert sent["places"] == ["topic"]
    assert cli("test-alert", "--yes").exit_code == 0


def test_uninstall_plans_the_release_of_what_is_contained(cli: Cli, world: World) -> None:
    finding, _ = contained(world)
    plan = cli.json("uninstall", "--plan")
    assert [one["finding"] for one in plan["contained"]] == [finding]
    release = next(n for n, step in enumerate(plan["steps"]) if finding in step)
    delete = next(n for n, step in enumerate(plan["steps"]) if "sam delete" in step)
    assert release < delete
    assert finding in cli("uninstall", "--plan").stdout


def test_uninstall_only_plans(cli: Cli) -> None:
    result = cli("uninstall")
    assert (result.exit_code, "--plan" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments", [("findings", "show"), ("release", "--yes", "--reason", "agreed with its owner")]
)
def test_what_the_operator_refuses_is_one_line(
    cli: Cli,
    world: World,  # noqa: ARG001 - the operator
    arguments: tuple[str, ...],
) -> None:
    result = cli(*arguments, NO_FINDING)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"keyward: no finding {NO_FINDING}")


def answering(monkeypatch: pytest.MonkeyPatch, reply: dict[str, Any]) -> list[str]:
    """Lets AWS answer every Invoke like this; what was called."""
    calls: list[str] = []

    def answer(_client: BaseClient, operation: str, _params: dict[str, Any]) -> Any:
        calls.append(operation)
        return {"Arn": "arn:aws:iam::111122223333:user/op"} if operation != "Invoke" else reply

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    return calls


def test_an_operator_that_crashed_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = io.BytesIO(b'{"errorMessage": "secret", "stackTrace": []}')
    calls = answering(monkeypatch, {"FunctionError": "Unhandled", "Payload": payload})
    result = cli("status")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "keyward-operator failed at status" in line
    assert "secret" not in line
    assert calls == ["GetCallerIdentity", "Invoke"]


class Failing(BaseHTTPRequestHandler):
    """STS that knows the caller, and a Lambda whose answers get lost."""

    invoked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        lost = "/functions/" in self.path
        if lost:
            self.invoked.append(self.path)
        body = b"{}" if lost else IDENTITY
        self.send_response(500 if lost else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Stays quiet."""


IDENTITY = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/op</Arn><UserId>AIDAEXAMPLE</UserId>
<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


def test_an_act_whose_answer_is_lost_is_not_asked_for_again(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing.invoked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        result = cli("test-alert", "--yes")
        server.shutdown()
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert len(Failing.invoked) == 1


def test_a_profile_that_does_not_exist_is_one_line(cli: Cli) -> None:
    result = cli("--profile", "nobody", "status")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "no such profile" in line
