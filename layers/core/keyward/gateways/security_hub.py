"""Security Hub: findings in AWS's own format."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_securityhub import SecurityHubClient


class SecurityHubGateway:
    """Security Hub in one region."""

    def __init__(self, client: "SecurityHubClient") -> None:
        self._client = client

    def import_findings(self, findings: Sequence[Mapping[str, Any]]) -> None:
        """Writes these findings (ASFF), each in place of an earlier one of its id, 100 a call.

        Raises GatewayError.
        """
        raise NotImplementedError
