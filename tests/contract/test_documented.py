"""What the pages say there is, is there, and the other way about: metrics, notices, roles ..."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from keyward.settings import GlobalSettings
from tests.contract.templates import PROJECT, Json, hub, transformed

if TYPE_CHECKING:
    from collections.abc import Iterator

BUTTONS = {
    "SlackSecretArn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:keyward/slack-AbCdEf",
    "SlackSigningSecretArn": (
        "arn:aws:secretsmanager:us-east-1:111122223333:secret:keyward/signing-AbCdEf"
    ),
}
ALONE, WITH_BUTTONS = hub(), hub(**BUTTONS)

COUNTING = {"count": 0, "took": 0, "count_by": 0, "count_on": 1}
"""The functions of observability.py, and which of their arguments is the metric's name."""


# ---------------------------------------------------------------- metrics


def test_every_metric_that_is_counted_is_documented_and_no_other() -> None:
    assert counted() == documented_metrics()


def test_every_metric_of_keywards_that_alarms_or_is_shown_is_counted() -> None:
    alarmed = {
        alarm["MetricName"]
        for alarm in WITH_BUTTONS.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Namespace"] == "Keyward"
    }
    assert alarmed
    assert alarmed | set(shown_metrics()) <= counted()


def test_readme_counts_what_is_paid_for_as_the_template_has_it() -> None:
    costs = section("README.md", "What it costs")
    alarms = [len(stack.of_type("AWS::CloudWatch::Alarm")) for stack in (ALONE, WITH_BUTTONS)]
    assert f"{alarms[0]} CloudWatch alarms" in costs
    assert f"{alarms[1]} with Slack's buttons" in costs
    assert f"{len(counted())} custom metrics" in costs
    polled = [
        it
        for it in ALONE.of_type("AWS::Lambda::EventSourceMapping").values()
        if ":sqs:" in it["EventSourceArn"]
    ]
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    assert f"polls {words[len(polled)]} queues" in costs


def counted() -> set[str]:
    """The names that code counts by; a name that is no constant is an error of this test."""
    return {name for tree in product() for name in _counted_in(tree)}


def _counted_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=function), args=args) if function in COUNTING and args:
                # Rollouts add up what they count, by name, and count it at the end of a step.
                name = args[COUNTING[function]]
                if not isinstance(name, ast.Name):
                    yield ast.literal_eval(name)
            case ast.Subscript(value=ast.Attribute(attr="outcomes"), slice=names):
                yield from filter(None, map(_text, ast.walk(names)))


def documented_metrics() -> set[str]:
    """The first column of the table of all metrics."""
    rows = [row for row in section("docs/dashboard.md", "All metrics").splitlines() if "`" in row]
    return {
        name
        for row in rows
        if row.startswith("|")
        for name in re.findall(r"`([A-Z][A-Za-z]+)`", row.split("|")[1])
    }


def shown_metrics() -> Iterator[str]:
    """Those of Keyward's that the dashboard draws."""
    board = json.loads(WITH_BUTTONS.properties("Dashboard")["DashboardBody"])
    for widget in board["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == "Keyward":
                yield metric[1]
            elif isinstance(metric[0], dict):
                yield from re.findall(r'MetricName="(\w+)"', metric[0]["expression"])


# ---------------------------------------------------------------- notices


def test_the_runbook_says_of_every_notice_what_to_do() -> None:
    rows = section("docs/operations.md", "Notices").splitlines()
    assert kinds() == {row.split("`")[1] for row in rows if row.startswith("| `")}


def kinds() -> set[str]:
    """The kinds of notices that code makes."""
    return {kind for tree in product() for kind in _kinds_in(tree)}


def _kinds_in(tree: ast.Module) -> Iterator[str]:
    constants = {
        target.id: _text(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="Notice"), keywords=keywords):
                kind = next(it.value for it in keywords if it.arg == "kind")
                said = constants[kind.id] if isinstance(kind, ast.Name) else _text(kind)
                assert said is not None, "a kind that is no constant"
                yield said


# ---------------------------------------------------------------- parameters, settings, roles


def test_readme_says_what_every_parameter_of_the_deployment_means() -> None:
    rows = section("README.md", "Deploying").splitlines()
    named = {
        name
        for row in rows
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert set(transformed("template.yaml")["Parameters"]) == named


def test_the_sample_of_settings_shows_every_field() -> None:
    sample = json.loads((PROJECT / "settings" / "settings.json").read_text())
    assert set(lacking(GlobalSettings(), sample)) == set()


def lacking(setting: BaseModel, sample: dict[str, Json], above: str = "") -> Iterator[str]:
    """The fields that neither stand in a sample nor have a comment there that bears their name."""
    shown = {name.removeprefix("$comment ") for name in sample}
    for name in type(setting).model_fields:
        if name not in shown:
            yield above + name
        value = getattr(setting, name)
        if isinstance(value, BaseModel):
            yield from lacking(value, sample.get(name, {}), f"{above}{name}.")


@pytest.mark.parametrize(
    "role", [it["RoleName"] for it in WITH_BUTTONS.of_type("AWS::IAM::Role").values()]
)
def test_every_role_stands_in_the_table_of_what_roles_may(role: str) -> None:
    table = [
        row.split("|")[1]
        for row in section("docs/security.md", "The roles").splitlines()
        if row.startswith("| `")
    ]
    assert any(f"`{role}`" in row for row in table)


# ---------------------------------------------------------------- reading


@cache
def product() -> tuple[ast.Module, ...]:
    """The code that is deployed."""
    folders = (PROJECT / "layers" / "core" / "keyward", PROJECT / "functions")
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return tuple(ast.parse(path.read_text()) for path in files)


def section(page: str, heading: str) -> str:
    """The part of a page below a heading of the second level."""
    parts = re.split(r"^## (.+)$", (PROJECT / page).read_text(), flags=re.MULTILINE)
    return parts[parts.index(heading) + 1]


def _text(node: ast.AST) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return ast.literal_eval(node) if is_text else None
