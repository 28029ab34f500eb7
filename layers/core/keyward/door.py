"""What slack_ingress has of AWS: the signing secret and the operator's queue.

Slack waits for three seconds, cold start included. So nothing is loaded here of what the other
functions share (`services`), which takes most of a second by itself.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from keyward.gateways.secrets import SecretsGateway
from keyward.gateways.sqs import SqsGateway

if TYPE_CHECKING:
    from boto3.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorEnvironment:
    """What the template tells the function."""

    operator_queue_url: str
    slack_signing_secret_arn: str

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "DoorEnvironment":
        """The environment in these variables. Raises KeyError naming what the template forgot."""
        return cls(
            operator_queue_url=variables["KEYWARD_OPERATOR_QUEUE_URL"],
            slack_signing_secret_arn=variables["KEYWARD_SLACK_SIGNING_SECRET_ARN"],
        )


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Door:
    """Two gateways, each built when it is first asked for."""

    environment: DoorEnvironment

    @cached_property
    def secrets(self) -> SecretsGateway:
        """Secrets Manager."""
        return SecretsGateway(client=self._client("secretsmanager"), clock=_utc_now)

    @cached_property
    def operator_queue(self) -> SqsGateway:
        """The operator's queue."""
        return SqsGateway(client=self._client("sqs"), url=self.environment.operator_queue_url)

    @cached_property
    def _boto(self) -> "Session":
        import boto3  # noqa: PLC0415 - what is no signed request costs none

        return boto3.session.Session()

    def _client(self, service: str) -> Any:  # noqa: ANN401 - a boto3 client of either service
        from botocore.config import Config  # noqa: PLC0415 - on first use only

        # Whoever pressed sees after three seconds that it failed: a long wait is of no use.
        config = Config(
            connect_timeout=1, read_timeout=2, retries={"mode": "standard", "max_attempts": 2}
        )
        return self._boto.client(service, config=config)  # type: ignore[call-overload]  # the service is a variable


@cache
def door() -> Door:
    """The function's door, made on first use and kept while the function is warm."""
    return Door(environment=DoorEnvironment.of(os.environ))
