"""What the function URL lets in: what Slack signed within five minutes, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import boto3
import moto
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keyward import door as keyward_door
from keyward import ingress
from keyward.errors import GatewayError
from keyward.observability import metrics
from keyward.services import Environment, Services
from tests.faults.observing import the_log

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SIGNED = int(NOW.timestamp()) - 2
CANARY = "canary-9f2b <!channel> http://x.example"
PAYLOAD = {
    "type": "block_actions",
    "user": {"id": "U0ANA0000", "name": CANARY},
    "channel": {"id": "C0ALERTS0"},
    "actions": [{"action_id": "keyward:acknowledge", "value": "0" * 20 + ":1"}],
}
BODY = urlencode({"payload": json.dumps(PAYLOAD)})


class Queue:
    """The operator's queue, as far as messages are put on it."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        assert delay_seconds == 0
        self.bodies.append(body)


class Secrets:
    """Secrets Manager, with one secret."""

    def __init__(self, **members: str) -> None:
        self.members = members
        self.read = 0

    def document(self, _arn: str) -> dict[str, str]:
        self.read += 1
        return self.members


class Door(Services):
    """Services that have a queue and a secret, and nothing else."""

    queue: Queue
    vault: Secrets

    @property
    def operator_queue(self) -> Any:
        return self.queue

    @property
    def secrets(self) -> Any:
        return self.vault


def a_door(**members: str) -> Door:
    door = Door(
        environment=Environment(
            table="",
            hub_account="123456789012",
            function="keyward-slack-ingress",
            slack_signing_secret_arn="arn:aws:secretsmanager:us-east-1:123456789012:secret:s",
        )
    )
    door.queue, door.vault = Queue(), Secrets(**(members or {"signing_secret": SECRET}))
    return door


def signature(body: str | bytes, at: int | str = SIGNED, secret: str = SECRET) -> str:
    raw = body.encode() if isinstance(body, str) else body
    signed = hmac.new(secret.encode(), f"v0:{at}:".encode() + raw, hashlib.sha256)
    return f"v0={signed.hexdigest()}"


def a_request(body: str = BODY, at: int | str = SIGNED, **more: Any) -> dict[str, Any]:
    """As Lambda hands it over, signed unless `more` says otherwise."""
    return {
        "version": "2.0",
        "rawPath": "/",
        "requestContext": {"http": {"method": "POST"}},
        "headers": {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": str(at),
            "x-slack-signature": signature(body, at),
        },
        "body": body,
        "isBase64Encoded": False,
    } | more


def with_header(name: str, value: str | None) -> dict[str, Any]:
    request = a_request()
    headers = {it: said for it, said in request["headers"].items() if it != name}
    return request | {"headers": headers if value is None else headers | {name: value}}


def status(request: Any, door: Door | None = None, now: datetime = NOW) -> int:
    answer = ingress.answer(request, services=door or a_door(), now=now)
    assert answer["body"] == ""
    return int(str(answer["statusCode"]))


def test_what_slack_signed_is_put_on_the_queue() -> None:
    door = a_door()
    assert status(a_request(), door) == 200
    (message,) = map(json.loads, door.queue.bodies)
    assert message == {"body": BODY, "timestamp": str(SIGNED), "signature": signature(BODY)}


def test_a_body_in_base64_is_read() -> None:
    door = a_door()
    body = base64.b64encode(BODY.encode()).decode()
    assert status(a_request(body=BODY) | {"body": body, "isBase64Encoded": True}, door) == 200
    assert [json.loads(it)["body"] for it in door.queue.bodies] == [BODY]


@pytest.mark.parametrize(
    "body",
    [
        urlencode({"payload": json.dumps({"type": "view_submission"})}),
        urlencode({"payload": json.dumps([1])}),
        urlencode({"payload": "{"}),
        urlencode({"payload": "[" * 20_000}),
        urlencode([("payload", json.dumps(PAYLOAD)), ("payload", json.dumps(PAYLOAD))]),
        urlencode({"ssl_check": "1"}),
        "&".join(f"a{number}=1" for number in range(50)),
    ],
)
def test_what_is_no_press_is_dropped_though_it_is_signed(body: str) -> None:
    door = a_door()
    assert status(a_request(body), door) == 200
    assert door.queue.bodies == []


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_five_minutes_either_way_are_believed(seconds: int) -> None:
    at = int(NOW.timestamp()) + seconds
    assert status(a_request(at=at)) == 200


