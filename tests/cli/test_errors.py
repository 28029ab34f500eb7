"""Whatever goes wrong for the one who types is one line; and what a terminal gets, pipes don't."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from keyward_cli.printing import say, show_table
from keyward_cli.progress import progress

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

PROJECT = Path(__file__).parents[2]
KEYWARD = (sys.executable, "-m", "keyward_cli")


def failing(monkeypatch: pytest.MonkeyPatch, code: str, *, status: int = 400) -> None:
    """Lets Lambda answer every Invoke with this error."""

    response: Any = {
        "Error": {"Code": code, "Message": "secret"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }

    def answer(_client: BaseClient, operation: str, _params: dict[str, Any]) -> Any:
        if operation != "Invoke":
            return {"Arn": "arn:aws:iam::111122223333:user/op"}
        raise ClientError(response, operation)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ResourceNotFoundException", "Keyward isn't deployed in us-east-1"),
        ("AccessDeniedException", "lambda:InvokeFunction on function keyward-operator"),
        ("TooManyRequestsException", "try again in a minute"),
        ("ThrottlingException", "try again in a minute"),
        ("ExpiredTokenException", "aws sso login"),
        ("UnrecognizedClientException", "aws sso login"),
        ("ServiceException", "keyward-operator"),
    ],
)
def test_what_aws_refuses_is_one_line_with_what_to_do(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    failing(monkeypatch, code)
    result = cli("status")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("keyward: ")
    assert says in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b"null", b'"ok"', b"7", b'[["ok", 1]]', b"\xff", b'{"ok":1}']
)
def test_an_answer_that_is_not_keywards_is_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    failing(monkeypatch, "")
    monkeypatch.setattr(
        BaseClient,
        "_make_api_call",
        lambda _client, operation, _params: (
            {"Payload": io.BytesIO(answer)} if operation == "Invoke" else {"Arn": "arn:op"}
        ),
    )
    result = cli("status")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def alone(tmp_path: Path, **more: str) -> dict[str, str]:
    """An environment without AWS, and without what a terminal of a developer's has set."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "HOME": str(tmp_path),
        "PYTHONPATH": f"{PROJECT / 'layers' / 'core'}:{PROJECT / 'cli'}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        **more,
    }


def run(
    *command: str, env: dict[str, str], stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(  # noqa: S603 - our own
        (*KEYWARD, *command),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_no_region_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    result = cli("settings", "diff", PROJECT / "settings")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "--region" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("settings", "validate", "missing"),
        ("settings", "push", "missing", "--yes"),
        ("settings", "pull", "file/below"),
        ("explain", "missing"),
        ("explain", "."),
        ("report", "--output", "file"),
    ],
)
def test_a_file_that_cannot_be_had_is_named(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    failing(monkeypatch, "ResourceNotFoundException")
    result = cli(*command)
    assert result.exit_code in {1, 2}
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("keyward: ")


def test_ctrl_c_is_one_line_and_exits_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BaseClient, "_make_api_call", broken_off)
    result = cli("status")
    assert (result.exit_code, len(result.stderr.splitlines())) == (130, 1)


