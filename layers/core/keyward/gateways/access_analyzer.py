"""IAM Access Analyzer: what AWS itself finds that a policy allows.

It reasons about all requests that a policy could allow. AWS charges for each check of access.
Question and answer are shaped as the API model has them; none was exchanged with AWS.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-custom-policy-checks.html
Source: https://aws.amazon.com/iam/access-analyzer/pricing/
"""

from typing import TYPE_CHECKING

from keyward.gateways.translate import translated
from keyward.model import PolicyDocument
from keyward.policy.sentinels import SENTINELS, resources

if TYPE_CHECKING:
    from mypy_boto3_accessanalyzer import AccessAnalyzerClient
    from mypy_boto3_accessanalyzer.type_defs import (
        CheckAccessNotGrantedResponseTypeDef,
        ReasonSummaryTypeDef,
    )

SHOWN = 10
"""So many of its reasons are kept."""

GRAVE = frozenset({"ERROR", "SECURITY_WARNING"})
"""What is said of a policy that is not only a matter of style."""

ALLOWED = "The policy may allow it."
"""What stands for a reason that AWS gives no words for: none of them must be there."""


class AccessAnalyzerGateway:
    """Checks of policy documents, which need no analyzer. There is nothing to clean up."""

    def __init__(self, *, client: "AccessAnalyzerClient", account: str) -> None:
        """`account` is the one whose resources a policy is asked about."""
        self._client = client
        self._resources = resources(partition=client.meta.partition, account=account)
        self._known: dict[str, tuple[str, ...]] = {}

    def objections(self, document: PolicyDocument) -> tuple[str, ...]:
        """Why AWS finds that the document may allow a sentinel action; nothing where it doesn't.

        An action is asked about on resources that no policy names, so that what is allowed on some
        only is no objection. One call, and none for a document that was asked about before. Raises
        GatewayError.

        Source: https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_CheckAccessNotGranted.html
        """
        if document.text not in self._known:
            with translated(f"CheckAccessNotGranted {document.name}"):
                answer = self._client.check_access_not_granted(
                    policyDocument=document.text,
                    policyType="IDENTITY_POLICY",
                    access=[{"actions": SENTINELS, "resources": self._resources}],
                )
            self._known[document.text] = _objections(answer)
        return self._known[document.text]

    def doubts(self, document: PolicyDocument) -> tuple[str, ...]:
        """What AWS finds not to work in the document, or to allow too much, a line for each.

        Costs nothing. Raises GatewayError.

        Source: https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_ValidatePolicy.html
        Source: https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_ValidatePolicyFinding.html
        """
        pages = self._client.get_paginator("validate_policy").paginate(
            locale="EN", policyDocument=document.text, policyType="IDENTITY_POLICY"
        )
        with translated(f"ValidatePolicy {document.name}"):
            found = [finding for page in pages for finding in page["findings"]]
        grave = [finding for finding in found if finding["findingType"] in GRAVE]
        return tuple(f"{it['issueCode']}: {it['findingDetails']}" for it in grave[:SHOWN])


def _objections(answer: "CheckAccessNotGrantedResponseTypeDef") -> tuple[str, ...]:
    """The reasons of a FAIL, which says that the policy might allow some of what was asked."""
    if answer.get("result") != "FAIL":
        return ()
    lines = tuple(_line(reason) for reason in answer.get("reasons", [])[:SHOWN])
    return lines or (answer.get("message") or ALLOWED,)


def _line(reason: "ReasonSummaryTypeDef") -> str:
    text, sid = reason.get("description") or ALLOWED, reason.get("statementId")
    return f"{text} ({sid})" if sid else text
