"""Whatever is typed, and whatever the operator refuses: no command ends with a traceback."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from keyward.operating import ACTS
from keyward_cli import main as commands
from keyward_cli.cli_page import commands as commands_of

TREE = [(name, it) for name, it in commands_of(typer.main.get_command(commands.app))]
LETTERS = st.characters(exclude_characters="\0/", exclude_categories=())
WORDS = st.one_of(
    st.text(LETTERS, max_size=20),
    st.sampled_from(
        (
            *("", "-", "--", "-1", "0", "1e999", "NaN", "1" * 400, "0d", "99999w", "4h", "~", "."),
            *("2027-01-31", "9999-12-31", "2027-02-30", "0001-01-01", "9999-12-31T23:59:59-23:59"),
            *("111122223333", "iam-user-created", "iam-user-created:1f0c93a2b4d5", "a:b:c"),
            *("0123456789abcdef0123", "critical", "open", "[red]", "\x1b[2J", "\u202e", "\udc80"),
        )
    ),
)


@st.composite
def typed(draw: st.DrawFn) -> list[str]:
    """A command with some of its own options, each with any value, and any arguments."""
    name, command = draw(st.sampled_from(TREE))
    found = list(name)
    for parameter in command.params:
        if not draw(st.booleans()) and not parameter.required:
            continue
        option = [one for one in parameter.opts if one.startswith("-")]
        found += option[:1]
        if not (option and parameter.is_flag):
            found.append(draw(WORDS))
    if draw(st.booleans()):
        found.append("--yes")
    before = draw(st.sampled_from(((), ("--region", draw(WORDS)), ("--profile", draw(WORDS)))))
    return [*before, *found]


def refusing(_client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
    """AWS in which every request is read as the operator reads it, and then refused."""
    if operation == "GetCallerIdentity":
        return {"Arn": "arn:aws:iam::111122223333:user/op", "Account": "111122223333"}
    if operation != "Invoke":
        denied: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
        raise ClientError(denied, operation)
    request = json.loads(params["Payload"])
    model, _ = ACTS[request["act"]]
    try:
        model.model_validate(request)
        why = "nothing of the kind"
    except ValidationError as error:
        why = str(error.errors(include_url=False, include_input=False)[0]["msg"])
    return {"Payload": io.BytesIO(json.dumps({"ok": False, "error": why}).encode())}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, an AWS that refuses, and no checkout whose demo would begin."""
    monkeypatch.setattr(BaseClient, "_make_api_call", refusing)
    monkeypatch.setattr(commands, "PROJECT", Path("nowhere"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("NO_COLOR", "1")
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        yield
        os.chdir(before)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(arguments=typed())
@pytest.mark.usefixtures("elsewhere")
def test_nothing_that_is_typed_ends_with_a_traceback(arguments: list[str]) -> None:
    result = CliRunner().invoke(commands.app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), arguments
    assert result.exit_code in {0, 1, 2, 3}
    assert "Traceback" not in result.output
    if result.exit_code == 1 and "validate" not in arguments:
        assert result.stderr.splitlines() or result.stdout
    assert "\x1b" not in result.output
