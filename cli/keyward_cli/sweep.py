"""`keyward sweep`, `redrive` and `inventory`: what Keyward looks at by itself, and what it left."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from time import sleep
from typing import Annotated, Any

import typer

from keyward.errors import RequestError
from keyward.sweep import SweepState
from keyward_cli.agreeing import Yes, agree, must_be_asked
from keyward_cli.asking import past
from keyward_cli.aws import Caller, ask
from keyward_cli.completing import rule_ids
from keyward_cli.health import cell
from keyward_cli.paging import answers
from keyward_cli.printing import complain, say, show_json, show_table
from keyward_cli.progress import Tell, progress
from keyward_cli.usage import BROKEN_OFF

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 15.0
LAST_WAIT_SECONDS = 1.0
"""Where all parts are done, only the end is waited for."""

ALWAYS = "keyward-"
"""How the names of all queues begin; it may be left out."""

type Fields = dict[str, Any]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end; it goes on anyway.")]


class Kind(StrEnum):
    """The kinds of line that an inventory has."""

    USER = "user"
    ACCESS_KEY = "access-key"
    PASSWORD = "password"  # noqa: S105 - a kind of line
    CREDENTIAL = "credential"
    ASSIGNMENT = "assignment"
    PERMISSION_SET = "permission-set"
    EXEMPTION = "exemption"


# Sweeps, and plans of what they would lead to


def sweep(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again, SSH keys among it.")
    ] = False,
    wait: Wait = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what rules would do in mode enforce. No sweep.")
    ] = False,
    rule: Annotated[
        str | None, typer.Option(help="With --plan: only of this rule.", autocompletion=rule_ids)
    ] = None,
    existing: Annotated[
        bool,
        typer.Option(
            "--existing/--no-existing",
            help="With --plan: whether what exists already is acted on as well.",
        ),
    ] = True,
    confirm: Annotated[
        str | None,
        typer.Option(
            metavar="RULE:DIGEST", help="Confirm a plan, as it says at its end. No sweep."
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have Keyward look at everything by itself now, as it does every six hours anyway.

    With --plan nothing is looked at: what the last sweep and events found is added up to what each
    rule would do about it in mode enforce, account by account. "existing": "enforce" of a rule is
    taken only after its plan was confirmed with --confirm.

    Exit status 1 where a sweep that is followed ends without having been everywhere.
    """
    if plan and confirm is not None:
        message = "give --plan or --confirm, not both"
        raise typer.BadParameter(message)
    if (plan or confirm is not None) and (full or wait):
        message = "--full and --wait are for a sweep: neither --plan nor --confirm begins one"
        raise typer.BadParameter(message)
    if rule is not None and not plan:
        message = "--rule goes with --plan: a sweep looks at all rules"
        raise typer.BadParameter(message)
    if plan:
        _plan(context.obj, rule, existing=existing, as_json=as_json)
    elif confirm is not None:
        _confirm(context.obj, confirm, yes=yes, as_json=as_json)
    else:
        _sweep(context.obj, full=full, wait=wait, as_json=as_json)


def _sweep(caller: Caller, *, full: bool, wait: bool, as_json: bool) -> None:
    begun: Any = ask(caller, "sweep-start", full=full)
    found: Fields = begun["sweep"]
    if not as_json:
        _say_what_runs(found, begun=begun["begun"], full=full)
    if not wait:
        if as_json:
            show_json({"sweep": found, "begun": begun["begun"]})
        else:
            say("It goes on by itself: keyward sweep --wait follows it, keyward status shows it")
        return
    reply = _followed(
        lambda: dict(ask(caller, "sweep", id=found["id"])),
        is_over=lambda it: SweepState(it["sweep"]["state"]) is SweepState.DONE,
        how_far=_how_far,
    )
    _show_end(reply, as_json=as_json)


def _say_what_runs(found: Fields, *, begun: bool, full: bool) -> None:
    if begun:
        say(f"Sweep {found['id']} begins{' in full' if found['full'] else ''}")
    else:
        after = "; a full one follows it" if full and not found["full"] else ""
        say(f"Sweep {found['id']} is under way since {found['started_at']}{after}")


def _how_far(reply: Fields) -> tuple[str, int, int | None]:
    """In words, and in numbers: how many parts are done, of how many where that is known."""
    found, seen = reply["sweep"], int(reply["seen"])
    listed = found["listed_at"] is not None or found["state"] == SweepState.DONE
    parts = int(found["asked"]) + 1  # Identity Center is a part as well
    if not listed:
        return f"{found['asked']} accounts listed, {seen} parts done", seen, None
    return f"{seen} of {parts} parts done", seen, parts


