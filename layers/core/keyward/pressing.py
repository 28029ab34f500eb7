"""What a press of a button in Slack asks for -> the operator's act that it is, and the answer.

A message is believed for Slack's signature alone, not for the queue that it came by: whoever may
invoke the operator can say that a message is of that queue.

Acknowledge and approve are done at once. Release, exempt and quarantine first show whoever pressed
a form that asks why, and are done when that is sent. No modal: Slack lets one be opened within
three seconds of the press only, and a queue and a cold start lie between.
Source: https://docs.slack.dev/interactivity/handling-user-interaction
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keyward import ingress, operating, people, slack_messages
from keyward.errors import EventError, GatewayError
from keyward.findings import FindingRecord
from keyward.observability import count, logger
from keyward.people import Caller
from keyward.services import Services
from keyward.settings import Accepted, OperatorAct, OperatorPerson
from keyward.told import ActRecord

TOO_LATE = timedelta(minutes=15)
"""A press that waited for longer is refused: whoever pressed has gone on by then."""

FORM_LASTS = timedelta(hours=1)
"""A form can be sent for so long."""

AHEAD = timedelta(minutes=5)
"""So far Slack's clock may be ahead of ours."""

REMEMBERED = timedelta(days=2)
"""That a press or a form was used is known for so long: far longer than it is taken."""

AGAIN = "pressed before"

ACTION = re.compile(r"keyward:(acknowledge|approve|exempt|quarantine|release)(:confirm)?", re.ASCII)
VALUE = re.compile(r"([0-9a-f]{20}):([0-9]{1,9})(?::([0-9]{1,11}-[0-9a-f]{32}))?", re.ASCII)

WITH_FORM = frozenset({"exempt", "quarantine", "release"})

MAY = {
    "acknowledge": OperatorAct.ACKNOWLEDGE,
    "approve": OperatorAct.RELEASE,
    "exempt": OperatorAct.EXEMPT,
    "quarantine": OperatorAct.QUARANTINE,
    "release": OperatorAct.RELEASE,
}
"""What settings must let somebody do for it: who may approve a release may ask for one."""

DONE = {
    "acknowledge": "Acknowledged.",
    "approve": "Approved and released.",
    "exempt": "Exempted.",
    "quarantine": "Ordered: Keyward looks at it now, and the alert says what it did.",
    "release": "Released.",
}


class _Part(BaseModel):
    """A part of Slack's payload: what Keyward has no use for is left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _User(_Part):
    id: str = Field(pattern=r"^[UW][A-Z0-9]{2,20}$")


class _Channel(_Part):
    id: str = Field(pattern=r"^[CDG][A-Z0-9]{2,20}$")


class _Container(_Part):
    message_ts: str | None = None
    thread_ts: str | None = None
    is_ephemeral: bool = False


class _Action(_Part):
    action_id: str
    value: str | None = None


class _Option(_Part):
    value: str


class _Value(_Part):
    value: str | None = None
    selected_option: _Option | None = None

    @property
    def given(self) -> str:
        """What was written or chosen."""
        return (self.selected_option.value if self.selected_option else self.value) or ""


class _State(_Part):
    values: dict[str, dict[str, _Value]] = Field(default_factory=dict)


class _Payload(_Part):
    """A block_actions payload.

    Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """

    type: Literal["block_actions"]
    user: _User
    channel: _Channel
    container: _Container = _Container()
    actions: tuple[_Action, ...] = Field(min_length=1, max_length=1)
    state: _State | None = None

    @property
    def thread(self) -> str | None:
        """The thread that an answer belongs into: of the message with the button, or its own."""
        above = self.container
        return above.thread_ts or (None if above.is_ephemeral else above.message_ts)

    def given(self, name: str) -> str:
        """What the form's field of this name says."""
        values = self.state.values.get(name, {}) if self.state else {}
        return next((it.given.strip() for it in values.values()), "")


