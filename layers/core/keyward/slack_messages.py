"""Findings and notices as Slack's Block Kit. Pure. Text of others is only ever plain text.

No text object is of type mrkdwn, and none has emoji: what Slack shows is what is written. The
fallback text, which phones show in a notification, is made harmless besides.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyward.alerts import DETAIL_LINES, done_in_short, is_warning, way_back, what_was_done, who
from keyward.exemptions import EXEMPTABLE, Exemption
from keyward.findings import FindingRecord, Moment, Notice, Severity, State
from keyward.text import ELLIPSIS, defanged, many, unlinked

type Block = Mapping[str, object]

TEXT_LENGTH = 3000
"""A text object's, in characters.

Source: https://docs.slack.dev/reference/block-kit/composition-objects/text-object
"""

HEADER_LENGTH = 150
"""A header's.

Source: https://docs.slack.dev/reference/block-kit/blocks/header-block
"""

BUTTON_LENGTH = 75
VALUE_LENGTH = 2000
"""What a button says, and what it carries.

Source: https://docs.slack.dev/reference/block-kit/block-elements/button-element
"""

LINKS = 5
"""So many links a notice has in Slack."""

ADDRESS = re.compile(r"https?://[!-~]{1,2990}", re.ASCII)
"""What a button can open: 3000 characters at most.

Source: https://docs.slack.dev/reference/block-kit/block-elements/button-element
"""

CONFIRM_LENGTH = 300
"""What a question before an act says.

Source: https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object
"""

BLOCKS = 50
"""So many blocks a message has at most.

Source: https://docs.slack.dev/reference/block-kit/blocks
"""

FALLBACK_LENGTH = 600
"""Of the text that a notification shows. Slack would take more than a phone does."""

SECTIONS = 3
"""So many sections of lines: all blocks together must stay well below what Slack calls too long.

Source: https://docs.slack.dev/reference/methods/chat.postMessage#errors (msg_blocks_too_long)
"""

STEPS = 20
"""So many steps of a finding's life one reply names: the newest."""

DIGEST_LINES = 25
"""So many open findings a daily digest names one by one."""

REASON_LENGTHS = {"release": 500, "exempt": 200, "quarantine": 500}
"""What each act's form asks for, and how long the reason may be."""

EXEMPT_DAYS = (7, 30, 90)

GRAVEST_FIRST = tuple(reversed(Severity))

MARKS = {
    Severity.CRITICAL: "\U0001f534",
    Severity.HIGH: "\U0001f7e0",
    Severity.MEDIUM: "\U0001f7e1",
    Severity.LOW: "\U0001f535",
}
"""A coloured dot before each severity's word, which says the same."""

