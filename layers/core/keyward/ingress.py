"""A request to the function URL -> a message to the operator, where Slack signed it just now."""

from collections.abc import Mapping
from datetime import datetime

from keyward.services import Services


def answer(event: Mapping[str, object], *, services: Services, now: datetime) -> dict[str, object]:
    """The HTTP answer: 200 once the request is on the operator's queue, 401 where it isn't Slack's.

    Slack wants it within three seconds. Raises GatewayError where the queue or the secret can't be
    reached: Lambda answers 502 then, and Slack shows the user that it failed.
    Source: https://docs.slack.dev/interactivity/handling-user-interaction
    """
    raise NotImplementedError
