"""The command line as people run it, and the operator function behind it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.client import BaseClient
from typer.testing import CliRunner, Result

from keyward import operating, proving
from keyward.gateways.callers import CallersGateway
from keyward.observability import metrics
from keyward_cli.main import app
from tests.flow.world import a_world

if TYPE_CHECKING:
    from tests.flow.world import World


class Terminal(CliRunner):
    """Runs a command whose standard input is a terminal, where somebody types."""

    @contextmanager
    def isolation(self, *arguments: Any, **more: Any) -> Iterator[Any]:
        with super().isolation(*arguments, **more) as streams:
            sys.stdin.isatty = lambda: True  # type: ignore[method-assign]
            yield streams


class Cli:
    """Runs `keyward` within this process; `typed` comes from a terminal, `stdin` from elsewhere."""

    def __call__(
        self, *arguments: object, stdin: bytes | str | None = None, typed: str | None = None
    ) -> Result:
        runner, given = (CliRunner(), stdin) if typed is None else (Terminal(), typed)
        return runner.invoke(app, [str(one) for one in arguments], input=given)

    def json(self, *arguments: object) -> Any:
        """What a command that must succeed prints with --json."""
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def lines(self, *arguments: object, stdin: bytes | str | None = None) -> list[Any]:
        """What explain --json prints, one value for each line."""
        return [
            json.loads(line) for line in self(*arguments, "--json", stdin=stdin).stdout.splitlines()
        ]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return Cli()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An organization whose Lambda runs the operator in place of moto's, which wants Docker."""
    with a_world(monkeypatch) as made:
        made.settings()
        real = BaseClient._make_api_call  # type: ignore[attr-defined]

        def intercepted(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
            if operation != "Invoke":
                return real(client, operation, params)
            assert params["FunctionName"] == "keyward-operator"
            metrics.clear_metrics()  # else the hundredth is printed, amid what the command prints
            reply = operating.answer(
                json.loads(params["Payload"]), services=made.services, now=made.now
            )
            return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(reply).encode())}

        def identity(_asked: CallersGateway, path: str, *, header: tuple[str, str]) -> str:
            assert path.startswith("/?")
            assert header[0] == proving.HEADER
            return f"<Arn>{boto3.client('sts').get_caller_identity()['Arn']}</Arn>"

        monkeypatch.setattr(BaseClient, "_make_api_call", intercepted)
        monkeypatch.setattr(CallersGateway, "identity", identity)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: made.now)
        yield made
