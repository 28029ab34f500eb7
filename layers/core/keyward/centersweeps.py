"""A sweep in Identity Center: reads who holds what, by the cheapest way, message by message."""

from collections.abc import Iterable
from datetime import datetime

from keyward.events import SweepStep
from keyward.rule import AnyRule
from keyward.services import Services


def step(of: SweepStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Goes on reading for some seconds, and sends the message that goes on. Raises GatewayError."""
    raise NotImplementedError
