"""Brings settings into force, whenever one changed and every five minutes.

What the messages say doesn't matter: each batch compiles the whole tree anew, once.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from keyward import rules
from keyward.observability import count, logger, metrics
from keyward.services import services
from keyward.settling import settle

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, object], _context: "LambdaContext") -> dict[str, list[object]]:
    """No item of the batch failed, or GatewayError: then SQS delivers the whole batch again."""
    count("SettingsRuns")
    here = services()
    compilation = settle(
        ssm=here.ssm, ledger=here.ledger, rules=rules.every(), now=datetime.now(UTC), hub=here
    )
    for refusal in compilation.refused:
        logger.warning(
            "setting refused", extra={"parameter": refusal.parameter, "why": refusal.text}
        )
    if compilation.changed:
        logger.info("settings in force", extra={"settings_version": compilation.accepted.version})
    count("SettingsRefused", len(compilation.refused))
    return {"batchItemFailures": []}