CLOSED_MARK = "\u2705"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message: its blocks, and the text that stands for them in a notification."""

    text: str
    blocks: list[Block]


# Findings


def finding(
    record: FindingRecord, *, account: str | None, buttons: bool = False, may_order: bool = False
) -> Message:
    """The first message about a finding, as it is now: it is written anew whenever that changes.

    `account` is the name of its account, where that could be read. `may_order`: whether it could be
    quarantined by an order. What can be done about it has a button only if `buttons`.
    """
    facts = [
        f"What: {_said(record.subject)}",
        f"Account: {_account(record, account)}, seen in {_said(record.evidence.region, 60)}",
        f"Who: {unlinked(who(record))}",
        *_owner(record),
        f"From: {_said(record.evidence.source_ip or 'address unknown', 80)}",
        f"When: {_time(record.evidence.event_time)}",
        f"Event: {_said(record.evidence.event_name, 120)}",
        f"Rule: {_said(', '.join((record.rule, *record.also)))} (mode {_said(record.mode, 20)})",
    ]
    blocks = [
        _header(f"{_mark(record)} {record.severity.upper()}: {_headline(record)}"),
        _section([_said(record.reason, 1000)]),
        _section(facts),
        *_details(record.details, most=1),
        _section([f"Done: {unlinked(what_was_done(record), limit=1000)}", *_next(record)]),
        *([_actions(acts)] if (acts := _buttons(record, may_order)) and buttons else []),
        _context(
            f"Finding {_said(record.key, 40)}, episode {record.episode}, settings "
            f"{record.settings_version}. All of it: keyward findings show {_said(record.key, 40)}"
        ),
    ]
    return _message(_in_short(record, account), blocks)


def steps(record: FindingRecord, *, after: datetime | None, account: str | None) -> Message | None:
    """What happened to a finding since then, for the thread of its first message; None if nothing.

    In the order in which it happened. The newest are named where there is much.
    """
    since = [it for it in record.history if after is None or it.at > after]
    if not since:
        return None
    shown = since[-STEPS:]
    lines = [f"{many(len(since) - len(shown), 'earlier step')}"] if len(since) > STEPS else []
    lines += [_step(moment) for moment in shown]
    blocks = [*_sections(lines), *([_section(_next(record))] if record.awaited else [])]
    return _message(_in_short(record, account), blocks)


def goes_on(record: FindingRecord) -> Message:
    """A line for the thread of an older episode: the finding is back, with a message of its own."""
    line = f"Seen again. Episode {record.episode} has a message of its own."
    return _message(line, [_section([line])])


def undone(record: FindingRecord) -> Message:
    """A line for the thread of the finding whose containment was undone, as `record` says."""
    lines = [
        f"{_time(record.evidence.event_time)}: what was done is undone",
        _said(record.reason, 500),
        f"Who: {unlinked(who(record))}. {_headline(record)}: {unlinked(what_was_done(record))}",
        f"It has a message of its own: finding {_said(record.key, 40)}",
    ]
    return _message(
        f"Undone: {defanged(record.subject)} in account {defanged(record.account)}",
        [_section(lines)],
    )


def _headline(record: FindingRecord) -> str:
    """What became of it, and whether somebody has it."""
    done = done_in_short(record)
    if record.awaited is not None:
        return f"{done}, a release awaits a second person"
    return f"{done}, acknowledged" if record.acknowledged is not None else done


def _mark(record: FindingRecord) -> str:
    return CLOSED_MARK if record.state.closed else MARKS[record.severity]


def _in_short(record: FindingRecord, account: str | None) -> str:
    name = f"{defanged(account, limit=60)} " if account else ""
    return (
        f"{_mark(record)} {record.severity.upper()}: {_headline(record)}. "
        f"{defanged(record.subject, limit=200)} in {name}{defanged(record.account, limit=20)}"
    )


def _account(record: FindingRecord, account: str | None) -> str:
    number = _said(record.account, 20)
    return f"{_said(account, 80)} ({number})" if account else number


def _owner(record: FindingRecord) -> list[str]:
    if record.owner is None and not is_warning(record):
        return []
    return [f"Owner: {_said(record.owner or 'nobody knows: no tag, exemption or event tells')}"]


def _next(record: FindingRecord) -> list[str]:
    """How to undo it, who has seen it, and what it waits for."""
    lines = [f"Way back: {unlinked(way_back(record))}"]
    if record.state is State.OPEN or record.state is State.FAILED:
        lines.append(f"To fix: {_said(record.fix, 500)}")
    if record.acknowledged is not None:
        seen = record.acknowledged
        note = f": {_said(seen.note)}" if seen.note else ""
        lines.append(f"Acknowledged by {_said(seen.by, 100)}, {_time(seen.at)}{note}")
    if record.awaited is not None:
        asked = record.awaited
        lines.append(
            f"{_said(asked.by, 100)} asked for its release {_time(asked.at)}: "
            f"{_said(asked.reason)}. Another person has to approve it."
        )
    return lines


def _step(moment: Moment) -> str:
    note = f": {_said(moment.note, 500)}" if moment.note else ""
    return f"{_time(moment.at)} {moment.state.value}{note}"


# Buttons and forms


def _buttons(record: FindingRecord, may_order: bool) -> list[Block]:  # noqa: FBT001 - it is private
    """What can be done about it as it is now. Acts that ask for nothing more ask once, if grave.

    A release that waits for approval can be asked for anew: the first ask holds for a day.
    """
    contained = record.state in {State.ACTED, State.FAILED}
    is_open = record.state is State.OPEN
    value = f"{record.key}:{record.episode}"
    found: list[Block] = []
    if (contained or is_open) and record.acknowledged is None:
        found.append(_button("Acknowledge", "keyward:acknowledge", value))
    if contained and record.awaited is not None:
        ask = f"{_said(record.awaited.by, 60)} asked for it: {_said(record.awaited.reason, 180)}"
        found.append(_button("Approve release", "keyward:approve", value, style="danger", ask=ask))
    if contained:
        found.append(_button("Release", "keyward:release", value))
    if is_open and may_order and record.would is not None and record.would.action is not None:
        found.append(_button("Quarantine now", "keyward:quarantine", value, style="danger"))
    if (is_open or record.state is State.FAILED) and record.subject_kind in EXEMPTABLE:
        found.append(_button("Exempt", "keyward:exempt", value))
    return found


def form(act: str, record: FindingRecord, *, nonce: str) -> list[Block]:
    """The form that asks for what the act needs: "release", "exempt" or "quarantine".

    Input blocks are named "reason", and of an exemption "ticket" and "days"; the element in each
    has the action id "value" ("days" is a static_select: "7", "30" or "90"). The button has the
    action id keyward:<act>:confirm and the value <finding key>:<episode>:<nonce>.

    Source: https://docs.slack.dev/reference/block-kit/blocks/input-block (in messages, too)
    """
    subject = _said(record.subject)
    would = _said(record.would.action if record.would else "contain it", 80)
    says, verb = {
        "release": (
            f"Release {subject}? What was there before is put back, and it is exempt for a while.",
            "Release",
        ),
        "exempt": (f"Exempt {subject}? Its rules leave it alone until then.", "Exempt"),
        "quarantine": (
            f"Quarantine {subject} now? As the rule would in mode enforce: {would}.",
            "Quarantine now",
        ),
    }[act]
    inputs = [_asked("reason", "Why", longest=REASON_LENGTHS[act], many_lines=True)]
    if act == "exempt":
        inputs += [
            _asked("ticket", "Ticket, or where it was agreed", longest=200),
            {
                "type": "input",
                "block_id": "days",
                "label": _plain("For how long"),
                "element": {
                    "type": "static_select",
                    "action_id": "value",
                    "options": [_days(days) for days in EXEMPT_DAYS],
                    "initial_option": _days(EXEMPT_DAYS[0]),
                },
            },
        ]
    value = f"{record.key}:{record.episode}:{nonce}"
    style = "danger" if act == "quarantine" else "primary"
    button = _button(verb, f"keyward:{act}:confirm", value, style=style)
    return [_section([says]), *inputs, _actions([button])]


def answered(text: str) -> list[Block]:
    """An answer in our own or anybody's words: plain text, whatever they are."""
    return list(_sections([_said(line, 1000) for line in text.splitlines() if line.strip()]))


