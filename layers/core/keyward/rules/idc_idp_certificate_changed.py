"""A certificate was added to the external identity provider of Identity Center, or removed.

Why: Identity Center believes every sign-in that one of these certificates signed. Whoever adds one
of their own can sign in as anybody, past the identity provider and its MFA.

Raised by: ImportExternalIdPCertificate, DeleteExternalIdPCertificate. Regions: Identity Center's
home region, management and delegated administrator's account.
In mode enforce it is reported as well: no API takes a certificate back.

Known gaps: these are calls of the console, which no API reference describes; no real event of them
was found. Their names come from AWS's service authorization reference, the fields shown are
guesses. The certificate itself is not kept, even where an event has it. Replacing a certificate
that ends is routine, and raises this, too: its date is in the identity provider's hands.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/managesamlcerts.html

How to fix: compare the certificates in the console (Settings, Identity source, Manage SAML 2.0
certificates) with those of the identity provider. Delete what isn't the provider's, treat the actor
as compromised, and revoke the sessions of everybody who signed in meanwhile.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )


def judge(change: IdentityCenterChange, hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every change of the certificates."""
    if change.part is Part.IDP_CERTIFICATE:
        yield Reason(
            code=change.change,
            text=f"{change.change} of {change.label} by {hint.actor.label}",
            details=tuple(f"{name}: {value}" for name, value in change.values.items()),
        )


RULE = Rule(
    id="idc-idp-certificate-changed",
    triggers={
        "sso-directory.amazonaws.com": (
            "DeleteExternalIdPCertificate",
            "ImportExternalIdPCertificate",
        )
    },
    judges=IdentityCenterChange,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Compare the certificates with the identity provider's; delete what isn't the provider's.",
)
