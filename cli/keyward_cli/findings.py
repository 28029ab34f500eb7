"""`keyward findings` and `keyward acts`: what was found, what became of it, and who did what."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from keyward.errors import RequestError
from keyward.findings import Severity, State
from keyward.rules import every
from keyward.text import many
from keyward_cli.answering import AsJson, Finding
from keyward_cli.asking import past
from keyward_cli.aws import Caller, ask
from keyward_cli.completing import rule_ids
from keyward_cli.printing import say, show_fields, show_json, show_table
from keyward_cli.progress import progress
from keyward_cli.usage import usage

MOST_DAYS = 92
"""So many days of acts are read at once: each is a call."""

type Fields = dict[str, Any]

findings_app = typer.Typer(
    help="What Keyward has found, and what became of it.", no_args_is_help=True
)


class Order(StrEnum):
    """What a list of findings may be sorted by."""

    SEVERITY = "severity"
    LAST_SEEN = "last-seen"
    FIRST_SEEN = "first-seen"
    ACCOUNT = "account"
    RULE = "rule"


ORDERS: dict[Order, Callable[[Fields], tuple[Any, ...]]] = {
    Order.SEVERITY: lambda it: (-Severity(it["severity"]).rank, it["last_seen"]),
    Order.LAST_SEEN: lambda it: (it["last_seen"],),
    Order.FIRST_SEEN: lambda it: (it["first_seen"],),
    Order.ACCOUNT: lambda it: (it["account"], it["last_seen"]),
    Order.RULE: lambda it: (it["rule"], it["last_seen"]),
}
"""By what each sorts: the gravest, or the oldest, first."""


@findings_app.command(
    "list",
    epilog=usage(
        "keyward findings list",
        "keyward findings list --state open --state failed --account 111122223333 --json",
        "keyward findings list --severity critical --since 7d --sort last-seen",
        "keyward findings list --awaiting",
    ),
)
def findings_list(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    state: Annotated[
        list[State] | None, typer.Option(help="Only these; may be given more than once.")
    ] = None,
    severity: Annotated[
        list[Severity] | None, typer.Option(help="Only these; may be given more than once.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only in this account.")] = None,
    rule: Annotated[
        str | None, typer.Option(help="Only of this rule.", autocompletion=rule_ids)
    ] = None,
    awaiting: Annotated[
        bool, typer.Option("--awaiting", help="Only those whose release waits for an approval.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(help="Only those seen since then: 2027-01-31, a time with a zone, or 7d."),
    ] = None,
    sort: Annotated[
        Order | None, typer.Option(help="What comes first; otherwise state by state.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List findings, state by state, the oldest change first.

    With --sort all that fit are read, up to --limit, and then put in order.
    """
    begins = None if since is None else past(since, now=datetime.now(UTC))

    def fits(found: Fields) -> bool:
        return (
            (not severity or found["severity"] in severity)
            and (not awaiting or bool(found.get("awaited")))
            and (begins is None or datetime.fromisoformat(found["last_seen"]) >= begins)
        )

    found, are_more = _listed(
        context.obj,
        fits,
        limit,
        states=[one.value for one in state] if state else None,
        account=account,
        rule=rule,
    )
    if sort is not None:
        found.sort(key=ORDERS[sort])
    if as_json:
        show_json(found)
        return
    if not found:
        known = rule is None or rule in {one.id for one in every()}
        say("No finding fits" if known else f"No finding fits: no rule is called {rule}")
        return
    show_table(
        ("finding", "severity", "state", "rule", "account", "subject", "last seen"),
        [
            (
                f["key"],
                f["severity"],
                f["state"],
                f["rule"],
                f["account"],
                f["subject"],
                f["last_seen"],
            )
            for f in found
        ],
    )
    if are_more:
        say(f"There are more than {limit}: --limit shows them.")


def _listed(
    caller: Caller, fits: Callable[[Fields], bool], limit: int, **chosen: object
) -> tuple[list[Fields], bool]:
    """The first `limit` findings that fit, and whether there may be more."""
    found: list[Fields] = []
    after: object = None
    looked = 0
    with progress("findings are read") as tell:
        while True:
            reply: Any = ask(caller, "findings", **chosen, limit=100, after=after)
            looked += len(reply["findings"])
            found += [one for one in reply["findings"] if fits(one)]
            after = reply.get("next")
            if after is None or len(found) > limit:
                return found[:limit], len(found) > limit
            tell(f"{looked} findings read, {len(found)} fit")


