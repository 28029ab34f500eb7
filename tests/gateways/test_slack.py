"""Slack's answers become results, or errors that say what to do and hold no secret."""

from __future__ import annotations

import io
import json
import logging
import re
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from keyward.errors import GatewayError
from keyward.gateways import slack as slack_gateway
from keyward.gateways.slack import Posted, SlackGateway
from keyward.settings import GlobalSettings, validated
from tests.flow.slack_server import (
    TOKEN,
    WEBHOOK_PATH,
    Answer,
    Fault,
    Slack,
    a_slack,
    down,
    hangs,
    hangs_up,
    rate_limited,
    refused,
)

CHANNEL = "C0123456"
BLOCKS = [{"type": "section", "text": {"type": "plain_text", "text": "hello", "emoji": False}}]


class Clock:
    """A clock that the test holds."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def slack() -> Iterator[Slack]:
    with a_slack() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway(slack: Slack, clock: Clock) -> SlackGateway:
    return SlackGateway(secret=lambda: slack.secret, url=slack.url, clock=clock)


def failure(gateway: SlackGateway, *, webhook: bool = False) -> GatewayError:
    """What is raised for a message that Slack doesn't take."""
    post = gateway.post_to_webhook if webhook else gateway.post
    with pytest.raises(GatewayError) as raised:
        post("security" if webhook else CHANNEL, text="hi", blocks=BLOCKS)
    return raised.value


def test_message_is_posted_replied_to_and_written_anew(slack: Slack, gateway: SlackGateway) -> None:
    posted = gateway.post(CHANNEL, text="first", blocks=BLOCKS)
    gateway.post(CHANNEL, text="reply", blocks=BLOCKS, thread=posted.ts, broadcast=True)
    gateway.update(posted, text="second", blocks=BLOCKS)
    (first,) = slack.channel(CHANNEL)
    assert (first.text, first.blocks, first.edits) == ("second", BLOCKS, 1)
    (reply,) = slack.thread(first)
    assert (reply.text, reply.body["reply_broadcast"]) == ("reply", True)


def test_nothing_in_a_message_becomes_markup_a_link_or_a_mention(
    slack: Slack, gateway: SlackGateway
) -> None:
    posted = gateway.post(CHANNEL, text="x", blocks=BLOCKS)
    gateway.update(posted, text="x", blocks=BLOCKS)
    gateway.whisper(CHANNEL, "U0123456", text="x", blocks=BLOCKS)
    gateway.post_to_webhook("security", text="x", blocks=BLOCKS)
    assert len(slack.calls) == 4
    for call in slack.calls:
        assert (call.body["parse"], call.body["link_names"]) == ("none", False)
        if call.method in {"chat.postMessage", "webhook:security"}:
            assert call.body["mrkdwn"] is False
            assert call.body["unfurl_links"] is False
            assert call.body["unfurl_media"] is False


def test_webhook_is_posted_to_by_its_name(slack: Slack, gateway: SlackGateway) -> None:
    gateway.post_to_webhook("security", text="hi", blocks=BLOCKS)
    (message,) = slack.channel("webhook:security")
    assert message.blocks == BLOCKS


def test_whisper_is_seen_by_one(slack: Slack, gateway: SlackGateway) -> None:
    gateway.whisper(CHANNEL, "U0123456", text="*no*", blocks=BLOCKS, thread="1.2")
    (whispered,) = slack.whispers("U0123456")
    assert whispered.thread == "1.2"
    assert whispered.blocks == BLOCKS
    assert slack.channel(CHANNEL) == []


def test_user_is_written_to_by_address(slack: Slack, gateway: SlackGateway) -> None:
    slack.people["ana@example.com"] = "U0000001"
    assert gateway.write_to("ana@example.com", text="hello", blocks=BLOCKS)
    (message,) = slack.channel("D0000001")
    assert message.text == "hello"


