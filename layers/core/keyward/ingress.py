"""A request to the function URL -> a message to the operator, where Slack signed it just now.

Nothing of a request is believed, kept or logged before its signature is verified, and nothing is
done here even then. It is handed on as it was signed: the operator verifies that once more, since
others than this function may reach it. That it comes once only is the operator's to see, too: this
function has no ledger.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import parse_qs

from keyward.errors import GatewayError
from keyward.observability import count, logger

if TYPE_CHECKING:
    from keyward.gateways.secrets import SecretsGateway
    from keyward.gateways.sqs import SqsGateway

LONGEST_BODY = 200_000
"""In bytes. Slack's payloads are far below it; as JSON it stays below the 1 MiB that SQS takes.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)

ACCEPTED = 200
REFUSED = 401


class Environment(Protocol):
    """What the template tells: which secret signs."""

    @property
    def slack_signing_secret_arn(self) -> str:
        """The secret's ARN; empty where there is none."""


class Signing(Protocol):
    """What tells whether Slack signed it: the operator's services have it, too."""

    @property
    def environment(self) -> Environment:
        """What the template tells."""

    @property
    def secrets(self) -> "SecretsGateway":
        """Secrets Manager."""


class Door(Signing, Protocol):
    """All that is needed of AWS here; `door.Door` has nothing else."""

    @property
    def operator_queue(self) -> "SqsGateway":
        """The operator's queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    """The clock by which slack_sdk judges how old a request is."""

    at: datetime

    def now(self) -> float:
        return self.at.timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request that has what a signed one has."""

    body: bytes
    timestamp: str
    signature: str


def answer(event: Mapping[str, object], *, services: Door, now: datetime) -> dict[str, object]:
    """The HTTP answer: 200 once the request is on the operator's queue, 401 where it isn't Slack's.

    What Slack signed and is no press of a button is answered by 200, and goes no further. A request
    is believed for five minutes.

    Slack wants an answer within three seconds. Raises GatewayError where the queue or the secret
    can't be reached: Lambda answers 502 then, and Slack shows the user that it failed.
    Source: https://docs.slack.dev/interactivity/handling-user-interaction
    Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    signed = _signed(event)
    why = signed if isinstance(signed, str) else forged(signed, services, now)
    if why is not None or isinstance(signed, str):
        logger.warning("request refused", reason=why)
        count("PressesRefused")
        return _http(REFUSED)
    if press_in(signed.body) is None:
        logger.info("request dropped", reason="no press of a button")
        return _http(ACCEPTED)
    services.operator_queue.send(
        json.dumps(
            {
                "body": signed.body.decode(),
                "timestamp": signed.timestamp,
                "signature": signed.signature,
            }
        )
    )
    count("PressesTaken")
    return _http(ACCEPTED)


def _http(status: int) -> dict[str, object]:
    """An answer that says nothing: who has no signature learns nothing from it."""
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": ""}


def _signed(event: Mapping[str, object]) -> Signed | str:
    """The parts that a signed request has, or why it is none: never in the request's own words.

    Lambda writes names of headers small, and a header that comes twice as one with a comma.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    headers = _mapping(event.get("headers"))
    timestamp, signature = (
        headers.get("x-slack-request-timestamp"),
        headers.get("x-slack-signature"),
    )
    if _mapping(_mapping(event.get("requestContext")).get("http")).get("method") != "POST":
        return "no POST"
    if not isinstance(timestamp, str) or TIMESTAMP.fullmatch(timestamp) is None:
        return "no timestamp"
    if not isinstance(signature, str) or SIGNATURE.fullmatch(signature) is None:
        return "no signature"
    body = _body(event)
    if isinstance(body, str):
        return body
    return Signed(body=body, timestamp=timestamp, signature=signature)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _body(event: Mapping[str, object]) -> bytes | str:
    """The body's bytes, which are UTF-8, or why it has none that could be Slack's."""
    text = event.get("body")
    if not isinstance(text, str) or not text:
        return "no body"
    if len(text) > 2 * LONGEST_BODY:
        return "too long"
    try:
        body = (
            base64.b64decode(text, validate=True)
            if event.get("isBase64Encoded") is True
            else text.encode()
        )
        body.decode()
    except (binascii.Error, UnicodeError):
        return "unreadable"
    return "too long" if len(body) > LONGEST_BODY else body


def forged(signed: Signed, services: Signing, now: datetime) -> str | None:
    """Why it isn't Slack's of about that time; None where it is. Raises GatewayError."""
    from slack_sdk.signature import SignatureVerifier  # noqa: PLC0415 - what is no request costs none

    arn = services.environment.slack_signing_secret_arn
    if not arn:
        return "no signing secret is configured"
    secret = services.secrets.document(arn).get("signing_secret", "")
    if not secret.strip():
        message = f"secret {arn} has no signing_secret: see docs/slack.md"
        raise GatewayError(message, code="BadSecret")
    verifier = SignatureVerifier(secret, clock=_At(at=now))  # type: ignore[arg-type]  # all that it asks of a clock
    is_slacks = verifier.is_valid(
        body=signed.body, timestamp=signed.timestamp, signature=signed.signature
    )
    return None if is_slacks else "bad signature, or too old"


def press_in(body: bytes) -> str | None:
    """The payload of a press of a button as Slack wrote it; None where it is something else.

    Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """
    try:
        found = parse_qs(body.decode(), max_num_fields=10).get("payload", [])
        payload = json.loads(found[0]) if len(found) == 1 else None
    except (ValueError, RecursionError):
        return None
    is_press = isinstance(payload, dict) and payload.get("type") == "block_actions"
    return found[0] if is_press else None
