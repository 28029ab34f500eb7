"""Slack's door: takes what Slack signed a moment ago, and hands it to the operator. Nothing else.

It reads no ledger and does no act: it holds the signing secret, and may put on one queue.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from keyward import ingress
from keyward.door import door
from keyward.observability import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """The HTTP answer, within Slack's three seconds: 200 once it is on the queue, else 401."""
    return ingress.answer(event, services=door(), now=datetime.now(UTC))