def test_nobody_with_that_address_is_no_error(slack: Slack, gateway: SlackGateway) -> None:
    assert not gateway.write_to("nobody@example.com", text="hello", blocks=BLOCKS)
    assert slack.messages == []


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "says"),
    [
        (refused("channel_not_found"), "channel_not_found", False, "invite the app"),
        (refused("not_in_channel"), "not_in_channel", False, "invite the app"),
        (refused("invalid_auth"), "invalid_auth", False, "renew it"),
        (refused("missing_scope"), "missing_scope", False, "slack-app-manifest.yaml"),
        (refused("something_new"), "something_new", False, "something_new"),
        (refused("internal_error"), "internal_error", True, "internal_error"),
        (refused("fatal_error"), "fatal_error", True, "fatal_error"),
        (refused("ratelimited"), "ratelimited", True, "ratelimited"),
        (rate_limited(), "ratelimited", True, "ratelimited"),
        (down(503), "status 503", True, "503"),
        (Answer(body="<html>"), "status 200, unreadable", True, "unreadable"),
        (Answer(body="{broken"), "JSONDecodeError", True, "JSONDecodeError"),
        (Answer(body="[]"), "status 200, unreadable", True, "unreadable"),
        (Answer(body="[1]"), "AttributeError", True, "AttributeError"),
        (Answer(body='{"ok": true}'), "unreadable", True, "has no ts"),
        (hangs_up(), "RemoteDisconnected", True, "RemoteDisconnected"),
    ],
)
def test_refusal_is_told_by_its_code(
    slack: Slack,
    gateway: SlackGateway,
    fault: Fault,
    code: str,
    *,
    retryable: bool,
    says: str,
) -> None:
    slack.fault = fault
    error = failure(gateway)
    assert (error.code, error.retryable) == (code, retryable)
    assert says in str(error)
    assert len(slack.calls) == 1


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Answer(status=404, body="no_service"), "no_service", False),
        (Answer(status=403, body="invalid_token"), "invalid_token", False),
        (Answer(status=403, body="action_prohibited"), "action_prohibited", False),
        (Answer(status=400, body="invalid_blocks"), "invalid_blocks", False),
        (rate_limited(), "ratelimited", True),
        (down(502), "status 502", True),
        (hangs_up(), "RemoteDisconnected", True),
    ],
)
def test_refusal_of_a_webhook_is_told_by_its_code(
    slack: Slack, gateway: SlackGateway, fault: Fault, code: str, *, retryable: bool
) -> None:
    slack.fault = fault
    error = failure(gateway, webhook=True)
    assert (error.code, error.retryable) == (code, retryable)
    assert len(slack.calls) == 1


# Time


def test_slack_that_hangs_costs_its_timeout_once_and_then_nothing(
    slack: Slack, gateway: SlackGateway, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_gateway, "TIMEOUT_SECONDS", 0.3)
    slack.fault = hangs()
    assert failure(gateway).retryable
    began = time.monotonic()
    for _ in range(20):
        assert failure(gateway).code == "Resting"
    assert time.monotonic() - began < 0.2
    assert len(slack.calls) == 1
    clock.later(59)
    assert failure(gateway).code == "Resting"
    clock.later(1)
    slack.fault = None
    gateway.post(CHANNEL, text="hi", blocks=BLOCKS)
    assert len(slack.channel(CHANNEL)) == 1


def test_slack_is_left_alone_for_as_long_as_it_asks(
    slack: Slack, gateway: SlackGateway, clock: Clock
) -> None:
    slack.fault = rate_limited(30)
    failure(gateway)
    slack.fault = None
    clock.later(29)
    assert failure(gateway).code == "Resting"
    clock.later(1)
    gateway.post(CHANNEL, text="hi", blocks=BLOCKS)
    assert len(slack.calls) == 2


@pytest.mark.parametrize("said", ["", "soon", "-1", "99999999999"])
def test_senseless_retry_after_is_no_error(
    slack: Slack, gateway: SlackGateway, clock: Clock, said: str
) -> None:
    slack.fault = Answer(status=429, body="{}", headers={"Retry-After": said})
    assert failure(gateway).code == "ratelimited"
    slack.fault = None
    clock.later(600)
    gateway.post(CHANNEL, text="hi", blocks=BLOCKS)


def test_one_bad_channel_keeps_nothing_from_the_others(slack: Slack, gateway: SlackGateway) -> None:
    slack.fault = lambda call: refused("is_archived") if call.body["channel"] == CHANNEL else None
    failure(gateway)
    gateway.post("C0999999", text="hi", blocks=BLOCKS)
    assert len(slack.channel("C0999999")) == 1


def test_webhooks_and_web_api_rest_each_by_themselves(slack: Slack, gateway: SlackGateway) -> None:
    slack.fault = lambda call: down() if call.method == "webhook:security" else None
    failure(gateway, webhook=True)
    assert failure(gateway, webhook=True).code == "Resting"
    gateway.post(CHANNEL, text="hi", blocks=BLOCKS)
    assert len(slack.channel(CHANNEL)) == 1


def test_what_slack_may_have_taken_is_not_sent_again(slack: Slack, gateway: SlackGateway) -> None:
    slack.fault = Answer(status=0, taken=True)
    failure(gateway)
    assert len(slack.channel(CHANNEL)) == 1


def test_refused_connection_is_tried_once_more(clock: Clock) -> None:
    with a_slack() as gone:
        pass
    gateway = SlackGateway(secret=lambda: gone.secret, url=gone.url, clock=clock)
    error = failure(gateway)
    assert (error.code, error.retryable) == ("URLError", True)


# Secrets

