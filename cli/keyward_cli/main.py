"""The commands of `keyward`. Each reads its arguments, asks, and prints; the rest is elsewhere."""

import os
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from keyward.errors import KeywardError, RequestError
from keyward.findings import State
from keyward.rule import AnyRule
from keyward.rules import every, guard_of
from keyward_cli import bootstrap as bootstrapping
from keyward_cli import explain as explaining
from keyward_cli.asking import length, moment
from keyward_cli.aws import Caller, ask, one_line
from keyward_cli.baseline import baseline_app, show_status
from keyward_cli.docs import rule_doc
from keyward_cli.folder import settings_of
from keyward_cli.health import show_accounts, show_health
from keyward_cli.paging import answers
from keyward_cli.preflight import preflight as look
from keyward_cli.printing import complain, plain, say, show_fields, show_json, show_table
from keyward_cli.sweep import inventory, redrive, sweep
from keyward_cli.tuning import settings_app

PROJECT = Path(__file__).resolve().parents[2]

EXIT_CODES = (
    "Exit status: 0 done; 1 it could not be done, and one line on standard error says why; "
    "2 wrong usage, or some of the input could not be read; 3 settings diff found differences."
)


class _Group(TyperGroup):
    """Every command ends with one line where an error is a user's or AWS's, never a traceback.

    typer has no hook for errors other than its group's `invoke`.
    """

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401 - as click has it
        try:
            return super().invoke(ctx)
        except KeywardError as error:
            complain(one_line(error))
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group,
    name="keyward",
    help="Keeps long-lived credentials out of an AWS organization.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
findings_app = typer.Typer(
    help="What Keyward has found, and what became of it.", no_args_is_help=True
)
app.add_typer(findings_app, name="findings")
app.add_typer(settings_app, name="settings")
app.add_typer(baseline_app, name="baseline")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Finding = Annotated[
    str, typer.Argument(metavar="FINDING", help="A finding's key, as alerts show it.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the ledger.", prompt=True)]


def example(*lines: str) -> str:
    """The end of a command's help: how it is typed."""
    return "\n\n".join(("Example:", *lines))


@app.callback()
def main(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option(help="AWS profile; otherwise what AWS_PROFILE says.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The hub's region; otherwise what AWS_REGION says.")
    ] = None,
) -> None:
    """Keeps long-lived credentials out of an AWS organization."""
    context.obj = Caller(profile=profile, region=region or os.environ.get("AWS_REGION"))


