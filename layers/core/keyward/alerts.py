"""Findings and notices -> what people read. Pure: one message each, and a digest for a storm."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.text import clean, marked_down, unlinked

SUBJECT_LENGTH = 100
"""An SNS subject is at most 100 ASCII characters on one line.

Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

DIGEST_LINES = 25
"""So many findings a digest names one by one."""

CHAT_LENGTH = 4000
"""So many characters of an alert a chat application gets."""

DETAIL_LINES = 40
"""So many lines of a diff an alert shows; the ledger has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message: a subject to triage by, a text, and attributes to filter by."""

    subject: str
    body: str
    attributes: dict[str, str]


def alert(what: FindingRecord | Notice) -> Alert:
    """The message for a finding or notice. Contains the exact way back."""
    return _of_notice(what) if isinstance(what, Notice) else _of_finding(what)


def for_chat(what: FindingRecord | Notice) -> str:
    """The same message for Amazon Q Developer in chat applications, as JSON.

    Its description is markdown of whatever the chat client knows: nothing in it is any, but for
    Keyward's own links. What goes on about a finding stays in one thread. It is cut well below what
    fits into SNS beside the plain text, which has all of it.
    Source: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
    """
    message = alert(what)
    own = what.links if isinstance(what, Notice) else {}
    links = [f"{name}: {at}" for name, at in own.items()]
    lines = [marked_down(line) for line in message.body.splitlines() if line not in links]
    description = "\n".join(lines).strip()
    if len(description) > CHAT_LENGTH:
        description = f"{description[:CHAT_LENGTH]}\n... (all of it: the alert topic's e-mail)"
    content = {
        "textType": "client-markdown",
        "title": marked_down(message.subject),
        "description": "\n".join([description, *links]),
    }
    notification: dict[str, object] = {"version": "1.0", "source": "custom", "content": content}
    if isinstance(what, FindingRecord):
        notification["metadata"] = {"threadId": what.key}
    return json.dumps(notification, ensure_ascii=False)


def _of_finding(record: FindingRecord) -> Alert:
    done = done_in_short(record)
    shown = record.details[:DETAIL_LINES]
    more = len(record.details) - len(shown)
    lines = [
        f"{record.severity.upper()}: {unlinked(record.reason)}",
        *(f"    {unlinked(line)}" for line in shown),
        *([f"    ... and {more} more lines"] if more else []),
        "",
        f"What:     {unlinked(record.subject)}",
        f"Where:    account {record.account}, seen in {unlinked(record.evidence.region)}",
        f"Who:      {who(record)}",
        *_owner(record),
        f"From:     {unlinked(record.evidence.source_ip or 'address unknown')}",
        f"When:     {record.evidence.event_time:%Y-%m-%d %H:%M:%S} UTC",
        f"Event:    {unlinked(record.evidence.event_name)} {unlinked(record.evidence.event_id)}",
        f"Rule:     {', '.join((record.rule, *record.also))} (mode {record.mode})",
        f"Done:     {what_was_done(record)}",
        f"Way back: {way_back(record)}",
        f"To fix:   {unlinked(record.fix)}",
        "",
        f"Finding {record.key}, episode {record.episode}, settings {record.settings_version}",
        f"Everything about it: keyward findings show {record.key}",
    ]
    return Alert(
        subject=_subject(
            f"[{record.severity.upper()}] {done}: {record.subject} in {record.account}"
        ),
        body="\n".join(lines),
        attributes={
            "kind": "finding",
            "finding": record.key,
            "rule": record.rule,
            "severity": record.severity.value,
            "account": record.account,
            "state": record.state.value,
            "mode": record.mode,
            "enforcement": record.enforcement.value,
        },
    )


def who(record: FindingRecord) -> str:
    """Who did it, as far as the event tells: harmless text on one line."""
    return (
        "unknown: a sweep found it"
        if record.evidence.by_itself
        else unlinked(record.evidence.actor)
    )


def is_warning(record: FindingRecord) -> bool:
    """Whether its owner is warned: it is acted on later, unless something changes."""
    return record.state is State.OPEN and record.grace_until is not None


def _owner(record: FindingRecord) -> list[str]:
    """Who is to be warned; nothing where nobody is and nobody was."""
    if record.owner is None and not is_warning(record):
        return []
    return [
        f"Owner:    {unlinked(record.owner or 'nobody knows: no tag, exemption or event tells')}"
    ]


