"""The attributes that Identity Center passes on for access control (ABAC) were changed.

Why: policies that compare tags of the session with tags of a resource believe these attributes.
Whoever maps another one to a tag, such as one that users may edit themselves, changes what
everybody may do without touching any policy.

Raised by: CreateInstanceAccessControlAttributeConfiguration, its Update and its Delete. Regions:
Identity Center's home region, management and delegated administrator's account.
In mode enforce it is reported as well.

Known gaps: attributes that a SAML identity provider sends in its assertions need no such mapping,
and aren't seen. What the mapping was before no event tells. The shapes come from the API model, no
real event was seen.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/configure-abac.html

How to fix: compare the mapping in the console (Settings, Attributes for access control) with what
your policies expect, and ask the actor.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings


def judge(change: IdentityCenterChange, hint: Hint, _settings: RuleSettings) -> Iterator[Reason]:
    """Objects to every change of the attributes."""
    if change.part is Part.ACCESS_CONTROL_ATTRIBUTES:
        yield Reason(
            code=change.change,
            text=f"{change.change} of {change.label} by {hint.actor.label}",
            details=tuple(f"{key}: {source}" for key, source in change.values.items()),
        )


RULE = Rule(
    id="idc-abac-changed",
    triggers={
        "sso.amazonaws.com": (
            "CreateInstanceAccessControlAttributeConfiguration",
            "DeleteInstanceAccessControlAttributeConfiguration",
            "UpdateInstanceAccessControlAttributeConfiguration",
        )
    },
    judges=IdentityCenterChange,
    settings=RuleSettings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Compare the mapping with what your policies expect; ask the actor.",
)
