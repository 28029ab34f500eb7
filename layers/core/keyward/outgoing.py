"""What Keyward tells other programs: events on the bus keyward-out, and Security Hub's findings."""

from collections.abc import Sequence

from keyward import asff, published
from keyward.findings import FindingRecord
from keyward.observability import count, logger
from keyward.services import Services


def put(records: Sequence[FindingRecord], *, services: Services) -> None:
    """Puts a `keyward.finding` for each on the bus, and a `keyward.action` where one has ended.

    Raises GatewayError; what was taken comes again then, with the same ids.
    """
    entries: list[tuple[str, str]] = []
    for record in records:
        entries.append((published.FINDING, published.finding(record).model_dump_json()))
        if (act := published.action(record)) is not None:
            entries.append((published.ACTION, act.model_dump_json()))
    if entries:
        services.events.put(services.environment.out_bus, entries)


def import_findings(records: Sequence[FindingRecord], *, services: Services) -> None:
    """Writes each into Security Hub, in place of what it had of it. Raises GatewayError.

    What Security Hub refuses as malformed it would refuse again: that is logged and counted.
    """
    if not records:
        return
    environment = services.environment
    _, partition, _, region, *_ = environment.topic_arn.split(":")
    refused = services.security_hub.import_findings(
        [
            asff.document(
                record,
                partition=partition,
                region=region,
                hub_account=environment.hub_account,
            )
            for record in records
        ]
    )
    for id_, code in refused.items():
        logger.error("finding refused by security hub", item=id_, code=code)
        count("AlertsFailed")
