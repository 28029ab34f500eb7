"""What every command has: help with an example, one line on errors; and the generated pages."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest
import typer.main

from keyward.rules import every
from keyward_cli import cli_page, docs
from keyward_cli import main as commands
from keyward_cli.cli_page import commands as commands_of
from keyward_cli.printing import plain

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

SETTINGS = Path(__file__).parents[2] / "settings"


EXPECTED = {
    "preflight",
    "explain",
    "rules",
    "settings validate",
    "settings diff",
    "settings push",
    "settings pull",
    "settings import",
    "bootstrap",
    "baseline plan",
    "baseline apply",
    "baseline stop",
    "baseline rollouts",
    "baseline show",
    "findings list",
    "findings show",
    "release",
    "exempt",
    "pause",
    "resume",
    "status",
    "sweep",
    "redrive",
    "inventory",
    "test-alert",
    "uninstall",
    "demo",
    "acknowledge",
    "approve",
    "quarantine",
    "acts",
    "report",
}


def test_the_commands_are_these() -> None:
    app = typer.main.get_command(commands.app)
    assert {" ".join(name) for name, _ in commands_of(app)} == EXPECTED


TREE = {" ".join(name): it for name, it in commands_of(typer.main.get_command(commands.app))}


@pytest.mark.parametrize("command", sorted(TREE))
def test_every_command_has_json_and_says_what_each_of_its_parameters_is(command: str) -> None:
    assert "--json" in {option for it in TREE[command].params for option in it.opts}
    for parameter in TREE[command].params:
        assert parameter.help, parameter.name


@pytest.mark.parametrize("command", ["", *sorted(TREE)])
def test_every_help_says_what_exit_codes_mean(cli: Cli, command: str) -> None:
    shown = cli(*command.split(), "--help").stdout
    told = shown.partition("Exit status:")[2]
    for code in ("0 ", "1 ", "2 wrong usage", "130 "):
        assert code in told


@pytest.mark.parametrize("command", sorted(TREE))
def test_every_example_parses(command: str) -> None:
    root = typer.main.get_command(commands.app)
    examples = cli_page._examples(TREE[command])
    assert any(f" {command}" in example for example in examples)
    for example in examples:
        typed = re.split(r"[|>]|2>", example[example.index("keyward ") :])[0]
        context = root.make_context("keyward", shlex.split(typed)[1:])
        inner: Any = root
        while hasattr(inner, "commands"):
            name, inner, rest = inner.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            context = inner.make_context(name, rest, parent=context)


def test_the_page_of_the_command_line_has_every_command_and_option() -> None:
    page = (docs.DOCS / "cli.md").read_text()
    for name, command in TREE.items():
        part = page.partition(f"\n## keyward {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            assert all(option in part for option in parameter.opts if option[0] == "-"), name


@pytest.mark.parametrize("command", sorted(EXPECTED))
def test_every_help_has_an_example(cli: Cli, command: str) -> None:
    result = cli(*command.split(), "--help")
    assert result.exit_code == 0
    example = result.stdout.partition("Example:")[2]
    assert command in example
    assert "keyward" in example


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("explain",), ("findings", "list", "--limit", "x")]
)
def test_wrong_usage_exits_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_rules_are_listed_and_shown(cli: Cli) -> None:
    listed = cli.json("rules")
    assert {rule["rule"] for rule in listed} == {rule.id for rule in every()}
    assert all(rule["summary"] and rule["mode"] == "report" for rule in listed)
    assert "iam-access-key-for-other-user" in cli("rules").stdout
    assert "How to fix" in cli("rules", "iam-user-created").stdout


def test_an_unknown_rule_is_one_line(cli: Cli) -> None:
    result = cli("rules", "iam-usr-created")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_demo_ends_as_the_demo_does(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "__init__.py").touch()
    (tmp_path / "local" / "demo.py").write_text("raise SystemExit(7)")
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    assert cli("demo").exit_code == 7


def test_demo_needs_a_checkout(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    result = cli("demo")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_printed_text_is_one_harmless_line() -> None:
    text = plain("a\x1b[31m\r\nb\u202ec\u2028\x00\x9b[d]")
    assert text.isprintable()
    assert "[d]" in text


def test_the_generated_pages_are_fresh() -> None:
    assert docs.stale() == []


def test_a_stale_page_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(docs.DOCS, tmp_path / "docs"))
    monkeypatch.setattr(docs, "DOCS", copy)
    (copy / "rules.md").write_text("old")
    (copy / "schemas" / "rule-gone.json").write_text("{}")
    monkeypatch.setattr("sys.argv", ["docs", "--check"])
    with pytest.raises(SystemExit) as ended:
        docs._main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "docs/rules.md" in told
    assert "docs/schemas/rule-gone.json" in told
    docs.write()
    assert docs.stale() == []


def test_what_is_generated_says_so_in_its_first_line() -> None:
    for file, text in docs.pages().items():
        assert "Generated" in text.partition("\n")[0], file


def test_every_rule_is_documented() -> None:
    page = (docs.DOCS / "rules.md").read_text()
    for rule in every():
        assert f"\n## {rule.id}\n" in page


@pytest.mark.parametrize("file", sorted(SETTINGS.rglob("*.json")), ids=lambda file: file.stem)
def test_the_schemas_take_the_sample_settings_with_comments(file: Path) -> None:
    name = {
        "rules": f"rule-{file.stem}",
        "exemptions": "exemption",
        "permission-sets": "permission-set",
        "baseline": "baseline",
    }.get(file.parent.name, file.stem)
    schema = json.loads((docs.DOCS / "schemas" / f"{name}.json").read_text())
    jsonschema.validate(json.loads(file.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(file.read_text()), "misspelt": 1}, schema)