def _asked(name: str, label: str, *, longest: int, many_lines: bool = False) -> Block:
    """A field for text.

    Source: https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element
    """
    return {
        "type": "input",
        "block_id": name,
        "label": _plain(label),
        "element": {
            "type": "plain_text_input",
            "action_id": "value",
            "multiline": many_lines,
            "min_length": 3,
            "max_length": longest,
        },
    }


def _days(days: int) -> Block:
    return {"text": _plain(f"{days} days"), "value": str(days)}


# Notices


def notice(what: Notice, *, account: str | None) -> Message:
    """The message for a notice or a digest. `account` is its account's name."""
    name = f" {_said(account, 80)}" if account else ""
    where = f" Account{name} {_said(what.account, 20)}." if what.account else ""
    mark = f"{MARKS[what.severity]} {what.severity.upper()}: "
    blocks = [
        _header(f"{mark}{_said(what.title, HEADER_LENGTH)}"),
        _section([_said(what.text, 2000)]),
        *_details(what.details, most=SECTIONS),
        *_links(what.links),
        _context(f"{_said(what.kind, 60)}, {_time(what.at)}.{where}"),
    ]
    return _message(f"{mark}{defanged(what.title)}", blocks)


def open_lines(
    records: Iterable[FindingRecord], *, name: Callable[[str], str | None], now: datetime
) -> list[str]:
    """What is open, in lines: numbers, then what failed, the gravest, the oldest by name.

    What nobody acknowledged comes first. What is merely low is counted and not named, unless it
    failed. `name` gives an account's.
    """
    every = sorted(
        records,
        key=lambda it: (it.acknowledged is not None, -_urgency(it), it.first_seen, it.key),
    )
    numbers = Counter(record.severity for record in every)
    named = [record for record in every if _urgency(record) > Severity.LOW.rank][:DIGEST_LINES]
    seen = sum(record.acknowledged is not None for record in every)
    failed = sum(record.state is State.FAILED for record in every)
    lines = ["Open: " + ", ".join(f"{numbers[it]} {it}" for it in GRAVEST_FIRST if numbers[it])]
    if failed:
        lines.append(f"Not contained: {failed}")
    if seen:
        lines.append(f"Acknowledged: {seen}")
    if named:
        lines += ["", *(_open_line(record, name(record.account), now) for record in named)]
        if more := len(every) - len(named):
            lines.append(f"... and {many(more, 'other')}")
    return lines


