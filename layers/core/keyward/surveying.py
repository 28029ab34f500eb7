"""A sweep in one account: reads its IAM in a handful of calls, and has the suspects looked at.

What it suspects goes the way of every event: a check on the guard's own queue, which reads just
that user again before anything is done.
"""

from collections.abc import Iterable
from datetime import datetime

from keyward.events import SweepStep
from keyward.rule import AnyRule
from keyward.services import Services


def step(of: SweepStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Looks at one account (ACCOUNT), or at its users' SSH keys (SSH_KEYS). Raises GatewayError."""
    raise NotImplementedError
