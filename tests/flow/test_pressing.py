"""What a press of a button in Slack brings about, and what it doesn't."""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import boto3
import pytest

from keyward import operating, ordering, pressing, releasing
from keyward.errors import EventError, GatewayError
from keyward.findings import Awaited, FindingRecord, Severity, State
from keyward.gateways.slack import SlackGateway
from keyward.observability import metrics
from keyward.people import Caller
from keyward.settings import OperatorAct
from keyward.told import ActRecord
from tests.faults.observing import Context, the_log
from tests.flow.slack_server import Slack, a_slack, down, refused
from tests.flow.test_access_keys import a_key
from tests.flow.test_ingress import SECRET, Secrets, signature
from tests.flow.world import HUB, IAM_SWEEP_QUEUE, REGION, World

OPERATOR = Path(__file__).parents[2] / "functions" / "operator" / "handler.py"
SIGNING = f"arn:aws:secretsmanager:{REGION}:{HUB}:secret:keyward/signing"
CHANNEL = "C0ALERTS0"
FIRST = "1700000000.000100"
ANA, BEN, CHRIS, STRANGER = "U0ANA0000", "U0BEN0000", "U0CHRIS00", "U0STRANGE"
PEOPLE = [
    {"name": "Ana", "slack_user": ANA, "session": "ana"},
    {"name": "Ben", "slack_user": BEN, "session": "ben"},
    {"name": "Chris", "slack_user": CHRIS, "may": ["acknowledge"]},
]
REASON = "agreed with its owner"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Pressing:
    """A workspace whose people press buttons, and the operator that is told."""

    world: World
    slack: Slack
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def settings(self, **changes: Any) -> None:
        operators = {"people": PEOPLE, "two_people": False} | changes
        self.world.settings(settings={"ceiling": "enforce", "operators": operators})

    def finding(self, user: str = "ci") -> FindingRecord:
        """A finding that Keyward acted on."""
        self.world.deliver(a_key(self.world, user)[1])
        return self.now_of(self.world.finding("iam-access-key-created"))

    def now_of(self, record: FindingRecord) -> FindingRecord:
        found = self.world.ledger.finding(record.key)
        assert found is not None
        return found

    def message(
        self,
        action: str,
        value: str,
        *,
        user: str = ANA,
        given: dict[str, str] | None = None,
        at: datetime | None = None,
        **more: Any,
    ) -> str:
        """What slack_ingress puts on the queue for one press."""
        number = next(self.numbers)
        values = {
            name: {"value": {"selected_option": {"value": it}} if name == "days" else {"value": it}}
            for name, it in (given or {}).items()
        }
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": "x"},
            "channel": {"id": CHANNEL, "name": "alerts"},
            "container": {"type": "message", "message_ts": FIRST, "channel_id": CHANNEL},
            "actions": [{"action_id": action, "value": value, "type": "button"}],
            "state": {"values": values},
            "trigger_id": f"{number}.1",
        }
        return signed(payload | more, at or self.world.now)

    def take(self, message: str, id_: str | None = None) -> None:
        """SQS delivers a message to the operator."""
        pressing.pressed(
            message,
            id_=id_ or f"message-{next(self.numbers)}",
            services=self.world.services,
            now=self.world.now,
        )

    def press(self, act: str, record: FindingRecord, **more: Any) -> None:
        """Somebody presses a button of the finding's message."""
        self.take(self.message(f"keyward:{act}", f"{record.key}:{record.episode}", **more))

    def form(self, user: str = ANA) -> dict[str, Any]:
        """The button of the form that the user was shown last."""
        shown = [it for it in self.slack.whispers(user) if "input" in _types(it.blocks)]
        button: dict[str, Any]
        (button,) = [
            element
            for block in shown[-1].blocks
            if block["type"] == "actions"
            for element in block["elements"]
            if str(element["action_id"]).endswith(":confirm")
        ]
        return button

    def send(self, user: str = ANA, *, by: str | None = None, **given: str) -> str:
        """The message of a form that was filled in and sent."""
        button = self.form(user)
        return self.message(
            button["action_id"], button["value"], user=by or user, given={"reason": REASON} | given
        )

    def said(self, user: str = ANA) -> str:
        """What the user was told last."""
        return json.dumps(self.slack.whispers(user)[-1].blocks)

    def acts(self) -> list[ActRecord]:
        return self.world.ledger.acts_on(self.world.now)


