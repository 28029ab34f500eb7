"""What Slack shows: within its limits, in plain text whatever events say, with fitting buttons."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyward import slack_messages
from keyward.actions import Pending
from keyward.exemptions import Exemption
from keyward.findings import (
    Acknowledged,
    Awaited,
    FindingRecord,
    Moment,
    Notice,
    Severity,
    State,
    Would,
)
from keyward.slack_messages import Block, Message
from tests.builders import NOW
from tests.core.test_text_and_alerts import a_record
from tests.flow.slack_server import wrong_with

CANARIES = (
    "<!channel>",
    "<!subteam^S123|x>",
    "<@U0123456>",
    "<https://evil.example|click>",
    "https://evil.example/a",
    "javascript:alert(1)",
    "mailto:x@evil.example",
    "@here",
    "@channel",
    "@everyone",
    "*b*",
    "_i_",
    "~s~",
    "`c`",
    "```c```",
    ":skull:",
    "&lt;!here&gt;",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "a\u200bb",
    "a\ufeffb",
    "a\nb\r\nc\u2028d",
    "> quoted",
    "\ud800",
)

HOSTILE = st.one_of(
    st.sampled_from(CANARIES),
    st.text(max_size=80),
    st.builds("".join, st.lists(st.sampled_from(CANARIES) | st.text(max_size=5), max_size=4)),
    st.builds(lambda text, times: text * times, st.sampled_from(CANARIES), st.integers(0, 900)),
)


@st.composite
def hostile_records(draw: st.DrawFn) -> FindingRecord:
    """A finding in any state with anything in each of its strings."""
    said = itertools.cycle(draw(st.lists(HOSTILE, min_size=1, max_size=5)))
    chosen = draw(st.integers(0, 2**9 - 1))

    def maybe[T](bit: int, value: T) -> T | None:
        return value if chosen & 2**bit else None

    record = a_record()
    strings = {
        name: next(said)
        for name, value in record
        if isinstance(value, str) and name not in {"state", "severity", "enforcement"}
    }
    evidence = {
        name: next(said) for name in ("event_id", "event_name", "region", "actor", "source_ip")
    }
    return record.model_copy(
        update={
            **strings,
            "state": draw(st.sampled_from(State)),
            "severity": draw(st.sampled_from(Severity)),
            "evidence": record.evidence.model_copy(update=evidence),
            "also": tuple(next(said) for _ in range(chosen % 4)),
            "details": tuple(next(said) for _ in range(chosen % 61)),
            "history": tuple(
                Moment.model_construct(at=NOW, state=State.OPEN, note=next(said))
                for _ in range(chosen % 31)
            ),
            "outcome": maybe(0, next(said)),
            "held": maybe(1, next(said)),
            "owner": maybe(2, next(said)),
            "grace_until": maybe(3, NOW),
            "pending": maybe(4, Pending.model_construct(stage=next(said), since=NOW)),
            "would": maybe(5, Would.model_construct(action=next(said))),
            "acknowledged": maybe(
                6, Acknowledged.model_construct(by=next(said), note=next(said), at=NOW)
            ),
            "awaited": maybe(
                7,
                Awaited.model_construct(
                    by=next(said), person=next(said), reason=next(said), at=NOW
                ),
            ),
            "subject_kind": maybe(8, "AccessKey") or next(said),
        }
    )


def texts_in(part: object) -> Iterator[Mapping[str, Any]]:
    """Every text object in blocks."""
    if isinstance(part, Mapping):
        if part.get("type") in {"plain_text", "mrkdwn"}:
            yield part
        for value in part.values():
            yield from texts_in(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from texts_in(value)


def shown(message: Message | list[Block]) -> str:
    """All that people read of it."""
    blocks = message if isinstance(message, list) else message.blocks
    return "\n".join(str(text["text"]) for text in texts_in(blocks))


def check_harmless(blocks: list[Block]) -> None:
    assert wrong_with([dict(block) for block in blocks]) is None
    assert len(blocks) <= 50
    for text in texts_in(blocks):
        assert text["type"] == "plain_text"
        assert text["emoji"] is False
        said = text["text"]
        assert not set("<>&\r\u2028") & set(said)
        assert not re.search(r"(?i)@(here|channel|everyone)", said)
        assert "://" not in said
        assert "javascript:" not in said
        assert "mailto:" not in said
        assert not any(
            unicodedata.category(it) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for it in said if it != "\n"
        )


def check_fallback(text: str) -> None:
    assert 0 < len(text) <= slack_messages.FALLBACK_LENGTH
    assert text.isprintable()
    assert not set("<>&*_~`#") & set(text)
    assert not re.search(r":[^\s:]+:", text)
    assert "://" not in text
    assert not re.search(r"(?i)@(here|channel|everyone)", text)


@given(hostile_records(), HOSTILE | st.none())
def test_nothing_in_a_finding_gets_through_as_markup_or_past_slacks_limits(
    record: FindingRecord, account: str | None
) -> None:
    told = [
        slack_messages.finding(record, account=account, buttons=True, may_order=True),
        slack_messages.goes_on(record),
        slack_messages.undone(record),
        slack_messages.steps(record, after=None, account=account),
    ]
    for message in filter(None, told):
        check_harmless(message.blocks)
        check_fallback(message.text)


@given(hostile_records(), st.sampled_from(["release", "exempt", "quarantine"]))
def test_nothing_in_a_finding_gets_through_a_form(record: FindingRecord, act: str) -> None:
    check_harmless(slack_messages.form(act, record, nonce="n" * 32))


@given(st.lists(HOSTILE, max_size=80), HOSTILE, HOSTILE, HOSTILE | st.none())
def test_nothing_in_a_notice_gets_through(
    details: list[str], title: str, text: str, account: str | None
) -> None:
    what = Notice(
        kind="digest",
        id="1",
        title=title,
        text=text,
        severity=Severity.HIGH,
        at=NOW,
        account=account,
        details=tuple(details),
    )
    message = slack_messages.notice(what, account=account)
    check_harmless(message.blocks)
    check_fallback(message.text)


@given(HOSTILE)
def test_nothing_in_an_answer_gets_through(text: str) -> None:
    check_harmless(slack_messages.answered(text))


@given(st.lists(hostile_records(), min_size=1, max_size=3), HOSTILE | st.none())
def test_nothing_gets_through_a_daily_digest(
    records: list[FindingRecord], account: str | None
) -> None:
    lines = slack_messages.open_lines(records, name=lambda _: account, now=NOW)
    what = Notice(
        kind="daily-digest",
        id="1",
        title="open",
        text="x",
        severity=Severity.LOW,
        at=NOW,
        details=tuple(lines),
    )
    check_harmless(slack_messages.notice(what, account=None).blocks)


# What is said


def test_first_message_says_what_where_who_what_was_done_and_the_way_back() -> None:
    record = a_record(State.ACTED)
    said = shown(slack_messages.finding(record, account="workload"))
    for part in (
        "CRITICAL: Contained" if record.severity is Severity.CRITICAL else "Contained",
        record.subject,
        f"workload ({record.account})",
        record.evidence.actor,
        "192.0.2.44",
        f"{record.evidence.event_time:%Y-%m-%d %H:%M:%S} UTC",
        record.evidence.event_name,
        record.rule,
        "access key AKIA is inactive",
        f"keyward release {record.key}",
        f"keyward findings show {record.key}",
    ):
        assert part in said


def test_account_without_a_readable_name_is_told_by_its_id() -> None:
    record = a_record()
    assert f"Account: {record.account}," in shown(slack_messages.finding(record, account=None))


@pytest.mark.parametrize(
    ("state", "headline"),
    [
        (State.OPEN, "Reported"),
        (State.ACTING, "Acting on"),
        (State.ACTED, "Contained"),
        (State.FAILED, "NOT CONTAINED"),
        (State.EXEMPT, "Exempt"),
        (State.RELEASING, "Releasing"),
        (State.RELEASED, "Released"),
        (State.RESOLVED, "Resolved"),
    ],
)
def test_every_state_is_the_headline(state: State, headline: str) -> None:
    message = slack_messages.finding(
        a_record(state).model_copy(update={"state": state}), account=None
    )
    assert headline in str(message.blocks[0]["text"])
    assert headline in message.text
    assert (slack_messages.CLOSED_MARK in message.text) == state.closed


def test_warning_says_when_it_is_acted_on() -> None:
    record = a_record().model_copy(
        update={"state": State.OPEN, "grace_until": NOW, "owner": "team@example.com"}
    )
    said = shown(slack_messages.finding(record, account=None))
    assert "Warning, acts on 2026-11-20" in said
    assert "Owner: team@example.com" in said


def test_acknowledged_and_awaited_are_said_with_who_and_why() -> None:
    seen = a_record(acknowledged=Acknowledged(by="Ana", at=NOW, note="looking"))
    said = shown(slack_messages.finding(seen, account=None))
    assert "Reported, acknowledged" in said
    assert "Acknowledged by Ana, 2026-11-20 09:14:05 UTC: looking" in said
    awaited = Awaited(by="Ben", person="Ben", at=NOW, reason="a false alarm")
    waits = a_record(State.ACTED, awaited=awaited)
    said = shown(slack_messages.finding(waits, account=None))
    assert "a release awaits a second person" in said
    assert "Ben asked for its release 2026-11-20 09:14:05 UTC: a false alarm" in said


def test_steps_are_those_after_what_was_told_in_order() -> None:
    moments = tuple(
        Moment(at=NOW + timedelta(minutes=number), state=State.OPEN, note=f"step {number}")
        for number in range(4)
    )
    record = a_record(history=moments)
    message = slack_messages.steps(record, after=moments[1].at, account=None)
    assert message is not None
    assert shown(message).splitlines() == [
        "2026-11-20 09:16:05 UTC open: step 2",
        "2026-11-20 09:17:05 UTC open: step 3",
    ]
    assert slack_messages.steps(record, after=moments[-1].at, account=None) is None


def test_of_many_steps_the_newest_are_named_and_the_others_counted() -> None:
    moments = tuple(
        Moment(at=NOW + timedelta(minutes=number), state=State.OPEN, note=f"step {number}")
        for number in range(50)
    )
    message = slack_messages.steps(a_record(history=moments), after=None, account=None)
    assert message is not None
    lines = shown(message).splitlines()
    assert lines[0] == "30 earlier steps"
    assert lines[1].endswith("step 30")
    assert lines[-1].endswith("step 49")


def test_long_diff_is_cut_and_says_so() -> None:
    details = tuple(f"+ line {number} {'x' * 100}" for number in range(100))
    said = shown(slack_messages.finding(a_record(details=details), account=None))
    assert "+ line 0 x" in said
    assert re.search(r"\.\.\. and \d+ more lines", said)


# Buttons


def buttons_of(record: FindingRecord, **flags: bool) -> list[str]:
    message = slack_messages.finding(record, account=None, **{"buttons": True, **flags})
    return [
        str(element["action_id"]).removeprefix("keyward:")
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]  # type: ignore[attr-defined]
    ]


SEEN = Acknowledged(by="Ana", at=NOW)
ASKED = Awaited(by="Ben", person="Ben", at=NOW, reason="why")
ACT = Would(action="deactivate-access-key")


@pytest.mark.parametrize(
    ("changes", "may_order", "wanted"),
    [
        ({"state": State.OPEN, "would": None}, True, ["acknowledge", "exempt"]),
        ({"state": State.OPEN, "would": ACT}, True, ["acknowledge", "quarantine", "exempt"]),
        ({"state": State.OPEN, "would": ACT}, False, ["acknowledge", "exempt"]),
        ({"state": State.OPEN, "would": Would(held="protected")}, True, ["acknowledge", "exempt"]),
        ({"state": State.OPEN, "would": None, "acknowledged": SEEN}, True, ["exempt"]),
        (
            {"state": State.OPEN, "would": None, "subject_kind": "RootAccessKey"},
            True,
            ["acknowledge"],
        ),
        ({"state": State.ACTED}, True, ["acknowledge", "release"]),
        ({"state": State.ACTED, "awaited": ASKED}, True, ["acknowledge", "approve", "release"]),
        ({"state": State.FAILED}, True, ["acknowledge", "release", "exempt"]),
        ({"state": State.ACTING}, True, []),
        ({"state": State.RELEASING}, True, []),
        ({"state": State.RELEASED}, True, []),
        ({"state": State.RESOLVED}, True, []),
        ({"state": State.EXEMPT}, True, []),
    ],
)
def test_buttons_fit_the_state(
    changes: dict[str, object], *, may_order: bool, wanted: list[str]
) -> None:
    record = a_record().model_copy(update=changes)
    assert buttons_of(record, may_order=may_order) == wanted
    assert buttons_of(record, may_order=may_order, buttons=False) == []


def test_button_carries_key_and_episode() -> None:
    record = a_record(State.ACTED, episode=3)
    message = slack_messages.finding(record, account=None, buttons=True)
    (actions,) = [block for block in message.blocks if block["type"] == "actions"]
    values = {element["value"] for element in actions["elements"]}  # type: ignore[attr-defined]
    assert values == {f"{record.key}:3"}


@pytest.mark.parametrize(
    ("act", "asked"),
    [("release", ["reason"]), ("exempt", ["reason", "ticket", "days"]), ("quarantine", ["reason"])],
)
def test_form_asks_for_what_the_act_needs(act: str, asked: list[str]) -> None:
    record = a_record(State.OPEN)
    blocks = slack_messages.form(act, record, nonce="n0nce")
    inputs: list[Any] = [block for block in blocks if block["type"] == "input"]
    assert [block["block_id"] for block in inputs] == asked
    assert {block["element"]["action_id"] for block in inputs} == {"value"}
    actions: Any = blocks[-1]
    (button,) = actions["elements"]
    assert button["action_id"] == f"keyward:{act}:confirm"
    assert button["value"] == f"{record.key}:1:n0nce"
    if act == "exempt":
        assert [it["value"] for it in inputs[2]["element"]["options"]] == ["7", "30", "90"]


def a_report(**links: str) -> Notice:
    return Notice(
        kind="report",
        id="1",
        title="made",
        text="The link below",
        severity=Severity.LOW,
        at=NOW,
        links=links,
    )


def test_own_link_is_a_button_as_it_is() -> None:
    link = "https://keyward-reports.s3.amazonaws.com/r.html?X-Amz-Signature=a&b=c%2F"
    message = slack_messages.notice(a_report(Report=link), account=None)
    actions: Any = next(block for block in message.blocks if block["type"] == "actions")
    (button,) = actions["elements"]
    assert (button["url"], button["text"]["text"]) == (link, "Report")
    assert link not in shown(message)
    check_harmless(message.blocks)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://x.example/ y", f"https://{'x' * 3000}"]
)
def test_what_no_button_can_open_is_left_to_the_topic(link: str) -> None:
    message = slack_messages.notice(a_report(Report=link), account=None)
    assert not [block for block in message.blocks if block["type"] == "actions"]
    assert "1 link did not fit" in shown(message)


# What is open


def an_exemption(days: int) -> Exemption:
    return Exemption(
        owner="team@example.com",
        reason="legacy",
        ticket="SEC-7",
        until=NOW + timedelta(days=days),
        account="444455556666",
        user_id="AIDAEXAMPLE",
        rules=("iam-user-created",),
    )


def test_open_lines_count_all_and_name_what_failed_first_and_what_somebody_has_last() -> None:
    def one(key: str, severity: Severity, days: int, **changes: object) -> FindingRecord:
        made = a_record(key=key, severity=severity, first_seen=NOW - timedelta(days=days))
        return made.model_copy(update=changes)

    lines = slack_messages.open_lines(
        [
            one("low", Severity.LOW, 90),
            one("medium", Severity.MEDIUM, 1),
            one("new", Severity.HIGH, 0),
            one("old", Severity.HIGH, 30, acknowledged=Acknowledged(by="Ana", at=NOW)),
            one("failed", Severity.LOW, 0, state=State.FAILED),
        ],
        name=lambda _: "workload",
        now=NOW,
    )
    assert lines[:3] == ["Open: 2 high, 1 medium, 2 low", "Not contained: 1", "Acknowledged: 1"]
    named = [line for line in lines if line.startswith("- ")]
    assert [line.rpartition("(")[2] for line in named] == ["failed)", "new)", "medium)", "old)"]
    assert "Reported for 30 days, acknowledged by Ana" in named[-1]
    assert "in workload (444455556666)" in named[-1]
    assert lines[-1] == "... and 1 other"


def test_what_is_merely_low_is_counted_and_not_named() -> None:
    lines = slack_messages.open_lines(
        [a_record(severity=Severity.LOW)], name=lambda _: None, now=NOW
    )
    assert lines == ["Open: 1 low"]


def test_exemptions_that_end_are_named_the_soonest_first() -> None:
    lines = slack_messages.ending_lines({"b": an_exemption(9), "a": an_exemption(2)})
    assert lines[2].startswith("- 2026-11-22: a of team@example.com, ticket SEC-7")
    assert lines[3].startswith("- 2026-11-29: b")
    assert slack_messages.ending_lines({}) == []
