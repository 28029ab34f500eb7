"""How results look: tables for people, JSON for programs. Text of others never moves a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

SEVERITY_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
REPLACEMENT = "\ufffd"
PIPED_WIDTH = 200


def plain(value: object) -> str:
    """`value` on one line, without what isn't printable: escapes, right-to-left marks."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else REPLACEMENT for letter in text)


def say(text: str, style: str = "") -> None:
    """Prints one line; wider than the terminal, it wraps there and nowhere else."""
    Console(highlight=False, soft_wrap=True).print(Text(plain(text), style=style))


def complain(text: str) -> None:
    """Prints one line on standard error."""
    typer.echo(f"keyward: {plain(text)}", err=True)


def show_json(value: object) -> None:
    """Prints one JSON value on one line, in ASCII."""
    sys.stdout.write(json.dumps(value) + "\n")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table; a column called severity is coloured."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)
    for row in rows:
        table.add_row(
            *(
                Text(
                    plain(cell),
                    style=SEVERITY_STYLES.get(str(cell), "") if column == "severity" else "",
                    overflow="fold",
                )
                for column, cell in zip(columns, row, strict=True)
            )
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    console.print(table)


def show_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Prints one field a line; those without a value are left out."""
    present = [(name, value) for name, value in fields if value not in {None, ""}]
    width = max((len(name) for name, _ in present), default=0)
    for name, value in present:
        say(f"{name:<{width}}  {value}")