def test_ctrl_c_at_a_question_is_one_line_and_exits_130(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = (*KEYWARD, "pause", "4h", "--reason", "migration")
    with subprocess.Popen(  # noqa: S603 - our own
        command, env=alone(tmp_path), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        os.close(theirs)
        assert started.stderr is not None
        asked = os.read(started.stderr.fileno(), 65536)
        assert b"Pause?" in asked
        started.send_signal(signal.SIGINT)
        _, told = started.communicate(timeout=60)
    os.close(ours)
    assert started.returncode == 130
    assert told.decode().splitlines()[-1] == "keyward: broken off; nothing was done"


INTERRUPTED = """
import runpy, sys
class Interrupt:
    @staticmethod
    def find_spec(name, *_):
        if name == "keyward_cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt)
runpy.run_module("keyward_cli", run_name="__main__")
"""


def test_ctrl_c_while_it_starts_is_one_line_and_exits_130(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own
        (sys.executable, "-c", INTERRUPTED),
        env=alone(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "keyward: broken off; nothing was done\n")


@pytest.mark.parametrize(
    ("closed", "command", "status"),
    [
        ("<&-", ("pause", "4h", "--reason", "migration"), 1),
        (">&-", ("rules",), 0),
        (">&-", ("rules", "--json"), 0),
        ("2>&-", ("rules", "nope"), 1),
    ],
)
def test_streams_that_are_closed_end_no_command_with_a_traceback(
    tmp_path: Path, closed: str, command: tuple[str, ...], status: int
) -> None:
    done = subprocess.run(  # noqa: S603 - our own
        ("/bin/sh", "-c", f'exec "$@" {closed}', "sh", *KEYWARD, *command),
        env=alone(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)


@pytest.mark.parametrize("command", [("rules", "--json"), ("rules",), ("--help",)])
def test_a_reader_who_has_seen_enough_breaks_nothing(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = run(*command, env=alone(tmp_path), stdout=writes)
    os.close(writes)
    assert done.stderr == ""
    assert done.returncode in {0, 1}


def on_a_terminal(*command: str, env: dict[str, str]) -> str:
    """What a command prints on a terminal, as it would draw it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - our own
        (*KEYWARD, *command), env=env, stdout=theirs, stderr=theirs
    ) as started:
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                some = os.read(ours, 65536)
            except OSError:  # Linux's end of a terminal that nobody has open any more
                break
            if not some:
                break
            shown += some
    os.close(ours)
    assert started.returncode == 0
    return shown.decode()


COLOURS = ("\x1b[31m", "\x1b[33m", "\x1b[1;31m", "\x1b[36m", "\x1b[1;36m")


def test_colours_are_for_terminals_and_end_where_somebody_says_so(tmp_path: Path) -> None:
    env = alone(tmp_path, TERM="xterm-256color", COLUMNS="120")
    assert any(colour in on_a_terminal("rules", env=env) for colour in COLOURS)
    for command, more in (
        (("--no-color", "rules"), {}),
        (("--no-color", "rules", "--help"), {}),
        (("rules",), {"NO_COLOR": "1"}),
    ):
        shown = on_a_terminal(*command, env=env | more)
        assert not any(colour in shown for colour in COLOURS)
    piped = run("rules", env=env).stdout
    assert "\x1b" not in piped


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    typed = " ".join(("keyward", *words))
    env = {"_KEYWARD_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words))}
    done = run(env=alone(tmp_path, **env))
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("find",), ["findings"]),
        (("findings", "list", "--severity", "cr"), ["critical"]),
        (("findings", "list", "--state", "act"), ["acting", "acted"]),
        (("rules", "iam-user-c"), ["iam-user-created"]),
        (("exempt", "--rule", "iam-user-c"), ["iam-user-created"]),
    ],
)
def test_shells_complete_what_is_known_without_aws(
    tmp_path: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    assert completed(tmp_path, *words) == offered


def test_completion_is_shown_for_a_shell(tmp_path: Path) -> None:
    env = alone(tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    done = run("--show-completion", "bash", env=env)
    assert "_KEYWARD_COMPLETE=complete_bash" in done.stdout


def test_text_of_others_never_moves_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x1b]0;x\x07\u202e\r[red]"
    say(hostile)
    show_table(("subject", "severity"), [(hostile, hostile)])
    shown = capsys.readouterr().out
    assert not set("\x1b\x07\u202e\r") & set(shown)
    assert shown.count("[red]") == 3


def test_progress_says_nothing_of_what_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("first") as tell:
        tell("second", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_within_progress_there_is_no_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward_cli.progress.SILENT_SECONDS", 0)
    with progress("outer") as outer:
        outer("outer 1")
        with progress("inner") as inner:
            inner("inner 1")
    with progress("next") as later:
        later("next 1")
    assert capsys.readouterr().err.splitlines() == ["outer 1", "next 1"]
