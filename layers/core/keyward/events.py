"""EventBridge and CloudTrail JSON -> Hint. The only reader of raw event JSON.

Everything that it cannot read raises EventError with one line: the record goes to the dead
letters, or `explain` prints it in the event's place. Unknown fields are ignored, since CloudTrail
adds some with each minor version.
Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Never

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from keyward.errors import EventError
from keyward.model import Actor, Hint
from keyward.text import clean

MAX_BYTES = 1024 * 1024
"""A body larger than this is not an event: SQS and EventBridge carry 1 MiB at most.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

MAX_DEPTH = 100
"""Nesting beyond this is no CloudTrail record."""


AccountIdText = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[ -~]+$")]
"""Printable ASCII: it is repeated in errors, which are one line, and in logs."""


_USER_ARN = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):user/(?:[!-~]*/)?(?P<name>[\w+=,.@-]{1,64})",
    re.ASCII,
)
"""A user's ARN: the path, if any, stands before the name.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
"""


class SweepPart(StrEnum):
    """The parts of a sweep, each a message of its own.

    START, LIST and CLOSE are for the function sweep: begin, go on listing accounts, look whether
    all parts are done. ACCOUNT (IAM of one account) and SSH_KEYS (of some of its users) are for
    iam_guard, IDENTITY_CENTER for identity_center_guard.
    """

    START = "start"
    LIST = "list"
    CLOSE = "close"
    ACCOUNT = "account"
    SSH_KEYS = "ssh-keys"
    IDENTITY_CENTER = "identity-center"


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Issuer(_Lenient):
    arn: str | None = None
    userName: str | None = None  # noqa: N815 - CloudTrail's name


class _SessionContext(_Lenient):
    sessionIssuer: _Issuer | None = None  # noqa: N815 - CloudTrail's name


class _OnBehalfOf(_Lenient):
    userId: str | None = None  # noqa: N815 - CloudTrail's name


class _UserIdentity(_Lenient):
    type: str | None = None
    arn: str | None = None
    accountId: str | None = None  # noqa: N815 - CloudTrail's name
    principalId: str | None = None  # noqa: N815 - CloudTrail's name
    userName: str | None = None  # noqa: N815 - CloudTrail's name
    invokedBy: str | None = None  # noqa: N815 - CloudTrail's name
    sessionContext: _SessionContext | None = None  # noqa: N815 - CloudTrail's name
    onBehalfOf: _OnBehalfOf | None = None  # noqa: N815 - CloudTrail's name


class _Record(_Lenient):
    eventID: Name = Field(max_length=128)  # noqa: N815 - CloudTrail's name
    eventSource: Name = Field(max_length=256)  # noqa: N815 - CloudTrail's name
    eventName: Name = Field(max_length=256)  # noqa: N815 - CloudTrail's name
    eventTime: AwareDatetime  # noqa: N815 - CloudTrail's name
    awsRegion: Name = Field(max_length=64)  # noqa: N815 - CloudTrail's name
    userIdentity: _UserIdentity = _UserIdentity()  # noqa: N815 - CloudTrail's name
    recipientAccountId: AccountIdText | None = None  # noqa: N815 - CloudTrail's name
    sourceIPAddress: str | None = None  # noqa: N815 - CloudTrail's name
    userAgent: str | None = None  # noqa: N815 - CloudTrail's name
    errorCode: str | None = None  # noqa: N815 - CloudTrail's name
    requestParameters: dict[str, Any] | None = None  # noqa: N815 - CloudTrail's name
    responseElements: dict[str, Any] | None = None  # noqa: N815 - CloudTrail's name
    additionalEventData: dict[str, Any] | None = None  # noqa: N815 - CloudTrail's name
    serviceEventDetails: dict[str, Any] | None = None  # noqa: N815 - CloudTrail's name


class _Envelope(_Lenient):
    account: AccountIdText
    source: str = Field(min_length=1)
    detail: _Record