@findings_app.command("show", epilog=usage("keyward findings show 0123456789abcdef0123"))
def findings_show(context: typer.Context, finding: Finding, as_json: AsJson = False) -> None:
    """Show all about one finding: what, who, what was done, how to undo it."""
    reply: Any = ask(context.obj, "finding", finding=finding)
    record: Any = reply["finding"]
    if as_json:
        show_json(record)
        return
    evidence = record.get("evidence") or {}
    show_fields(
        [
            ("finding", f"{record['key']} (episode {record['episode']})"),
            ("state", record["state"]),
            ("rule", ", ".join([record["rule"], *record.get("also", [])])),
            ("severity", record["severity"]),
            ("account", record["account"]),
            ("subject", record["subject"]),
            ("unique id", record.get("unique_id")),
            ("reason", record["reason"]),
            ("mode", f"{record['mode']}; enforce does: {record['enforcement']}"),
            ("owner", record.get("owner")),
            ("warned", f"acts after {until}" if (until := record.get("grace_until")) else None),
            ("not done", record.get("held")),
            ("waits for", (record.get("pending") or {}).get("stage")),
            ("outcome", record.get("outcome")),
            ("exempt by", record.get("exempt_by")),
            ("ordered by", record.get("ordered_by")),
            ("acknowledged", _acknowledged(record)),
            ("to be approved", _awaited(record)),
            ("actor", evidence.get("actor")),
            ("source IP", evidence.get("source_ip")),
            ("event", f"{evidence.get('event_name')} {evidence.get('event_id')}"),
            (
                "seen",
                f"{many(record['seen'], 'time')}, {record['first_seen']} to {record['last_seen']}",
            ),
            ("settings", f"version {record.get('settings_version')}"),
            ("to fix it", record["fix"]),
            ("to undo it", _way_back(record, takes_two=bool(reply.get("two_people")))),
        ]
    )
    for line in record.get("details", []):
        say(f"  {line}")
    for step in record.get("history", []):
        say(f"  {step['at']}  {step['state']:<9} {step['note']}")


def _acknowledged(record: Fields) -> str | None:
    seen = record.get("acknowledged")
    note = f": {seen['note']}" if seen and seen.get("note") else ""
    return f"by {seen['by']} at {seen['at']}{note}" if seen else None


def _awaited(record: Fields) -> str | None:
    """Who asked for a release that takes a second person, and how that one says yes."""
    awaited = record.get("awaited")
    if not awaited:
        return None
    return (
        f"a release that {awaited['by']} asked for at {awaited['at']}: {awaited['reason']}; "
        f"somebody else: keyward approve {record['key']}"
    )


def _way_back(record: Fields, *, takes_two: bool) -> str | None:
    if record["state"] in {State.ACTED, State.FAILED, State.ACTING}:
        two = " (takes two people: one asks, another approves)" if takes_two else ""
        return f"keyward release {record['key']} --reason ...{two}"
    return None


def acts(
    context: typer.Context,
    day: Annotated[
        str | None, typer.Option(metavar="DAY", help="Of this day, in UTC: 2027-01-31.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_DAYS, help="Of so many days to today; otherwise today's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what operators did or were refused, by command line and by button: who, when and why."""
    if day is not None and days is not None:
        message = "give --day or --days, not both"
        raise typer.BadParameter(message)
    found: list[Fields] = []
    with progress("acts are read") as tell:
        chosen = _days(day, days)
        for number, one in enumerate(chosen):
            tell(f"acts of {one} are read", number, len(chosen))
            reply: Any = ask(context.obj, "acts", day=one.isoformat())
            found += reply["acts"]
    if as_json:
        show_json(found)
        return
    if not found:
        say("Nobody did anything")
        return
    show_table(
        ("at", "act", "outcome", "by", "finding", "why", "what came of it"),
        [
            (
                it["at"],
                it["act"],
                it["outcome"],
                f"{it['by']} ({it['via']}{'' if it['proven'] else ', not proved'})",
                it["finding"],
                it["reason"],
                it["text"],
            )
            for it in found
        ],
    )


def _days(day: str | None, days: int | None) -> list[date]:
    """The days that are asked for, the oldest first. Raises RequestError."""
    today = datetime.now(UTC).date()
    if day is None:
        return [today - timedelta(days=back) for back in reversed(range(days or 1))]
    try:
        return [date.fromisoformat(day.strip())]
    except ValueError as error:
        message = f"{day}: expected a day like 2027-01-31"
        raise RequestError(message) from error
