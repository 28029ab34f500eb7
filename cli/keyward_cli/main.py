"""The commands of `keyward`. Each reads its arguments, asks, and prints; the rest is elsewhere."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from keyward.errors import KeywardError, RequestError
from keyward.rule import AnyRule
from keyward.rules import every, guard_of
from keyward_cli import bootstrap as bootstrapping
from keyward_cli import explain as explaining
from keyward_cli.agreeing import Yes, agree
from keyward_cli.answering import (
    AsJson,
    acknowledge,
    approve,
    exempt,
    pause,
    quarantine,
    release,
    resume,
    send_test_alert,
)
from keyward_cli.aws import Caller, ask, one_line
from keyward_cli.baseline import baseline_app, show_status
from keyward_cli.completing import rule_ids
from keyward_cli.docs import rule_doc
from keyward_cli.findings import acts, findings_app
from keyward_cli.folder import settings_of
from keyward_cli.health import show_accounts, show_health
from keyward_cli.paging import answers
from keyward_cli.preflight import preflight as look
from keyward_cli.printing import complain, plain, say, show_fields, show_json, show_table
from keyward_cli.progress import progress
from keyward_cli.reports import report
from keyward_cli.sweep import inventory, redrive, sweep
from keyward_cli.tuning import settings_app
from keyward_cli.usage import BROKEN_OFF, exit_status, usage

PROJECT = Path(__file__).resolve().parents[2]


class _Group(TyperGroup):
    """Every command ends with one line where an error is a user's or AWS's, never a traceback.

    typer has no hook for errors other than its group's `invoke`.
    """

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401 - as click has it
        try:
            return _flushed(lambda: super(_Group, self).invoke(ctx))
        except KeywardError as error:
            complain(one_line(error))
            raise typer.Exit(1) from error
        except BrokenPipeError:
            # The reader has seen enough. Python flushes once more at its end: into nothing.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            complain(f"{place}{error.strerror or error}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            complain("broken off; what AWS was asked for by then goes on")
            raise typer.Exit(BROKEN_OFF) from None
        except (typer.Abort, EOFError) as error:
            # A prompt turns both, Ctrl-C and the end of what is typed, into Abort.
            broken = isinstance(error.__context__, KeyboardInterrupt)
            complain("broken off; nothing was done" if broken else "nothing was done")
            raise typer.Exit(BROKEN_OFF if broken else 1) from None


def _flushed(run: Callable[[], Any]) -> Any:  # noqa: ANN401 - as click has it
    """What `run` returns, once all that it printed is on its way: what breaks, breaks here."""
    try:
        return run()
    finally:
        sys.stdout.flush()


app = typer.Typer(
    cls=_Group,
    name="keyward",
    help="Keeps long-lived credentials out of an AWS organization.",
    epilog=exit_status(
        {
            2: "wrong usage, or some of the input could not be read",
            3: "settings diff found differences",
        }
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(findings_app, name="findings")
app.add_typer(settings_app, name="settings")
app.add_typer(baseline_app, name="baseline")


def _without_colours(value: bool) -> bool:
    """By the environment: typer's help and rich, which draw, look there and nowhere else."""
    if value:
        os.environ["NO_COLOR"] = "1"
    return value


@app.callback()
def main(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option(help="AWS profile; otherwise what AWS_PROFILE says.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The hub's region; otherwise what AWS_REGION says.")
    ] = None,
    no_color: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option(
            "--no-color",
            help="No colours; NO_COLOR=1 does the same, and what is piped never has any.",
            is_eager=True,
            callback=_without_colours,
        ),
    ] = False,
) -> None:
    """Keeps long-lived credentials out of an AWS organization."""
    context.obj = Caller(profile=profile, region=region or os.environ.get("AWS_REGION"))


