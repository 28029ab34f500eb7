"""How findings are answered: released, approved, exempted, acknowledged, quarantined; and pauses.

What changes anything shows first what it would do, then asks.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from keyward.errors import RequestError
from keyward.findings import State
from keyward.rules import every
from keyward_cli.agreeing import Yes, agree, given, must_be_asked
from keyward_cli.asking import length, moment
from keyward_cli.aws import Caller, ask
from keyward_cli.completing import rule_ids
from keyward_cli.printing import say, show_fields, show_json

type Fields = dict[str, Any]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Finding = Annotated[
    str, typer.Argument(metavar="FINDING", help="A finding's key, as alerts show it.")
]
Reason = Annotated[
    str | None, typer.Option("--reason", help="Why; kept in the ledger. Must be given.")
]
Note = Annotated[str, typer.Option("--note", help="What others should know; kept in the ledger.")]


def release(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    finding: Finding,
    reason: Reason = None,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=90, help="How long it stays exempt; otherwise as settings say."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Undo what was done about a finding: restore exactly what was there before.

    Shows what was done, then asks. What was released is exempt for some days, so that the next
    event doesn't undo the release. Identity Center takes its time: `keyward findings show` then
    tells when it is done. Where settings want two people, the release of a critical finding waits
    until another person approves it: that, too, is exit status 0.
    """
    why = given("--reason", reason, as_json=as_json)
    if not yes:
        must_be_asked(as_json=as_json)
        agree(_release_shown(context.obj, finding, days), yes=yes, as_json=as_json)
    reply = ask(context.obj, "release", finding=finding, reason=why, days=days)
    _show_released(reply, as_json=as_json)


def _release_shown(caller: Caller, finding: str, days: int | None) -> str:
    """Shows what a release would do, and whom else it takes; what is to be asked about it."""
    reply: Fields = ask(caller, "finding", finding=finding)
    record = reply["finding"]
    awaited = record["awaited"] if reply["waits"] else None
    takes_two = reply["two_people"] and record["state"] != State.RELEASING
    lasts = awaited["days"] if awaited else days
    is_untouched = record["state"] == State.OPEN and not record.get("action")
    _show_plan(
        record,
        (
            "restores",
            "what another finding had done to the same, if any did: nothing was done about this one"
            if is_untouched
            else "exactly what was there before",
        ),
        ("then exempt", f"for {lasts} days" if lasts else "for as long as settings say"),
        (
            "asked for by",
            f"{awaited['by']} at {awaited['at']}: {awaited['reason']}" if awaited else None,
        ),
        (
            "takes two",
            None
            if not takes_two
            else "you approve it, if you are somebody else: it is released then"
            if awaited
            else "you ask for it, somebody else approves within 24 hours; nothing is undone until "
            "then",
        ),
    )
    if awaited:
        return "Approve its release?"
    return "Ask for its release?" if takes_two else "Release it?"


