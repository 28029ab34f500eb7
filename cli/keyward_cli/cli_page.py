"""docs/cli.md: every command as its own help has it. Whatever help lacks, the page lacks."""

import inspect
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from keyward_cli.main import app
from keyward_cli.usage import EXAMPLE, EXIT_STATUS

HEAD = """\
# The command line

Every command shows this with `--help`. What holds for all of them:

- `--profile` and `--region` stand before the command: `keyward --region eu-central-1 status`.
- `--json` prints JSON on standard output and nothing else there; progress, questions and errors go
  to standard error.
- What changes anything shows first what it would do, then asks. With `--json`, and where standard
  input is no terminal, nobody is asked: it is refused, with exit status 1, unless `--yes` is given.
  At once, since nothing is undone by it, go `acknowledge`, `report`, `baseline plan`, `settings
  import`, and `sweep`, which looks as every six hours anyway.
- An error is one line on standard error that begins with `keyward:`; what is typed wrongly (exit
  status 2) is shown with how the command is used. Ctrl-C ends a command with
  exit status 130; what AWS was asked for by then goes on. Where a reader of a pipe has seen enough
  (`keyward findings list | head`), the command ends with exit status 0.
- Colours are for terminals: what is piped has none, nor has anything with `NO_COLOR=1` or
  `keyward --no-color`.
- What takes longer than a moment shows on a terminal how far it is.

Shells complete commands, options, rule ids, states and severities, without asking AWS:
`keyward --install-completion` sets that up for the shell that you are in (bash, zsh, fish or
PowerShell), `keyward --show-completion` prints what it would write.
"""


def page(generated: str) -> str:
    """The whole page; `generated` is what its first line says."""
    root = get_command(app)
    lines = [f"<!-- {generated} -->", HEAD, "Options that stand before the command:", ""]
    lines += _parameters(root)
    lines += ["", *_end(root)]
    for name, command in commands(root):
        lines += ["", f"## keyward {' '.join(name)}", "", inspect.cleandoc(command.help or "")]
        lines += ["", "```", *_examples(command), "```", "", *_parameters(command), ""]
        lines += _end(command)
    return "\n".join(lines) + "\n"


def commands(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - typer keeps its types of click to itself
    """Every command that does something, with its name, in the order of help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for part, one in inner.items():
        yield from commands(one, (*name, part))


def _examples(command: Any) -> list[str]:  # noqa: ANN401 - as above
    parts = (command.epilog or "").split("\n\n")
    return [part for part in parts if part != EXAMPLE and not part.startswith(EXIT_STATUS)]


def _end(command: Any) -> list[str]:  # noqa: ANN401 - as above
    parts = (command.epilog or "").split("\n\n")
    return [part for part in parts if part.startswith(EXIT_STATUS)]


def _parameters(command: Any) -> list[str]:  # noqa: ANN401 - as above
    context = typer.Context(command)
    rows = [
        (record[0].strip(), record[1].strip())
        for parameter in command.params
        if (record := parameter.get_help_record(context)) is not None
    ]
    return [
        "| argument or option | what it is |",
        "|---|---|",
        *(f"| `{_cell(name)}` | {_cell(text).replace('<', '&lt;')} |" for name, text in rows),
    ]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