def signed(payload: dict[str, Any], at: datetime, secret: str = SECRET) -> str:
    """What slack_ingress puts on the queue of a request with this payload."""
    body, timestamp = urlencode({"payload": json.dumps(payload)}), str(int(at.timestamp()))
    return json.dumps(
        {"body": body, "timestamp": timestamp, "signature": signature(body, timestamp, secret)}
    )


def _types(blocks: list[dict[str, Any]]) -> set[str]:
    return {block["type"] for block in blocks}


@pytest.fixture
def desk(world: World) -> Iterator[Pressing]:
    world.more = {"slack_signing_secret_arn": SIGNING}
    world.restart()
    with a_slack() as slack:
        world.services.__dict__["secrets"] = Secrets(signing_secret=SECRET)
        world.services.__dict__["slack"] = SlackGateway(
            secret=lambda: slack.secret, url=slack.url, clock=lambda: world.now
        )
        made = Pressing(world, slack)
        made.settings()
        yield made


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    """The press within is refused for this reason: logged and counted."""
    metrics.clear_metrics()
    with the_log() as log:
        yield
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    reasons = [line["reason"] for line in logged if line["message"] == "press refused"]
    assert reasons == [reason]
    assert metrics.metric_set["PressesRefused"]["Value"] == [1.0]
    metrics.clear_metrics()


