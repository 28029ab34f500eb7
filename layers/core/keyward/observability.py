"""The one logger and the one metrics object. Messages are constant; data stands in fields.

Never logged: secrets, webhook addresses, whole events.
"""

import warnings

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

warnings.filterwarnings("ignore", message="No application metrics to publish")

logger = Logger(service="keyward", use_rfc3339=True, utc=True)
metrics = Metrics(namespace="Keyward", service="keyward")


def count(name: str, value: int = 1) -> None:
    """Adds to a metric. No dimension holds an account id: each would be billed as a metric."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def took(name: str, seconds: float) -> None:
    """Adds how long something took to a metric."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)


def count_by(name: str, **dimensions: str) -> None:
    """Adds one to the metric of each dimension's value, beside the service's: to several metrics.

    Each value is billed as a metric of its own: only what has few values may be a dimension.
    """
    for dimension, value in dimensions.items():
        with single_metric(
            name=name, unit=MetricUnit.Count, value=1, namespace="Keyward"
        ) as metric:
            metric.add_dimension(name="service", value="keyward")
            metric.add_dimension(name=dimension, value=value)


def count_on(way: str, name: str) -> None:
    """Adds one to a metric of this way, a dimension beside the service's.

    Alarms name both dimensions: with others it would be another metric to them.
    """
    with single_metric(name=name, unit=MetricUnit.Count, value=1, namespace="Keyward") as metric:
        metric.add_dimension(name="service", value="keyward")
        metric.add_dimension(name="way", value=way)