SECRET_PARTS = ("xoxb-canary", "webhook-secret-part", TOKEN)


@pytest.mark.parametrize("token", ["xoxb-canary", "xoxb-canary\nX: y", "xoxb-canary-\u00e9\u4e16"])
@pytest.mark.parametrize(
    "fault",
    [
        None,
        refused("invalid_auth"),
        refused("xoxb-canary"),
        Answer(body="xoxb-canary webhook-secret-part"),
        Answer(body='{"ok": false, "error": "webhook-secret-part"}'),
        Answer(status=500, body="xoxb-canary webhook-secret-part"),
        hangs_up(),
    ],
)
def test_no_error_or_log_has_token_or_address(
    slack: Slack, clock: Clock, token: str, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    addresses = (slack.webhook("security"), f"{slack.address}{WEBHOOK_PATH}bad path\n")
    try:
        for address in addresses:
            secret = {"bot_token": token, "webhook:security": address}
            gateway = SlackGateway(secret=lambda found=secret: found, url=slack.url, clock=clock)  # type: ignore[misc]  # bound at once
            slack.fault = fault
            for webhook in (False, True):
                try:
                    error: GatewayError | None = failure(gateway, webhook=webhook)
                except pytest.fail.Exception:
                    error = None  # this one was taken
                if error is not None:
                    said = "".join(traceback.format_exception(error)) + repr(error)
                    assert error.__context__ is None
                    assert not any(part in said for part in SECRET_PARTS), said
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)
    out, err = capsys.readouterr()
    logged = stream.getvalue() + out + err
    assert not any(part in logged for part in SECRET_PARTS), logged


def test_email_is_in_no_error(slack: Slack, gateway: SlackGateway) -> None:
    slack.fault = refused("missing_scope")
    with pytest.raises(GatewayError) as raised:
        gateway.write_to("ana@example.com", text="hello", blocks=BLOCKS)
    assert "ana@" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.slack.com/services/webhook-secret-part",
        "https://hooks.slack.com.evil.example/webhook-secret-part",
        "https://evil.example/webhook-secret-part",
        "file:///etc/webhook-secret-part",
    ],
)
def test_webhook_elsewhere_than_at_slack_is_refused(clock: Clock, address: str) -> None:
    gateway = SlackGateway(secret=lambda: {"webhook:security": address}, url=None, clock=clock)
    error = failure(gateway, webhook=True)
    assert (error.code, error.retryable) == ("BadSecret", False)
    assert "webhook-secret-part" not in str(error)


def test_secret_without_what_is_needed_says_so(slack: Slack, clock: Clock) -> None:
    gateway = SlackGateway(secret=dict, url=slack.url, clock=clock)
    assert "has no bot_token: see docs/slack.md" in str(failure(gateway))
    assert "has no webhook:security" in str(failure(gateway, webhook=True))


def test_rotated_token_counts_at_once(slack: Slack, clock: Clock) -> None:
    secret = {"bot_token": "xoxb-old"}
    gateway = SlackGateway(secret=lambda: secret, url=slack.url, clock=clock)
    assert failure(gateway).code == "invalid_auth"
    secret["bot_token"] = TOKEN
    assert gateway.post(CHANNEL, text="hi", blocks=BLOCKS).channel == CHANNEL


def test_deleted_message_is_told_by_its_code(gateway: SlackGateway) -> None:
    with pytest.raises(GatewayError) as raised:
        gateway.update(Posted(channel=CHANNEL, ts="1.2"), text="x", blocks=BLOCKS)
    assert raised.value.code == "message_not_found"


# What the documentation says

DOCS = Path(__file__).parents[2] / "docs"
SCOPES = {
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.open": "im:write",
    "users.lookupByEmail": "users:read.email",
}
"""Source: the page of each method below https://docs.slack.dev/reference/methods"""


def test_manifest_has_the_scopes_of_what_is_called_and_no_other(
    slack: Slack, gateway: SlackGateway
) -> None:
    slack.people["ana@example.com"] = "U0000001"
    posted = gateway.post(CHANNEL, text="x", blocks=BLOCKS)
    gateway.update(posted, text="x", blocks=BLOCKS)
    gateway.whisper(CHANNEL, "U0000001", text="x", blocks=BLOCKS)
    gateway.write_to("ana@example.com", text="x", blocks=BLOCKS)
    manifest = yaml.safe_load((DOCS / "slack-app-manifest.yaml").read_text())
    needed = {SCOPES[call.method] for call in slack.calls}
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == needed | {"users:read"}


def test_settings_in_the_documentation_are_valid() -> None:
    text = (DOCS / "slack.md").read_text()
    example = next(
        it for it in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if '"alerts"' in it
    )
    validated("docs/slack.md", GlobalSettings, json.loads(example))
