"""The function sweep: turns the organization into hints for the guards, message by message.

It may list accounts, put messages on the guards' queues, and write down how far it is; nothing
else. What a guard does with a hint is the same as with an event.
"""

from datetime import datetime

from keyward.events import SweepStep
from keyward.services import Services
from keyward.sweep import Sweep


def begin(*, full: bool, by: str, services: Services, now: datetime) -> Sweep:
    """Begins a sweep; the rest follows by messages. Raises GatewayError."""
    raise NotImplementedError


def step(of: SweepStep, *, services: Services, now: datetime) -> None:
    """Takes one step (START, LIST or CLOSE) of a sweep. Raises GatewayError."""
    raise NotImplementedError
