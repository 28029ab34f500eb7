"""Signs of life: a canary that walked the whole way, and the newest event of each account."""

from datetime import datetime

from keyward.events import Canary
from keyward.model import Hint
from keyward.services import Services


def arrived(canary: Canary, *, services: Services, now: datetime) -> None:
    """Records that the canary came, and what this process heard since. Raises GatewayError."""
    raise NotImplementedError


def hear(hint: Hint, services: Services) -> None:
    """Remembers, in this process alone, that the account was heard from. No AWS call."""
