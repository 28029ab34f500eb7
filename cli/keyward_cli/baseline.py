"""`keyward baseline`: plans what baselines would bring to accounts, has it done, and follows it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from time import monotonic, sleep
from typing import Annotated, Any

import typer

from keyward.errors import RequestError
from keyward.rollout import RolloutState
from keyward_cli.agreeing import Yes, agree, given, must_be_asked
from keyward_cli.answering import AsJson, Reason
from keyward_cli.aws import Caller, ask
from keyward_cli.paging import answers
from keyward_cli.printing import complain, say, show_fields, show_json, show_table
from keyward_cli.progress import progress
from keyward_cli.usage import BROKEN_OFF, usage

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 10.0

STUCK_SECONDS = 45 * 60
"""A rollout that stands still for so long gets no further: for 30 minutes it waits for an account
that isn't ready."""

ACCOUNT_DIGITS = 12

baseline_app = typer.Typer(
    help="Bring accounts the access that baselines want: plan it, apply it, look at it.",
    no_args_is_help=True,
)

type Fields = dict[str, Any]

RolloutId = Annotated[
    str, typer.Argument(metavar="ROLLOUT", help="A rollout's id, as plan and rollouts show it.")
]


@baseline_app.command(
    epilog=usage(
        "keyward baseline plan",
        "keyward baseline plan --baseline workloads",
        "keyward baseline plan --account 111122223333 --json",
    )
)
def plan(
    context: typer.Context,
    baseline: Annotated[
        str | None, typer.Option(help="Only the accounts that this baseline selects.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which assignments accounts lack of what their baselines want. Changes nothing.

    All accounts are looked at, unless one of the options says which. The plan can be carried out
    for 24 hours: keyward baseline apply.
    """
    if baseline is not None and account is not None:
        message = "give --baseline or --account, not both"
        raise typer.BadParameter(message)
    scope = "everything"
    if account is not None:
        scope = f"account {_account(account)}"
    elif baseline is not None:
        scope = f"baseline {baseline}"
    begun: Any = ask(context.obj, "baseline-plan", scope=scope)
    found = _followed(context.obj, begun["rollout"], until=_is_planned, say_how_far=_planning)
    _show_plan(_with_accounts(context.obj, str(found["id"])), as_json=as_json)


@baseline_app.command(
    epilog=usage(
        "keyward baseline apply 20270131T080000-1a2b3c",
        "keyward baseline apply 20270131T080000-1a2b3c --yes --no-wait",
        status={0: "everything was assigned, or with --no-wait it began"},
    )
)
def apply(
    context: typer.Context,
    rollout: RolloutId,
    yes: Yes = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow it to its end; it goes on anyway.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Carry a plan out: shows its numbers, asks, and follows it until all is assigned.

    Exit status 0 only where everything was assigned, or with --no-wait where it began.
    """
    found = _rollout(context.obj, rollout)
    if found["state"] != RolloutState.RUNNING:
        _must_be_appliable(found)
        if not as_json:
            say(_what_it_does(found))
        if found["total"]:
            agree(f"Assign {found['total']}?", yes=yes, as_json=as_json)
            reply: Any = ask(context.obj, "baseline-apply", id=found["id"], total=found["total"])
            found = reply["rollout"]
    else:
        # Where its last message was lost, this sends it again.
        reply = ask(context.obj, "baseline-apply", id=found["id"], total=found["total"])
        found = reply["rollout"]
        if not as_json:
            say(f"Rollout {found['id']} runs already")
    if wait and found["state"] == RolloutState.RUNNING:
        found = _followed(context.obj, found, until=_is_over, say_how_far=_running)
    _show_end(context.obj, found, as_json=as_json)


@baseline_app.command(
    epilog=usage(
        'keyward baseline stop 20270131T080000-1a2b3c --reason "the wrong group stands in it"'
    )
)
def stop(
    context: typer.Context,
    rollout: RolloutId,
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let nothing more of a rollout be asked for. What was assigned by then stays."""
    why = given("--reason", reason, as_json=as_json)
    if not yes:
        must_be_asked(as_json=as_json)
        say(f"{_running(_rollout(context.obj, rollout))}: nothing more will be")
        agree("Stop it?", yes=yes, as_json=as_json)
    reply: Any = ask(context.obj, "baseline-stop", id=rollout, reason=why)
    found = reply["rollout"]
    if as_json:
        show_json(found)
    elif RolloutState(found["state"]).over:
        say(f"Stopped {found['id']}: {found['assigned']} of {found['total']} were assigned")
    else:
        say(f"Being stopped: AWS is still at {found['under_way']}, which is followed to its end")


@baseline_app.command(
    epilog=usage("keyward baseline rollouts", "keyward baseline rollouts --limit 5 --json")
)
def rollouts(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List plans and rollouts, the newest first: those that wait for apply among them."""
    found: list[Fields] = []
    after: object = None
    while len(found) < limit:
        wanted = min(50, limit - len(found))
        reply: Any = ask(context.obj, "baseline-rollouts", limit=wanted, after=after)
        found += reply["rollouts"]
        after = reply["next"]
        if after is None:
            break
    if as_json:
        show_json(found)
        return
    show_table(
        ("rollout", "state", "about", "accounts", "assigned", "failed", "begun", "by", "note"),
        [
            (
                it["id"],
                it["state"],
                it["scope"],
                it["accounts"],
                f"{it['assigned']} of {it['total']}",
                it["failed"],
                it["created_at"],
                it["by"],
                _note(it),
            )
            for it in found
        ],
    )
    if after is not None:
        say(f"There are more than {limit}: --limit shows them.")


@baseline_app.command(
    epilog=usage(
        "keyward baseline show 111122223333", "keyward baseline show 20270131T080000-1a2b3c --json"
    )
)
def show(
    context: typer.Context,
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="An account's id, or that of a rollout.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what an account's baselines want, what it has, and what Keyward does about the rest.

    Of a rollout it shows the plan and how far it is. Exit status 1 where it can't be told.
    """
    if not (account.isdigit() and len(account) == ACCOUNT_DIGITS):
        _show_plan(_with_accounts(context.obj, account), as_json=as_json)
        return
    reply = ask(context.obj, "baseline-account", account=account)
    if as_json:
        show_json({name: value for name, value in reply.items() if name != "ok"})
    else:
        _show_account(reply)
    if reply["unread"]:
        complain(f"account {account} could not be read: {reply['unread']}")
        raise typer.Exit(1)


def show_status(reply: Mapping[str, Any]) -> None:
    """Prints what `keyward status --account` says of one account."""
    access = reply["access"]
    fields: list[tuple[str, object]] = [("account", reply["account"])]
    if access is None:
        fields.append(("baselines", "none are in force"))
    else:
        fields += _fields_of(access)
    show_fields(fields)
    if reply["findings"]:
        show_table(
            ("finding", "severity", "state", "rule", "subject", "waits for"),
            [
                (f["key"], f["severity"], f["state"], f["rule"], f["subject"], f["waits_for"])
                for f in reply["findings"]
            ],
        )
    else:
        say("No findings to look at.")
    if reply["more_findings"]:
        say(f"There are more: keyward findings list --account {reply['account']}")
    if reply["contained"]:
        say("Contained:")
        show_table(
            ("user", "action", "since", "finding"),
            [(c["user"], c["action"], c["since"], c["finding"]) for c in reply["contained"]],
        )


# What the operator function knows of a rollout


def _account(text: str) -> str:
    if text.isdigit() and len(text) == ACCOUNT_DIGITS:
        return text
    message = f"{text}: expected an account id of {ACCOUNT_DIGITS} digits"
    raise RequestError(message)


def _rollout(caller: Caller, id_: str) -> Fields:
    reply: Any = ask(caller, "baseline-rollout", id=id_)
    return dict(reply["rollout"])


def _with_accounts(caller: Caller, id_: str) -> Fields:
    """A rollout with all of its pages: `accounts`, `pairs`, `unknown`."""
    found: Fields = {"accounts": []}
    for page in answers(caller, "baseline-rollout", id=id_, accounts=True):
        reply: Any = page
        found["accounts"] += reply["accounts"]
        found |= {name: reply[name] for name in ("rollout", "pairs", "unknown") if name in reply}
    return found


def _followed(
    caller: Caller,
    found: Fields,
    *,
    until: Callable[[Fields], bool],
    say_how_far: Callable[[Fields], str],
) -> Fields:
    """The rollout once `until` holds. It goes on by itself, whoever looks.

    Raises RequestError where it gets no further.
    """
    wait, since = FIRST_WAIT_SECONDS, monotonic()
    try:
        with progress(say_how_far(found)) as tell:
            while not until(found):
                tell(say_how_far(found))
                sleep(wait)
                wait = min(wait * 1.5, LONGEST_WAIT_SECONDS)
                before, found = found, _rollout(caller, str(found["id"]))
                if _is_further(found, before):
                    since = monotonic()
                elif monotonic() - since > STUCK_SECONDS:
                    message = (
                        f"rollout {found['id']} gets no further: keyward baseline show "
                        f"{found['id']} tells where it stands"
                    )
                    raise RequestError(message)
    except KeyboardInterrupt:
        complain(f"it goes on by itself: keyward baseline show {found['id']}")
        raise typer.Exit(BROKEN_OFF) from None
    return found


def _is_further(found: Fields, before: Fields) -> bool:
    """Whether anything happened; the time that is left changes by itself."""
    left = "remaining_seconds"
    return {**found, left: None} != {**before, left: None}


def _is_planned(found: Fields) -> bool:
    return RolloutState(found["state"]) is not RolloutState.PLANNING


def _is_over(found: Fields) -> bool:
    return RolloutState(found["state"]) is not RolloutState.RUNNING


def _planning(found: Fields) -> str:
    return f"planning: {found['found']} accounts found, {found['to_read']} lists left to read"


def _running(found: Fields) -> str:
    failed = f", {found['failed']} failed" if found["failed"] else ""
    left = found["remaining_seconds"]
    return (
        f"{found['assigned']} of {found['total']} assigned{failed}"
        f"{f', about {_time(left)} left' if left is not None else ''}"
    )


def _time(seconds: float) -> str:
    """A length of time as people say it, rounded up."""
    minutes = -(-timedelta(seconds=seconds) // timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


# How it looks


def _show_plan(found: Fields, *, as_json: bool) -> None:
    rollout, pairs = found["rollout"], found["pairs"]
    planned = [
        {"account": row["account"], "name": row["name"], **pairs[number]}
        for row in found["accounts"]
        for number in row["missing"]
    ]
    skipped = _why(found["accounts"], "skipped")
    failed = _why(found["accounts"], "failed")
    if as_json:
        show_json(
            {
                "rollout": rollout,
                "plan": planned,
                "skipped": skipped,
                "failed": failed,
                "unknown": found["unknown"],
            }
        )
        return
    if planned:
        show_table(
            ("account", "name", "assignment", "baselines"),
            [
                (
                    it["account"],
                    it["name"],
                    f"{it['permission_set']} -> {it['group']}",
                    ", ".join(it["baselines"]),
                )
                for it in planned
            ],
        )
    _show_reasons("skipped", skipped)
    _show_reasons("failed", failed)
    for name in found["unknown"]:
        say(f"Identity Center has no {name}: left out", "yellow")
    _show_what_next(rollout)


def _show_what_next(rollout: Fields) -> None:
    state = RolloutState(rollout["state"])
    match state:
        case RolloutState.PLANNING:
            say(_planning(rollout))
        case RolloutState.RUNNING:
            say(_running(rollout))
        case RolloutState.PLANNED:
            say(_what_it_does(rollout))
            if rollout["outdated"]:
                say(f"It can't be applied: {rollout['outdated']}. Plan it again.", "yellow")
            elif rollout["total"]:
                say(f"To do it: keyward baseline apply {rollout['id']}")
        case _:
            say(f"{state.value.capitalize()}: {_running(rollout)}")
            if rollout["outcome"]:
                say(str(rollout["outcome"]))


def _what_it_does(rollout: Fields) -> str:
    if not rollout["total"]:
        return f"Nothing to assign: {rollout['selected']} accounts have what their baselines want"
    left = rollout["remaining_seconds"]
    return (
        f"{rollout['total']} assignments in {rollout['accounts']} accounts, of "
        f"{rollout['selected']} that baselines select"
        f"{f'; it takes about {_time(left)}' if left is not None else ''}"
    )


def _why(rows: Iterable[Fields], column: str) -> list[Fields]:
    """The accounts that have something in that column, a line for each reason."""
    return [
        {"account": row["account"], "name": row["name"], "why": why}
        for row in rows
        if row[column]
        for why in ([row[column]] if isinstance(row[column], str) else row[column])
    ]


def _show_reasons(title: str, rows: list[Fields]) -> None:
    if rows:
        show_table((title, "name", "why"), [(it["account"], it["name"], it["why"]) for it in rows])


def _note(rollout: Fields) -> str:
    if rollout["outdated"]:
        return str(rollout["outdated"])
    if rollout["state"] == RolloutState.PLANNED and rollout["total"]:
        return "waits for keyward baseline apply"
    if rollout["stopping"] and not RolloutState(rollout["state"]).over:
        return f"being stopped: {rollout['stopping']}"
    return str(rollout["outcome"] or rollout["reason"])


def _must_be_appliable(rollout: Fields) -> None:
    """Raises RequestError where nobody has to be asked, since it can't be done."""
    if rollout["state"] == RolloutState.PLANNED and not rollout["outdated"]:
        return
    why = rollout["outdated"] or f"it is {rollout['state']}"
    message = f"rollout {rollout['id']} can't be applied: {why}; plan it again"
    if rollout["state"] == RolloutState.PLANNING:
        message = f"rollout {rollout['id']} is still being planned: try again in a minute"
    raise RequestError(message)


def _show_end(caller: Caller, rollout: Fields, *, as_json: bool) -> None:
    """What became of it; exit status 1 where not all is assigned and nothing more will be."""
    is_over = RolloutState(rollout["state"]).over
    rows = _with_accounts(caller, str(rollout["id"]))["accounts"] if is_over else []
    failed = _why(rows, "failed")
    if as_json:
        show_json({"rollout": rollout, "failed": failed, "skipped": _why(rows, "skipped")})
    elif is_over:
        _show_reasons("failed", failed)
        _show_reasons("skipped", _why(rows, "skipped"))
        say(f"{str(rollout['state']).capitalize()}: {_running(rollout)}")
        if rollout["outcome"]:
            say(str(rollout["outcome"]))
    elif rollout["total"]:
        say(f"It runs: keyward baseline show {rollout['id']} tells how far it is")
    whole = rollout["state"] == RolloutState.DONE and rollout["assigned"] >= rollout["total"]
    if is_over and not (whole and not rollout["failed"]):
        complain(f"{rollout['assigned']} of {rollout['total']} are assigned, not all")
        raise typer.Exit(1)


def _fields_of(access: Mapping[str, Any]) -> list[tuple[str, object]]:
    """An account's access in a few lines."""
    wanted = access["wanted"]
    finding = access["finding"] or {}
    has = sum(it["has"] for it in wanted)
    return [
        ("name", access["name"]),
        ("state", access["state"]),
        ("baselines", ", ".join(access["baselines"]) or (None if access["unread"] else "none")),
        ("not known", access["unread"]),
        ("access", f"has {has} of {len(wanted)} assignments" if wanted else None),
        ("unknown names", "; ".join(access["unknown"])),
        (
            "finding",
            f"{finding['key']}, {finding['state']} (mode {finding['mode']})" if finding else None,
        ),
        ("waits for", (finding.get("pending") or {}).get("stage")),
        ("not done", finding.get("held")),
        ("exempt by", finding.get("exempt_by")),
        ("outcome", finding.get("outcome")),
        (
            "rollouts",
            "; ".join(
                f"{it['id']} ({it['state']}) brings {it['lacking']}" for it in access["rollouts"]
            ),
        ),
    ]


def _show_account(access: Mapping[str, Any]) -> None:
    show_fields([("account", access["account"]), *_fields_of(access)])
    if access["wanted"]:
        show_table(
            ("", "permission set", "group", "baselines"),
            [
                (
                    "has" if it["has"] else "lacks",
                    it["permission_set"],
                    it["group"],
                    ", ".join(it["baselines"]),
                )
                for it in access["wanted"]
            ],
        )
    if access["finding"]:
        say("Last changes:")
        for step in access["finding"]["history"][-10:]:
            say(f"  {step['at']}  {step['state']:<9} {step['note']}")