class _FollowMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    keyward: Literal["follow"]
    finding: str = Field(pattern=r"^[0-9a-f]{20}$")
    ticket: int = Field(ge=0)


class _CheckMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    keyward: Literal["check"]
    id: Name = Field(max_length=128)
    account: AccountIdText
    region: Name = Field(max_length=64)
    time: AwareDatetime
    why: Name = Field(max_length=64)
    parameters: dict[str, str]
    order: str | None = Field(default=None, pattern=r"^[0-9a-f]{20}$")


class _RolloutMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    keyward: Literal["rollout"]
    id: Name = Field(max_length=64)
    ticket: int = Field(ge=0)


class _SweepMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    keyward: Literal["sweep"]
    part: SweepPart
    id: Name = Field(max_length=64)
    full: bool = False
    account: AccountIdText | None = None
    users: tuple[str, ...] = Field(default=(), max_length=100)
    ticket: int = Field(default=0, ge=0)
    by: Name = Field(default="schedule", max_length=300)


class _AnalyzerFinding(_Lenient):
    findingType: str | None = None  # noqa: N815 - Access Analyzer's name
    status: str | None = None
    isDeleted: bool = False  # noqa: N815 - Access Analyzer's name
    error: object = None
    accountId: AccountIdText | None = None  # noqa: N815 - Access Analyzer's name
    resource: str | None = None


class _AnalyzerEvent(_Lenient):
    id: Name = Field(max_length=128)
    account: AccountIdText
    region: Name = Field(max_length=64)
    time: AwareDatetime
    detail: _AnalyzerFinding


class _CanaryDetail(_Lenient):
    sent: AwareDatetime
    way: Name = Field(max_length=64)


class _CanaryEvent(_Lenient):
    source: Literal["keyward.canary"]
    account: AccountIdText
    detail: _CanaryDetail


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStep:
    """Keyward's word to itself: take a step of this sweep.

    `account` is the one to look at, `users` those of it by name, where not all of it is meant.
    `ticket` tells messages of one part apart. `by` is who asked for the sweep that is to start.
    """

    id: str
    part: SweepPart
    full: bool = False
    account: str | None = None
    users: tuple[str, ...] = ()
    ticket: int = 0
    by: str = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """An event of Keyward's own that walked the whole way: when it was sent, and which way."""

    sent: datetime
    way: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStep:
    """Keyward's word to itself: take the next step of this rollout."""

    id: str
    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Keyward's word to itself: look how far the act on this finding is."""

    finding: str
    ticket: int


def sweep_message(step: SweepStep) -> str:
    """The message that asks for this step of a sweep."""
    return _SweepMessage(keyward="sweep", **asdict(step)).model_dump_json()


def check_message(  # noqa: PLR0913 - all of it by name
    *,
    id_: str,
    account: str,
    region: str,
    time: datetime,
    why: str,
    parameters: Mapping[str, str],
    order: str | None = None,
) -> str:
    """Keyward's word to itself: judge anew what these parameters name; `why` is for the record.

    `order` is the key of the finding that somebody ordered to be acted on.
    """
    return _CheckMessage(
        keyward="check",
        id=id_,
        account=account,
        region=region,
        time=time,
        why=why,
        parameters=dict(parameters),
        order=order,
    ).model_dump_json(exclude_none=True)


KEYWARD = "keyward"
"""The event source of hints that Keyward gives itself."""


USER_CHECK = "UserCheck"
"""Why Keyward tells itself to look at one IAM user: see facts/iam.py."""


ACCESS_ANALYZER = "aws.access-analyzer"
"""The source of IAM Access Analyzer's own events; those of its API come by CloudTrail as well."""

UNUSED = frozenset({"UnusedIAMUserAccessKey", "UnusedIAMUserPassword"})
"""The types of its findings that are about an IAM user's credentials.

Source: https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_FindingSummaryV2.html
"""

