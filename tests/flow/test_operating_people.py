"""Acts that operators answer alerts with: who asked, what takes two people, and what is kept."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, quote

import boto3
import pytest

from keyward import operating, proving
from keyward.errors import GatewayError, RequestError
from keyward.findings import FindingRecord, Severity, State
from keyward.gateways.callers import CallersGateway
from keyward.people import Caller
from keyward.requests import CHANGING, Request
from keyward.told import ActRecord
from keyward_cli.proof import signed
from tests.faults.observing import the_log
from tests.flow.test_access_keys import a_key
from tests.flow.world import HUB, World

KEYS = {
    "AKIAANA0000000000000": ("ana's secret", f"arn:aws:iam::{HUB}:user/ana"),
    "AKIABEN0000000000000": ("ben's secret", f"arn:aws:sts::{HUB}:assumed-role/Operators/ben"),
    "AKIAEVE0000000000000": ("eve's secret", "arn:aws:iam::999999999999:user/ben"),
    "ASIAANA0000000000000": ("another", f"arn:aws:sts::{HUB}:federated-user/ben"),
}
ANA, BEN, EVE, ANA_AS_BEN = KEYS
REASON = "agreed with its owner"


class Sts:
    """STS as far as Keyward asks it: it checks the signature, by what AWS documents of it.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """

    def __init__(self) -> None:
        self.asked = 0
        self.fault: int | None = None
        self.moved_to: str | None = None
        self.url = ""

    def answer(self, query: str, headers: Any) -> tuple[int, str]:
        self.asked += 1
        if self.fault is not None:
            return self.fault, "<Error>out of order</Error>"
        named = dict(parse_qsl(query))
        key, *scope = named["X-Amz-Credential"].split("/")
        secret, arn = KEYS.get(key, ("", ""))
        if not secret or not hmac.compare_digest(
            named["X-Amz-Signature"], _signature(named, scope, secret, headers)
        ):
            return 403, "<Error><Code>SignatureDoesNotMatch</Code></Error>"
        return 200, f"<GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult>"


def _signature(named: dict[str, str], scope: list[str], secret: str, headers: Any) -> str:
    names = named["X-Amz-SignedHeaders"].split(";")
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(named.items())
        if name != "X-Amz-Signature"
    )
    canonical = "\n".join(
        [
            "GET",
            "/",
            query,
            *(f"{name}:{(headers.get(name) or '').strip()}" for name in names),
            "",
            named["X-Amz-SignedHeaders"],
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            named["X-Amz-Date"],
            "/".join(scope),
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@contextmanager
def an_sts() -> Iterator[Sts]:
    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = made.answer(self.path.partition("?")[2], self.headers)
            self.send_response(status)
            if made.moved_to is not None:
                self.send_header("Location", made.moved_to)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        made = Sts()
        made.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()


@pytest.fixture
def sts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    with an_sts() as made:
        world.services.__dict__["callers"] = CallersGateway(lambda: made.url)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: world.now)
        yield made


@pytest.fixture
def grave(world: World) -> FindingRecord:
    """A critical finding that Keyward acted on; its release takes two people."""
    world.deliver(a_key(world)[1])
    record = world.finding("iam-access-key-created")
    critical = record.model_copy(
        update={"severity": Severity.CRITICAL, "version": record.version + 1}
    )
    world.ledger.finish(critical, replacing=record)
    operators(world)
    return critical


def operators(world: World, **changes: Any) -> None:
    chosen = {"two_people": True} | changes
    world.settings(settings={"ceiling": "enforce", "operators": chosen})


def now_of(world: World, record: FindingRecord) -> FindingRecord:
    found = world.ledger.finding(record.key)
    assert found is not None
    return found


def a_request(act: str, **more: object) -> dict[str, object]:
    return {"act": act, "by": "somebody", **more}


def with_proof(sts: Sts, key: str, request: dict[str, object]) -> dict[str, object]:
    """The request as the command line of whoever has this key sends it."""
    session = boto3.Session(
        aws_access_key_id=key, aws_secret_access_key=KEYS[key][0], region_name="us-east-1"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        return request | {"proof": signed(session, request)}


def ask(world: World, request: dict[str, object], caller: Caller | None = None) -> dict[str, Any]:
    return operating.answer(request, services=world.services, now=world.now, caller=caller)


def release(world: World, sts: Sts, key: str, record: FindingRecord, **more: Any) -> dict[str, Any]:
    request = a_request("release", finding=record.key, reason=REASON, **more)
    return ask(world, with_proof(sts, key, request))


def approve(world: World, sts: Sts, key: str, record: FindingRecord) -> dict[str, Any]:
    return ask(world, with_proof(sts, key, a_request("approve", finding=record.key)))


def looked(world: World, record: FindingRecord) -> tuple[bool, bool]:
    """Whether its release takes two people, and whether it waits for the second."""
    found = ask(world, a_request("finding", finding=record.key))
    return found["two_people"], found["waits"]


def acts(world: World) -> list[ActRecord]:
    return world.ledger.acts_on(world.now)


# ---------------------------------------------------------------- two people


def test_a_critical_release_waits_for_a_second_person(
    world: World, sts: Sts, grave: FindingRecord
) -> None:
    assert looked(world, grave) == (True, False)
    asked = release(world, sts, ANA, grave, days=3)
    assert asked["ok"] is True
    assert looked(world, grave) == (True, True)
    assert asked["waiting"] == f"needs a second person: keyward approve {grave.key}"
    assert now_of(world, grave).state is State.ACTED
    assert [it.outcome for it in acts(world)] == ["waiting"]

    approved = approve(world, sts, BEN, grave)
    assert approved["restored"]
    released = now_of(world, grave)
    assert released.state is State.RELEASED
    assert "released for 3 days" in str(released.outcome)
    note = released.history[-2].note
    assert note == f"release by {KEYS[ANA][1]}, approved by {KEYS[BEN][1]}: {REASON}"
    kept = {it.act: it for it in acts(world)}
    assert kept["approve"].outcome == "done"
    assert kept["approve"].proven


def test_release_by_another_person_approves_it(
    world: World, sts: Sts, grave: FindingRecord
) -> None:
    release(world, sts, ANA, grave, days=3)
    assert release(world, sts, BEN, grave, days=90)["ok"] is True
    assert "released for 3 days" in str(now_of(world, grave).outcome)


@pytest.mark.parametrize("again", [release, approve])
def test_the_same_person_is_no_second(
    world: World, sts: Sts, grave: FindingRecord, again: Any
) -> None:
    release(world, sts, ANA, grave)
    answer = again(world, sts, ANA, grave)
    assert answer["ok"] is False
    assert "same person" in answer["error"]
    assert KEYS[ANA][1] in answer["error"]
    assert now_of(world, grave).state is State.ACTED
    assert {it.outcome for it in acts(world)} == {"waiting", "refused"}


def test_who_cannot_be_told_apart_is_no_second(
    world: World, sts: Sts, grave: FindingRecord
) -> None:
    operators(world, people=[{"name": "Ana", "slack_user": "U0ANA0000", "session": "ana"}])
    release(world, sts, ANA, grave)
    assert "list both" in approve(world, sts, BEN, grave)["error"]
    assert now_of(world, grave).state is State.ACTED


@pytest.mark.parametrize("act", ["release", "approve"])
def test_without_proof_nobody_is_one_of_two(
    world: World, sts: Sts, grave: FindingRecord, act: str
) -> None:
    more = {"reason": REASON} if act == "release" else {}
    answer = ask(world, a_request(act, finding=grave.key, **more))
    assert "needs proof" in answer["error"]
    release(world, sts, ANA, grave)
    answer = ask(world, a_request(act, finding=grave.key, by=KEYS[BEN][1]) | more)
    assert "needs proof" in answer["error"]
    assert now_of(world, grave).state is State.ACTED


def test_an_approval_takes_somebody_who_asked(world: World, sts: Sts, grave: FindingRecord) -> None:
    assert "nobody has asked" in approve(world, sts, BEN, grave)["error"]


def test_after_a_day_a_release_starts_anew(world: World, sts: Sts, grave: FindingRecord) -> None:
    release(world, sts, ANA, grave)
    world.later(hours=24, seconds=1)
    assert "nobody has asked" in approve(world, sts, BEN, grave)["error"]
    assert release(world, sts, ANA, grave)["waiting"]
    world.later(hours=24)
    assert approve(world, sts, BEN, grave)["ok"] is True


def test_a_new_episode_is_asked_for_anew(world: World, sts: Sts, grave: FindingRecord) -> None:
    release(world, sts, ANA, grave)
    asked = now_of(world, grave)
    newer = asked.model_copy(update={"episode": 2, "version": asked.version + 1, "awaited": None})
    world.ledger.finish(newer, replacing=asked)
    assert approve(world, sts, BEN, grave)["ok"] is False


def test_an_approval_that_crashed_goes_on(
    world: World, sts: Sts, grave: FindingRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(world, sts, ANA, grave)

    def crash(*_args: object, **_more: object) -> None:
        text = "throttled"
        raise GatewayError(text, code="Throttling", retryable=True)

    with monkeypatch.context() as patch:
        patch.setattr("keyward.releasing.executor.undo", crash)
        with pytest.raises(GatewayError):
            approve(world, sts, BEN, grave)
    assert now_of(world, grave).state is State.RELEASING
    assert {it.outcome for it in acts(world)} == {"waiting", "failed"}
    world.later(minutes=2)
    assert approve(world, sts, BEN, grave)["ok"] is True
    assert now_of(world, grave).state is State.RELEASED


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL])
def test_one_person_is_enough_where_it_is_not_critical_or_settings_say_so(
    world: World, grave: FindingRecord, severity: Severity
) -> None:
    if severity is Severity.CRITICAL:
        operators(world, two_people=False)
    else:
        less = grave.model_copy(update={"severity": severity, "version": grave.version + 1})
        world.ledger.finish(less, replacing=grave)
    assert looked(world, grave) == (False, False)
    assert ask(world, a_request("release", finding=grave.key, reason=REASON))["ok"] is True
    assert now_of(world, grave).state is State.RELEASED


@pytest.mark.parametrize("exempt", [False, True], ids=["acted on", "exempt"])
def test_what_frees_the_subject_of_a_critical_finding_takes_two(
    world: World, sts: Sts, *, exempt: bool
) -> None:
    key, event = a_key(world)
    world.deliver(event)
    operators(world)
    world.deliver(world.do("UpdateAccessKey", UserName="ci", AccessKeyId=key, Status="Active"))
    undone = world.finding("iam-quarantine-undone")
    assert undone.severity is Severity.CRITICAL
    if exempt:
        state = {"state": State.EXEMPT, "version": undone.version + 1}
        world.ledger.finish(undone.model_copy(update=state), replacing=undone)
    (less,) = [it for it in world.findings() if it.rule == "iam-access-key-created"]
    assert less.severity is not Severity.CRITICAL
    assert looked(world, less) == (True, False)
    assert release(world, sts, ANA, less)["waiting"]
    assert world.key_status("ci", key) == "Inactive"
    assert approve(world, sts, ANA, less)["ok"] is False
    assert approve(world, sts, BEN, less)["ok"] is True
    assert world.key_status("ci", key) == "Active"
    # What is over by now asks for nobody.
    assert looked(world, now_of(world, less)) == (False, False)


def test_that_it_takes_two_is_read_anew(world: World, grave: FindingRecord) -> None:
    operators(world, two_people=False)
    world.services.accepted(world.now)
    kept = world.services._settings
    operators(world, two_people=True)
    world.services._settings = kept
    assert ask(world, a_request("release", finding=grave.key, reason=REASON))["ok"] is False


# ---------------------------------------------------------------- proof


def test_who_is_proven_is_whom_the_record_names(world: World, sts: Sts) -> None:
    ask(world, with_proof(sts, BEN, a_request("pause", hours=1, reason=REASON)))
    (kept,) = acts(world)
    assert (kept.by, kept.proven, kept.via) == (KEYS[BEN][1], True, "invocation")
    assert (kept.act, kept.reason, kept.outcome) == ("pause", REASON, "done")


def test_without_proof_it_is_whom_the_request_names(world: World, sts: Sts) -> None:
    ask(world, a_request("pause", hours=1, reason=REASON))
    (kept,) = acts(world)
    assert (kept.by, kept.proven, sts.asked) == ("somebody", False, 0)


def test_what_only_reads_asks_nobody_and_is_not_kept(world: World, sts: Sts) -> None:
    with world.recorded() as calls:
        assert ask(world, with_proof(sts, ANA, a_request("findings")))["ok"] is True
        assert ask(world, with_proof(sts, ANA, a_request("bootstrap", plan=True)))["ok"] in {
            True,
            False,
        }
    assert sts.asked == 0
    assert "TransactWriteItems" not in [name for name, _ in calls]


@pytest.mark.parametrize(
    "change",
    [
        {"finding": "another"},
        {"reason": "another reason"},
        {"by": "another"},
        {"days": 90},
        {"act": "exempt"},
    ],
)
def test_a_proof_is_for_one_request(
    world: World, sts: Sts, grave: FindingRecord, change: dict[str, object]
) -> None:
    request = with_proof(sts, ANA, a_request("release", finding=grave.key, reason=REASON))
    other = request | change
    if other["act"] == "exempt":
        until = (world.now + timedelta(days=1)).isoformat()
        other |= {"owner": "ana", "ticket": "SEC-1", "until": until}
    assert "refused" in ask(world, other)["error"]
    assert acts(world) == []


@pytest.mark.parametrize("key", [EVE])
def test_somebody_of_another_account_proves_nothing(
    world: World, sts: Sts, grave: FindingRecord, key: str
) -> None:
    release(world, sts, ANA, grave)
    assert "is not by somebody of account" in approve(world, sts, key, grave)["error"]
    assert now_of(world, grave).state is State.ACTED


def test_a_name_that_its_bearer_chose_proves_nothing(
    world: World, sts: Sts, grave: FindingRecord
) -> None:
    """An IAM user names the federated user whom it gets a token for as it likes."""
    assert release(world, sts, ANA, grave)["waiting"]
    assert "nobody can tell" in approve(world, sts, ANA_AS_BEN, grave)["error"]
    assert now_of(world, grave).state is State.ACTED


def test_a_forged_or_stale_or_foreign_proof_is_refused(world: World, sts: Sts) -> None:
    request = with_proof(sts, ANA, a_request("pause", hours=1, reason=REASON))
    proof = str(request["proof"])
    key = proof.replace(ANA, BEN)
    elsewhere = proof.replace(sts.url, "http://127.0.0.1:1")
    for bad in (key, elsewhere, "", "x", proof[:-1], proof + "&Action=GetSessionToken"):
        assert "refused" in ask(world, request | {"proof": bad})["error"], bad
    world.later(minutes=3)
    assert "too old" in ask(world, request)["error"]
    assert acts(world) == []


def test_a_redirect_is_not_followed(world: World, sts: Sts) -> None:
    sts.fault, sts.moved_to = 302, sts.url
    answer = ask(world, with_proof(sts, ANA, a_request("pause", hours=1, reason=REASON)))
    assert "STS answers 302" in answer["error"]
    assert sts.asked == 1


def test_sts_out_of_reach_proves_nobody_and_stops_no_pause(
    world: World, sts: Sts, grave: FindingRecord
) -> None:
    sts.fault = 503
    paused = ask(world, with_proof(sts, ANA, a_request("pause", hours=1, reason=REASON)))
    assert paused["ok"] is True
    assert [it.proven for it in acts(world)] == [False]
    assert "needs proof" in release(world, sts, ANA, grave)["error"]


def test_no_log_and_no_record_has_the_proof(world: World, sts: Sts) -> None:
    request = with_proof(sts, ANA, a_request("pause", hours=1, reason=REASON))
    with the_log() as log:
        ask(world, request)
        ask(world, request | {"proof": str(request["proof"])[:-3] + "000"})
        sts.fault = 500
        ask(world, request)
    for secret in ("X-Amz", "Signature", ANA):
        assert secret not in log.getvalue()
        assert secret not in str(acts(world))


def test_the_operator_asks_the_sts_of_its_own_region(world: World) -> None:
    assert world.services.callers.endpoint == "https://sts.us-east-1.amazonaws.com"


def test_a_proof_is_made_without_a_call(world: World) -> None:
    session = boto3.Session(
        aws_access_key_id=ANA, aws_secret_access_key="x", region_name="us-east-1"
    )
    with world.recorded() as calls:
        proof = signed(session, a_request("approve", finding="f"))
    assert calls == []
    assert proof is not None
    assert proof.startswith("https://sts.us-east-1.amazonaws.com/?")
    assert f"host%3B{proving.HEADER}" in proof


# ---------------------------------------------------------------- what is kept


def test_every_changing_act_is_kept_before_it_begins(world: World) -> None:
    before: dict[str, list[str]] = {}

    def watch(request: Request, *_more: object) -> dict[str, object]:
        before[request.act] = [it.outcome for it in acts(world) if it.act == request.act]
        text = "nothing to do"
        raise RequestError(text)

    for name in sorted(CHANGING):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(operating.ACTS, name, (Anything, watch))
            assert ask(world, {"act": name, "by": "ana"})["ok"] is False
    assert before == {name: ["failed"] for name in CHANGING}
    kept = acts(world)
    assert sorted(it.act for it in kept) == sorted(CHANGING)
    assert {it.outcome for it in kept} == {"refused"}


class Anything(Request):
    """A request without more."""


def test_acts_are_changing_or_reading() -> None:
    reading = {
        "acts",
        "baseline-account",
        "baseline-rollout",
        "baseline-rollouts",
        "finding",
        "findings",
        "inventory",
        "permission-sets",
        "replayed",
        "report",
        "status",
        "sweep",
        "sweep-plan",
        "uninstall-plan",
    }
    assert CHANGING | reading == set(operating.ACTS)
    assert not CHANGING & reading


def test_nothing_is_done_that_cannot_be_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_args: object) -> None:
        text = "throttled"
        raise GatewayError(text, code="Throttling", retryable=True)

    monkeypatch.setattr(world.ledger, "note_act", down)
    with pytest.raises(GatewayError):
        ask(world, a_request("pause", hours=1, reason=REASON))
    found = world.ledger.accepted()
    assert found is not None
    assert found.paused_until is None


def test_what_is_done_is_answered_though_its_end_cannot_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = world.ledger.note_act

    def once(record: ActRecord) -> None:
        if record.outcome == "done":
            text = "throttled"
            raise GatewayError(text, code="Throttling", retryable=True)
        keep(record)

    monkeypatch.setattr(world.ledger, "note_act", once)
    assert ask(world, a_request("pause", hours=1, reason=REASON))["ok"] is True
    assert [it.outcome for it in acts(world)] == ["failed"]


def test_acts_of_a_day_are_listed(world: World) -> None:
    ask(world, a_request("pause", hours=1, reason=REASON))
    today = ask(world, a_request("acts"))["acts"]
    assert [it["act"] for it in today] == ["pause"]
    day = world.now.date()
    assert ask(world, a_request("acts", day=day.isoformat()))["acts"] == today
    before = (day - timedelta(days=1)).isoformat()
    assert ask(world, a_request("acts", day=before))["acts"] == []
    assert ask(world, a_request("acts", day="yesterday"))["ok"] is False


# ---------------------------------------------------------------- acknowledging, ordering


def test_acknowledging_leaves_the_state_and_is_told_in_the_thread(
    world: World, grave: FindingRecord
) -> None:
    request = a_request("acknowledge", finding=grave.key, note="on it")
    assert ask(world, request)["ok"] is True
    record = now_of(world, grave)
    assert record.state is State.ACTED
    assert record.acknowledged is not None
    assert (record.acknowledged.by, record.acknowledged.note) == ("somebody", "on it")
    assert "acknowledged by somebody" in ask(world, request)["error"]


@pytest.mark.parametrize("act", ["acknowledge", "quarantine", "approve"])
def test_what_another_worker_is_at_is_left_to_it(
    world: World, grave: FindingRecord, act: str
) -> None:
    claimed = grave.model_copy(
        update={
            "state": State.ACTING,
            "claim_until": world.now + timedelta(seconds=60),
            "version": grave.version + 1,
        }
    )
    world.ledger.finish(claimed, replacing=grave)
    more = {"reason": REASON} if act == "quarantine" else {}
    answer = ask(world, a_request(act, finding=grave.key, **more))
    assert "being worked on" in answer["error"]
    assert now_of(world, grave) == claimed


@pytest.mark.parametrize("act", ["acknowledge", "quarantine", "approve"])
def test_a_finding_that_is_none_is_one_line(world: World, act: str) -> None:
    more = {"reason": REASON} if act == "quarantine" else {}
    assert "no finding" in ask(world, a_request(act, finding="none", **more))["error"]


def test_what_is_settled_cannot_be_acknowledged(world: World, grave: FindingRecord) -> None:
    operators(world, two_people=False)
    ask(world, a_request("release", finding=grave.key, reason=REASON))
    answer = ask(world, a_request("acknowledge", finding=grave.key))
    assert "nothing to look at" in answer["error"]


def test_quarantine_orders_what_may_be_ordered(
    world: World, grave: FindingRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "keyward.ordering.order", lambda of, **more: ordered.append({"of": of, **more})
    )
    request = a_request("quarantine", finding=grave.key, reason=REASON)
    assert ask(world, request)["ok"] is False, "Keyward has acted on it"
    assert ordered == []
    opened = grave.model_copy(update={"state": State.OPEN, "version": grave.version + 1})
    world.ledger.finish(opened, replacing=grave)
    monkeypatch.setattr("keyward.ordering.may_order", lambda _record: None)
    assert ask(world, request) == {"ok": True, "ordered": grave.key}
    assert [(it["of"].key, it["by"], it["reason"]) for it in ordered] == [
        (grave.key, "somebody", REASON)
    ]


def test_reports_are_started_and_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(*, by: str, services: object, now: datetime) -> str:
        assert (services, now) == (world.services, world.now)
        started.append(by)
        return "2026-03-01-abc"

    links = {"html": "https://example.com/r"}
    monkeypatch.setattr("keyward.reporting.start", start)
    monkeypatch.setattr("keyward.reporting.found", lambda _id, **_more: links)
    assert ask(world, a_request("report-start"))["report"] == "2026-03-01-abc"
    assert started == ["somebody"]
    assert ask(world, a_request("report", report="2026-03-01-abc"))["links"] == links
    assert ask(world, a_request("report", report="../x"))["ok"] is False