@pytest.mark.parametrize("seconds", [-86_400, -301, 301, 86_400])
def test_what_is_older_or_of_the_future_is_refused(seconds: int) -> None:
    at = int(NOW.timestamp()) + seconds
    assert status(a_request(at=at)) == 401


UNREADABLE = base64.b64encode(b"payload=\xff\xfe").decode()

REFUSED: dict[str, Any] = {
    "nothing": {},
    "no headers": a_request(headers=None),
    "headers that are none": a_request(headers=[]),
    "no signature": with_header("x-slack-signature", None),
    "no timestamp": with_header("x-slack-request-timestamp", None),
    "two signatures": with_header("x-slack-signature", f"{signature(BODY)},{signature(BODY)}"),
    "two timestamps": with_header("x-slack-request-timestamp", f"{SIGNED},{SIGNED}"),
    "the empty signature": with_header("x-slack-signature", ""),
    "a signature in capitals": with_header("x-slack-signature", signature(BODY).upper()),
    "a signature that is no ASCII": with_header("x-slack-signature", "v0=" + "é" * 64),
    "a timestamp that is none": with_header("x-slack-request-timestamp", "now"),
    "a timestamp in other digits": with_header("x-slack-request-timestamp", "١٢٣"),
    "a timestamp with a sign": with_header("x-slack-request-timestamp", f"+{SIGNED}"),
    "another secret": with_header("x-slack-signature", signature(BODY, secret="guessed")),
    "no body": a_request(body=""),
    "a body that is none": a_request() | {"body": None},
    "another body": a_request() | {"body": BODY + "&x=1"},
    "no UTF-8": a_request() | {"body": UNREADABLE, "isBase64Encoded": True},
    "no base64": a_request() | {"body": "?" * 8, "isBase64Encoded": True},
    "half a character": a_request() | {"body": "\ud800"},
    "too long": a_request("x" * (ingress.LONGEST_BODY + 1)),
    "no POST": a_request(requestContext={"http": {"method": "GET"}}),
    "no method": a_request(requestContext={}),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused(request_: Any) -> None:
    door = a_door()
    assert status(request_, door) == 401
    assert door.queue.bodies == []


def test_no_utf8_is_refused_though_its_signature_is_right() -> None:
    raw = b"payload=\xff\xfe"
    request = with_header("x-slack-signature", signature(raw))
    request |= {"body": base64.b64encode(raw).decode(), "isBase64Encoded": True}
    assert status(request) == 401


def test_what_is_no_signed_request_costs_no_secret() -> None:
    door = a_door()
    status({"headers": {}}, door)
    assert door.vault.read == 0


def test_without_a_secret_nobody_is_let_in() -> None:
    door = a_door()
    door.environment = replace(door.environment, slack_signing_secret_arn="")
    assert status(a_request(), door) == 401


@pytest.mark.parametrize("members", [{"other": "x"}, {"signing_secret": " "}])
def test_a_secret_that_lacks_its_member_is_an_error(members: dict[str, str]) -> None:
    request = with_header("x-slack-signature", signature(BODY, secret=members.get("x", "")))
    with pytest.raises(GatewayError, match="no signing_secret"):
        ingress.answer(request, services=a_door(**members), now=NOW)


# ---------------------------------------------------------------- properties

HEX = "0123456789abcdef"


@st.composite
def forged(draw: st.DrawFn) -> dict[str, Any]:
    """A genuine request, of which one or more parts are another."""
    body, at, said = BODY, str(SIGNED), signature(BODY)
    for part in draw(st.sets(st.sampled_from(["body", "at", "signature"]), min_size=1)):
        if part == "body":
            body = draw(mutated(body, string.printable + "é€😀"))
        elif part == "at":
            at = draw(mutated(at, string.digits + " +-.,e_٣"))
        else:
            said = draw(mutated(said, HEX + "xyzV="))
    return a_request() | {
        "headers": {"x-slack-request-timestamp": at, "x-slack-signature": said},
        "body": body,
    }


@st.composite
def mutated(draw: st.DrawFn, text: str, letters: str) -> str:
    """Another text than this one: letters put in, taken out, changed, or all of it new."""
    place = draw(st.integers(0, len(text)))
    length = draw(st.integers(0, min(4, len(text) - place)))
    instead = draw(st.text(letters, max_size=4))
    new: str = draw(
        st.sampled_from(
            [text[:place] + instead + text[place + length :], instead, text + instead, text[:place]]
        )
    )
    assume(new != text)
    return new


@given(request=forged())
def test_no_mutation_of_body_time_or_signature_is_let_in(request: dict[str, Any]) -> None:
    door = a_door()
    assert status(request, door) == 401
    assert door.queue.bodies == []


@given(seconds=st.integers(-(10**9), 10**9))
def test_what_is_signed_passes_within_five_minutes_only(seconds: int) -> None:
    at = int(NOW.timestamp()) + seconds
    assert status(a_request(at=at)) == (200 if abs(seconds) <= 300 else 401)


@given(text=st.text(max_size=200), user=st.text(max_size=20))
def test_whatever_slack_signs_arrives_as_it_is(text: str, user: str) -> None:
    payload = PAYLOAD | {"state": {"text": text}, "user": {"id": user}}
    door = a_door()
    body = urlencode({"payload": json.dumps(payload)})
    assert status(a_request(body), door) == 200
    (message,) = map(json.loads, door.queue.bodies)
    assert message["body"] == body
    assert door.queue.bodies[0].isascii(), "SQS takes some characters only"


# ---------------------------------------------------------------- what leaves a trace


def test_nothing_of_a_refused_request_is_logged() -> None:
    requests = (
        a_request() | {"body": CANARY},
        with_header("x-slack-signature", CANARY),
        with_header("x-slack-request-timestamp", CANARY),
        with_header("x-slack-signature", signature(BODY, secret="guessed")),
    )
    with the_log() as log:
        assert [status(request) for request in requests] == [401] * 4
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["message"] for line in logged] == ["request refused"] * 4
    for secret in ("canary", SECRET, str(SIGNED), signature(BODY), "block_actions"):
        assert secret not in log.getvalue()