@app.command(epilog=example("keyward preflight", "keyward --region eu-central-1 preflight --json"))
def preflight(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the organization before a deployment, and print the exact deploy command.

    Looks at trusted access for StackSets, the organization trail, your account, the regions of
    Identity Center and Control Tower, and policies that deny regions. Reads only. Exit status 1
    when something is missing or can't be told.
    """
    found = look(context.obj)
    failed = [check for check in found.checks if check.ok is not True]
    if as_json:
        show_json(
            {
                "ready": not failed,
                "checks": [
                    {"name": c.name, "ok": c.ok, "found": c.found}
                    | ({} if c.ok else {"remedy": c.remedy})
                    for c in found.checks
                ],
                "command": found.command,
            }
        )
    else:
        signs = {True: "ok", False: "missing", None: "unknown"}
        show_table(
            ("", "check", "found", "what to do"),
            [
                (signs[check.ok], check.name, check.found, "" if check.ok else check.remedy)
                for check in found.checks
            ],
        )
        if found.command:
            say("")
            say("To deploy:" if not failed else "To deploy, once nothing is missing:")
            typer.echo(found.command)
    if failed:
        raise typer.Exit(1)


@app.command(
    epilog=example(
        "keyward explain events/iam-access-key-created/violating-for-itself.json",
        "keyward explain trail.json.gz --settings settings --json",
        "cat events.jsonl | keyward explain - --json",
    )
)
def explain(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help=(
                'Events: an EventBridge envelope, a CloudTrail record, a log file ({"Records": '
                "...}) or JSON Lines, plain or gzipped; - for standard input."
            ),
        ),
    ],
    settings: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder of settings; otherwise the defaults."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each event.")
    ] = False,
) -> None:
    """Show what Keyward thinks of events, by the very rules that run in AWS. Calls nobody.

    Each event is judged at the time that it bears, so that the answer never changes by itself.
    An event that can't be read gives an error in its place, and exit status 2.
    """
    in_force = settings_of(settings)
    unread, seen = 0, 0
    try:
        for file in files:
            try:
                for answer in explaining.answers(file, in_force):
                    seen += 1
                    unread += "error" in answer
                    named = {"file": file} if "error" in answer and len(files) > 1 else {}
                    if as_json:
                        show_json(answer | named)
                    else:
                        _show_answer(answer | named)
            except RequestError as error:
                unread += 1
                complain(str(error))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough. Python flushes once more at its end: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    if unread:
        complain(f"{unread} of {max(seen, unread)} events could not be read")
        raise typer.Exit(2)


def _show_answer(answer: explaining.Answer) -> None:
    if "error" in answer:
        place = f"{answer['file']} " if "file" in answer else ""
        typer.echo(plain(f"{place}line {answer['line']}: not readable: {answer['error']}"))
        return
    typer.echo(
        plain(
            f"{answer['event_name']} in {answer['account']} ({answer['region']}) by "
            f"{answer['actor']}, event {answer['event_id']}"
        )
    )
    findings: list[dict[str, Any]] = answer["findings"]  # type: ignore[assignment]
    if not findings:
        heard = answer["handled_by"] is not None
        typer.echo(f"  nothing found{'' if heard else ': it failed, or no rule listens to it'}")
    for finding in findings:
        does = "would do" if finding["mode"] != "enforce" else "does"
        acts = (
            f"exempt by {finding['exempt_by']}"
            if finding["exempt_by"]
            else f"mode {finding['mode']}; enforce {does}: {finding['action']}"
        )
        typer.echo(plain(f"  {finding['severity']:<8} {finding['rule']}: {finding['reason']}"))
        typer.echo(plain(f"           {acts}"))
        if "needs" in finding:
            typer.echo(f"           to be sure, it asks the {finding['needs']} first")


@app.command(
    epilog=example("keyward rules", "keyward rules iam-access-key-created", "keyward rules --json")
)
def rules(
    rule: Annotated[str | None, typer.Argument(help="Show all about this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the rules: what raises each, how grave it is, what it does in mode enforce."""
    chosen = [one for one in every() if rule in {None, one.id}]
    if not chosen:
        message = f"no rule is called {rule}; see keyward rules"
        raise RequestError(message)
    if as_json:
        show_json([_rule_fields(one) for one in chosen])
    elif rule is None:
        show_table(
            ("rule", "severity", "enforce", "raised by"),
            [
                (
                    one.id,
                    one.settings().severity.value,
                    one.enforcement.value,
                    _some([name for names in one.triggers.values() for name in names]),
                )
                for one in chosen
            ],
        )
    else:
        for line in (f"{rule}\n\n{rule_doc(chosen[0])}").splitlines():
            typer.echo(line)


def _some(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def _rule_fields(rule: AnyRule) -> dict[str, object]:
    return {
        "rule": rule.id,
        "summary": rule_doc(rule).partition("\n")[0],
        "severity": rule.settings().severity.value,
        "mode": rule.settings().mode.value,
        "action": rule.enforcement.value,
        "guard": guard_of(rule.id),
        "triggers": {source: list(names) for source, names in rule.triggers.items()},
        "needs": rule.needs,
        "fix": rule.fix,
    }


@findings_app.command(
    "list",
    epilog=example(
        "keyward findings list",
        "keyward findings list --state open --state failed --account 111122223333 --json",
    ),
)
def findings_list(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    state: Annotated[
        list[State] | None, typer.Option(help="Only these; may be given more than once.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only in this account.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List findings, state by state, the oldest change first."""
    found: list[dict[str, Any]] = []
    after: object = None
    while len(found) < limit:
        reply: Any = ask(
            context.obj,
            "findings",
            states=[one.value for one in state] if state else None,
            account=account,
            rule=rule,
            limit=min(100, limit - len(found)),
            after=after,
        )
        found.extend(reply["findings"])
        after = reply.get("next")
        if after is None:
            break
    if as_json:
        show_json(found[:limit])
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
            for f in found[:limit]
        ],
    )
    if after is not None:
        say(f"There are more than {limit}: --limit shows them.")


@findings_app.command("show", epilog=example("keyward findings show 0123456789abcdef0123"))
def findings_show(context: typer.Context, finding: Finding, as_json: AsJson = False) -> None:
    """Show all about one finding: what, who, what was done, how to undo it."""
    record: Any = ask(context.obj, "finding", finding=finding)["finding"]
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
            ("actor", evidence.get("actor")),
            ("source IP", evidence.get("source_ip")),
            ("event", f"{evidence.get('event_name')} {evidence.get('event_id')}"),
            ("seen", f"{record['seen']} times, {record['first_seen']} to {record['last_seen']}"),
            ("settings", f"version {record.get('settings_version')}"),
            ("to fix it", record["fix"]),
            (
                "to undo it",
                f"keyward release {record['key']} --reason ..."
                if record["state"] in {State.ACTED, State.FAILED, State.ACTING}
                else None,
            ),
        ]
    )
    for line in record.get("details", []):
        say(f"  {line}")
    for step in record.get("history", []):
        say(f"  {step['at']}  {step['state']:<9} {step['note']}")


@app.command(
    epilog=example('keyward release 0123456789abcdef0123 --reason "CI still needs it" --days 3')
)
def release(
    context: typer.Context,
    finding: Finding,
    reason: Reason,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=90, help="How long it stays exempt; otherwise as settings say."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Undo what was done about a finding: restore exactly what was there before.

    What was released is exempt for some days, so that the next event doesn't undo the release.
    Identity Center takes its time: `keyward findings show` then tells when it is done.
    """
    reply: Any = ask(context.obj, "release", finding=finding, reason=reason, days=days)
    if as_json:
        show_json({"finding": reply["finding"], "restored": reply["restored"]})
        return
    released = reply["finding"]["state"] == State.RELEASED
    say(
        f"{'Released' if released else 'Being released'}: {reply['finding']['subject']} "
        f"in {reply['finding']['account']}"
    )
    for restored in reply["restored"]:
        say(f"  {restored}")


@app.command(
    epilog=example(
        "keyward exempt 0123456789abcdef0123 --owner payments@example.com "
        '--reason "vendor has no roles" --ticket SEC-42 --until 2027-01-31'
    )
)
def exempt(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    finding: Finding,
    owner: Annotated[str, typer.Option(help="Who answers for it.", prompt=True)],
    reason: Reason,
    ticket: Annotated[str, typer.Option(help="Where it was agreed.", prompt=True)],
    until: Annotated[
        str,
        typer.Option(help="When it ends: 2027-01-31, a time with a zone, or 90d.", prompt=True),
    ],
    rule: Annotated[
        list[str] | None,
        typer.Option(help="Which rules it covers; otherwise the finding's. May be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Exempt the user of a finding from its rule, until a day, on somebody's word.

    It names the user's unique id: a new user of the same name is not exempt.
    """
    known = {one.id for one in every()}
    for one in rule or ():
        if one not in known:
            message = f"no rule is called {one}; see keyward rules"
            raise RequestError(message)
    reply = ask(
        context.obj,
        "exempt",
        finding=finding,
        owner=owner,
        reason=reason,
        ticket=ticket,
        until=moment(until, now=datetime.now(UTC)).isoformat(),
        rules=rule or None,
    )
    if as_json:
        show_json({"exemption": reply["exemption"], "parameter": reply["parameter"]})
    else:
        say(f"Exempt by {reply['exemption']}, kept in parameter {reply['parameter']}")


@app.command(epilog=example('keyward pause 4h --reason "migration of the build servers"'))
def pause(
    context: typer.Context,
    for_how_long: Annotated[
        str, typer.Argument(metavar="LENGTH", help="90m, 4h, 2d: it ends by itself.")
    ],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Let every rule only report for some time. It ends by itself, and everybody is told."""
    hours = length(for_how_long).total_seconds() / 3600
    reply = ask(context.obj, "pause", hours=hours, reason=reason)
    if as_json:
        show_json({"paused_until": reply["paused_until"]})
    else:
        say(f"Paused until {reply['paused_until']}: rules report and do nothing else")


@app.command(epilog=example('keyward resume --reason "migration done"'))
def resume(context: typer.Context, reason: Reason) -> None:
    """End a pause before its time."""
    ask(context.obj, "resume", reason=reason)
    say("Resumed: rules do again what their modes say")


@app.command(
    epilog=example(
        "keyward status",
        "keyward status --account 111122223333",
        "keyward status --accounts --json",
        "keyward status --check",
    )
)
def status(
    context: typer.Context,
    account: Annotated[
        str | None, typer.Option(help="Only of this account: its access, findings, containments.")
    ] = None,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="List every account: forwarding, role, last event.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with status 1 when anything is wrong.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is in force, what is open, and what is wrong, with what to do about it."""
    if account and accounts:
        message = "give --account or --accounts, not both"
        raise typer.BadParameter(message)
    if accounts:
        wrong = _show_every_account(context.obj, as_json=as_json)
    else:
        reply: Any = ask(context.obj, "status", **({"account": account} if account else {}))
        wrong = bool(reply["seen"]["wrong"] if account else reply["wrong"])
        if as_json:
            show_json({name: value for name, value in reply.items() if name != "ok"})
        elif account:
            show_status(reply)
            show_accounts([reply["seen"]])
        else:
            _show_what_is_in_force(reply)
            show_health(reply)
    if check and wrong:
        raise typer.Exit(1)


def _show_every_account(caller: Caller, *, as_json: bool) -> bool:
    """Prints them all; whether anything is wrong with any of them."""
    rows: list[dict[str, Any]] = []
    for answer in answers(caller, "status", accounts=True):
        page: Any = answer
        rows += page["accounts"]
    if as_json:
        show_json(rows)
    else:
        show_accounts(rows)
    return any(row["wrong"] for row in rows)


def _show_what_is_in_force(reply: Any) -> None:  # noqa: ANN401 - JSON
    counts = ", ".join(f"{number} {state}" for state, number in reply["counts"].items() if number)
    show_fields(
        [
            (
                "settings",
                f"version {reply['settings_version']}, compiled {reply['compiled_at'] or 'never'}",
            ),
            ("ceiling", reply["ceiling"]),
            ("paused until", reply["paused_until"]),
            ("findings", counts or "none"),
            ("contained", reply["contained"]),
        ]
    )
    show_table(("rule", "mode"), sorted(reply["rules"].items()))


app.command(
    epilog=example(
        "keyward sweep --full --wait",
        "keyward sweep --plan --rule iam-access-key-created",
        "keyward sweep --confirm iam-access-key-created:1f0c93a2b4d5",
    )
)(sweep)
app.command(
    epilog=example(
        "keyward redrive",
        "keyward redrive iam-guard --json",
        "keyward redrive --replay --from 2027-01-31T08:00Z --to 2027-01-31T10:00Z --wait",
    )
)(redrive)
app.command(
    epilog=example("keyward inventory --kind access-key", "keyward inventory --json > all.jsonl")
)(inventory)


@app.command(epilog=example("keyward bootstrap --plan", "keyward bootstrap"))
def bootstrap(
    context: typer.Context,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be made.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before making it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the groups and permission sets of the catalogue that Identity Center lacks.

    Shows the plan first, then asks. What is there is never touched, and nobody is given anything:
    a second run finds nothing to do. One that broke off is finished by the next.
    """
    found = bootstrapping.planned(context.obj)
    if not as_json:
        if found.steps:
            bootstrapping.show(found.steps)
        if not found.to_do:
            say("Nothing to make: Identity Center has all of the catalogue that Keyward makes")
    number = len(found.to_do)
    asks = number and not plan and not yes
    if asks and as_json:
        message = "with --json nobody is asked: say --yes as well, or --plan"
        raise RequestError(message)
    if asks and not typer.confirm(f"Make {number} in Identity Center?"):
        raise typer.Abort
    made = bootstrapping.made(context.obj, found) if number and not plan else ()
    if as_json:
        show_json({"plan": [asdict(it) for it in found.steps], "made": [asdict(it) for it in made]})
    elif made:
        bootstrapping.show(made)
    if any(step.failed for step in made):
        complain("not all could be made: mend what the lines say, and run it again")
        raise typer.Exit(1)


@app.command("test-alert", epilog=example("keyward test-alert"))
def send_test_alert(context: typer.Context, as_json: AsJson = False) -> None:
    """Send an alert that means nothing, to see that alerts arrive."""
    reply = ask(context.obj, "test-alert")
    if as_json:
        show_json({"message_id": reply["message_id"]})
    else:
        say(f"Sent as message {reply['message_id']}: see that everybody got it")


@app.command(epilog=example("keyward uninstall --plan"))
def uninstall(
    context: typer.Context,
    plan: Annotated[bool, typer.Option("--plan", help="Show the steps, in order.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how to take Keyward away without leaving anybody contained. Removes nothing itself."""
    if not plan:
        message = "uninstall only plans: keyward uninstall --plan"
        raise RequestError(message)
    reply: Any = ask(context.obj, "uninstall-plan")
    if as_json:
        show_json({"contained": reply["contained"], "steps": reply["steps"]})
        return
    if reply["contained"]:
        say("Still contained:")
        show_table(
            ("account", "user", "action", "finding"),
            [(c["account"], c["user"], c["action"], c["finding"]) for c in reply["contained"]],
        )
    else:
        say("Nothing is contained.")
    for number, step in enumerate(reply["steps"], 1):
        say(f"{number}. {step}")


@app.command(epilog=example("keyward demo"))
def demo() -> None:
    """Tell the whole story on a local AWS organization, which it starts and stops itself."""
    if not (PROJECT / "local" / "demo.py").is_file():
        message = f"{PROJECT} is no checkout of Keyward with local/demo.py in it"
        raise RequestError(message)
    told = subprocess.run([sys.executable, "-m", "local.demo"], cwd=PROJECT, check=False)
    raise typer.Exit(told.returncode)