class _Message(_Part):
    """What slack_ingress sends: a request as Slack signed it."""

    body: str
    timestamp: str = Field(pattern=r"^[0-9]{1,11}$")
    signature: str = Field(pattern=r"^v0=[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Press:
    """One press of a button."""

    payload: _Payload
    at: datetime
    digest: str
    message_id: str
    act: str
    confirms: bool
    finding: str
    episode: int
    nonce: str | None

    @property
    def user(self) -> str:
        return self.payload.user.id

    @property
    def bound(self) -> str:
        """What a form is for: an act on a finding, by who was shown it."""
        return f"{self.act} {self.finding} {self.episode} {self.user}"


class _RefusedError(Exception):
    """Why a press is refused; `reason` is constant, for the log."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason, self.text = reason, text


def pressed(body: str, *, id_: str, services: Services, now: datetime) -> None:
    """Does what one message of slack_ingress asks for, and answers whoever pressed.

    `id_` is SQS's id of the message: a second delivery of the same finishes what the first began.
    That Slack doesn't take the answer changes nothing of what was done.

    Refused, logged and counted: what is too old, was pressed before, or is pressed by somebody whom
    settings don't list for it. Raises EventError where Slack didn't sign it or it is no press, and
    GatewayError(retryable) where a later delivery may mend it.
    """
    press = _read(body, id_, services)
    if press is None:
        logger.info("press dropped", message_id=id_)
        return
    accepted = services.ledger.accepted() or Accepted()
    person = people.by_slack(press.user, accepted.settings.operators.people)
    caller = Caller(
        via="slack",
        identity=press.user,
        label=f"{person.name} (Slack {press.user})" if person else f"Slack {press.user}",
        proven=True,
        at=press.at,
        id=press.digest[:32],
    )
    kept = services.ledger.act(caller.at, caller.id)
    if _is_settled(press, kept, services):
        logger.info("press dropped", message_id=id_, reason="delivered again")
        return
    try:
        record = _allowed(press, person, kept, services, now)
        if _asks(press):
            _show_form(press, caller, record, services)
            return
        text = _done(press, caller, services, now)
    except _RefusedError as refused:
        _refuse(press, caller, refused, services)
        return
    logger.info("press answered", act=press.act, finding=press.finding, by=press.user)
    _tell(press, text, services)


def _read(body: str, id_: str, services: Services) -> _Press | None:
    """The press; None where the button is none that asks for an act, such as a link.

    How old it may be is looked at later. Raises EventError, with nothing of the message in its
    text, and GatewayError.
    """
    try:
        message = _Message.model_validate_json(body)
        signed = ingress.Signed(
            body=message.body.encode(), timestamp=message.timestamp, signature=message.signature
        )
        at = datetime.fromtimestamp(int(message.timestamp), tz=UTC)
        if (why := ingress.forged(signed, services, at)) is not None:
            logger.warning("press refused", reason=why, message_id=id_)
            count("PressesRefused")
            text = f"message {id_} is no press of a button: {why}"
            raise EventError(text)
        payload = _Payload.model_validate_json(ingress.press_in(signed.body) or "")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        text = f"message {id_} is no press of a button: {place}: {first['type']}"
        raise EventError(text) from None
    action = payload.actions[0]
    name, value = ACTION.fullmatch(action.action_id), VALUE.fullmatch(action.value or "")
    if name is None or value is None:
        return None
    return _Press(
        payload=payload,
        at=at,
        digest=hashlib.sha256(message.signature.encode()).hexdigest(),
        message_id=id_,
        act=name[1],
        confirms=name[2] is not None,
        finding=value[1],
        episode=int(value[2]),
        nonce=value[3],
    )


def _is_settled(press: _Press, kept: ActRecord | None, services: Services) -> bool:
    """Whether an earlier delivery of the message came to an end: that is not to be taken back.

    A form is shown once more: whoever pressed may not have seen it.
    """
    if kept is None or kept.outcome == "failed" or (kept.outcome == "waiting" and _asks(press)):
        return False
    until = press.at + REMEMBERED
    return services.ledger.once("press", press.digest, holder=press.message_id, until=until)


def _asks(press: _Press) -> bool:
    """Whether the button only brings the form."""
    return press.act in WITH_FORM and not press.confirms


def _allowed(
    press: _Press,
    person: OperatorPerson | None,
    kept: ActRecord | None,
    services: Services,
    now: datetime,
) -> FindingRecord:
    """The finding, where the press may go on. Raises _RefusedError.

    What began in time goes on however late it is by now: it may be half done.
    """
    ledger = services.ledger
    if now - press.at > TOO_LATE and (kept is None or kept.outcome != "failed"):
        reason, text = "too late", "Nothing was done: it came too late. Press again."
        raise _RefusedError(reason, text)
    until = press.at + REMEMBERED
    if not ledger.once("press", press.digest, holder=press.message_id, until=until):
        reason, text = AGAIN, "Nothing more was done: this was taken before."
        raise _RefusedError(reason, text)
    if person is None or MAY[press.act] not in person.may:
        reason = "not listed" if person is None else "not allowed"
        text = (
            f"Nothing was done: settings don't list you for {MAY[press.act]}. They would in "
            "operators.people of /keyward/settings."
        )
        raise _RefusedError(reason, text)
    record = ledger.finding(press.finding)
    if record is None:
        reason, text = "no finding", f"Nothing was done: there is no finding {press.finding}."
        raise _RefusedError(reason, text)
    if record.episode != press.episode:
        reason = "older episode"
        text = (
            "Nothing was done: this finding has happened again since. The newer message has "
            "buttons of its own."
        )
        raise _RefusedError(reason, text)
    if press.confirms:
        _use_form(press, services, now)
    return record


def _show_form(press: _Press, caller: Caller, record: FindingRecord, services: Services) -> None:
    """Shows the form to whoever pressed, in the thread. Another delivery shows the same again."""
    nonce = f"{int(press.at.timestamp())}-{press.digest[:32]}"
    services.ledger.once("form", nonce, holder=press.bound, until=press.at + REMEMBERED)
    _keep(press, caller, services, outcome="waiting", text="asked why")
    logger.info("form shown", act=press.act, finding=press.finding, by=press.user)
    try:
        services.slack.whisper(
            press.payload.channel.id,
            press.user,
            text=f"Keyward asks why: {press.act}",
            blocks=slack_messages.form(press.act, record, nonce=nonce),
            thread=press.payload.thread,
        )
    except GatewayError as error:
        if error.retryable:
            raise
        _unanswered(press, error)


def _use_form(press: _Press, services: Services, now: datetime) -> None:
    """Lets a form be sent once, by who was shown it, for the act that it is of."""
    nonce = press.nonce or "0-none"
    shown = datetime.fromtimestamp(int(nonce.partition("-")[0]), tz=UTC)
    if press.act not in WITH_FORM or not -AHEAD <= now - shown <= FORM_LASTS:
        reason = "form too old"
        text = "Nothing was done: this form is too old. Press the button once more."
        raise _RefusedError(reason, text)
    ledger, until = services.ledger, now + REMEMBERED
    # Whoever was shown it holds it; it cannot have been forgotten yet. One that nobody was shown is
    # somebody's own: who can write as the app could have asked for an act below a lie.
    was_shown = ledger.happened("form", nonce)
    if not was_shown or not ledger.once("form", nonce, holder=press.bound, until=until):
        reason, text = "form of somebody else", "Nothing was done: this form is not yours."
        raise _RefusedError(reason, text)
    if not ledger.once("sent", nonce, holder=press.message_id, until=until):
        reason, text = "form sent before", "Nothing more was done: this form was sent before."
        raise _RefusedError(reason, text)


def _done(press: _Press, caller: Caller, services: Services, now: datetime) -> str:
    """Does the act, and returns what to say. Raises _RefusedError where the operator refuses."""
    asked = {
        "act": press.act,
        "by": caller.label,
        "finding": press.finding,
        **_asked(press, caller),
    }
    answer = operating.answer(asked, services=services, now=now, caller=caller)
    if not answer["ok"]:
        reason, text = "act refused", f"Nothing was done: {answer['error']}."
        raise _RefusedError(reason, text)
    if press.act == "release" and (waiting := answer.get("waiting")):
        return f"Asked for: it {waiting}, or the button Approve."
    return DONE[press.act]


def _asked(press: _Press, caller: Caller) -> Mapping[str, object]:
    """What the form says, as the act wants it."""
    given = press.payload.given
    match press.act:
        case "exempt":
            days = given("days")
            if days not in {"7", "30", "90"}:
                reason, text = "no days", "Nothing was done: choose 7, 30 or 90 days."
                raise _RefusedError(reason, text)
            return {
                "owner": caller.label,
                "reason": given("reason"),
                "ticket": given("ticket"),
                "until": (press.at + timedelta(days=int(days))).isoformat(),
            }
        case "quarantine" | "release":
            return {"reason": given("reason")}
        case _:
            return {}


def _refuse(press: _Press, caller: Caller, refused: _RefusedError, services: Services) -> None:
    """Logs, counts and keeps it, and tells whoever pressed."""
    logger.warning(
        "press refused",
        reason=refused.reason,
        act=press.act,
        finding=press.finding,
        by=press.user,
    )
    count("PressesRefused")
    # Of a press that comes twice the first record stays.
    of = f"-{press.message_id}" if refused.reason == AGAIN else ""
    _keep(press, caller, services, outcome="refused", text=refused.text, of=of)
    _tell(press, refused.text, services)


def _keep(  # noqa: PLR0913 - all of it by name
    press: _Press,
    caller: Caller,
    services: Services,
    *,
    outcome: Literal["waiting", "refused"],
    text: str,
    of: str = "",
) -> None:
    """Keeps what became of the press; of another delivery in the same place."""
    services.ledger.note_act(
        ActRecord(
            at=caller.at,
            id=f"{caller.id}{of}",
            via=caller.via,
            by=caller.label,
            proven=caller.proven,
            act=press.act,
            finding=press.finding,
            reason=press.payload.given("reason")[:500],
            outcome=outcome,
            text=text[:500],
        )
    )


def _tell(press: _Press, text: str, services: Services) -> None:
    """Shows it to whoever pressed. Where Slack doesn't take it, the log has it."""
    try:
        services.slack.whisper(
            press.payload.channel.id,
            press.user,
            text=f"Keyward: {press.act}",
            blocks=slack_messages.answered(text),
            thread=press.payload.thread,
        )
    except GatewayError as error:
        _unanswered(press, error)


def _unanswered(press: _Press, error: GatewayError) -> None:
    logger.warning("press not answered", finding=press.finding, reason=str(error))
    count("AnswersFailed")