def _show_end(reply: Fields, *, as_json: bool) -> None:
    found = reply["sweep"]
    if as_json:
        show_json({name: value for name, value in reply.items() if name != "ok"})
    else:
        took = datetime.fromisoformat(found["ended_at"]) - datetime.fromisoformat(
            found["started_at"]
        )
        say(
            f"Looked at {reply['seen']} of {found['asked'] + 1} accounts and parts in "
            f"{round(took.total_seconds() / 60)} min; {reply['suspected']} users, assignments and "
            "sets to be looked at more closely, which takes its time"
        )
        for account in reply["unread"]:
            say(f"{account} could not be read: keyward status --accounts says why", "yellow")
    if not found["complete"]:
        complain(f"{found['silent']} accounts said nothing: keyward status says what to do")
        raise typer.Exit(1)


def _plan(caller: Caller, rule: str | None, *, existing: bool, as_json: bool) -> None:
    found = _whole_plan(caller, rule, existing=existing)
    if as_json:
        show_json(found)
        return
    for doubt in found["doubts"]:
        say(f"Careful: {doubt}", "yellow")
    if found["swept_at"]:
        say(f"By the last complete sweep, which ended {found['swept_at']}, and events since")
    if not found["plans"]:
        say("Nothing is open: no rule would do anything")
    rows = found["rows"]
    for it in found["plans"]:
        say("")
        say(f"{it['rule']} (mode {it['mode']}): {_in_words(it)}", "bold")
        _show_rows([row for row in rows if row["rule"] == it["rule"]])
        _show_what_next(found, it, existing=existing)


def _whole_plan(caller: Caller, rule: str | None, *, existing: bool) -> Fields:
    """All pages of a plan. Raises RequestError where it changed between two of them."""
    found: Fields = {}
    for answer in answers(caller, "sweep-plan", rule=rule, existing=existing):
        page: Any = answer
        if found and _digests(page) != _digests(found):
            message = "findings changed while the plan was read: ask for it again"
            raise RequestError(message)
        rows = [*found.get("rows", []), *page["rows"]]
        found = {name: value for name, value in page.items() if name not in {"ok", "next"}}
        found["rows"] = rows
    return found


def _digests(page: Fields) -> dict[str, str]:
    return {it["rule"]: it["digest"] for it in page["plans"]}


def _in_words(plan: Fields) -> str:
    parts = [
        f"acts on {plan['acts']} in {plan['accounts']} accounts"
        if plan["acts"]
        else "does nothing",
        f"{plan['held']} held back" if plan["held"] else "",
        f"{plan['exempt']} exempt" if plan["exempt"] else "",
        f"{plan['unknown']} not known" if plan["unknown"] else "",
    ]
    return ", ".join(part for part in parts if part)


def _show_rows(rows: list[Fields]) -> None:
    if rows:
        show_table(
            ("account", "subject", "what", "owner", "finding"),
            [
                (row["account"], row["subject"], _what(row), row["owner"], row["finding"])
                for row in rows
            ],
        )


def _what(row: Fields) -> str:
    if row["action"] is None:
        return f"not: {row['held']}"
    due = f", after {row['due'][:10]}" if row["due"] else ""
    also = f" (found by {row['together']})" if row["together"] else ""
    return f"{row['action']}{due}{also}"


def _show_what_next(found: Fields, plan: Fields, *, existing: bool) -> None:
    budget, minutes = found["budget"], found["budget_minutes"]
    if plan["acts"] > budget:
        say(
            f"The budget lets {budget} of them happen in {minutes} min; the rest waits for later "
            "sweeps",
            "yellow",
        )
    if not existing:
        return
    if plan["confirmed"]:
        say(f"A plan was confirmed {plan['confirmed']['at']} by {plan['confirmed']['by']}")
    say(f'To have its "existing": "enforce" taken for {found["plan_days"]} days:')
    say(f"keyward sweep --confirm {plan['rule']}:{plan['digest']}")


