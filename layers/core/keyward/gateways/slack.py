"""Slack's Web API and webhooks, by slack_sdk. No error or log has a token or an address in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

type Block = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Where a message is."""

    channel: str
    ts: str


class SlackGateway:
    """One workspace. Every method raises GatewayError(retryable) where Slack doesn't take it.

    `secret` yields the secret's members: "bot_token", and webhooks as "webhook:NAME". `url` stands
    in for https://slack.com/api/ on a local AWS.
    """

    def __init__(
        self,
        *,
        secret: Callable[[], Mapping[str, str]],
        url: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._secret, self._url, self._clock = secret, url, clock

    def post(
        self,
        channel: str,
        *,
        text: str,
        blocks: Sequence[Block],
        thread: str | None = None,
        broadcast: bool = False,
    ) -> Posted:
        """Posts a message, or a reply to the thread's first; `broadcast` shows it in the channel."""
        raise NotImplementedError

    def update(self, posted: Posted, *, text: str, blocks: Sequence[Block]) -> None:
        """Writes a message anew in its place."""
        raise NotImplementedError

    def post_to_webhook(self, name: str, *, text: str, blocks: Sequence[Block]) -> None:
        """Posts a message by the webhook of this name."""
        raise NotImplementedError

    def whisper(
        self,
        channel: str,
        user: str,
        *,
        text: str,
        blocks: Sequence[Block] = (),
        thread: str | None = None,
    ) -> None:
        """Shows a message to this user alone, in the channel or in a thread of it."""
        raise NotImplementedError

    def write_to(self, email: str, *, text: str, blocks: Sequence[Block] = ()) -> bool:
        """Sends a direct message to the user with this address. False where there is none."""
        raise NotImplementedError
