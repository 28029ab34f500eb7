"""A cold start loads what it needs: clients are made on first use, others' code never."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
FORBIDDEN = {"boto3", "aws_xray_sdk", "s3transfer", "typer", "rich", "local", "keyward_cli"}


def modules_of(function: str) -> set[str]:
    """What importing the function's handler loads, in an interpreter of its own."""
    script = "import json, sys\nimport handler\nprint(json.dumps(sorted(sys.modules)))\n"
    path = [ROOT / "functions" / function, ROOT / "layers" / "core"]
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(map(str, path)), "PATH": ""},
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_importing_a_handler_loads_no_client_and_nobody_elses_code(function: str) -> None:
    loaded = {name.partition(".")[0] for name in modules_of(function)}
    assert not loaded & FORBIDDEN


def test_the_door_loads_nothing_that_judges_acts_or_remembers() -> None:
    """Slack waits for three seconds, a cold start included."""
    loaded = {name for name in modules_of("slack_ingress") if name.startswith("keyward.")}
    assert loaded == {
        "keyward.door",
        "keyward.errors",
        "keyward.gateways",
        "keyward.gateways.secrets",
        "keyward.gateways.sqs",
        "keyward.gateways.translate",
        "keyward.ingress",
        "keyward.observability",
    }


def test_a_guard_imports_only_its_own_rules() -> None:
    loaded = {name for name in modules_of("iam_guard") if name.startswith("keyward.rules.")}
    assert loaded
    assert all(name.startswith(("keyward.rules.iam_", "keyward.rules.keyward_")) for name in loaded)


def test_a_guard_imports_nothing_of_operators_or_settings_in_the_making() -> None:
    loaded = modules_of("iam_guard")
    assert not loaded & {"keyward.operating", "keyward.telling", "keyward.alerts"}
