"""The local Slack: what is told to it is kept, and what is pressed is Slack's own request."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web import WebClient
from slack_sdk.webhook import WebhookClient

from local.slack import MEMBERS, SIGNING_SECRET, TOKEN, Message, Request, Slack

CHANNEL = "C0ALERTS"
BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "A key was made"}},
    {"type": "section", "fields": [{"type": "plain_text", "text": "Account\nshop-prod"}]},
    {
        "type": "input",
        "block_id": "reason",
        "label": {"type": "plain_text", "text": "Reason"},
        "element": {"type": "plain_text_input", "action_id": "text"},
    },
    {
        "type": "input",
        "block_id": "days",
        "label": {"type": "plain_text", "text": "For how long"},
        "element": {
            "type": "static_select",
            "action_id": "choice",
            "options": [
                {"text": {"type": "plain_text", "text": f"{days} days"}, "value": days}
                for days in ("7", "30")
            ],
        },
    },
    {
        "type": "actions",
        "block_id": "acts",
        "elements": [
            {
                "type": "button",
                "action_id": "keyward:release",
                "value": "key:1",
                "text": {"type": "plain_text", "text": "Release ..."},
            }
        ],
    },
]


@pytest.fixture
def slack() -> Iterator[Slack]:
    workspace = Slack()
    with workspace.serving():
        yield workspace


@pytest.fixture
def client(slack: Slack) -> WebClient:
    return WebClient(token=TOKEN, base_url=slack.url)


@pytest.fixture
def first(slack: Slack, client: WebClient) -> Message:
    client.chat_postMessage(channel=CHANNEL, text="A key was made", blocks=BLOCKS)
    (message,) = slack.in_channel(CHANNEL)
    return message


def payload(request: Request) -> dict[str, Any]:
    (text,) = urllib.parse.parse_qs(request.body.decode())["payload"]
    found: dict[str, Any] = json.loads(text)
    return found


def is_valid(request: Request) -> bool:
    return SignatureVerifier(SIGNING_SECRET).is_valid_request(request.body, request.headers)


def test_message_is_shown_as_text(first: Message) -> None:
    assert first.shown().splitlines() == [
        "A key was made",
        "Account shop-prod",
        "Reason: ____________________",
        "For how long: 7 days | 30 days",
        "[ Release ... ]",
    ]


def test_thread_stands_below_its_first_message_alone(
    slack: Slack, client: WebClient, first: Message
) -> None:
    client.chat_postMessage(channel=CHANNEL, text="released", thread_ts=first.ts)
    assert [it.text for it in slack.thread_of(first)] == ["released"]
    assert slack.in_channel(CHANNEL) == [first]


def test_edit_keeps_what_stood_there_before(client: WebClient, first: Message) -> None:
    shown = first.shown()
    client.chat_update(channel=CHANNEL, ts=first.ts, text="Released")
    assert (first.shown(), first.before) == ("Released", [shown])


def test_whisper_is_for_one_member(slack: Slack, client: WebClient) -> None:
    client.chat_postEphemeral(channel=CHANNEL, user=MEMBERS["ana"][0], text="you may not")
    assert [it.text for it in slack.only_for("ana")] == ["you may not"]
    assert slack.only_for("ben") == []
    assert slack.in_channel(CHANNEL) == []


def test_direct_message_goes_to_whose_address_it_is(slack: Slack, client: WebClient) -> None:
    user = client.users_lookupByEmail(email="ben@example.com")["user"]["id"]
    channel = client.conversations_open(users=user)["channel"]["id"]
    client.chat_postMessage(channel=channel, text="your key")
    assert [it.text for it in slack.direct("ben")] == ["your key"]


def test_webhook_has_its_messages_by_name(slack: Slack) -> None:
    address = slack.secret("security")["webhook:security"]
    assert WebhookClient(address).send(text="told").body == "ok"
    assert [it.text for it in slack.in_channel("webhook:security")] == ["told"]


def test_other_token_is_refused(slack: Slack) -> None:
    with pytest.raises(SlackApiError, match="invalid_auth"):
        WebClient(token="xoxb-other", base_url=slack.url).chat_postMessage(channel="C", text="t")
    assert (slack.messages, slack.refused) == ([], ["invalid_auth"])


def test_unknown_address_and_message_are_refused(client: WebClient) -> None:
    with pytest.raises(SlackApiError, match="users_not_found"):
        client.users_lookupByEmail(email="nobody@example.com")
    with pytest.raises(SlackApiError, match="message_not_found"):
        client.chat_update(channel=CHANNEL, ts="1.1", text="t")


def test_press_is_signed_and_says_what_was_pressed(slack: Slack, first: Message) -> None:
    request = slack.pressing(
        first, "release", by="ana", filled={"reason": "it is mine", "how long": "30 days"}
    )
    assert is_valid(request)
    assert abs(int(request.headers["X-Slack-Request-Timestamp"]) - time.time()) < 60
    said = payload(request)
    assert said["type"] == "block_actions"
    assert said["user"]["id"] == MEMBERS["ana"][0]
    assert said["container"]["message_ts"] == first.ts
    (action,) = said["actions"]
    assert (action["action_id"], action["value"]) == ("keyward:release", "key:1")
    assert said["state"]["values"]["reason"]["text"]["value"] == "it is mine"
    assert said["state"]["values"]["days"]["choice"]["selected_option"]["value"] == "30"


def test_what_nobody_filled_in_is_empty(slack: Slack, first: Message) -> None:
    filled = payload(slack.pressing(first, "release", by="ana"))["state"]["values"]
    assert filled["reason"]["text"]["value"] is None
    assert filled["days"]["choice"]["selected_option"] is None


def test_forged_and_altered_requests_are_not_slacks(slack: Slack, first: Message) -> None:
    request = slack.pressing(first, "release", by="ana")
    altered = request.altered(MEMBERS["ana"][0], MEMBERS["ben"][0])
    assert altered.body != request.body
    assert not is_valid(request.forged())
    assert not is_valid(altered)


def test_what_is_not_there_cannot_be_pressed_or_filled(slack: Slack, first: Message) -> None:
    with pytest.raises(KeyError, match="among Release"):
        slack.pressing(first, "Exempt", by="ana")
    with pytest.raises(KeyError, match="fields ticket"):
        slack.pressing(first, "Release", by="ana", filled={"ticket": "SEC-1"})
