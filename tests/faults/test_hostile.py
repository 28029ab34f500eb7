"""Rows 10, 11 and 40: hostile events through the function's own handler, and what may come out."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyward.findings import State
from tests.faults.injection import Snapshot, documents_of
from tests.faults.observing import Guard, alerts, the_log
from tests.faults.scenarios import USER, a_certificate, a_key, a_user
from tests.flow.world import World

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

DEEP = "[" * 5000 + "]" * 5000


def altered(event: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of the event with another value at the path."""
    changed = copy.deepcopy(event)
    inner = changed
    *names, last = path.split(".")
    for name in names:
        inner = inner[name]
    inner[last] = value
    return changed


def poison(event: dict[str, Any]) -> dict[str, object]:
    """What no sender means, by name."""
    return {
        "no JSON": "{",
        "empty": "",
        "a list": "[]",
        "null": "null",
        "NaN": json.dumps(altered(event, "detail.eventVersion", float("nan"))),
        "depth of 5,000": DEEP,
        "depth within": json.dumps(event)[:-1] + f', "more": {DEEP}}}',
        "no detail": {name: value for name, value in event.items() if name != "detail"},
        "null detail": altered(event, "detail", None),
        "text for detail": altered(event, "detail", "text"),
        "null response": altered(event, "detail.responseElements", None),
        "text for response": altered(event, "detail.responseElements", "text"),
        "number for key id": altered(event, "detail.responseElements.accessKey.accessKeyId", 7),
        "list for key": altered(event, "detail.responseElements.accessKey", [1]),
        "no account": altered(event, "account", "1234"),
        "another account": altered(event, "account", "999999999999"),
        "time out of the calendar": altered(event, "detail.eventTime", "9999-12-31T23:59:59-23:59"),
        "too large": altered(event, "detail.userAgent", "x" * 1_100_000),
    }


def test_row_10_and_11_each_poison_record_fails_alone(world: World) -> None:
    guard = Guard(world)
    good = a_key(world)["event"]
    bad = list(poison(good).values())
    first, second = (world.do("CreateUser", UserName=name) for name in ("first", "second"))
    failed = guard.batch(first, *bad, second)
    assert failed == set(range(1, len(bad) + 1))
    assert world.is_denied("first")
    assert world.is_denied("second")
    # SQS brings them again: nothing becomes of it, and nothing else is disturbed.
    assert guard.batch(*bad, good) == set(range(len(bad)))
    assert world.finding("iam-access-key-created").state is State.ACTED


ODD = {
    "surrogates": "\ud800\udfff\ud800",
    "right to left": "\u202e\u2066eve",
    "newlines": "eve\r\n{}",
    "nul": "\x00",
    "large": "x" * 256 * 1024,
    "markup": "<!channel> <@U1> & <http://evil.example|click>",
}


@pytest.mark.parametrize("name", list(ODD))
@pytest.mark.parametrize(
    "path",
    [
        *("detail.userIdentity.arn", "detail.userIdentity.sessionContext.sessionIssuer.arn"),
        *("detail.sourceIPAddress", "detail.userAgent", "detail.awsRegion", "detail.eventID"),
        *("detail.requestParameters.userName", "detail.responseElements.accessKey.userName"),
    ],
)
def test_row_11_odd_text_ends_as_a_finding_or_a_dead_letter_and_logs_stay_json(
    path: str, name: str, world: World
) -> None:
    guard = Guard(world)
    event = altered(a_key(world)["event"], path, ODD[name])
    good = world.do("CreateUser", UserName="good")
    with the_log() as log:
        failed = guard.batch(event, good)
    assert failed <= {0}
    assert world.is_denied("good")
    found = [r for r in world.findings() if r.rule.startswith("iam-access-key")]
    assert found or failed == {0}
    for line in log.getvalue().splitlines():
        json.loads(line)
    for message in alerts(world):
        published = json.loads(message)
        assert published["Subject"].isascii()
        assert len(published["Subject"]) <= 100
        text = published["Subject"] + published["Message"]
        assert not any(character in text for character in "<>\u202e\u2066\x00\r")
        assert len(published["Message"].encode()) < 256 * 1024


