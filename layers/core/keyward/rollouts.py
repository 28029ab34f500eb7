"""Brings baselines to many accounts, message by message: plans, waits for a word, assigns."""

from collections.abc import Iterable
from datetime import datetime

from keyward.events import RolloutStep
from keyward.rollout import Rollout
from keyward.rule import AnyRule
from keyward.services import Services


def begin(  # noqa: PLR0913 - all of it by name
    scope: str, *, automatic: bool, by: str, reason: str, services: Services, now: datetime
) -> Rollout:
    """Begins to plan a rollout; the rest follows by messages. Raises GatewayError."""
    raise NotImplementedError


def step(of: RolloutStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Takes the next step of a rollout. Raises GatewayError."""
    raise NotImplementedError
