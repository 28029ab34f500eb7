"""`keyward report`: has a report made, and brings its files here."""

import os
import re
import tempfile
import webbrowser
from enum import StrEnum
from http.client import HTTPException
from pathlib import Path
from shutil import copyfileobj
from time import monotonic, sleep
from typing import Annotated
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import typer

from keyward.errors import RequestError
from keyward_cli.answering import AsJson
from keyward_cli.aws import Caller, ask
from keyward_cli.printing import say, show_json
from keyward_cli.progress import progress

WAIT_SECONDS = 2.0
LONGEST_SECONDS = 15 * 60
"""A function runs no longer, so that a report that isn't there by then won't come.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

DOWNLOAD_SECONDS = 60
ID = re.compile(r"[0-9A-Za-z-]{1,64}")
LIST = re.compile(r"csv-([a-z]{1,20}(?:-[a-z]{1,20}){0,3})")
"""The kind of a file that is a list beside the findings."""


class Format(StrEnum):
    """The files of a report."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"
    ALL = "all"


def named(kind: str) -> str | None:
    """How the name of such a file ends; None for what a report doesn't have."""
    if found := LIST.fullmatch(kind):
        return f"-{found[1]}.csv"
    return {"html": ".html", "csv": "-findings.csv", "json": ".json"}.get(kind)


def report(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the files go; it is made if need be.")
    ] = Path(),
    form: Annotated[
        Format,
        typer.Option("--format", help="Which files: html is a page to read, csv every list of it."),
    ] = Format.ALL,
    show: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a report of where the organization stands, and bring its files here.

    One page for owners and auditors that needs no network, and the same data as JSON and as CSV, a
    file for each list: findings, accounts, exemptions, controls, permission sets, days, ages. A
    file that is there already is replaced only once the new one is whole.
    """
    if show and form not in {Format.HTML, Format.ALL}:
        message = "--open needs the page: --format html or all"
        raise typer.BadParameter(message)
    output.mkdir(parents=True, exist_ok=True)
    made: dict[str, Path] = {}
    with progress("the report is begun") as tell:
        id_ = str(ask(context.obj, "report-start")["report"])
        if not ID.fullmatch(id_):
            message = "the operator named the report as no file can be called"
            raise RequestError(message)
        tell(f"report {id_} is being made")
        links = _links(context.obj, id_)
        wanted = [it for it in links if form is Format.ALL or it.partition("-")[0] == form]
        for number, kind in enumerate(wanted):
            tell(f"report {id_}: its {kind} is fetched", number, len(wanted))
            made[kind] = _fetched(links[kind], output / f"keyward-report-{id_}{named(kind)}")
    if not made:
        message = f"report {id_} has no {form}"
        raise RequestError(message)
    if as_json:
        show_json({"report": id_, "files": {kind: str(path) for kind, path in made.items()}})
    else:
        for path in made.values():
            say(str(path))
    if show and "html" in made:
        webbrowser.open(made["html"].resolve().as_uri())


def _links(caller: Caller, id_: str) -> dict[str, str]:
    """Where its files are, by kind, once it is made. Raises RequestError where it doesn't come."""
    begun = monotonic()
    while True:
        links = ask(caller, "report", report=id_)["links"]
        if isinstance(links, dict):
            return {kind: str(link) for kind, link in links.items() if named(kind) is not None}
        if monotonic() - begun > LONGEST_SECONDS:
            message = f"report {id_} doesn't come: its log says why: sam logs --name keyward-report"
            raise RequestError(message)
        sleep(WAIT_SECONDS)


def _fetched(link: str, file: Path) -> Path:
    """Writes what the link leads to into the file, whole or not at all. Raises RequestError."""
    if urlsplit(link).scheme not in {"https", "http"}:
        message = f"the link to {file.name} is no web address"
        raise RequestError(message)
    part = None
    try:
        with (
            urlopen(link, timeout=DOWNLOAD_SECONDS) as reply,  # noqa: S310 - http and https alone
            tempfile.NamedTemporaryFile(
                dir=file.parent, prefix=f".{file.name}.", delete=False
            ) as written,
        ):
            part = Path(written.name)
            copyfileobj(reply, written)
            length = reply.headers.get("Content-Length")
            if length is not None and written.tell() != int(length):
                message = f"{file.name} can't be fetched: the connection broke off"
                raise RequestError(message)
        # Whoever may read the folder may read the report: the name of a temporary one is its own.
        part.chmod(0o666 & ~_umask())
        part.replace(file)
    except HTTPError as error:
        error.close()
        message = f"{file.name} can't be fetched: the link was answered with {error.code}"
        raise RequestError(message) from error
    except (URLError, HTTPException, TimeoutError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        message = f"{file.name} can't be fetched: {why}"
        raise RequestError(message) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return file


def _umask() -> int:
    """What the caller's files are not allowed; it can only be asked for by setting it."""
    found = os.umask(0o077)
    os.umask(found)
    return found