def approve(
    context: typer.Context,
    finding: Finding,
    note: Note = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Approve a release that somebody else asked for and that takes two people: it happens then.

    Shows who asked for it and why, then asks. Who asked for it can't approve it.
    """
    if not yes:
        must_be_asked(as_json=as_json)
        reply: Fields = ask(context.obj, "finding", finding=finding)
        record = reply["finding"]
        awaited = record["awaited"] if reply["waits"] else {}
        if not awaited and record["state"] != State.RELEASING:
            message = (
                f"finding {finding} waits for nobody's approval: nobody asked for its release "
                f"within 24 hours; keyward release {finding} asks for it"
            )
            raise RequestError(message)
        _show_plan(
            record,
            ("asked for by", f"{awaited['by']} at {awaited['at']}" if awaited else None),
            ("because", awaited.get("reason")),
            ("restores", "exactly what was there before"),
            ("then exempt", f"for {awaited['days']} days" if awaited.get("days") else None),
        )
        agree("Approve its release?", yes=yes, as_json=as_json)
    _show_released(ask(context.obj, "approve", finding=finding, note=note), as_json=as_json)


def acknowledge(
    context: typer.Context, finding: Finding, note: Note = "", as_json: AsJson = False
) -> None:
    """Say that you have seen a finding, so that others need not look. Nothing else changes."""
    reply = ask(context.obj, "acknowledge", finding=finding, note=note)
    if as_json:
        show_json(_without_ok(reply))
    else:
        say(f"Acknowledged {finding}: its thread and keyward findings show say so")


def quarantine(
    context: typer.Context,
    finding: Finding,
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Do to one finding now what mode enforce would do, though its rule only reports.

    Shows what that is, then asks. The present state is read first, and who is protected stays so;
    `keyward findings show` tells what became of it.
    """
    why = given("--reason", reason, as_json=as_json)
    if not yes:
        must_be_asked(as_json=as_json)
        record = _finding(context.obj, finding)
        would = (record.get("would") or {}).get("action") or record["enforcement"]
        _show_plan(
            record,
            ("will be done", f"{would}, as in mode enforce (the rule's mode: {record['mode']})"),
            ("way back", f"keyward release {record['key']}"),
        )
        agree("Do it now?", yes=yes, as_json=as_json)
    reply = ask(context.obj, "quarantine", finding=finding, reason=why)
    if as_json:
        show_json(_without_ok(reply))
    else:
        say(f"Ordered: keyward findings show {finding} tells what becomes of it, within a minute")


def exempt(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    finding: Finding,
    owner: Annotated[str | None, typer.Option(help="Who answers for it. Must be given.")] = None,
    reason: Reason = None,
    ticket: Annotated[str | None, typer.Option(help="Where it was agreed. Must be given.")] = None,
    until: Annotated[
        str | None,
        typer.Option(help="When it ends: 2027-01-31, a time with a zone, or 90d. Must be given."),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help="Which rules it covers; otherwise the finding's. May be repeated.",
            autocompletion=rule_ids,
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Exempt the user of a finding from its rule, until a day, on somebody's word.

    Shows whom and from what, then asks. It names the user's unique id: a new user of the same name
    is not exempt.
    """
    fields = {
        "owner": given("--owner", owner, as_json=as_json),
        "reason": given("--reason", reason, as_json=as_json),
        "ticket": given("--ticket", ticket, as_json=as_json),
    }
    end = given("--until", until, as_json=as_json)
    known = {one.id for one in every()}
    for one in rule or ():
        if one not in known:
            message = f"no rule is called {one}; see keyward rules"
            raise RequestError(message)
    ends = moment(end, now=datetime.now(UTC))
    if not yes:
        must_be_asked(as_json=as_json)
        record = _finding(context.obj, finding)
        covered = rule or [record["rule"], *record.get("also", [])]
        _show_plan(
            record,
            ("exempt from", ", ".join(covered)),
            ("until", f"{ends:%Y-%m-%d %H:%M} UTC"),
            *fields.items(),
        )
        agree("Exempt it?", yes=yes, as_json=as_json)
    reply = ask(
        context.obj,
        "exempt",
        finding=finding,
        **fields,
        until=ends.isoformat(),
        rules=rule or None,
    )
    if as_json:
        show_json({"exemption": reply["exemption"], "parameter": reply["parameter"]})
    else:
        say(f"Exempt by {reply['exemption']}, kept in parameter {reply['parameter']}")


def pause(
    context: typer.Context,
    for_how_long: Annotated[
        str, typer.Argument(metavar="LENGTH", help="90m, 4h, 2d, at most 3d: it ends by itself.")
    ],
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let every rule only report for some time. It ends by itself, and everybody is told."""
    why = given("--reason", reason, as_json=as_json)
    lasts = length(for_how_long)
    if not yes:
        must_be_asked(as_json=as_json)
        say(f"For {for_how_long} every rule only reports: nothing is contained or put right")
        say("It ends by itself, or by keyward resume; everybody is told")
        agree("Pause?", yes=yes, as_json=as_json)
    reply = ask(context.obj, "pause", hours=lasts.total_seconds() / 3600, reason=why)
    if as_json:
        show_json({"paused_until": reply["paused_until"]})
    else:
        say(f"Paused until {reply['paused_until']}: rules report and do nothing else")


def resume(
    context: typer.Context, reason: Reason = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """End a pause before its time."""
    why = given("--reason", reason, as_json=as_json)
    if not yes:
        must_be_asked(as_json=as_json)
        say("Rules do again what their modes say, with what comes from now on; everybody is told")
        agree("Resume?", yes=yes, as_json=as_json)
    reply = ask(context.obj, "resume", reason=why)
    if as_json:
        show_json({"resumed": True, **_without_ok(reply)})
    else:
        say("Resumed: rules do again what their modes say")


def send_test_alert(context: typer.Context, yes: Yes = False, as_json: AsJson = False) -> None:
    """Send an alert that means nothing, to see that alerts arrive."""
    if not yes:
        must_be_asked(as_json=as_json)
        say("Everybody who gets alerts gets one that says that nothing happened")
        agree("Send it?", yes=yes, as_json=as_json)
    reply: Any = ask(context.obj, "test-alert")
    if as_json:
        show_json({"message_id": reply["message_id"], "places": reply.get("places", [])})
    else:
        say(f"Sent as message {reply['message_id']}: see that everybody got it")
        places = [place for place in reply.get("places", []) if place != "topic"]
        if places:
            say(f"Within a minute, also: {', '.join(places)}")


def _finding(caller: Caller, key: str) -> Fields:
    reply: Any = ask(caller, "finding", finding=key)
    return dict(reply["finding"])


def _show_plan(record: Fields, *will: tuple[str, object]) -> None:
    """What a finding is about and what was done, then what would be."""
    action = (record.get("action") or {}).get("name")
    done = {State.ACTED, State.ACTING, State.FAILED, State.RELEASING}
    show_fields(
        [
            ("finding", f"{record['key']} ({record['severity']}, {record['rule']})"),
            ("about", f"{record['subject']} in {record['account']}"),
            ("state", record["state"]),
            ("was done", action if record["state"] in done else None),
            ("outcome", record.get("outcome")),
            ("not done", record.get("held")),
            *will,
        ]
    )


def _show_released(reply: Fields, *, as_json: bool) -> None:
    if as_json:
        show_json(_without_ok(reply))
        return
    if reply.get("waiting"):
        say(f"Asked for; nothing is undone yet: it {reply['waiting']}")
        say("The request lasts 24 hours: keyward findings list --awaiting shows such ones")
        return
    record = reply["finding"]
    released = record["state"] == State.RELEASED
    say(
        f"{'Released' if released else 'Being released'}: {record['subject']} "
        f"in {record['account']}"
    )
    for restored in reply["restored"]:
        say(f"  {restored}")


def _without_ok(reply: Fields) -> Fields:
    return {name: value for name, value in reply.items() if name != "ok"}
