"""`keyward settings`: keeps a folder and Parameter Store in step."""

import difflib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyward.compiling import RULES, Parameter, baseline_name, of_aws, permission_set_name
from keyward.errors import SettingsError
from keyward.gateways.ssm import ADVANCED_BYTES, STANDARD_BYTES, SsmGateway
from keyward.settings import PREFIX
from keyward_cli.agreeing import Yes, agree, must_be_asked
from keyward_cli.answering import AsJson
from keyward_cli.folder import (
    Change,
    changes,
    ended,
    file_of,
    has_file,
    lines,
    problems,
    read_folder,
    unconfirmed,
)
from keyward_cli.importing import EXISTING, imported, write
from keyward_cli.paging import answers
from keyward_cli.parts import joined, spread, writes
from keyward_cli.printing import complain, say, show_json, show_table
from keyward_cli.usage import usage

if TYPE_CHECKING:
    from keyward.bootstrapping import Existing

DIFFERS = 3
"""Exit status of `diff` where folder and store differ."""

settings_app = typer.Typer(
    help="Keep a folder of settings and Parameter Store in step.", no_args_is_help=True
)

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        help=(
            "settings.json, rules/*.json, exemptions/*.json, permission-sets/*.json, "
            "baseline/*.json."
        ),
    ),
]
Newer = Annotated[
    bool,
    typer.Option(
        "--newer-policies",
        help="Let AWS managed policies pass that this version doesn't know: AWS is asked later.",
    ),
]


@settings_app.command(
    epilog=usage(
        "keyward settings validate settings",
        status={1: "it could not be read, or something in it would be refused"},
    )
)
def validate(
    folder: Folder = Path("settings"), newer: Newer = False, as_json: AsJson = False
) -> None:
    """Check a folder offline: each problem with file, field and what was expected.

    Exit status 1 when anything would be refused.
    """
    parameters = read_folder(folder)
    found = problems(folder, parameters, policy_exists=_judging(newer=newer))
    notes = [*_ended_notes(folder, parameters), *_plan_notes(folder, parameters)]
    if as_json:
        show_json({"files": len(parameters), "problems": found, "notes": notes})
    else:
        for note in notes:
            say(note)
        if not found:
            say(f"{folder}: {len(parameters)} settings, all valid")
    if found:
        for problem in () if as_json else found:
            complain(problem)
        raise typer.Exit(1)


@settings_app.command(
    epilog=usage("keyward settings diff settings", status={DIFFERS: "folder and store differ"})
)
def diff(
    context: typer.Context, folder: Folder = Path("settings"), as_json: AsJson = False
) -> None:
    """Show where a folder and Parameter Store differ. Exit status 3 when they do."""
    ours = read_folder(folder)
    found = changes(ours, joined(context.obj.ssm().parameters(PREFIX), folder=ours))
    if as_json:
        show_json([{"parameter": change.name, "push": change.kind} for change in found])
    else:
        for change in found:
            _show_difference(change)
            _show_plan_needed(change)
        if not found:
            say(f"{folder} and {PREFIX} are in step")
    if found:
        raise typer.Exit(DIFFERS)


@settings_app.command(
    epilog=usage("keyward settings push settings", "keyward settings push settings --yes --json")
)
def push(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    folder: Folder = Path("settings"),
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete parameters that the folder lacks.")
    ] = False,
    advanced: Annotated[
        bool,
        typer.Option(
            "--advanced",
            help=(
                "Put a long inline policy into parts only above 8 KB, into advanced parameters, "
                "which cost money; otherwise above 4 KB."
            ),
        ),
    ] = False,
    newer: Newer = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write what differs from a folder to Parameter Store: the plan first, then a question.

    A folder with anything invalid in it is not pushed at all. Nothing is deleted without --prune.
    """
    parameters = read_folder(folder)
    if found := problems(folder, parameters, policy_exists=_judging(newer=newer)):
        more = f" (and {len(found) - 1} more: keyward settings validate)" if found[1:] else ""
        raise SettingsError(found[0] + more)
    most_bytes = ADVANCED_BYTES if advanced else STANDARD_BYTES
    store = context.obj.ssm()
    there = store.parameters(PREFIX)
    past = ended(parameters, datetime.now(UTC))
    plan = [
        change
        for change in changes(parameters, joined(there, folder=parameters))
        if (change.kind != "remove" or prune) and not (change.kind == "add" and change.name in past)
    ]
    if not as_json:
        for note in _ended_notes(folder, parameters):
            say(note)
        for change in plan:
            _show_difference(change)
            _show_weight(change, most_bytes)
    if plan:
        agree(f"Write {len(plan)} parameters?", yes=yes, as_json=as_json)
    for change in plan:
        _push(change, store, there, most_bytes)
    if as_json:
        show_json([{"parameter": change.name, "pushed": change.kind} for change in plan])
    elif plan:
        say(f"Pushed {len(plan)}; in force within a minute: keyward status shows the version")
    else:
        say(f"Nothing to push: {PREFIX} is as {folder} has it")


@settings_app.command(epilog=usage("keyward settings pull settings"))
def pull(
    context: typer.Context,
    folder: Folder = Path("settings"),
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete files that Parameter Store lacks.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write what differs from Parameter Store to a folder. Asks before a file is changed."""
    folder.mkdir(parents=True, exist_ok=True)
    store = joined(context.obj.ssm().parameters(PREFIX))
    for name in [name for name in store if not has_file(name)]:
        complain(f"{name}: left out, since nothing reads it")
        del store[name]
    plan = [
        change for change in changes(read_folder(folder), store) if change.kind != "add" or prune
    ]
    touched = [change for change in plan if change.folder is not None]
    if touched and not yes:
        must_be_asked(as_json=as_json)
        for change in touched:
            _show_difference(change)
        agree(f"Change {len(touched)} files?", yes=yes, as_json=as_json)
    for change in plan:
        file = file_of(folder, change.name)
        if change.store is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines(change.store)) + "\n", encoding="utf-8")
    if as_json:
        show_json([{"file": str(file_of(folder, change.name))} for change in plan])
    else:
        say(f"Wrote {len(plan)} files" if plan else f"Nothing to pull: {folder} is as {PREFIX}")