CANARY = "keyward.canary"
"""The source of the canary's events. They come from the account's own default bus."""


def message(  # noqa: PLR0911 - a case each
    raw: object,
) -> Hint | Follow | RolloutStep | SweepStep | Canary:
    """What a queue brings: an event, or Keyward's own word to itself. Raises EventError.

    Whoever can send such a word gains nothing: it only makes Keyward look at what is.
    """
    if isinstance(raw, Mapping) and raw.get("source") == CANARY:
        canary = _read(_CanaryEvent, raw).detail
        return Canary(sent=_utc(canary.sent, "canary"), way=canary.way)
    if isinstance(raw, Mapping) and _is_finding(raw):
        return _of_analyzer(_read(_AnalyzerEvent, raw))
    if not isinstance(raw, Mapping) or "keyward" not in raw:
        return parse(raw)
    if raw["keyward"] == "sweep":
        return SweepStep(**_read(_SweepMessage, raw).model_dump(exclude={"keyward"}))
    if raw["keyward"] == "follow":
        follow = _read(_FollowMessage, raw)
        return Follow(finding=follow.finding, ticket=follow.ticket)
    if raw["keyward"] == "rollout":
        step = _read(_RolloutMessage, raw)
        return RolloutStep(id=step.id, ticket=step.ticket)
    check = _read(_CheckMessage, raw)
    return own_look(
        id_=check.id,
        why=check.why,
        time=_utc(check.time, f"check {check.id}"),
        account=check.account,
        region=check.region,
        parameters=check.parameters,
        order=check.order,
    )


def own_look(  # noqa: PLR0913 - all of it by name
    *,
    id_: str,
    why: str,
    time: datetime,
    account: str,
    region: str,
    parameters: Mapping[str, str] | None = None,
    order: str | None = None,
) -> Hint:
    """What Keyward judges by where it looks by itself: nobody did anything."""
    return Hint(
        event_id=id_,
        event_source=KEYWARD,
        event_name=why,
        time=time,
        account=account,
        region=region,
        actor=Actor(type="Keyward", invoked_by="Keyward"),
        parameters=dict(parameters or {}),
        response={},
        origin="sweep" if order is None else "order",
        order=order,
    )


def _is_finding(raw: Mapping[object, object]) -> bool:
    return (
        raw.get("source") == ACCESS_ANALYZER
        and raw.get("detail-type") != "AWS API Call via CloudTrail"
    )


def _of_analyzer(event: _AnalyzerEvent) -> Hint:
    """A check of the user whose key or password IAM Access Analyzer takes for unused.

    What else it finds, what is resolved, deleted or could not be analysed claims nothing. The
    envelope's account is the analyzer's; the finding's own is the user's. Nothing of it is
    believed: Keyward looks at that user by itself. Raises EventError where no user is named.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-eventbridge.html
    """
    found = event.detail
    is_ours = found.findingType in UNUSED and found.status == "ACTIVE"
    parameters: dict[str, str] = {}
    account = found.accountId or event.account
    if is_ours and not found.isDeleted and found.error is None:
        user = _USER_ARN.fullmatch(found.resource or "")
        if user is None or user["account"] != found.accountId:
            message = f"event {event.id}: the finding names no IAM user of its account"
            raise EventError(message)
        parameters = {"userName": user["name"], "looks": "keys,password"}
    return own_look(
        id_=event.id,
        why=USER_CHECK,
        time=_utc(event.time, f"event {event.id}"),
        account=account,
        region=event.region,
        parameters=parameters,
    )


def loads(text: str | bytes) -> object:
    """The JSON value in `text`. Raises EventError for what is no JSON, too large or too deep.

    Lone surrogates, which JSON can spell and nothing else can store, become U+FFFD.
    """
    if len(text) > MAX_BYTES:
        message = f"not an event: larger than {MAX_BYTES} bytes"
        raise EventError(message)
    try:
        return _bounded(json.loads(text, parse_constant=_refuse_constant))
    except RecursionError as error:
        message = "not an event: nested too deep"
        raise EventError(message) from error
    except ValueError as error:
        message = f"not an event: {error}"
        raise EventError(message) from error


