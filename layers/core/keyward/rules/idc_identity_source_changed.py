"""The identity source of Identity Center, or the identity provider behind it, was changed.

Why: whoever controls the identity source decides who may sign in, and as whom. Changing it, or
switching the identity provider off and on with another configuration, opens every account at once.

Raised by: AssociateDirectory, DisassociateDirectory, and CreateExternalIdPConfigurationForDirectory
with its Update, Enable, Disable and Delete. Regions: Identity Center's home region, management and
delegated administrator's account.
In mode enforce it is reported as well: no API puts an identity source back.

Known gaps: these are calls of the console, which no API reference describes. Names and sources of
the events are those that the public Sigma rule on the subject and AWS's service authorization
reference name; no real event of them was found, so that the fields shown (directory, identity
store, identity provider) are guesses, and may be missing from a finding. What the identity source
was before no event tells. UpdateDirectoryAssociation, which maps attributes, isn't judged.
Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_sso-directory.html

How to fix: ask the actor. If nobody knows, treat the actor as compromised: put the identity source
back in the console (Settings, Identity source), and revoke the sessions of everybody who signed in
meanwhile.
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
    """Objects to every change of the identity source."""
    if change.part is Part.IDENTITY_SOURCE:
        yield Reason(
            code=change.change,
            text=f"{change.change} of {change.label} by {hint.actor.label}",
            details=tuple(f"{name}: {value}" for name, value in change.values.items()),
        )


RULE = Rule(
    id="idc-identity-source-changed",
    triggers={
        "sso.amazonaws.com": ("AssociateDirectory", "DisassociateDirectory"),
        "sso-directory.amazonaws.com": (
            "CreateExternalIdPConfigurationForDirectory",
            "DeleteExternalIdPConfigurationForDirectory",
            "DisableExternalIdPConfigurationForDirectory",
            "EnableExternalIdPConfigurationForDirectory",
            "UpdateExternalIdPConfigurationForDirectory",
        ),
    },
    judges=IdentityCenterChange,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Ask the actor; unless it was planned, put the identity source back and revoke sessions.",
)
