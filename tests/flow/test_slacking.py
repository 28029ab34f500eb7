"""What Slack hears of findings and notices: once, in order, in the thread where it belongs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from keyward import operating, planner, slack_messages, slacking, telling
from keyward.findings import Awaited, FindingRecord, Notice, Severity, State
from keyward.gateways import slack as slack_gateway
from keyward.told import When
from tests.flow.slack_server import (
    Answer,
    Call,
    Message,
    Slack,
    a_slack,
    down,
    hangs,
    rate_limited,
    refused,
)
from tests.flow.test_access_keys import a_key
from tests.flow.world import REGION, World, aws_error

CHANNEL = "C0ALERTS1"
OTHER = "C0OTHERS1"
PEOPLE = {
    "people": [
        {"name": "Ana", "slack_user": "U0000001"},
        {"name": "Ben", "slack_user": "U0000002"},
    ]
}


@dataclass
class Told:
    """The organization, its Slack, and what tells."""

    world: World
    slack: Slack

    def settings(self, *, mode: str = "enforce", **alerts: Any) -> None:
        """Alerts go to Slack's channel; its operators have buttons."""
        said = {"slack": f"slack:{CHANNEL}", "daily_digest": None, **alerts}
        self.world.settings(
            settings={"ceiling": mode, "alerts": said, "operators": PEOPLE},
        )

    def tell(self) -> None:
        """What the ledger's stream brings about."""
        telling.tell(self.world.untold(), services=self.world.services, now=self.world.now)

    def tell_the_rest(self, **later: float) -> None:
        """A scheduled run, some time later."""
        self.world.later(**(later or {"minutes": 5}))
        telling.tell_the_rest(services=self.world.services, now=self.world.now)

    def change(self, change: Callable[[FindingRecord], FindingRecord]) -> FindingRecord:
        """Something happens to the one finding, a minute later."""
        self.world.later(minutes=1)
        (record,) = self.world.findings()
        changed = change(record)
        self.world.ledger.finish(changed, replacing=record)
        return changed

    @property
    def waiting(self) -> list[FindingRecord | Notice]:
        """All that some place is still to hear."""
        soon = self.world.now + timedelta(days=1)
        kinds: tuple[When, ...] = ("untold", "later", "quiet")
        ledger = self.world.ledger
        return [it for when in kinds for it in ledger.untold(before=soon, limit=99, when=when)]

    @property
    def first(self) -> Message:
        """The one first message in the channel."""
        (message,) = self.slack.channel(CHANNEL)
        return message

    @property
    def replies(self) -> list[str]:
        """What stands in its thread."""
        return [shown(it) for it in self.slack.thread(self.first)]


def shown(message: Message) -> str:
    """What people read of a message."""
    texts = slack_texts(message.blocks)
    return "\n".join(texts)


