"""Tells Slack: a first message for each finding, what follows in its thread, digests, and forms.

A message is rendered from the finding as it is; the words stand in slack_messages.py.
"""

from datetime import datetime

from keyward.findings import FindingRecord, Notice
from keyward.services import Services
from keyward.told import Delivered, Told


def deliver(
    item: FindingRecord | Notice, place: str, told: Told, *, services: Services, now: datetime
) -> Delivered:
    """Tells a place of Slack's (slack:CHANNEL or webhook:NAME) of it, and returns what to remember.

    Raises GatewayError where Slack doesn't take it.
    """
    raise NotImplementedError


def make_daily_digest(*, services: Services, now: datetime) -> None:
    """Makes the notices of the day's digest, once its hour has come: one for each place of Slack's.

    Where nothing is open there is none. Raises GatewayError.
    """
