"""What Keyward tells other programs: events on the bus keyward-out, and Security Hub's findings."""

from collections.abc import Sequence
from datetime import datetime

from keyward.findings import FindingRecord
from keyward.services import Services


def put(records: Sequence[FindingRecord], *, services: Services) -> None:
    """Puts a `keyward.finding` for each on the bus, and a `keyward.action` where one has ended.

    Raises GatewayError; what was taken comes again then, with the same ids.
    """
    raise NotImplementedError


def import_findings(records: Sequence[FindingRecord], *, services: Services, now: datetime) -> None:
    """Writes each into Security Hub, in place of what it had of it. Raises GatewayError."""
    raise NotImplementedError