@app.command(
    epilog=usage(
        "keyward preflight",
        "keyward --region eu-central-1 preflight --json",
        status={1: "something is missing or can't be told"},
    )
)
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
    epilog=usage(
        "keyward explain events/iam-access-key-created/violating-for-itself.json",
        "keyward explain trail.json.gz --settings settings --json",
        "cat events.jsonl | keyward explain - --json",
        status={2: "wrong usage, or some of the input could not be read"},
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
    # On a terminal the answers themselves tell how far it is.
    quiet = sys.stdout.isatty()
    with nullcontext() if quiet else progress("events are read") as tell:
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
                    if tell is not None and seen % 100 == 0:
                        tell(f"{seen} events read")
            except RequestError as error:
                unread += 1
                complain(str(error))
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
    epilog=usage("keyward rules", "keyward rules iam-access-key-created", "keyward rules --json")
)
def rules(
    rule: Annotated[
        str | None, typer.Argument(help="Show all about this one.", autocompletion=rule_ids)
    ] = None,
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


FINDING = "0123456789abcdef0123"

app.command(
    epilog=usage(
        f'keyward release {FINDING} --reason "CI still needs it" --days 3',
        f'keyward release {FINDING} --reason "CI still needs it" --yes --json',
        status={0: "released, being released, or waiting for a second person"},
    )
)(release)
app.command(
    epilog=usage(f"keyward approve {FINDING}", f'keyward approve {FINDING} --note "seen with ana"')
)(approve)
app.command(epilog=usage(f'keyward acknowledge {FINDING} --note "I look into it"'))(acknowledge)
app.command(epilog=usage(f'keyward quarantine {FINDING} --reason "the key is on GitHub"'))(
    quarantine
)
app.command(
    epilog=usage(
        f"keyward exempt {FINDING} --owner payments@example.com "
        '--reason "vendor has no roles" --ticket SEC-42 --until 2099-01-31'
    )
)(exempt)
app.command(epilog=usage('keyward pause 4h --reason "migration of the build servers"'))(pause)
app.command(epilog=usage('keyward resume --reason "migration done"'))(resume)
app.command(
    epilog=usage("keyward acts", "keyward acts --days 30 --json", "keyward acts --day 2027-01-31")
)(acts)
app.command(
    epilog=usage(
        "keyward report",
        "keyward report --format html --open",
        "keyward report --output reports --json",
    )
)(report)


@app.command(
    epilog=usage(
        "keyward status",
        "keyward status --account 111122223333",
        "keyward status --accounts --json",
        "keyward status --check",
        status={1: "it could not be told, or with --check anything is wrong"},
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
    epilog=usage(
        "keyward sweep --full --wait",
        "keyward sweep --plan --rule iam-access-key-created",
        "keyward sweep --confirm iam-access-key-created:1f0c93a2b4d5",
        status={1: "it could not be done, you said no, or a sweep ended before it was everywhere"},
    )
)(sweep)
app.command(
    epilog=usage(
        "keyward redrive",
        "keyward redrive iam-guard --json",
        "keyward redrive --replay --from 2027-01-31T08:00Z --to 2027-01-31T10:00Z --wait",
        status={1: "it could not be done, you said no, or some dead letters stay"},
    )
)(redrive)
app.command(
    epilog=usage("keyward inventory --kind access-key", "keyward inventory --json > all.jsonl")
)(inventory)


@app.command(epilog=usage("keyward bootstrap --plan", "keyward bootstrap"))
def bootstrap(
    context: typer.Context,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be made.")] = False,
    yes: Yes = False,
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
    if number and not plan:
        agree(f"Make {number} in Identity Center?", yes=yes, as_json=as_json)
    made = bootstrapping.made(context.obj, found) if number and not plan else ()
    if as_json:
        show_json({"plan": [asdict(it) for it in found.steps], "made": [asdict(it) for it in made]})
    elif made:
        bootstrapping.show(made)
    if any(step.failed for step in made):
        complain("not all could be made: mend what the lines say, and run it again")
        raise typer.Exit(1)


app.command("test-alert", epilog=usage("keyward test-alert", "keyward test-alert --yes"))(
    send_test_alert
)


@app.command(epilog=usage("keyward uninstall --plan"))
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


@app.command(
    epilog=usage(
        "keyward demo",
        "keyward demo --json 2> story.txt",
        status={1: "it could not be told, or not all of it came out as it should"},
    )
)
def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell it on standard error, and print how it ended.")
    ] = False,
) -> None:
    """Tell the whole story on a local AWS organization, which it starts and stops itself."""
    if not (PROJECT / "local" / "demo.py").is_file():
        message = f"{PROJECT} is no checkout of Keyward with local/demo.py in it"
        raise RequestError(message)
    told = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=PROJECT,
        check=False,
        stdout=sys.stderr if as_json else None,
    )
    if as_json:
        show_json({"exit_status": told.returncode})
    raise typer.Exit(told.returncode)
