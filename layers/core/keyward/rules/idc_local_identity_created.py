"""A user or group was made or changed in Identity Center, though an identity provider owns them.

Why: where people and groups come from an identity provider by SCIM, one made by hand belongs to no
joiner-mover-leaver process: nobody removes it when its owner leaves.

Raised by: CreateUser, CreateGroup, AddMemberToGroup of the console, and CreateUser, CreateGroup,
CreateGroupMembership of the public API. Regions: Identity Center's home region, management and
delegated administrator's account.
Only where the setting `external_idp` says that a provider owns identities: no event and no public
API tells it. What comes by SCIM is always as it should be. So is what `writers` make: a provider's
connector may use the public API instead of SCIM.
In mode enforce it is reported as well: with SCIM the provider would undo or redo it.

Known gaps: renamed users, changed attributes, passwords and deletions aren't judged. A group's
later members are counted, and not told anew.
Of the console's calls real events were seen; of the public API, of CreateGroupMembership only the
request. Where that API's answer has the new id is taken from the API model.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/sso-info-in-cloudtrail.html

How to fix: make the user or group in the identity provider, and delete this one. Or record an
exemption with an owner and an end, for a break-glass user for example.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import DirectoryIdentity, Hint
from keyward.principals import is_one_of
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Whether identities have an owner elsewhere, and who else may write them."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")
    external_idp: bool = Field(
        default=False,
        description="Whether an external identity provider owns users and groups, by SCIM.",
    )
    writers: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description=(
            "Role or user ARNs that write for the identity provider; `*` matches within a segment."
        ),
    )


def judge(identity: DirectoryIdentity, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to what didn't come from the identity provider, where there is one."""
    if not settings.external_idp or identity.via == "scim":
        return
    if is_one_of(hint.actor, settings.writers):
        return
    way = "the console" if identity.via == "console" else "the API"
    text = f"{identity.change} of {identity.label} in {way} by {hint.actor.label}"
    yield Reason(code="local", text=f"{text}, past the identity provider")


RULE = Rule(
    id="idc-local-identity-created",
    triggers={
        "identitystore.amazonaws.com": ("CreateGroup", "CreateGroupMembership", "CreateUser"),
        "sso-directory.amazonaws.com": ("AddMemberToGroup", "CreateGroup", "CreateUser"),
    },
    judges=DirectoryIdentity,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Make it in the identity provider and delete it here; or record an exemption.",
)
