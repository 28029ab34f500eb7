"""Before anything changes: the plan was shown, and somebody agrees. Programs say --yes."""

import sys
from typing import Annotated

import typer

from keyward.errors import RequestError

Yes = Annotated[bool, typer.Option("--yes", help="Don't ask: programs must say so.")]


def agree(question: str, *, yes: bool, as_json: bool) -> None:
    """Returns where what was shown may be done.

    Raises Abort where the answer is no, and RequestError where there is nobody to be asked: with
    --json, and where standard input is no terminal.
    """
    if yes:
        return
    must_be_asked(as_json=as_json)
    if not typer.confirm(question, err=True):
        raise typer.Abort


def must_be_asked(*, as_json: bool) -> None:
    """Raises RequestError where there is nobody who could be asked."""
    if as_json:
        message = "with --json nobody is asked: say --yes as well"
        raise RequestError(message)
    if not sys.stdin.isatty():
        message = "standard input is no terminal, so nobody is asked: say --yes"
        raise RequestError(message)


def given(option: str, value: str | None, *, as_json: bool) -> str:
    """What was given with an option that must be given; on a terminal it is asked for.

    Raises BadParameter, wrong usage, where there is nobody to be asked.
    """
    if value is None:
        if as_json or not sys.stdin.isatty():
            message = "it must be given"
            raise typer.BadParameter(message, param_hint=option)
        asked: str = typer.prompt(option.strip("-").capitalize(), err=True)
        return asked
    return value
