"""The one logger and the one metrics object. Messages are constant; data stands in fields.

Never logged: secrets, webhook addresses, whole events.
"""

import warnings

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

warnings.filterwarnings("ignore", message="No application metrics to publish")

logger = Logger(service="keyward", use_rfc3339=True, utc=True)
metrics = Metrics(namespace="Keyward", service="keyward")


def count(name: str, value: int = 1) -> None:
    """Adds to a metric. No dimension holds an account id: each would be billed as a metric."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
