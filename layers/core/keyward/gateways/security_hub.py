"""Security Hub: findings in AWS's own format."""

from collections.abc import Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from keyward.errors import GatewayError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_securityhub import SecurityHubClient

FINDINGS = 100
"""So many findings one call takes; each holds 240 KB at most, all together 6 MB.

Source: https://docs.aws.amazon.com/securityhub/latest/userguide/finding-update-batchimportfindings.html
"""

MALFORMED = "InvalidInput"
"""How the codes begin of findings that Security Hub takes for malformed: no retry mends them."""


class SecurityHubGateway:
    """Security Hub in one region."""

    def __init__(self, client: "SecurityHubClient") -> None:
        self._client = client

    def import_findings(self, findings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Writes these findings (ASFF), each in place of an earlier one of its id, 100 a call.

        Returns the codes of those that were refused as malformed, by id. Raises GatewayError where
        others were refused: retryable, unless Security Hub isn't on here (InvalidAccess).
        Source: https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
        """
        failed: dict[str, str] = {}
        for batch in batched(findings, FINDINGS, strict=False):
            with translated("BatchImportFindings"):
                answer = self._client.batch_import_findings(Findings=list(batch))  # type: ignore[arg-type]  # built by asff.py in the API's own notation
            if answer["FailedCount"]:
                failed |= {
                    it["Id"]: it["ErrorCode"] for it in answer.get("FailedFindings", [])
                } or {"": "Unknown"}
        malformed = {id_: code for id_, code in failed.items() if code.startswith(MALFORMED)}
        if codes := sorted(set(failed.values()) - set(malformed.values())):
            message = f"BatchImportFindings: {', '.join(codes)}"
            off = all(code.startswith("InvalidAccess") for code in codes)
            raise GatewayError(message, code=codes[0], retryable=not off)
        return malformed
