"""Does what an operator asks for: release, exempt, pause, and answers what stands where.

The command line invokes it; what people press in Slack comes by its queue.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from keyward import operating, pressing
from keyward.observability import logger, metrics
from keyward.services import services


def take(record: SQSRecord) -> None:
    """Takes one press of a button; an error here sends this record back, and no other."""
    try:
        pressing.pressed(
            record.body, id_=record.message_id, services=services(), now=datetime.now(UTC)
        )
    except Exception:
        logger.exception("press failed", message_id=record.message_id)
        raise


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, object]:
    """The answer to one request, as the command line reads it; to SQS the records that failed."""
    if "Records" not in event:
        return operating.answer(event, services=services(), now=datetime.now(UTC))
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    with processor(event["Records"], take):
        processor.process()
    return dict(processor.response())
