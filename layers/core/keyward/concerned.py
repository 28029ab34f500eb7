"""Tells the owner of what was contained: why, and what to use instead."""

from datetime import datetime

from keyward.findings import FindingRecord
from keyward.services import Services
from keyward.told import Told


def is_due(record: FindingRecord, told: Told, *, services: Services, now: datetime) -> bool:
    """Whether the owner is to be told: of a containment, once an episode, where settings say so.

    No call is made to tell.
    """
    return False


def tell(record: FindingRecord, *, services: Services, now: datetime) -> None:
    """Tells the owner, by Slack or e-mail, where an address can be found. Raises GatewayError."""
    raise NotImplementedError
