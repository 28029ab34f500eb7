"""Tells people what the ledger holds untold: from its stream at once, on a schedule the rest.

A canary's way ends here, too. Each of the two leaves a count that an alarm misses.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from keyward import telling
from keyward.ledger import told_document
from keyward.observability import count, logger, metrics
from keyward.services import services


def tell(record: DynamoDBRecord) -> None:
    """Tells what one write of the ledger has to tell."""
    image = record.raw_event["dynamodb"].get("NewImage") or {}
    if "canary" in image:
        count("CanaryTold")
    if "untold" not in image:
        return
    try:
        telling.tell([told_document(image)], services=services(), now=datetime.now(UTC))
    except Exception:
        logger.exception("alert failed", record_id=record.event_id)
        raise


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers the stream with the records that failed; a schedule's event has none."""
    if "Records" not in event:
        told = telling.tell_the_rest(services=services(), now=datetime.now(UTC))
        count("RetellRuns")
        return {"told": told}
    processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)
    with processor(event["Records"], tell):
        processor.process()
    return dict(processor.response())
