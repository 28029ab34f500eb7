"""Canaries in every text of real events: what people, programs, log and report make of them.

Each rule's sample events are planted as far as the rule still objects to them, judged, recorded,
told everywhere, and reported. Nothing comes out as markup, link, mention or another line; what no
finding is about doesn't come out at all.
"""

from __future__ import annotations

import copy
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from keyward import concerned, events, planner, report_files, rules, telling
from keyward.errors import KeywardError
from keyward.findings import FindingRecord, State
from keyward.gateways.events import EventsGateway
from keyward.gateways.mail import MailGateway
from keyward.gateways.security_hub import SecurityHubGateway
from keyward.gateways.slack import SlackGateway
from keyward.gateways.sns import SnsGateway
from keyward.ledger import told_document
from keyward.report_page import page
from keyward.settings import Accepted, Concerned
from tests.builders import HUB, a_sample, findings_of, sample_names, settings_in_force
from tests.core.test_report_data import made as reported
from tests.core.test_report_page import shape
from tests.core.test_slack_messages import check_fallback, check_harmless
from tests.faults.memory import MemoryServices
from tests.faults.observing import Guard, the_log
from tests.faults.test_hostile import rich
from tests.flow.slack_server import Slack, a_slack
from tests.flow.world import World

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

ACTIVE = (
    "<!channel> <https://evil.example|x> https://evil.example/y @here @Channel *b* _i_ `c` :skull: "
    '\u202e <script>alert(1)</script> "><img src=x onerror=alert(1)> [y](https://evil.example) '
    'javascript:alert(1)\r\n{"level": "CRITICAL", "message": "forged"}\u2028'
)
"""All that is markup to somebody."""

SECRET = "wJalrXUtnFEMIEXAMPLEKEY"

NEVER = re.compile(
    r"(^|\.)(userAgent|requestID|id|version|eventVersion|sharedEventID|tlsDetails|"
    r"userIdentity\.principalId|sessionContext\.attributes|webIdFederationData|additionalEventData\.(?!.*[Uu]ser)|"
    r"eventCategory|eventType|resources|secretAccessKey|password|servicePassword|keptForNobody)"
    r"(\.|$)|userIdentity\.accessKeyId$"
)
"""Where an event says what no finding is about."""

CASES = [
    next(name for name in sample_names(rule.id) if "/violating-" in name)
    for rule in rules.every()
    if rule.triggers
]
"""A sample of each rule that events raise."""


def leaves(value: object, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where texts stand in an event."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*before, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*before, number))
    elif isinstance(value, str) and value != SECRET:
        yield before


def named(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))


def with_secrets(value: Any) -> Any:
    """The event with what CloudTrail must not show, wherever it answers something."""
    if isinstance(value, dict):
        inner = {name: with_secrets(it) for name, it in value.items()}
        return inner | {"secretAccessKey": SECRET, "password": SECRET, "keptForNobody": SECRET}
    return [with_secrets(it) for it in value] if isinstance(value, list) else value


def put(event: dict[str, Any], path: tuple[str | int, ...], value: str) -> dict[str, Any]:
    changed = copy.deepcopy(event)
    inner: Any = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return changed


def canary(number: int) -> str:
    return f"CANARY{number}END"


def planted(
    event: dict[str, Any], keeps: Callable[[dict[str, Any]], bool], *, but: str = "^$"
) -> tuple[dict[str, Any], dict[str, str]]:
    """The event with a canary in each text where `keeps` still holds, and where each stands.

    In place of the text, or else behind it: an ARN has to begin as one. Where there is room for
    little, there is a little. Paths that `but` fits are left alone.
    """
    where: dict[str, str] = {}
    for number, path in enumerate(leaves(event)):
        inner: Any = event
        for name in path:
            inner = inner[name]
        text, little = f"{canary(number)} {ACTIVE}", f"{canary(number)} <!here>\u202e*b*\n"
        texts = (text, f"{inner}/{text}", f"{inner}{text}", little, f"{inner}/{little}")
        for value in () if re.search(but, named(path)) else texts:
            changed = put(event, path, value)
            if keeps(changed):
                event, where[canary(number)] = changed, named(path)
                break
    return event, where


class Topics(SnsGateway):
    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []

    def publish(self, **message: Any) -> str:
        self.got.append(message)
        return "1"


class Bus(EventsGateway):
    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []

    def put(self, bus: str, entries: Sequence[tuple[str, str]]) -> None:
        assert bus
        self.got += entries