def test_acknowledging_is_done_at_once_and_kept(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("acknowledge", record)
    seen = desk.now_of(record).acknowledged
    assert seen is not None
    assert seen.by == f"Ana (Slack {ANA})"
    assert "Acknowledged" in desk.said()
    (kept,) = desk.acts()
    assert (kept.act, kept.outcome, kept.via, kept.proven) == ("acknowledge", "done", "slack", True)
    assert kept.by == f"Ana (Slack {ANA})"


def test_the_answer_is_in_the_thread_and_for_the_presser_alone(desk: Pressing) -> None:
    desk.press("acknowledge", desk.finding())
    (whisper,) = desk.slack.messages
    assert (whisper.user, whisper.thread, whisper.channel) == (ANA, FIRST, CHANNEL)


def test_a_release_asks_why_before_anything_is_done(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("release", record)
    assert desk.now_of(record) == record
    assert [it.outcome for it in desk.acts()] == ["waiting"]
    desk.take(desk.send())
    released = desk.now_of(record)
    assert released.state is State.RELEASED
    assert REASON in released.history[-2].note
    assert f"Ana (Slack {ANA})" in released.history[-2].note
    assert "Released" in desk.said()
    done = [it for it in desk.acts() if it.outcome == "done"]
    assert [(it.act, it.reason, it.finding) for it in done] == [("release", REASON, record.key)]


def test_an_exemption_has_the_days_the_ticket_and_the_presser(desk: Pressing) -> None:
    desk.world.settings(
        settings={"ceiling": "report", "operators": {"people": PEOPLE, "two_people": False}}
    )
    found = desk.finding()
    # moto's ids of users look like none of AWS's.
    record = found.model_copy(update={"user_id": "AIDA1234567890EXAMPL", "version": 2})
    desk.world.ledger.finish(record, replacing=found)
    desk.press("exempt", record)
    desk.take(desk.send(ticket="SEC-12", days="30"))
    assert "Exempted" in desk.said()
    assert desk.now_of(record).state is State.EXEMPT
    pages = boto3.client("ssm").get_parameters_by_path(Path="/keyward/exemptions")
    (made,) = [json.loads(it["Value"]) for it in pages["Parameters"]]
    assert (made["owner"], made["ticket"]) == (f"Ana (Slack {ANA})", "SEC-12")
    assert made["reason"] == REASON
    until = datetime.fromisoformat(made["until"])
    assert until == desk.world.now.replace(microsecond=0) + timedelta(days=30)


@pytest.mark.parametrize("days", ["", "1", "3650", "x"])
def test_an_exemption_lasts_7_30_or_90_days(desk: Pressing, days: str) -> None:
    record = desk.finding()
    desk.press("exempt", record)
    with refusing("no days"):
        desk.take(desk.send(ticket="SEC-12", days=days))
    assert desk.now_of(record) == record


@pytest.mark.parametrize("reason", ["", "no", " . ", "x" * 501])
def test_a_reason_has_3_to_500_letters(desk: Pressing, reason: str) -> None:
    record = desk.finding()
    desk.press("release", record)
    with refusing("act refused"):
        desk.take(desk.send(reason=reason))
    assert desk.now_of(record).state is State.ACTED


# ---------------------------------------------------------------- once


def test_a_replayed_press_is_refused(desk: Pressing) -> None:
    record = desk.finding()
    message = desk.message("keyward:acknowledge", f"{record.key}:1")
    desk.take(message)
    before = desk.now_of(record)
    with refusing("pressed before"):
        desk.take(message)
    assert desk.now_of(record) == before
    assert [it.outcome for it in desk.acts()] == ["done", "refused"]


def test_a_second_press_of_the_same_button_is_refused(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("acknowledge", record)
    before = desk.now_of(record)
    with refusing("act refused"):
        desk.press("acknowledge", record)
    assert desk.now_of(record) == before
    assert "acknowledged by Ana" in desk.said()


def test_a_form_is_sent_once(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("release", record)
    desk.take(desk.send())
    before = desk.now_of(record)
    with refusing("form sent before"):
        desk.take(desk.send())
    assert desk.now_of(record) == before


def test_a_form_is_sent_by_who_was_shown_it(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("release", record)
    with refusing("form of somebody else"):
        desk.take(desk.send(by=BEN))
    desk.take(desk.send())
    assert desk.now_of(record).state is State.RELEASED


def test_a_form_is_of_one_act(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("exempt", record)
    value = desk.form()["value"]
    with refusing("form of somebody else"):
        desk.take(desk.message("keyward:release:confirm", value, given={"reason": REASON}))
    assert desk.now_of(record) == record


def test_a_form_is_taken_though_slacks_clock_is_ahead(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("release", record, at=desk.world.now + timedelta(minutes=4))
    desk.take(desk.send())
    assert desk.now_of(record).state is State.RELEASED


def test_a_form_without_its_number_is_none(desk: Pressing) -> None:
    record = desk.finding()
    with refusing("form too old"):
        desk.press("release:confirm", record, given={"reason": REASON})
    assert desk.now_of(record) == record


def test_a_form_that_nobody_was_shown_is_none(desk: Pressing) -> None:
    """Whoever has the bot's token can put such a button below a message of his own."""
    record = desk.finding()
    value = f"{record.key}:{record.episode}:{int(desk.world.now.timestamp())}-{'0' * 32}"
    with refusing("form of somebody else"):
        desk.take(desk.message("keyward:release:confirm", value, given={"reason": REASON}))
    assert desk.now_of(record) == record


def test_a_form_lasts_an_hour(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("release", record)
    desk.world.later(minutes=61)
    with refusing("form too old"):
        desk.take(desk.send())
    assert desk.now_of(record).state is State.ACTED


def test_a_press_that_waited_too_long_is_refused(desk: Pressing) -> None:
    record = desk.finding()
    message = desk.message("keyward:acknowledge", f"{record.key}:1")
    desk.world.later(minutes=16)
    with refusing("too late"):
        desk.take(message)
    assert desk.now_of(record) == record


# ---------------------------------------------------------------- who


def test_who_is_not_listed_is_refused_and_told(desk: Pressing) -> None:
    record = desk.finding()
    with refusing("not listed"):
        desk.press("acknowledge", record, user=STRANGER)
    assert desk.now_of(record) == record
    assert "operators.people" in desk.said(STRANGER)
    (kept,) = desk.acts()
    assert (kept.by, kept.outcome) == (f"Slack {STRANGER}", "refused")


@pytest.mark.parametrize("act", ["release", "exempt", "quarantine", "approve"])
def test_who_may_not_do_it_is_refused(desk: Pressing, act: str) -> None:
    record = desk.finding()
    with refusing("not allowed"):
        desk.press(act, record, user=CHRIS)
    assert desk.now_of(record) == record


def test_who_may_do_one_thing_does_it(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("acknowledge", record, user=CHRIS)
    assert desk.now_of(record).acknowledged is not None


def test_every_act_has_its_permission() -> None:
    assert set(pressing.MAY.values()) == set(OperatorAct)
    assert set(pressing.MAY) == set(pressing.DONE) <= set(operating.ACTS)


def test_rights_are_looked_up_when_the_form_is_sent(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("release", record)
    desk.settings(people=[PEOPLE[1]])
    with refusing("not listed"):
        desk.take(desk.send())
    assert desk.now_of(record).state is State.ACTED


# ---------------------------------------------------------------- which finding


def test_the_button_of_an_older_episode_is_refused(desk: Pressing) -> None:
    record = desk.finding()
    newer = record.model_copy(update={"episode": 2, "version": record.version + 1})
    desk.world.ledger.finish(newer, replacing=record)
    with refusing("older episode"):
        desk.press("acknowledge", record)
    assert desk.now_of(record).acknowledged is None


def test_a_finding_that_is_none_is_refused(desk: Pressing) -> None:
    with refusing("no finding"):
        desk.take(desk.message("keyward:acknowledge", "0" * 20 + ":1"))


@pytest.mark.parametrize("value", ["", "x", "0" * 20, "0" * 20 + ":x", "0" * 20 + ":1:2", "Z" * 20])
@pytest.mark.parametrize("action", ["keyward:acknowledge", "keyward:unknown", "open-a-link"])
def test_a_button_that_asks_for_nothing_is_dropped(desk: Pressing, action: str, value: str) -> None:
    desk.take(desk.message(action, value))
    assert (desk.acts(), desk.slack.calls) == ([], [])


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        json.dumps({"body": "{}", "timestamp": "1", "signature": "v0=" + "0" * 64}),
        signed({}, NOW),
        signed({"type": "block_actions", "actions": []}, NOW),
        signed({"type": "view_submission"}, NOW),
    ],
)
def test_what_is_no_press_lies_in_the_dead_letters(desk: Pressing, body: str) -> None:
    with pytest.raises(EventError, match="no press"):
        desk.take(body)


def test_nothing_of_a_message_is_in_the_error(desk: Pressing) -> None:
    message = desk.message("keyward:acknowledge", "x", user="canary@example.com")
    with pytest.raises(EventError) as caught:
        desk.take(message)
    assert "canary" not in str(caught.value)


def other(message: str, name: str, value: str) -> str:
    """The message with another value in it."""
    return json.dumps({**json.loads(message), name: value})


FORGED: dict[str, Callable[[Pressing, FindingRecord], str]] = {
    "by another secret": lambda desk, record: signed(
        json.loads(payload_of(desk, record)), desk.world.now, secret="guessed"
    ),
    "another presser": lambda desk, record: other(
        desk.message("keyward:acknowledge", f"{record.key}:1", user=BEN),
        "body",
        urlencode({"payload": payload_of(desk, record)}),
    ),
    "another time": lambda desk, record: other(
        desk.message("keyward:acknowledge", f"{record.key}:1", at=desk.world.now - DAY),
        "timestamp",
        str(int(desk.world.now.timestamp())),
    ),
    "signed by nobody": lambda desk, record: other(
        desk.message("keyward:acknowledge", f"{record.key}:1"), "signature", "v0=" + "0" * 64
    ),
    "what was believed for its queue": lambda desk, record: json.dumps(
        {
            "slack": payload_of(desk, record),
            "at": int(desk.world.now.timestamp()),
            "signature": "0" * 64,
        }
    ),
}


def payload_of(desk: Pressing, record: FindingRecord) -> str:
    message = json.loads(desk.message("keyward:acknowledge", f"{record.key}:1"))
    return str(dict(parse_qsl(message["body"]))["payload"])


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_who_invokes_the_operator_presses_for_nobody(
    desk: Pressing,
    forge: Callable[[Pressing, FindingRecord], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = desk.finding()
    monkeypatch.setattr("keyward.services._services", desk.world.services)
    assert operator_takes(forge(desk, record)) == ["message-0"]
    assert desk.now_of(record) == record
    assert desk.acts() == []


def test_without_the_signing_secret_nothing_is_believed(desk: Pressing) -> None:
    record = desk.finding()
    message = desk.message("keyward:acknowledge", f"{record.key}:1")
    desk.world.services.environment = replace(
        desk.world.services.environment, slack_signing_secret_arn=""
    )
    with pytest.raises(EventError), refusing("no signing secret is configured"):
        desk.take(message)
    assert desk.now_of(record) == record


# ---------------------------------------------------------------- when something fails


def test_a_second_delivery_does_nothing_twice(desk: Pressing) -> None:
    record = desk.finding()
    desk.press("release", record)
    message = desk.send()
    desk.take(message, "one")
    before = desk.now_of(record)
    acts, told = desk.acts(), len(desk.slack.whispers(ANA))
    desk.take(message, "one")
    assert desk.now_of(record) == before
    assert desk.acts() == acts, "what was done stays done in the record"
    assert "Nothing was done" not in desk.said()
    assert len(desk.slack.whispers(ANA)) == told


@pytest.mark.parametrize("act", ["acknowledge", "approve", "exempt", "quarantine", "release"])
def test_a_second_delivery_calls_nothing_undone_that_is_done(desk: Pressing, act: str) -> None:
    if act == "quarantine":
        desk.world.settings(settings={"ceiling": "report", "operators": {"people": PEOPLE}})
    record = desk.finding()
    if act == "approve":
        grave = {"severity": Severity.CRITICAL, "version": record.version + 1}
        desk.world.ledger.finish(record.model_copy(update=grave), replacing=record)
        desk.settings(two_people=True)
        desk.press("release", record, user=BEN)
        desk.take(desk.send(BEN))
    if act == "exempt":
        named = {"user_id": "AIDA1234567890EXAMPL", "version": record.version + 1}
        desk.world.ledger.finish(record.model_copy(update=named), replacing=record)
    message = desk.message(f"keyward:{act}", f"{record.key}:1")
    if act in pressing.WITH_FORM:
        desk.take(message)
        message = desk.send(ticket="SEC-1", days="7")
    desk.take(message, "one")
    done = [it for it in desk.acts() if it.act == act and it.outcome == "done"]
    assert len(done) == 1
    if act == "quarantine":
        queue = f"https://sqs.{REGION}.amazonaws.com/{HUB}/{IAM_SWEEP_QUEUE}"
        (order,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
        desk.world.deliver(order["Body"])
    desk.world.later(minutes=7)
    desk.take(message, "one")
    kept = [it for it in desk.acts() if it.act == act and it.outcome == "done"]
    assert kept == done
    assert "Nothing was done" not in desk.said()


@pytest.mark.parametrize("minutes", [2, 16])
@pytest.mark.parametrize("operation", ["UpdateAccessKey", "TransactWriteItems"])
def test_a_second_delivery_finishes_what_the_first_began(
    desk: Pressing, operation: str, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = desk.finding()
    desk.press("release", record)
    message = desk.send()
    done = releasing.release

    def crashes(*args: Any, **more: Any) -> Any:
        if operation == "TransactWriteItems":
            done(*args, **more)
        text = "throttled"
        raise GatewayError(text, code="Throttling", retryable=True)

    with monkeypatch.context() as patch:
        patch.setattr(releasing, "release", crashes)
        with pytest.raises(GatewayError):
            desk.take(message, "one")
    assert {it.outcome for it in desk.acts()} == {"waiting", "failed"}
    desk.world.later(minutes=minutes)
    desk.take(message, "one")
    assert desk.now_of(record).state is State.RELEASED


@pytest.mark.parametrize("fault", [down(), refused("channel_not_found")])
def test_an_answer_that_slack_does_not_take_changes_nothing(desk: Pressing, fault: Any) -> None:
    record = desk.finding()
    desk.slack.fault = fault
    desk.press("acknowledge", record)
    assert desk.now_of(record).acknowledged is not None
    assert [it.outcome for it in desk.acts()] == ["done"]


def test_a_form_that_slack_does_not_take_is_shown_by_another_delivery(desk: Pressing) -> None:
    record = desk.finding()
    message = desk.message("keyward:release", f"{record.key}:1")
    desk.slack.fault = down()
    with pytest.raises(GatewayError):
        desk.take(message, "one")
    desk.slack.fault = None
    desk.world.later(minutes=3)
    desk.take(message, "one")
    desk.take(desk.send())
    assert desk.now_of(record).state is State.RELEASED


# ---------------------------------------------------------------- two people


@pytest.fixture
def critical(desk: Pressing) -> FindingRecord:
    """A critical finding whose release takes two people."""
    record = desk.finding()
    grave = record.model_copy(update={"severity": Severity.CRITICAL, "version": record.version + 1})
    desk.world.ledger.finish(grave, replacing=record)
    desk.settings(two_people=True)
    return grave


def test_the_first_asks_and_the_second_approves(desk: Pressing, critical: FindingRecord) -> None:
    desk.press("release", critical)
    desk.take(desk.send())
    waits = desk.now_of(critical)
    assert waits.state is State.ACTED
    assert isinstance(waits.awaited, Awaited)
    assert "second person" in desk.said()
    with refusing("act refused"):
        desk.press("approve", critical, user=ANA)
    assert "same person" in desk.said()
    desk.press("approve", critical, user=BEN)
    released = desk.now_of(critical)
    assert released.state is State.RELEASED
    assert f"Ana (Slack {ANA}), approved by Ben (Slack {BEN})" in released.history[-2].note
    assert REASON in released.history[-2].note
    outcomes = [(it.act, it.outcome) for it in desk.acts()]
    assert ("release", "waiting") in outcomes
    assert ("approve", "done") in outcomes


def test_one_person_by_slack_and_command_line_is_one(
    desk: Pressing, critical: FindingRecord
) -> None:
    desk.press("release", critical)
    desk.take(desk.send())
    for name, ok in (("ana", False), ("nobody-listed", False), ("ben", True)):
        arn = f"arn:aws:sts::123456789012:assumed-role/Operators/{name}"
        answer = operating.answer(
            {"act": "approve", "by": arn, "finding": critical.key},
            services=desk.world.services,
            now=desk.world.now,
            caller=invoker(arn, desk.world.now),
        )
        assert answer["ok"] is ok


def invoker(arn: str, now: datetime) -> Caller:
    return Caller(via="invocation", identity=arn, label=arn, proven=True, at=now, id=arn)


def test_buttons_need_somebody_listed_whatever_the_command_line_may(desk: Pressing) -> None:
    desk.settings(people=[])
    with refusing("not listed"):
        desk.press("acknowledge", desk.finding())


def test_quarantine_now_is_ordered(desk: Pressing, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.world.settings(settings={"ceiling": "report", "operators": {"people": PEOPLE}})
    record = desk.finding()
    assert record.state is State.OPEN
    desk.press("quarantine", record)
    ordered: list[dict[str, Any]] = []
    order: Callable[..., None] = lambda of, **more: ordered.append({"of": of, **more})  # noqa: E731
    monkeypatch.setattr(ordering, "order", order)
    desk.take(desk.send())
    assert [(it["of"].key, it["reason"]) for it in ordered] == [(record.key, REASON)]
    assert ordered[0]["by"] == f"Ana (Slack {ANA})"


def test_a_message_that_cannot_be_read_comes_back_alone(
    desk: Pressing, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = desk.finding()
    monkeypatch.setattr("keyward.services._services", desk.world.services)
    bodies = ["nonsense", desk.message("keyward:acknowledge", f"{record.key}:1"), "{}"]
    assert operator_takes(*bodies) == ["message-0", "message-2"]
    assert desk.now_of(record).acknowledged is not None


def operator_takes(*bodies: str) -> list[str]:
    """Invokes the operator as SQS does, and returns the messages that it sends back."""
    records = [
        {
            "messageId": f"message-{number}",
            "body": body,
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{HUB}:keyward-operator",
            "attributes": {},
        }
        for number, body in enumerate(bodies)
    ]
    spec = importlib.util.spec_from_file_location("operator_handler", OPERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    answer = module.handler({"Records": records}, Context(function_name="keyward-operator"))
    return [it["itemIdentifier"] for it in answer["batchItemFailures"]]
