"""Slack's Web API and webhooks, by slack_sdk. No error or log has a token or an address in it."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from keyward.errors import GatewayError

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.http_retry import RetryHandler
    from slack_sdk.web import SlackResponse

type Block = Mapping[str, object]

TIMEOUT_SECONDS = 5
"""So long Slack may take to be reached, and to answer."""

REST = timedelta(seconds=60)
"""So long Slack is left alone once it failed, unless it says itself how long."""

LONGEST_REST = timedelta(minutes=10)
"""Nor longer than this, whatever it says."""

HOOKS = "https://hooks.slack.com/"
"""How the addresses of webhooks begin.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

TOO_MANY = 429
"""The status of a call too many; Retry-After says for how many seconds.

Source: https://docs.slack.dev/apis/web-api/rate-limits
"""

SERVER_ERROR = 500

PASSING = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
        "team_added_to_org",
    }
)
"""Codes that a later try may not meet again.

Source: https://docs.slack.dev/reference/methods/chat.postMessage#errors
"""

RESTING = PASSING - {"accesslimited", "team_added_to_org"}
"""Codes after which Slack is left alone for a while."""

REMEDIES = {
    "account_inactive": "the app was removed: install it again and renew the secret",
    "action_prohibited": "the workspace's administrators don't allow it",
    "cant_update_message": "another app wrote that message",
    "channel_is_archived": "the channel is archived: route to another one",
    "channel_not_found": "invite the app to the channel, or mend its id in settings",
    "invalid_auth": "bot_token in the secret is not valid: renew it",
    "invalid_token": "the webhook is gone: renew its address in the secret",
    "is_archived": "the channel is archived: route to another one",
    "missing_scope": "give the app the scopes of docs/slack-app-manifest.yaml",
    "no_service": "the webhook is gone: renew its address in the secret",
    "not_authed": "bot_token in the secret is not valid: renew it",
    "not_in_channel": "invite the app to the channel",
    "token_revoked": "bot_token in the secret is not valid: renew it",
}
"""What to do about the codes that owners can mend.

Source: https://docs.slack.dev/reference/methods/chat.postMessage#errors and
https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
"""

UNKNOWN_USER = "users_not_found"

PLAIN: dict[str, Any] = {"parse": "none", "link_names": False}
"""Nothing in a text becomes a link or a mention.

Source: https://docs.slack.dev/reference/methods/chat.postMessage#arg_parse
"""

NO_PREVIEWS: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False}

CODE = re.compile(r"[a-z_]{1,64}")
"""What Slack's codes look like; anything else may be anything, and is not repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Where a message is."""

    channel: str
    ts: str