def _of_notice(notice: Notice) -> Alert:
    return Alert(
        subject=_subject(f"[{notice.severity.upper()}] {notice.title}"),
        body="\n".join(
            (
                unlinked(notice.title),
                "",
                unlinked(notice.text, limit=2000),
                *(["", *(unlinked(line) for line in notice.details)] if notice.details else []),
                *(
                    ["", *(f"{name}: {at}" for name, at in notice.links.items())]
                    if notice.links
                    else []
                ),
            )
        ),
        attributes={
            "kind": notice.kind,
            "severity": notice.severity.value,
            "account": notice.account or "",
        },
    )


def digest(
    records: Iterable[FindingRecord | Notice], *, id_: str, to: tuple[str, ...], at: datetime
) -> Notice:
    """One notice for many: counts first, then the gravest by name."""
    told = sorted(records, key=lambda item: -item.severity.rank)
    gravest = told[0].severity if told else Severity.LOW
    rules = Counter(item.rule if isinstance(item, FindingRecord) else item.kind for item in told)
    accounts = Counter(item.account or "organization" for item in told)
    lines = [
        "By rule:    " + ", ".join(f"{rule} {number}" for rule, number in rules.most_common()),
        "By account: " + ", ".join(f"{name} {number}" for name, number in accounts.most_common(20)),
        "",
        *(f"- {item.severity}: {_line(item)}" for item in told[:DIGEST_LINES]),
    ]
    if len(told) > DIGEST_LINES:
        lines.append(f"... and {len(told) - DIGEST_LINES} more")
    lines += ["", "All of them: keyward findings list"]
    return Notice(
        kind="digest",
        id=id_,
        title=f"{len(told)} Keyward alerts, folded",
        text=f"{len(told)} alerts came faster than they are told one by one.",
        severity=gravest,
        at=at,
        details=tuple(lines),
        to=to,
    )


def _line(item: FindingRecord | Notice) -> str:
    if isinstance(item, Notice):
        return unlinked(item.title)
    return f"{unlinked(item.subject)} in {item.account}: {done_in_short(item).lower()} ({item.key})"


def done_in_short(record: FindingRecord) -> str:
    """What became of it, in the words of what was asked for."""
    if is_warning(record):
        return f"Warning, acts on {record.grace_until:%Y-%m-%d}"
    if record.action is not None and record.state is State.ACTED:
        return _ACTED.get(record.action.name, _DONE[State.ACTED])
    if record.action is not None and record.state is State.FAILED and record.action.name in _ACTED:
        return "NOT DONE"
    return _DONE[record.state]


_ACTED = {
    "remove-assignment": "Assignment removed",
    "detach-policy": "Policy detached",
    "restore-permission-set": "Restored",
    "recreate-permission-set": "Made again",
    "provision-permission-set": "Provisioned",
    "assign-access": "Access given",
}
_WILL = {
    "deactivate-access-key": "the access key becomes inactive",
    "deactivate-credential": "the credential becomes inactive",
    "quarantine-user": "the user is denied everything, and its access keys become inactive",
}
_DONE = {
    State.OPEN: "Reported",
    State.ACTING: "Acting on",
    State.ACTED: "Contained",
    State.FAILED: "NOT CONTAINED",
    State.EXEMPT: "Exempt",
    State.RELEASING: "Releasing",
    State.RELEASED: "Released",
    State.RESOLVED: "Resolved",
}


def what_was_done(record: FindingRecord) -> str:
    """What Keyward did, or why it did nothing: harmless text on one line."""
    if record.pending is not None and record.state in {State.ACTING, State.RELEASING}:
        return f"under way: {unlinked(record.pending.stage)}"
    if is_warning(record):
        act = record.would.action if record.would is not None else None
        will = _WILL.get(act or "", f"Keyward does what the rule asks for ({act})")
        return (
            f"nothing yet. With the first sweep after {record.grace_until:%Y-%m-%d %H:%M} UTC "
            f"{will}, unless this is no longer so or an exemption covers it"
        )
    if record.outcome is not None:
        return unlinked(record.outcome)
    if record.held is not None:
        return f"nothing: {unlinked(record.held)}"
    return f"nothing: rule {record.rule} is in mode {record.mode}"


def way_back(record: FindingRecord) -> str:
    """How to undo what was done: the exact command, where there is one."""
    match record.state:
        case State.ACTED | State.FAILED | State.ACTING:
            return f'keyward release {record.key} --reason "..."'
        case State.OPEN:
            return (
                f"nothing to undo; if it is meant to be: keyward exempt {record.key} "
                f'--owner ... --reason "..." --ticket ... --until ...'
            )
        case _:
            return "nothing to undo"


def _subject(text: str) -> str:
    ascii_text = clean(text, limit=SUBJECT_LENGTH).encode("ascii", "replace").decode("ascii")
    return ascii_text or "Keyward"