def ending_lines(exemptions: Mapping[str, Exemption]) -> list[str]:
    """Exemptions that end soon, by id, in lines: the soonest first; none where there is none."""
    if not exemptions:
        return []
    ending = sorted(exemptions.items(), key=lambda it: (it[1].until, it[0]))
    lines = ["", "Exemptions that end soon:"]
    lines += [_ending_line(name, it) for name, it in ending[:DIGEST_LINES]]
    if (more := len(ending) - DIGEST_LINES) > 0:
        lines.append(f"... and {more} more")
    return lines


def _urgency(record: FindingRecord) -> int:
    """What failed is more urgent than anything."""
    return len(Severity) if record.state is State.FAILED else record.severity.rank


def _open_line(record: FindingRecord, account: str | None, now: datetime) -> str:
    days = (now - record.first_seen).days
    since = f"for {many(days, 'day')}" if days else "since today"
    seen = record.acknowledged
    has = f", acknowledged by {_said(seen.by, 60)}" if seen else ""
    waits = ", a release awaits a second person" if record.awaited else ""
    return (
        f"- {record.severity}: {_said(record.subject, 120)} in {_account(record, account)}: "
        f"{done_in_short(record)} {since}{has}{waits} ({_said(record.key, 40)})"
    )


def _ending_line(name: str, exemption: Exemption) -> str:
    return (
        f"- {exemption.until:%Y-%m-%d}: {_said(name, 80)} of {_said(exemption.owner, 60)}, "
        f"ticket {_said(exemption.ticket, 60)}, in {_said(exemption.account, 20)}"
    )


def _links(links: Mapping[str, str]) -> Iterator[Block]:
    """Keyward's own links, as buttons: no text has an address that can be followed."""
    fit = [(name, at) for name, at in links.items() if ADDRESS.fullmatch(at)][:LINKS]
    if fit:
        yield _actions(
            [
                {
                    "type": "button",
                    "text": _plain(_said(name, BUTTON_LENGTH), limit=BUTTON_LENGTH),
                    "action_id": f"keyward:link:{number}",
                    "url": at,
                }
                for number, (name, at) in enumerate(fit)
            ]
        )
    if len(fit) < len(links):
        yield _section([f"{many(len(links) - len(fit), 'link')} did not fit: see the alert topic"])


# Blocks


def _message(text: str, blocks: Sequence[Block]) -> Message:
    return Message(text=_cut(text, FALLBACK_LENGTH), blocks=list(blocks[:BLOCKS]))


def _said(value: object, limit: int = 300) -> str:
    """Text of others: one harmless line, and never an empty one, which Slack would refuse."""
    return unlinked(value, limit=limit) or "-"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _plain(text: str, *, limit: int = TEXT_LENGTH) -> Block:
    return {"type": "plain_text", "text": _cut(text, limit), "emoji": False}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(ELLIPSIS)] + ELLIPSIS


def _header(text: str) -> Block:
    return {"type": "header", "text": _plain(text, limit=HEADER_LENGTH)}


def _section(lines: Iterable[str]) -> Block:
    return {"type": "section", "text": _plain("\n".join(lines))}


def _sections(lines: Iterable[str], *, most: int = SECTIONS) -> Iterator[Block]:
    """The lines in as many sections as they need, and a word on what doesn't go into `most`."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if sum(map(len, parts[-1])) + len(parts[-1]) + len(line) > TEXT_LENGTH - 40:
            parts.append([])
        parts[-1].append(line)
    left = sum(map(len, parts[most:]))
    for number, part in enumerate(parts[:most], start=1):
        says = "\n".join(part).strip("\n")
        if number == most and left:
            says = f"{says}\n... and {many(left, 'more line')}"
        if says:
            yield _section([says])


def _details(lines: Sequence[str], *, most: int) -> Iterator[Block]:
    """Lines below a text, such as a diff; empty ones part them."""
    shown = [_said(line) if line.strip() else "" for line in lines[: 2 * DETAIL_LINES]]
    if len(lines) > len(shown):
        shown.append(f"... and {many(len(lines) - len(shown), 'more line')}")
    yield from _sections(shown, most=most)


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text)]}


def _actions(elements: Sequence[Block]) -> Block:
    return {"type": "actions", "elements": list(elements)}


def _button(
    text: str, action_id: str, value: str, *, style: str | None = None, ask: str | None = None
) -> Block:
    found: dict[str, object] = {
        "type": "button",
        "text": _plain(text, limit=BUTTON_LENGTH),
        "action_id": action_id,
        "value": value[:VALUE_LENGTH],
    }
    if style is not None:
        found["style"] = style
    if ask is not None:
        found["confirm"] = {
            "title": _plain(text),
            "text": _plain(ask, limit=CONFIRM_LENGTH),
            "confirm": _plain("Yes"),
            "deny": _plain("No"),
        }
    return found