def parse(raw: object) -> Hint:
    """The hint in an EventBridge envelope that carries a CloudTrail record.

    `account` of the envelope says where to act; a record that names another recipient account is
    refused. Raises EventError.
    """
    envelope = _read(_Envelope, raw)
    record = envelope.detail
    if record.recipientAccountId not in {None, envelope.account}:
        message = (
            f"event {record.eventID}: the envelope names account {envelope.account}, the record "
            f"{record.recipientAccountId}: nothing is done; look where it came from"
        )
        raise EventError(message)
    return _hint(record, envelope.account)


def parse_record(raw: object) -> Hint:
    """The hint in a bare CloudTrail record, as trail files have it. Raises EventError.

    The account is the recipient's, or the caller's where an old record lacks that.
    """
    record = _read(_Record, raw)
    account = record.recipientAccountId or record.userIdentity.accountId
    if account is None or re.fullmatch(r"[0-9]{12}", account) is None:
        message = f"event {record.eventID}: names no account"
        raise EventError(message)
    return _hint(record, account)


def text_of(values: Mapping[str, object], *path: str) -> str | None:
    """The text at `path`; None where any part is absent or null. Raises EventError otherwise."""
    value: object = values
    for name in path:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            message = f"not an event: {'.'.join(path)} should be text within objects"
            raise EventError(message)
        value = value.get(name)
    if value is None or isinstance(value, str):
        return value
    message = f"not an event: {'.'.join(path)} should be text, not {type(value).__name__}"
    raise EventError(message)


def _read[M: BaseModel](model: type[M], raw: object) -> M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = clean(".".join(map(str, first["loc"]))) or "(whole)"
        message = f"not an event: field {field}: {first['msg']}"
        raise EventError(message) from error


def _hint(record: _Record, account: str) -> Hint:
    identity = record.userIdentity
    issuer = identity.sessionContext.sessionIssuer if identity.sessionContext else None
    return Hint(
        event_id=record.eventID,
        event_source=record.eventSource,
        event_name=record.eventName,
        time=_in_utc(record),
        account=account,
        region=record.awsRegion,
        actor=Actor(
            type=identity.type or ("AWSService" if identity.invokedBy else "Unknown"),
            arn=identity.arn,
            account=identity.accountId,
            principal_id=identity.principalId,
            user_name=identity.userName,
            issuer_arn=issuer.arn if issuer else None,
            invoked_by=identity.invokedBy,
            source_ip=record.sourceIPAddress,
            user_agent=record.userAgent,
            on_behalf_of=identity.onBehalfOf.userId if identity.onBehalfOf else None,
        ),
        error_code=record.errorCode,
        parameters=record.requestParameters or {},
        response=record.responseElements or {},
        additional=record.additionalEventData or {},
        details=record.serviceEventDetails or {},
    )


def _in_utc(record: _Record) -> datetime:
    return _utc(record.eventTime, f"event {record.eventID}: eventTime")


def _utc(time: datetime, of: str) -> datetime:
    """The time in UTC; one that leaves the calendar by its offset is none."""
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        message = f"{of}: {time} is no time"
        raise EventError(message) from error


def _refuse_constant(text: str) -> Never:
    message = f"{text} is no JSON number"
    raise ValueError(message)


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _bounded(value: object, depth: int = 0) -> object:
    if depth > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH}"
        raise ValueError(message)
    match value:
        case str():
            return value if value.isascii() else _without_surrogates(value)
        case dict():
            return {_bounded(name): _bounded(item, depth + 1) for name, item in value.items()}
        case list():
            return [_bounded(item, depth + 1) for item in value]
        case _:
            return value
