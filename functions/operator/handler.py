"""Does what an operator asks for: release, exempt, pause, and answers what stands where."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from keyward import operating
from keyward.observability import logger, metrics
from keyward.services import services


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, object]:
    """The answer to one request, as the command line reads it."""
    return operating.answer(event, services=services(), now=datetime.now(UTC))