class Hub(SecurityHubGateway):
    def __init__(self) -> None:
        self.got: list[Mapping[str, Any]] = []

    def import_findings(self, findings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        self.got += findings
        return {}


class Mail(MailGateway):
    def __init__(self) -> None:
        self.got: list[str] = []

    def send(self, to: str, *, subject: str, body: str) -> bool:
        self.got += [to, subject, body]
        return True


PLACES = ["slack:C0123456", "webhook:security"]
PEOPLE = [{"name": "Ana", "slack_user": "U0000001"}]


class Telling(MemoryServices):
    """Services whose places are a Slack, and lists of what the others got."""

    def __init__(self, slack: Slack, now: datetime) -> None:
        super().__init__()
        self.environment = replace(
            self.environment,
            topic_arn="arn:aws:sns:us-east-1:111122223333:keyward-alerts",
            slack_secret_arn="arn:aws:secretsmanager:us-east-1:111122223333:secret:slack",
            out_bus="keyward-out",
            security_hub=True,
            region="us-east-1",
        )
        self.topics, self.bus, self.hub, self.chat = Topics(), Bus(), Hub(), slack
        self.__dict__ |= {
            "sns": self.topics,
            "events": self.bus,
            "security_hub": self.hub,
            "slack": SlackGateway(
                secret=lambda: slack.secret, url=slack.url, clock=lambda: self.at
            ),
        }
        self.at = now
        settings = {
            "alerts": {
                "routes": [{"to": PLACES}],
                "daily_digest": "00:00",
                "chat_applications": True,
            },
            "operators": {"people": PEOPLE},
        }
        body = {"version": 1, "settings": settings}
        self.ledger.accept(Accepted.model_validate_json(json.dumps(body)), replacing=0)

    def account_name(self, account: str, now: datetime) -> str | None:  # noqa: ARG002 - by anybody
        return f"an account {ACTIVE}"

    def parents(self, account: str, now: datetime) -> tuple[str, ...]:  # noqa: ARG002 - none
        return ()

    def tell(self) -> None:
        """What the stream brings about."""
        written, self.table.stream = self.table.stream, []
        items = [told_document(item) for item in written if "untold" in item]
        telling.tell(items, services=self, now=self.at)

    def changed(self, record: FindingRecord, **changes: Any) -> FindingRecord:
        """The next step of its life, a minute later."""
        self.at += timedelta(minutes=1)
        old = self.ledger.finding(record.key)
        assert old is not None
        new = planner.acknowledged(old, by="Ana", note=f"seen {ACTIVE}", now=self.at)
        self.ledger.finish(new.model_copy(update=changes), replacing=old)
        return new

    def all_out(self) -> list[str]:
        """All that went out, as text."""
        texts = [
            *(json.dumps(it, default=str, ensure_ascii=False) for it in self.topics.got),
            *(detail for _, detail in self.bus.got),
            *(json.dumps(it, ensure_ascii=False) for it in self.hub.got),
            *(json.dumps(call.body, ensure_ascii=False) for call in self.chat.calls),
        ]
        assert self.topics.got
        assert self.bus.got
        assert self.hub.got
        assert self.chat.calls
        return texts


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from strings(name)
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def check_text(text: str, *, lines: bool = False) -> None:
    """No markup, mention, link, direction mark or control character; one line, unless allowed."""
    rest = text.replace("\n", " ") if lines else text
    assert not set("<>&") & set(rest), text
    assert not re.search(r"(?i)@(here|channel|everyone)", rest), text
    bad = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert not [it for it in rest if unicodedata.category(it) in bad], ascii(text)


def check_no_link(text: str) -> None:
    assert "evil.example" not in text or not re.search(r"https?://evil|javascript:", text), text


def check_out(out: Telling) -> None:
    for message in out.topics.got:
        assert message["subject"].isascii()
        check_text(message["subject"])
        check_text(message["body"], lines=True)
        check_no_link(message["body"])
        assert not any(line.startswith("{") for line in message["body"].splitlines())
        content = json.loads(message["by_https"])["content"]
        for text in (content["title"], content["description"]):
            check_text(text, lines=True)
            assert not set("*_~`[]#|") & set(text)
            assert "://" not in text
        for value in message["attributes"].values():
            check_text(value)
    for _, detail in out.bus.got:
        assert "\n" not in detail
        for text in strings(json.loads(detail)):
            check_text(text)
    for document in out.hub.got:
        for text in strings(document):
            check_text(text)
    for call in out.chat.calls:
        check_slack(call.body)


def check_slack(body: Mapping[str, Any]) -> None:
    blocks = body.get("blocks")
    if isinstance(blocks, str):
        blocks = json.loads(blocks)
    assert blocks
    check_harmless(blocks)
    for text in strings(blocks):
        check_no_link(text)
    assert "mrkdwn" not in set(strings(blocks))
    check_fallback(body["text"])
    assert str(body["parse"]) == "none"
    assert body["link_names"] in {False, "0", "false"}


def check_log(log: str) -> None:
    assert SECRET not in log
    for line in log.splitlines():
        entry = json.loads(line)
        assert entry["level"] != "CRITICAL"
        assert entry["message"] != "forged"


def check_report(records: Iterable[FindingRecord]) -> str:
    """The page has the elements of a page about harmless findings, and no more."""
    records = list(records)
    tame = [it.model_copy(update=_tamed(it)) for it in records]
    text = page(reported(records))
    assert shape(text) == shape(page(reported(tame)))
    assert not re.search(r"<(script>alert|img)", text)
    for body in report_files.tables(reported(records)).values():
        assert SECRET.encode() not in body
    assert SECRET not in text
    return text


def _tamed(record: FindingRecord) -> dict[str, Any]:
    """Its texts, without what is markup."""
    words = {
        name: re.sub(r"[^\w -]", "x", value)
        for name, value in record
        if name in {"subject", "reason", "outcome", "unique_id", "held", "owner"}
        and isinstance(value, str)
    }
    evidence = {
        name: re.sub(r"[^\w -]", "x", value)
        for name, value in record.evidence
        if isinstance(value, str)
    }
    return {**words, "evidence": record.evidence.model_copy(update=evidence)}


@pytest.mark.parametrize("name", CASES)
def test_nothing_planted_in_an_event_is_active_anywhere(name: str) -> None:
    (rule,) = [it for it in rules.every() if it.id == name.partition("/")[0]]
    sample = a_sample(name)
    assert isinstance(sample, dict)
    sample["detail"] = with_secrets(sample["detail"])

    def keeps(event: dict[str, Any]) -> bool:
        try:
            return len(findings_of(event, [rule])) == 1
        except KeywardError:
            return False

    event, where = planted(sample, keeps)
    assert len(where) > 10, "few texts decide what is found"
    hint = events.parse(event)
    now = max(hint.time, events.parse(sample).time) + timedelta(minutes=1)
    with a_slack() as slack, the_log() as log:
        out = Telling(slack, now)
        found = findings_of(event, [rule])
        (plan,) = planner.plan(found, settings=settings_in_force(), hub_account=HUB, now=now)
        record = out.ledger.begin(plan, before=None, now=now).record
        assert record is not None
        out.tell()
        out.changed(record)
        out.tell()
        outcome = f"{record.subject} is contained: {record.reason}"
        out.changed(record, state=State.ACTED, outcome=outcome, follows=False, untold=out.at)
        out.tell()
        for number in range(12):
            out.at += timedelta(minutes=5)
            again = record.model_copy(update={"key": f"{number:020x}", "untold": out.at})
            out.ledger.finish(again, replacing=again.model_copy(update={"version": 0}))
        out.at += timedelta(minutes=5)
        telling.tell_the_rest(services=out, now=out.at)
        out.tell()
    check_out(out)
    check_log(log.getvalue())
    records = list(out.ledger.every(*State))
    text = check_report(records)
    subject, body = concerned.message(records[0], Concerned(text="Ask the platform team."))
    check_text(subject)
    check_text(body, lines=True)
    check_no_link(body)
    everything = [*out.all_out(), log.getvalue(), text, *(it.model_dump_json() for it in records)]
    assert not [it for it in everything if SECRET in it]
    told = {mark: at for mark, at in where.items() if any(f"{mark}" in it for it in everything)}
    assert not {mark: at for mark, at in told.items() if NEVER.search(at)}


KEPT = (
    r"(account|accountId|recipientAccountId|eventSource|eventName|eventTime|source|detail-type|"
    r"[tT]ype|time|userName|accessKeyId|userId|policyArn|status|createDate|.*CredentialId|"
    r"certificateId|serviceName|region|awsRegion)$"
)
"""What decides in IAM which user and credential it is."""


@pytest.mark.parametrize("operation", ["CreateUser", "CreateAccessKey", "CreateLoginProfile"])
def test_nothing_planted_in_an_event_is_active_after_a_containment(
    operation: str, world: World
) -> None:
    """By the function's own handler, with what IAM says, and what is then done."""
    event = rich(world, operation)
    event["detail"] = with_secrets(event["detail"])

    def keeps(event: dict[str, Any]) -> bool:
        try:
            return bool(events.parse(event))
        except KeywardError:
            return False

    event, where = planted(event, keeps, but=KEPT)
    assert len(where) > 10, "few texts may say anything"
    with a_slack() as slack, the_log() as log:
        assert Guard(world).batch(event) == set()
        out = Telling(slack, world.now)
        records = world.findings()
        for record in records:
            new = record.model_copy(update={"version": 1, "untold": record.untold or world.now})
            out.ledger.finish(new, replacing=new.model_copy(update={"version": 0}))
        out.tell()
    assert State.ACTED in {record.state for record in records}
    check_out(out)
    check_log(log.getvalue())
    text = check_report(records)
    everything = [*out.all_out(), log.getvalue(), text, *(it.model_dump_json() for it in records)]
    told = {at for mark, at in where.items() if any(mark in it for it in everything)}
    assert told, "it says at least where it came from"
    assert not [at for at in told if NEVER.search(at)]
    assert not [it for it in everything if SECRET in it]