class SlackGateway:
    """One workspace. Every method raises GatewayError(retryable) where Slack doesn't take it.

    `secret` yields the secret's members: "bot_token", and webhooks as "webhook:NAME". `url` stands
    in for https://slack.com/api/ on a local AWS.

    Once Slack hangs, fails or asks for time, it isn't asked again for a while: every call is then
    refused at once, so that it never takes a function's time from what else there is to tell. The
    Web API and the webhooks rest each by themselves.

    A call is tried again only where it can't have reached Slack. Where Slack took a message and its
    answer was lost nobody can tell, and the message may come twice.
    """

    def __init__(
        self,
        *,
        secret: Callable[[], Mapping[str, str]],
        url: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._secret, self._url, self._clock = secret, url, clock
        self._rests: dict[str, datetime] = {}

    def post(
        self,
        channel: str,
        *,
        text: str,
        blocks: Sequence[Block],
        thread: str | None = None,
        broadcast: bool = False,
    ) -> Posted:
        """Posts a message, or a reply to the thread's first; `broadcast` shows it in the channel.

        Source: https://docs.slack.dev/reference/methods/chat.postMessage
        """
        reply: dict[str, Any] = (
            {} if thread is None else {"thread_ts": thread, "reply_broadcast": broadcast}
        )
        answer = self._call(
            f"post to {channel}",
            lambda slack: slack.chat_postMessage(
                channel=channel,
                text=text,
                blocks=_plain(blocks),
                mrkdwn=False,
                **PLAIN,
                **NO_PREVIEWS,
                **reply,
            ),
        )
        return Posted(channel=str(answer.get("channel") or channel), ts=_in(answer, "ts"))

    def update(self, posted: Posted, *, text: str, blocks: Sequence[Block]) -> None:
        """Writes a message anew in its place.

        Source: https://docs.slack.dev/reference/methods/chat.update
        """
        self._call(
            f"update a message in {posted.channel}",
            lambda slack: slack.chat_update(
                channel=posted.channel, ts=posted.ts, text=text, blocks=_plain(blocks), **PLAIN
            ),
        )

    def post_to_webhook(self, name: str, *, text: str, blocks: Sequence[Block]) -> None:
        """Posts a message by the webhook of this name.

        Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
        """
        what = f"post by webhook {name}"
        address = self._member(f"webhook:{name}").strip()
        if self._url is None and not address.startswith(HOOKS):
            message = f"Slack, {what}: its address in the secret doesn't begin with {HOOKS}"
            raise GatewayError(message, code="BadSecret")
        body = {
            "text": text,
            "blocks": _plain(blocks),
            "mrkdwn": False,
            **PLAIN,
            **NO_PREVIEWS,
        }
        self._check_rest(what, "webhooks")
        failed: _Failure | None = None
        try:
            from slack_sdk.webhook import WebhookClient  # noqa: PLC0415 - on first use only

            client = WebhookClient(
                address, timeout=TIMEOUT_SECONDS, logger=_silent(), retry_handlers=_retries()
            )
            if self._url is not None:
                client.proxy = None
            answer = client.send_dict(body)
            if answer.status_code != 200:  # noqa: PLR2004 - OK
                failed = _Failure.of(answer.status_code, answer.body, answer.headers)
        except (OSError, HTTPException, ValueError) as error:
            failed = _Failure(code=type(error).__name__, retryable=True, rest=REST)
        # Raised out here: the texts of these errors, which would be its context, have addresses.
        if failed is not None:
            raise self._failed(what, failed, "webhooks")

    def whisper(
        self,
        channel: str,
        user: str,
        *,
        text: str,
        blocks: Sequence[Block],
        thread: str | None = None,
    ) -> None:
        """Shows a message to this user alone, in the channel or in a thread of it.

        Source: https://docs.slack.dev/reference/methods/chat.postEphemeral
        """
        reply: dict[str, Any] = {} if thread is None else {"thread_ts": thread}
        self._call(
            f"whisper to {user} in {channel}",
            lambda slack: slack.chat_postEphemeral(
                channel=channel,
                user=user,
                text=text,
                blocks=_plain(blocks),
                **PLAIN,
                **reply,
            ),
        )

    def write_to(self, email: str, *, text: str, blocks: Sequence[Block]) -> bool:
        """Sends a direct message to the user with this address. False where there is none.

        Sources: https://docs.slack.dev/reference/methods/users.lookupByEmail and
        https://docs.slack.dev/reference/methods/conversations.open
        """
        try:
            found = self._call(
                "look up a user by address", lambda slack: slack.users_lookupByEmail(email=email)
            )
        except GatewayError as error:
            if error.code == UNKNOWN_USER:
                return False
            raise
        user = _in(found, "user", "id")
        opened = self._call(
            f"open a conversation with {user}",
            lambda slack: slack.conversations_open(users=user),
        )
        self.post(_in(opened, "channel", "id"), text=text, blocks=blocks)
        return True

    def _call(self, what: str, call: Callable[["WebClient"], "SlackResponse"]) -> dict[str, Any]:
        """The answer of the Web API. Raises GatewayError by Slack's code."""
        token = self._member("bot_token")
        self._check_rest(what, "the Web API")
        from slack_sdk import WebClient  # noqa: PLC0415 - on first use only
        from slack_sdk.errors import SlackApiError, SlackClientError  # noqa: PLC0415 - likewise

        failed: _Failure
        try:
            client = WebClient(
                token,
                base_url=self._url or WebClient.BASE_URL,
                timeout=TIMEOUT_SECONDS,
                logger=_silent(),
                retry_handlers=_retries(),
            )
            if self._url is not None:
                client.proxy = None
            answer = call(client).data
            if isinstance(answer, dict):
                return answer
            failed = _Failure(code="unreadable", retryable=True, rest=REST)
        except SlackApiError as error:
            answer = error.response.data
            said = answer.get("error") if isinstance(answer, dict) else None
            failed = _Failure.of(error.response.status_code, said, error.response.headers)
        except (SlackClientError, OSError, HTTPException, ValueError, AttributeError) as error:
            # AttributeError: slack_sdk takes any JSON that isn't empty for an object.
            failed = _Failure(code=type(error).__name__, retryable=True, rest=REST)
        # Raised out here: the texts of these errors, its context otherwise, may hold the token.
        raise self._failed(what, failed, "the Web API")

    def _member(self, name: str) -> str:
        found = self._secret().get(name)
        if not found:
            message = f"Slack's secret has no {name}: see docs/slack.md"
            raise GatewayError(message, code="BadSecret")
        return found

    def _check_rest(self, what: str, part: str) -> None:
        until = self._rests.get(part)
        if until is not None and self._clock() < until:
            message = f"Slack, {what}: {part} failed and is left alone until {until:%H:%M:%S} UTC"
            raise GatewayError(message, code="Resting", retryable=True)

    def _failed(self, what: str, failure: "_Failure", part: str) -> GatewayError:
        if failure.rest is not None:
            self._rests[part] = self._clock() + failure.rest
        remedy = REMEDIES.get(failure.code)
        message = f"Slack, {what}: {failure.code}{f': {remedy}' if remedy else ''}"
        return GatewayError(message, code=failure.code, retryable=failure.retryable)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why Slack took nothing. `rest`: so long it is left alone, if at all."""

    code: str
    retryable: bool
    rest: timedelta | None = None

    @classmethod
    def of(cls, status: int, said: object, headers: Mapping[str, Any]) -> "_Failure":
        """What status, code and headers of an answer mean."""
        if status == TOO_MANY:
            return cls(code="ratelimited", retryable=True, rest=_retry_after(headers))
        if status >= SERVER_ERROR:
            return cls(code=f"status {status}", retryable=True, rest=REST)
        code = str(said).strip()
        if not CODE.fullmatch(code):
            # What isn't Slack's answer comes from something before it, such as a proxy.
            return cls(code=f"status {status}, unreadable", retryable=True, rest=REST)
        rest = REST if code in RESTING else None
        return cls(code=code, retryable=code in PASSING, rest=rest)


def _in(answer: Mapping[str, Any], *path: str) -> str:
    """What stands there in an answer. Raises GatewayError where nothing does."""
    found: object = answer
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, str):
        message = f"Slack: its answer has no {'.'.join(path)}"
        raise GatewayError(message, code="unreadable", retryable=True)
    return found


def _retry_after(headers: Mapping[str, Any]) -> timedelta:
    said = next((it for name, it in headers.items() if name.lower() == "retry-after"), None)
    seconds = str(said[0] if isinstance(said, list) and said else said)
    return min(timedelta(seconds=int(seconds)), LONGEST_REST) if seconds.isdecimal() else REST


def _retries() -> "list[RetryHandler]":
    """Once more where the connection failed before Slack can have got anything.

    What fails after that, such as an answer that doesn't come, is another error than URLError.
    """
    from slack_sdk.http_retry.builtin_handlers import (  # noqa: PLC0415 - on first use only
        ConnectionErrorRetryHandler,
    )

    return [ConnectionErrorRetryHandler(max_retry_count=1, error_types=[URLError])]


def _silent() -> logging.Logger:
    """slack_sdk's logger: it says nothing, since it would log addresses and messages."""
    logger = logging.getLogger("keyward.silent")
    # Above every level that there is; slack_sdk asks the logger's own level before it logs bodies.
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    return logger


def _plain(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    return [dict(block) for block in blocks]
