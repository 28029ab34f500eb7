"""An operator's order: do to one finding now what mode enforce would do, though it only reports."""

from datetime import datetime

from keyward.findings import FindingRecord
from keyward.services import Services


def may_order(record: FindingRecord) -> str | None:
    """Why nothing can be ordered about this finding; None where an order can be given. Pure."""
    raise NotImplementedError


def order(
    record: FindingRecord, *, by: str, reason: str, services: Services, now: datetime
) -> None:
    """Gives the order, and has the guard look at the subject now.

    The guard reads the present state, judges, and acts as in mode enforce; protected principals and
    the management account are as safe as ever. Raises RequestError, GatewayError.
    """
    raise NotImplementedError