def _confirm(caller: Caller, text: str, *, yes: bool, as_json: bool) -> None:
    rule, _, digest = text.partition(":")
    if not digest:
        message = f"{text}: expected RULE:DIGEST, as keyward sweep --plan says it"
        raise RequestError(message)
    if not yes:
        must_be_asked(as_json=as_json)
        shown: Any = ask(caller, "sweep-plan", rule=rule, existing=True)
        (plan,) = shown["plans"]
        for doubt in shown["doubts"]:
            say(f"Careful: {doubt}", "yellow")
        say(f"In mode enforce {rule} then {_in_words(plan)}")
        agree("Confirm it?", yes=yes, as_json=as_json)
    done = ask(caller, "sweep-confirm", rule=rule, digest=digest)
    if as_json:
        show_json({name: value for name, value in done.items() if name != "ok"})
        return
    say(
        f'Confirmed: for {done["plan_days"]} days "existing": "enforce" of {rule} is taken. '
        f"Write it to rules/{rule}.json; keyward settings push; then keyward sweep --full acts, "
        "or the one that comes every day"
    )


# Dead letters, and events of the past


def redrive(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    of: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OF]...",
            help="Whose dead letters, such as iam-guard or rule; otherwise all.",
        ),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Have the archive send events again instead.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--from", help="With --replay: 2027-01-31T08:00Z, or 6h for six hours ago."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="With --replay: likewise.")] = None,
    wait: Wait = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Move dead letters back to their queues after a fix, or replay what the archive kept.

    Both change nothing where an event was judged already: what is done depends on what is so now,
    and the ledger knows what was done and told. Exit status 1 where some dead letters stay.
    """
    if not replay:
        if start is not None or end is not None or wait:
            message = "--from, --to and --wait go with --replay"
            raise typer.BadParameter(message)
        _redrive(context.obj, of or [], yes=yes, as_json=as_json)
        return
    if of or start is None or end is None:
        message = "--replay needs --from and --to, and is for all events between them"
        raise typer.BadParameter(message)
    now = datetime.now(UTC)
    span = past(start, now=now), past(end, now=now)
    _replay(context.obj, span, wait=wait, yes=yes, as_json=as_json)


def _redrive(caller: Caller, of: list[str], *, yes: bool, as_json: bool) -> None:
    counted: Any = ask(caller, "redrive")
    waiting: dict[str, Fields] = {it["of"]: it for it in counted["waiting"]}
    chosen = [name if name.startswith(ALWAYS) else ALWAYS + name for name in of]
    for name in chosen:
        if name not in waiting:
            known = ", ".join(it.removeprefix(ALWAYS) for it in waiting)
            message = f"nothing called {name} has dead letters: expected {known}"
            raise RequestError(message)
    run = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    moves = {
        name: it
        for name, it in waiting.items()
        if it["dead_letters"] and (not chosen or name in chosen)
    }
    number = sum(it["dead_letters"] for it in moves.values() if not it["advice"])
    if number and not yes:
        must_be_asked(as_json=as_json)
        for name, it in moves.items():
            say(f"{name}: {it['dead_letters']} {_will(it)}")
        agree(f"Move about {number} back?", yes=yes, as_json=as_json)
    found: list[Fields] = []
    with progress("dead letters are moved") as tell:
        for name, it in moves.items():
            if it["advice"]:
                found.append(_none_moved(name, it))
            else:
                found.append(_moved(caller, name, int(it["dead_letters"]), run, tell))
    stays = sum(it["stays"] for it in found)
    if as_json:
        show_json({"redriven": found})
    else:
        _show_moved(found)
    if stays:
        complain(f"{stays} dead letters stay: what is said of them above is to be done by hand")
        raise typer.Exit(1)


def _will(waiting: Fields) -> str:
    """What becomes of dead letters, before they are touched."""
    return f"stay: {waiting['advice']}" if waiting["advice"] else "go back to be done again"


def _none_moved(name: str, waiting: Fields) -> Fields:
    return {
        "of": name,
        "moved": {},
        "again": 0,
        "stays": waiting["dead_letters"],
        "why": {waiting["advice"]: waiting["dead_letters"]},
    }


def _moved(caller: Caller, name: str, number: int, run: str, tell: Tell) -> Fields:
    """Moves them, call after call, until nothing new comes. What was moved stays moved."""
    moved: dict[str, int] = {}
    kept: dict[str, str] = {}
    again = 0
    while True:
        reply: Any = ask(caller, "redrive", name=name, run=run)
        for target, some in reply["moved"].items():
            moved[target] = moved.get(target, 0) + some
        again += reply["again"]
        is_news = bool(reply["moved"]) or bool(reply["kept"].keys() - kept.keys())
        kept |= reply["kept"]
        done = sum(moved.values()) + len(kept)
        tell(f"{name}: {done} of about {number}", done, max(number, done))
        if not (reply["more"] and is_news):
            break
    why: dict[str, int] = {}
    for reason in kept.values():
        why[reason] = why.get(reason, 0) + 1
    return {"of": name, "moved": moved, "again": again, "stays": len(kept), "why": why}


def _show_moved(found: list[Fields]) -> None:
    if not found:
        say("No dead letters")
    for it in found:
        for target, number in it["moved"].items():
            say(f"{it['of']}: {number} moved to {target}")
        if it["again"]:
            say(
                f"{it['of']}: {it['again']} of them had been moved before, and failed again: "
                "look at the log if they do once more",
                "yellow",
            )
        for why, number in it["why"].items():
            say(f"{it['of']}: {number} {'stays' if number == 1 else 'stay'}: {why}", "yellow")


def _replay(
    caller: Caller,
    span: tuple[datetime, datetime],
    *,
    wait: bool,
    yes: bool,
    as_json: bool,
) -> None:
    start, end = (it.isoformat() for it in span)
    agree(f"Send again what came from {start} to {end}?", yes=yes, as_json=as_json)
    begun: Any = ask(caller, "replay", start=start, end=end)
    found: Fields = dict(ask(caller, "replayed", replay=begun["replay"]))
    if not as_json:
        say(f"Replay {begun['replay']} begins: events from {start} to {end}")
        if begun["incomplete"]:
            say("What came in the last 10 minutes may not be in the archive yet", "yellow")
    if wait:
        found = _followed(
            lambda: dict(ask(caller, "replayed", replay=begun["replay"])),
            is_over=lambda it: bool(it["over"]),
            how_far=_how_far_back,
        )
    if as_json:
        show_json({name: value for name, value in found.items() if name != "ok"})
    elif found["over"]:
        say(f"Replay {found['replay']}: {str(found['state']).lower()}")
    if found["over"] and found["state"] != "COMPLETED":
        complain(f"replay {found['replay']} {str(found['state']).lower()}: {found['reason']}")
        raise typer.Exit(1)


def _how_far_back(found: Fields) -> tuple[str, int, int | None]:
    start, end = (datetime.fromisoformat(found[name]) for name in ("start", "end"))
    whole = max(round((end - start).total_seconds()), 1)
    if found["last"] is None:
        return f"replay {str(found['state']).lower()}", 0, whole
    done = round((datetime.fromisoformat(found["last"]) - start).total_seconds())
    return f"replayed to {found['last']}", min(max(done, 0), whole), whole


# What a sweep left


def inventory(
    context: typer.Context,
    kind: Annotated[Kind | None, typer.Option(help="Only lines of this kind.")] = None,
    account: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    of: Annotated[
        str | None, typer.Option("--sweep", help="Of this sweep; otherwise the last complete one.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each line.")
    ] = False,
) -> None:
    """Show who holds what, as the last complete sweep found it: users, keys, assignments, sets."""
    found: list[Fields] = []
    id_, number = "", 0
    # On a terminal the lines of JSON themselves tell how far it is.
    quiet = as_json and sys.stdout.isatty()
    with nullcontext() if quiet else progress("the inventory is read") as tell:
        for answer in answers(
            context.obj, "inventory", kind=kind.value if kind else None, account=account, sweep=of
        ):
            page: Any = answer
            id_, number = page["sweep"], number + len(page["lines"])
            if tell is not None:
                tell(f"{number} lines read")
            if not as_json:
                found += page["lines"]
                continue
            for line in page["lines"]:
                show_json(line)
    if as_json:
        return
    kinds = dict.fromkeys(str(line.get("kind")) for line in found)
    for name in kinds:
        lines = [line for line in found if line.get("kind") == name]
        columns = list(dict.fromkeys(column for line in lines for column in line))
        columns.remove("kind")
        say(f"{name}: {len(lines)}", "bold")
        show_table(columns, [[cell(line.get(column)) for column in columns] for line in lines])
    say(f"{len(found)} lines of sweep {id_}")


def _followed(
    look: Callable[[], Fields],
    *,
    is_over: Callable[[Fields], bool],
    how_far: Callable[[Fields], tuple[str, int, int | None]],
) -> Fields:
    """What `look` finds once it is over. It goes on by itself, whoever looks."""
    wait = FIRST_WAIT_SECONDS
    try:
        with progress("it is looked at") as tell:
            while not is_over(found := look()):
                text, done, of = how_far(found)
                tell(text, done, of)
                sleep(LAST_WAIT_SECONDS if done == of else wait)
                wait = min(wait * 1.3, LONGEST_WAIT_SECONDS)
    except KeyboardInterrupt:
        complain("it goes on by itself: keyward status tells what stands where")
        raise typer.Exit(BROKEN_OFF) from None
    return found