def paths(value: object, before: tuple[str, ...] = ()) -> Iterator[str]:
    """Every place in an event, leaf or not."""
    if before:
        yield ".".join(before)
    if isinstance(value, dict):
        for name, inner in value.items():
            if "." not in name:
                yield from paths(inner, (*before, name))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)
    | st.sampled_from(["Active", "Inactive", "*", "arn:aws:iam::aws:policy/AWSDenyAll"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def hostile(lasting: tuple[World, Snapshot]) -> tuple[Guard, Snapshot, dict[str, Any]]:
    """A situation, to go back to for each example."""
    world, blank = lasting
    blank.restore(world)
    case = a_key(world) | {"good": world.do("CreateUser", UserName="good")}
    return Guard(world), Snapshot.of(world), case


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_row_11_whatever_stands_anywhere_never_harms_the_others(
    data: st.DataObject, hostile: tuple[Guard, Snapshot, dict[str, Any]]
) -> None:
    guard, start, case = hostile
    start.restore(guard.world)
    path = data.draw(st.sampled_from(sorted(paths(case["event"]))))
    event = altered(case["event"], path, data.draw(ANYTHING))
    failed = guard.batch(case["good"], json.dumps(event))
    assert failed <= {1}
    assert guard.world.is_denied("good")


# 40: what must never come out

CANARY = "CANARY-7f3a9b"

ALLOWED = {
    "detail.eventID",
    "detail.eventName",
    "detail.eventTime",
    "detail.awsRegion",
    "detail.sourceIPAddress",
    "detail.userIdentity.arn",
    "detail.userIdentity.type",
    "detail.userIdentity.invokedBy",
    "detail.userIdentity.userName",
    # What the finding is about: who holds it, and which one it is.
    "detail.requestParameters.userName",
    "detail.requestParameters.policyArn",
    "detail.responseElements.user.userName",
    "detail.responseElements.user.userId",
    "detail.responseElements.user.arn",
    "detail.responseElements.user.path",
    "detail.responseElements.accessKey.userName",
    "detail.responseElements.accessKey.accessKeyId",
    "detail.responseElements.certificate.userName",
    "detail.responseElements.certificate.certificateId",
    "detail.responseElements.serviceSpecificCredential.userName",
    "detail.responseElements.serviceSpecificCredential.serviceName",
    "detail.responseElements.serviceSpecificCredential.serviceSpecificCredentialId",
}
"""Where an event may say something that people are told. Everything else stays inside."""


def rich(world: World, operation: str) -> dict[str, Any]:
    """An event with all that CloudTrail may put there, and secrets that it shouldn't."""
    event: dict[str, Any]
    if operation == "CreateUser":
        event = a_user(world)["event"]
    elif operation == "CreateAccessKey":
        event = a_key(world)["event"]
    else:
        world.do("CreateUser", UserName=USER)
        params: dict[str, Any] = {
            "CreateLoginProfile": {"Password": "Not-a-secret-1"},
            "UploadSigningCertificate": {"CertificateBody": a_certificate()},
            "CreateServiceSpecificCredential": {"ServiceName": "bedrock.amazonaws.com"},
            "AttachUserPolicy": {"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
        }[operation]
        event = world.do(operation, UserName=USER, **params)
    detail = event["detail"]
    detail["requestParameters"] = (detail["requestParameters"] or {}) | {
        "password": "x",
        "tags": [{"key": "x", "value": "x"}],
    }
    response = detail["responseElements"] or {}
    detail["responseElements"] = response | {"secret": "x"}
    for name in ("accessKey", "serviceSpecificCredential", "loginProfile", "certificate"):
        if name in response:
            response[name] |= {"secretAccessKey": "x", "servicePassword": "x", "password": "x"}
    detail["userIdentity"] |= {"accessKeyId": "x", "userName": "x"}
    detail["userIdentity"]["sessionContext"] |= {
        "attributes": {"mfaAuthenticated": "x"},
        "webIdFederationData": {"federatedProvider": "x"},
    }
    return event | {
        "id": "x",
        "resources": ["x"],
        "detail": detail
        | {
            "additionalEventData": {"email": "x", "token": "x"},
            "tlsDetails": {"clientProvidedHostHeader": "x"},
            "errorMessage": "x",
            "sharedEventID": "x",
            "vpcEndpointId": "x",
            "serviceEventDetails": {"x": "x"},
        },
    }


@pytest.mark.parametrize("wrapping", ["text", "number", "object"])
@pytest.mark.parametrize(
    "operation",
    [
        "CreateUser",
        "CreateAccessKey",
        "CreateLoginProfile",
        "UploadSigningCertificate",
        "CreateServiceSpecificCredential",
        "AttachUserPolicy",
    ],
)
def test_row_40_only_listed_fields_ever_come_out(
    operation: str, wrapping: str, world: World
) -> None:
    """The canary stands in one place after the other: as text, or as a value of a wrong type."""
    guard = Guard(world)
    event = rich(world, operation)
    start = Snapshot.of(world)
    leaked = []
    for number, path in enumerate(sorted(paths(event))):
        canary = f"{CANARY}-{number}-end"
        value: object = {"text": canary, "number": [canary, 7], "object": {canary: canary}}[
            wrapping
        ]
        start.restore(world)
        with the_log() as log:
            guard.batch(altered(event, path, value))
        for where, texts in {
            "log": [log.getvalue()],
            "ledger": documents_of(world),
            "alert": alerts(world),
        }.items():
            if any(canary in text for text in texts):
                leaked.append((path, where))
    if wrapping == "text":
        leaked = [(path, where) for path, where in leaked if path not in ALLOWED]
    assert not leaked
