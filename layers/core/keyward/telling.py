"""Tells people what the ledger holds untold: one alert each, a digest when a storm comes.

What could not be told stays untold, and is told by the next scheduled run.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from keyward.alerts import alert, digest
from keyward.findings import FindingRecord, Notice
from keyward.observability import count, logger
from keyward.services import Services

DIGEST_SIZE = 4000
"""So many findings one digest covers; the rest follow in the next.

Ten thousand findings in five minutes are told in twenty messages, with the single ones.
"""

QUIET = timedelta(minutes=1)
"""What is younger is left to the stream, so that nothing is told by both."""

DIGESTS_PER_RUN = 2
"""A scheduled run sends no more digests than this."""


def tell(items: Iterable[FindingRecord | Notice], *, services: Services, now: datetime) -> None:
    """Tells each item that is still untold, within the window's number of single alerts.

    The rest waits for `tell_the_rest`. Raises GatewayError when the topic or the ledger fails.
    """
    limits = services.accepted(now).settings.alerts
    for claimed in items:
        item = services.ledger.still_untold(claimed)
        if item is None:
            continue
        if not services.ledger.may_tell(
            window_minutes=limits.window_minutes, limit=limits.single_per_window, now=now
        ):
            logger.warning("alert folded", item=_name(item))
            count("AlertsFolded")
            continue
        _publish(item, services)


def tell_the_rest(*, services: Services, now: datetime) -> int:
    """Tells what is still untold, in digests; how many were told. Raises GatewayError."""
    told = 0
    for _ in range(DIGESTS_PER_RUN):
        claimed = services.ledger.untold(before=now - QUIET, limit=DIGEST_SIZE)
        items = services.ledger.those_untold(claimed)
        if not items:
            return told
        if len(items) == 1:
            _publish(items[0], services)
            return told + 1
        message = digest(items)
        services.sns.publish(
            subject=message.subject, body=message.body, attributes=message.attributes
        )
        services.ledger.told_together(items)
        told += len(items)
        logger.info("digest told", items=len(items))
    return told


def _publish(item: FindingRecord | Notice, services: Services) -> None:
    """Publishes, then records it: between the two a crash tells twice rather than never."""
    message = alert(item)
    services.sns.publish(subject=message.subject, body=message.body, attributes=message.attributes)
    services.ledger.told(item)
    logger.info("alert told", item=_name(item))
    count("AlertsTold")


def _name(item: FindingRecord | Notice) -> str:
    return item.key if isinstance(item, FindingRecord) else f"{item.kind}/{item.id}"
