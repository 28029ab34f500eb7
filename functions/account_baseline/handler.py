"""Gives accounts the access that baselines want, from their first day on."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from keyward import pipeline, rules
from keyward.observability import logger, metrics
from keyward.services import services

RULES = rules.of_guard("account_baseline")


def judge(record: SQSRecord) -> None:
    """Takes one event through the pipeline; an error here sends this record back, and no other."""
    try:
        pipeline.enforce(record.body, rules=RULES, services=services(), now=datetime.now(UTC))
    except Exception:
        logger.exception("event failed", message_id=record.message_id)
        raise


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers SQS with the records that failed: those come again, then go to the dead letters."""
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    with processor(event["Records"], judge):
        processor.process()
    return dict(processor.response())