def test_a_refused_request_is_counted() -> None:
    metrics.clear_metrics()
    status(with_header("x-slack-signature", signature(BODY, secret="guessed")))
    assert metrics.metric_set["PressesRefused"]["Value"] == [1.0]
    metrics.clear_metrics()


def test_the_queue_and_the_secret_are_awss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws():
        sqs = boto3.client("sqs", region_name="us-east-1")
        url = sqs.create_queue(QueueName="keyward-operator")["QueueUrl"]
        arn = boto3.client("secretsmanager", region_name="us-east-1").create_secret(
            Name="keyward/slack-signing", SecretString=json.dumps({"signing_secret": SECRET})
        )["ARN"]
        variables = {
            "KEYWARD_OPERATOR_QUEUE_URL": url,
            "KEYWARD_SLACK_SIGNING_SECRET_ARN": arn,
        }
        real = keyward_door.Door(environment=keyward_door.DoorEnvironment.of(variables))
        answer = ingress.answer(a_request(), services=real, now=NOW)
        assert answer["statusCode"] == 200
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        assert json.loads(message["Body"])["timestamp"] == str(SIGNED)


@pytest.fixture
def modules() -> Callable[[str], set[str]]:
    def loaded(code: str) -> set[str]:
        script = f"import sys; sys.path[:0] = ['layers/core']\n{code}\nprint(*sys.modules)"
        found = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", script], capture_output=True, check=True
        )
        return set(found.stdout.decode().split())

    return loaded


def test_the_door_loads_no_guard_and_no_boto3(modules: Callable[[str], set[str]]) -> None:
    loaded = modules("import keyward.ingress")
    assert "keyward.ingress" in loaded
    assert not loaded & {
        "boto3",
        "botocore.session",
        "slack_sdk",
        "keyward.pipeline",
        "keyward.executor",
        "keyward.operating",
    }


def test_a_clock_that_runs_on_ends_a_request() -> None:
    request = a_request()
    assert status(request, now=NOW + timedelta(seconds=298)) == 200
    assert status(request, now=NOW + timedelta(seconds=299)) == 401
