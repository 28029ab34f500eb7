"""Makes reports: each week by itself, and whenever the operator asks for one."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from keyward import reporting
from keyward.observability import logger, metrics
from keyward.services import services


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """Makes the report that the operator asked for, or the week's; answers with its files."""
    now = datetime.now(UTC)
    if "report" in event:
        return reporting.make(event["report"], by=event["by"], services=services(), now=now)
    reporting.make_weekly(services=services(), now=now)
    return {}
