"""Sweeps the organization: asks the guards, account by account, to look at what is."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from keyward import sweeps
from keyward.observability import logger, metrics
from keyward.services import services


def take(record: SQSRecord) -> None:
    """Takes one step of a sweep; an error here sends this record back, and no other."""
    sent = datetime.fromtimestamp(int(record.attributes.sent_timestamp) / 1000, tz=UTC)
    try:
        sweeps.hear(record.body, sent=sent, services=services(), now=datetime.now(UTC))
    except Exception:
        logger.exception("step failed", message_id=record.message_id)
        raise


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers SQS with the records that failed: those come again, then go to the dead letters."""
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    with processor(event["Records"], take):
        processor.process()
    return dict(processor.response())