def slack_texts(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [str(part["text"])] if part.get("type") == "plain_text" else []
        return own + [text for value in part.values() for text in slack_texts(value)]
    return [text for it in part for text in slack_texts(it)] if isinstance(part, list) else []


def buttons(message: Message) -> list[str]:
    return [
        element["action_id"]
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    ]


@pytest.fixture
def told(world: World) -> Iterator[Told]:
    with a_slack() as slack:
        secret = boto3.client("secretsmanager", region_name=REGION).create_secret(
            Name="keyward/slack", SecretString=json.dumps(slack.secret)
        )
        world.more |= {"slack_secret_arn": secret["ARN"], "slack_url": slack.url}
        restarted(world)
        made = Told(world, slack)
        made.settings()
        yield made


def restarted(world: World) -> None:
    """A cold start, with the clock that the test holds."""
    world.restart()
    world.services.clock = lambda: world.now


def a_reported_key(told: Told) -> FindingRecord:
    """A finding that Keyward only reported."""
    told.settings(mode="report")
    told.world.deliver(a_key(told.world)[1])
    (record,) = told.world.findings()
    assert record.state is State.OPEN
    return record


def test_first_message_names_the_account_and_has_the_buttons_of_its_state(told: Told) -> None:
    told.world.deliver(a_key(told.world)[1])
    told.tell()
    said = shown(told.first)
    assert f"Account: workload ({told.world.member})" in said
    assert "Contained" in said
    assert "192.0.2.44" in said
    assert buttons(told.first) == ["keyward:acknowledge", "keyward:release"]


def test_finding_is_told_once_however_often_it_is_claimed(told: Told) -> None:
    told.world.deliver(a_key(told.world)[1])
    items = told.world.untold()
    for _ in range(3):
        telling.tell(items, services=told.world.services, now=told.world.now)
    assert len(told.slack.calls) == 1


def test_account_whose_name_cannot_be_read_is_told_by_its_id(told: Told) -> None:
    told.world.deliver(a_key(told.world)[1])

    def denied(operation: str, _params: object, call: Any) -> object:
        if operation == "DescribeAccount":
            raise aws_error("AccessDeniedException", operation)
        return call()

    told.world.fault = denied
    with told.world.recorded():
        told.tell()
    assert f"Account: {told.world.member}, seen in" in shown(told.first)


def test_name_of_an_account_is_read_once(told: Told) -> None:
    with told.world.recorded() as calls:
        for _ in range(3):
            told.world.services.account_name(told.world.member, told.world.now)
    assert [name for name, _ in calls] == ["DescribeAccount"]


def test_what_happens_later_stands_in_the_thread_and_in_the_first_message(told: Told) -> None:
    a_reported_key(told)
    told.tell()
    assert "keyward:quarantine" in buttons(told.first)
    told.change(lambda it: planner.acknowledged(it, by="Ana", note="looking", now=told.world.now))
    told.tell()
    assert "acknowledged" in shown(told.first).splitlines()[0]
    assert "keyward:acknowledge" not in buttons(told.first)
    told.change(lambda it: planner.resolved(it, "the key is gone", now=told.world.now))
    told.tell()
    assert shown(told.first).startswith(f"{slack_messages.CLOSED_MARK} ")
    assert buttons(told.first) == []
    acknowledged, resolved = told.replies
    assert acknowledged.endswith("open: acknowledged by Ana: looking")
    assert resolved.endswith("resolved: the key is gone")
    assert told.first.edits == 2
    assert [call["reply_broadcast"] for call in posts(told) if "thread_ts" in call] == [False] * 2


def posts(told: Told) -> list[dict[str, Any]]:
    return told.slack.called("chat.postMessage")


def test_release_is_told_in_the_thread(told: Told) -> None:
    told.world.deliver(a_key(told.world)[1])
    told.tell()
    (record,) = told.world.findings()
    told.world.later(minutes=1)
    operating.answer(
        {"act": "release", "by": "test", "finding": record.key, "reason": "wanted"},
        services=told.world.services,
        now=told.world.now,
    )
    told.tell()
    assert "Released" in shown(told.first).splitlines()[0]
    (reply,) = told.replies
    assert "releasing: release by test" in reply
    assert "released" in reply.splitlines()[-1]


def test_what_awaits_a_second_person_is_shown_in_the_channel(told: Told) -> None:
    told.world.deliver(a_key(told.world)[1])
    told.tell()
    told.change(
        lambda it: planner.awaiting(
            it,
            Awaited(by="Ana", person="Ana", at=told.world.now, reason="a false alarm"),
            now=told.world.now,
        )
    )
    told.tell()
    assert "keyward:approve" in buttons(told.first)
    assert posts(told)[-1]["reply_broadcast"] is True
    told.change(lambda it: planner.acknowledged(it, by="Ben", note="", now=told.world.now))
    told.tell()
    assert posts(told)[-1]["reply_broadcast"] is False


def test_what_could_not_be_contained_after_all_is_shown_in_the_channel(told: Told) -> None:
    a_reported_key(told)
    told.tell()
    told.change(
        lambda it: planner.finished(it, State.FAILED, outcome="access denied", now=told.world.now)
    )
    told.tell()
    assert "NOT CONTAINED" in shown(told.first)
    assert posts(told)[-1]["reply_broadcast"] is True


def test_new_episode_has_a_message_of_its_own_and_the_old_thread_says_so(told: Told) -> None:
    key_id, event = a_key(told.world)
    told.world.deliver(event)
    told.tell()
    told.world.iam().update_access_key(UserName="ci", AccessKeyId=key_id, Status="Active")
    told.world.later(minutes=5)
    told.world.deliver(event)
    told.tell()
    old, new = told.slack.channel(CHANNEL)
    assert "episode 2" in shown(new)
    (line,) = told.slack.thread(old)
    assert shown(line) == "Seen again. Episode 2 has a message of its own."
    assert told.slack.thread(new) == []
    assert old.edits == 0


def test_undone_containment_leaves_a_line_where_the_containment_was_told(told: Told) -> None:
    world = told.world
    key_id, event = a_key(world)
    world.deliver(event)
    told.tell()
    world.later(minutes=5)
    world.deliver(world.do("UpdateAccessKey", UserName="ci", AccessKeyId=key_id, Status="Active"))
    told.tell()
    contained, undone = told.slack.channel(CHANNEL)
    (line,) = told.slack.thread(contained)
    assert "what was done is undone" in shown(line)
    assert world.finding("iam-quarantine-undone").key in shown(line)
    assert "CRITICAL" in shown(undone)


def test_failed_update_posts_no_reply_twice_and_is_made_up_for(told: Told) -> None:
    a_reported_key(told)
    told.tell()
    told.change(lambda it: planner.acknowledged(it, by="Ana", note="", now=told.world.now))
    told.slack.fault = lambda call: refused("internal_error") if is_update(call) else None
    told.tell()
    told.slack.fault = None
    assert told.waiting == []
    for _ in range(3):
        told.tell_the_rest()
    assert len(told.replies) == 1
    assert told.first.edits == 0
    told.change(lambda it: planner.resolved(it, "gone", now=told.world.now))
    told.tell()
    assert len(told.replies) == 2
    assert "Resolved" in shown(told.first)


def is_update(call: Call) -> bool:
    return call.method == "chat.update"


def test_deleted_first_message_is_replaced(told: Told) -> None:
    a_reported_key(told)
    told.tell()
    told.slack.messages.clear()
    told.change(lambda it: planner.resolved(it, "gone", now=told.world.now))
    told.tell()
    assert "Resolved" in shown(told.first)
    assert told.replies == []


def test_webhook_gets_the_first_message_and_no_buttons(told: Told) -> None:
    told.settings(slack="webhook:security")
    told.world.deliver(a_key(told.world)[1])
    told.tell()
    told.change(
        lambda it: planner.finished(it, State.RELEASED, outcome="released", now=told.world.now)
    )
    told.tell()
    (message,) = told.slack.channel("webhook:security")
    assert "Contained" in shown(message)
    assert buttons(message) == []
    assert told.waiting == []


def test_without_listed_operators_there_are_no_buttons(told: Told) -> None:
    told.world.settings(
        settings={"ceiling": "enforce", "alerts": {"slack": f"slack:{CHANNEL}"}},
    )
    told.world.deliver(a_key(told.world)[1])
    told.tell()
    assert buttons(told.first) == []


def test_routes_decide_which_channel_hears_of_it(told: Told) -> None:
    told.settings(
        routes=[{"to": [f"slack:{OTHER}"], "accounts": [told.world.member]}],
    )
    told.world.deliver(a_key(told.world)[1])
    told.world.deliver(a_key(told.world, account=told.world.other_member)[1])
    told.tell()
    assert [len(told.slack.channel(it)) for it in (CHANNEL, OTHER)] == [1, 1]
    assert told.world.member in shown(told.slack.channel(OTHER)[0])


def test_without_a_secret_the_topic_is_told_and_slack_later(told: Told) -> None:
    del told.world.more["slack_secret_arn"]
    restarted(told.world)
    told.world.deliver(a_key(told.world)[1])
    with told.world.recorded() as calls:
        told.tell()
    assert "Publish" in [name for name, _ in calls]
    assert told.slack.calls == []
    assert len(told.waiting) == 1


# Slack is out of order


@pytest.mark.parametrize(
    "fault", [down(), rate_limited(30), refused("internal_error"), refused("channel_not_found")]
)
def test_hour_without_slack_loses_nothing_tells_nothing_twice_and_keeps_the_order(
    told: Told, fault: Answer
) -> None:
    a_reported_key(told)
    told.slack.fault = fault
    told.tell()
    steps: list[Callable[[FindingRecord], FindingRecord]] = [
        lambda it: planner.acknowledged(it, by="Ana", note="one", now=told.world.now),
        lambda it: planner.acknowledged(it, by="Ben", note="two", now=told.world.now),
        lambda it: planner.resolved(it, "three", now=told.world.now),
    ]
    with told.world.recorded() as calls:
        for number in range(11):
            if number in {2, 5, 8}:
                told.change(steps.pop(0))
                told.tell()
            told.tell_the_rest()
        published = [params["Subject"] for name, params in calls if name == "Publish"]
    told.slack.fault = None
    told.slack.calls.clear()
    for _ in range(3):
        told.tell_the_rest()
    assert told.waiting == []
    assert "three" in shown(told.first)
    assert [call.method for call in told.slack.calls] == ["chat.postMessage"]
    assert len(published) == len(set(published))


def test_hour_without_slack_in_the_midst_brings_all_steps_at_once_in_order(told: Told) -> None:
    a_reported_key(told)
    told.tell()
    told.slack.fault = down()
    for number in range(11):
        if number in {2, 5, 8}:
            told.change(
                lambda it, of=number: planner.acknowledged(  # type: ignore[misc]  # bound at once
                    it, by="Ana", note=f"note {of}", now=told.world.now
                )
            )
            told.tell()
        told.tell_the_rest()
    told.slack.fault = None
    for _ in range(3):
        told.tell_the_rest()
    told.change(lambda it: planner.resolved(it, "the end", now=told.world.now))
    told.tell()
    during, after = told.replies
    assert [line.rpartition(": ")[2] for line in during.splitlines()] == [
        "note 2",
        "note 5",
        "note 8",
    ]
    assert after.endswith("resolved: the end")
    assert told.waiting == []


def test_slack_that_hangs_keeps_nobody_from_being_told_by_the_topic(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_gateway, "TIMEOUT_SECONDS", 0.2)
    told.slack.fault = hangs()
    for number in range(5):
        assert told.world.ledger.notice(a_notice(told.world.now, str(number)))
    with told.world.recorded() as calls:
        told.tell()
    assert [name for name, _ in calls].count("Publish") == 5
    assert len(told.slack.calls) == 1
    told.slack.fault = None
    told.tell_the_rest()
    titles = [shown(it) for it in told.slack.channel(CHANNEL)]
    assert all(any(f"Bad {number}" in it for it in titles) for number in range(5))
    assert told.waiting == []


def a_notice(at: datetime, id_: str, **more: Any) -> Notice:
    return Notice(
        kind="setting-refused",
        id=id_,
        title=f"Bad {id_}",
        text="why",
        severity=Severity.HIGH,
        at=at,
        **more,
    )


def test_notice_of_an_account_names_it(told: Told) -> None:
    assert told.world.ledger.notice(a_notice(told.world.now, "1", account=told.world.member))
    told.tell()
    assert f"Account workload {told.world.member}" in shown(told.first)


def test_storm_is_folded_for_slack_too(told: Told) -> None:
    for number in range(40):
        assert told.world.ledger.notice(a_notice(told.world.now, str(number)))
    told.tell()
    told.tell_the_rest()
    assert len(told.slack.channel(CHANNEL)) <= 10
    assert "32 Keyward alerts, folded" in shown(told.slack.channel(CHANNEL)[-1])
    assert told.waiting == []


# The day's digest


def at_eight(told: Told) -> None:
    """It is just after eight in the morning of some later day."""
    tomorrow = told.world.now + timedelta(days=1)
    told.world.now = tomorrow.replace(hour=8, minute=1, second=0)


def digests(told: Told, channel: str = CHANNEL) -> list[Message]:
    return [it for it in told.slack.channel(channel) if "open finding" in it.text]


def test_digest_of_the_day_is_told_once_to_each_place_that_its_findings_route_to(
    told: Told,
) -> None:
    routes = [
        {"to": [f"slack:{OTHER}"], "accounts": [told.world.other_member]},
        {"to": ["slack:C0NOTHING"], "accounts": ["999999999999"]},
    ]
    for account in (told.world.member, told.world.other_member):
        told.world.settings(settings={"ceiling": "report"})
        told.world.deliver(a_key(told.world, account=account)[1])
    told.settings(mode="report", daily_digest="08:00", routes=routes)
    at_eight(told)
    for _ in range(4):
        told.tell_the_rest(minutes=5)
        told.tell()
    for channel, name in ((CHANNEL, "workload"), (OTHER, "sandbox")):
        (digest,) = digests(told, channel)
        said = shown(digest)
        assert f"1 open finding on {told.world.now:%Y-%m-%d}" in said
        assert f"in {name} (" in said
        assert buttons(digest) == []
    assert digests(told, "C0NOTHING") == []
    restarted(told.world)
    told.tell_the_rest(minutes=5)
    told.tell()
    assert len(digests(told)) == 1
    at_eight(told)
    told.tell_the_rest(minutes=5)
    told.tell()
    assert len(digests(told)) == 2


def test_digest_names_who_acknowledged_and_exemptions_that_end(told: Told) -> None:
    a_reported_key(told)
    told.tell()
    told.change(lambda it: planner.acknowledged(it, by="Ana", note="", now=told.world.now))
    told.tell()
    ends = told.world.now + timedelta(days=9)
    told.world.settings(
        settings={"ceiling": "report", "alerts": {"slack": f"slack:{CHANNEL}"}},
        exemptions={
            name: {
                "owner": "team@example.com",
                "reason": "legacy",
                "ticket": "SEC-7",
                "until": (ends + timedelta(days=days)).isoformat(),
                "account": told.world.member,
                "user_id": "AIDAEXAMPLE",
                "rules": ["iam-user-created"],
            }
            for name, days in (("soon", 0), ("late", 90))
        },
    )
    at_eight(told)
    told.tell_the_rest(minutes=5)
    told.tell()
    said = shown(digests(told)[0])
    assert "Acknowledged: 1" in said
    assert "acknowledged by Ana" in said
    assert f"- {ends:%Y-%m-%d}: soon of team@example.com" in said
    assert "late of" not in said


def test_where_nothing_is_open_there_is_no_digest(told: Told) -> None:
    told.settings(daily_digest="08:00")
    told.world.deliver(a_key(told.world)[1])
    told.tell()
    at_eight(told)
    told.tell_the_rest(minutes=5)
    told.tell()
    assert digests(told) == []


@pytest.mark.parametrize("alerts", [{"slack": None}, {"daily_digest": None}])
def test_without_place_or_hour_a_digest_costs_nothing(told: Told, alerts: dict[str, Any]) -> None:
    told.settings(**alerts)
    at_eight(told)
    assert costs(told) == []


def costs(told: Told) -> list[str]:
    """The calls of one run, once settings are read."""
    services = told.world.services
    services.accepted(told.world.now)
    with told.world.recorded() as calls:
        slacking.make_daily_digest(services=services, now=told.world.now)
        return [name for name, _ in calls]


def test_digest_that_was_made_costs_one_read_at_most(told: Told) -> None:
    a_reported_key(told)
    told.settings(mode="report", daily_digest="08:00")
    at_eight(told)
    costs(told)
    assert costs(told) == []
    restarted(told.world)
    assert costs(told) == ["GetItem"]
    assert costs(told) == []


def test_digest_that_fails_is_made_by_the_next_run(told: Told) -> None:
    a_reported_key(told)
    told.settings(mode="report", daily_digest="08:00")
    told.tell()
    at_eight(told)

    def throttled(operation: str, params: dict[str, Any], call: Any) -> object:
        if operation == "Query" and params.get("IndexName") == "by_state":
            raise aws_error("ThrottlingException", operation)
        return call()

    told.world.fault = throttled
    with told.world.recorded():
        telling.tell_the_rest(services=told.world.services, now=told.world.now)
    told.world.fault = None
    told.tell_the_rest(minutes=5)
    told.tell()
    assert len(digests(told)) == 1


@pytest.mark.parametrize("error", ["AccountNotFoundException", "ServiceException"])
def test_account_whose_units_nobody_can_tell_keeps_others_in_the_digest(
    told: Told, error: str
) -> None:
    a_reported_key(told)
    told.settings(
        mode="report",
        daily_digest="08:00",
        routes=[{"to": [f"slack:{OTHER}"], "units": ["ou-ab12-cdefgh34"]}],
    )
    at_eight(told)

    def unknown(operation: str, params: dict[str, Any], call: Any) -> object:  # noqa: ARG001
        if operation in {"ListParents", "DescribeAccount"}:
            raise aws_error(error, operation)
        return call()

    told.world.fault = unknown
    with told.world.recorded():
        slacking.make_daily_digest(services=told.world.services, now=told.world.now)
    told.world.fault = None
    told.tell()
    (digest,) = digests(told)
    assert "1 open finding" in digest.text