@settings_app.command(
    "import",
    epilog=usage(
        "keyward settings import settings",
        status={1: "it could not be done, or no valid entry can be made of some"},
    ),
)
def import_(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    folder: Folder = Path("settings"),
    everything: Annotated[
        bool, typer.Option("--all", help="Write Control Tower's own permission sets as well.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    newer: Newer = False,
    as_json: AsJson = False,
) -> None:
    """Write permission-sets/*.json from what Identity Center has today: a catalogue to begin with.

    What is written is valid; what no valid entry can be made of is named with the reason, and
    exit status 1. Files that are there stay as they are.
    """
    existing: list[Existing] = []
    for answer in answers(context.obj, "permission-sets"):
        existing += EXISTING.validate_python(answer["sets"])
    found = imported(
        existing,
        read_folder(folder) if folder.exists() else {},
        with_control_tower=everything,
        force=force,
        policy_exists=_judging(newer=newer),
    )
    write(found, folder)
    if as_json:
        show_json([{"name": it.name, "result": it.result, "why": it.why} for it in found])
    else:
        show_table(
            ("permission set", "result", "why"), [(it.name, it.result, it.why) for it in found]
        )
        number = sum(it.result == "written" for it in found)
        say(f"Wrote {number} of {len(found)}; look through them, then: keyward settings push")
    if any(it.result == "refused" for it in found):
        raise typer.Exit(1)


def _push(
    change: Change, store: SsmGateway, there: Mapping[str, Parameter], most_bytes: int
) -> None:
    what = writes(change.name, change.folder, there, most_bytes=most_bytes)
    for name, text in what.puts.items():
        store.put(name, text, replace=name in there)
    for name in what.deletes:
        store.delete(name)


def _judging(*, newer: bool) -> Callable[[str], bool]:
    """Which AWS managed policies pass."""
    return (lambda _arn: True) if newer else of_aws


def _ended_notes(folder: Path, parameters: Mapping[str, Parameter]) -> list[str]:
    return [
        f"{file_of(folder, name)}: has ended on {end.date()}; take it out"
        for name, end in ended(parameters, datetime.now(UTC)).items()
    ]


def _plan_notes(folder: Path, parameters: Mapping[str, Parameter]) -> list[str]:
    """What only the hub can tell: whether somebody confirmed whom a rule hits."""
    return [
        f'{file_of(folder, RULES + rule)}: existing: "enforce" {_needs_plan(rule)}'
        for rule in unconfirmed(parameters)
    ]


def _needs_plan(rule: str) -> str:
    return (
        "is taken only where it was before, or where a plan of whom it hits was confirmed lately, "
        f"which only the hub can tell: keyward sweep --plan --rule {rule}"
    )


def _show_difference(change: Change) -> None:
    """What a push would write, as a diff from the store to the folder."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    say(f"{change.kind} {change.name}", "bold")
    found = difflib.unified_diff(lines(change.store), lines(change.folder), lineterm="", n=2)
    for line in list(found)[2:]:
        say(f"  {line}", styles.get(line[:1], ""))


def _show_weight(change: Change, most_bytes: int) -> None:
    """What somebody should know before agreeing."""
    if change.folder is None:
        if permission_set_name(change.name) is not None:
            say("  It leaves the catalogue: nothing keeps this permission set any more.", "yellow")
        if baseline_name(change.name) is not None:
            say("  No account gets this access any more; what it brought is left there.", "yellow")
        return
    if baseline_name(change.name) is not None and _is_exclusive(change):
        say("  It becomes exclusive: other groups' access in these accounts is stale.", "yellow")
    if change.name.startswith(RULES) and _mode(change.folder) == "enforce" != _mode(change.store):
        say("  This rule begins to enforce: it will act on what comes from then on.", "yellow")
    _show_plan_needed(change)
    parameters = spread(change.name, change.folder, most_bytes=most_bytes)
    if len(parameters) > 1:
        say(f"  A long inline policy: {len(parameters)} parameters.")
    if any(len(text.encode()) > STANDARD_BYTES for text in parameters.values()):
        say(f"  Over {STANDARD_BYTES} bytes: an advanced parameter, which costs money.", "yellow")


def _show_plan_needed(change: Change) -> None:
    ours = Parameter(name=change.name, version=0, value=change.folder or "{}")
    for rule in unconfirmed({change.name: ours}):
        say(f'  Its existing: "enforce" {_needs_plan(rule)}', "yellow")


def _is_exclusive(change: Change) -> bool:
    """Whether a baseline is so from now on."""
    return _field(change.folder, "exclusive") is True is not _field(change.store, "exclusive")


def _mode(text: str | None) -> object:
    return _field(text, "mode")


def _field(text: str | None, name: str) -> object:
    if text is None:
        return None
    value = json.loads(text)
    return value.get(name) if isinstance(value, dict) else None
