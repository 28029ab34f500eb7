"""A user or group of Identity Center was entitled to an IAM role, past all permission sets.

Why: account access manager gives people an ordinary IAM role of an account. No permission set, no
account assignment and no AWSReservedSSO_ role shows it, so that whoever reviews those overlooks it.

Raised by: CreateEntitlement of account access manager. Regions: Identity Center's home region,
management and delegated administrator's account.
In mode enforce it is reported as well.

Known gaps: event source (account-access.amazonaws.com) and region are guesses: AWS says only that
the calls are logged, and that name is the service's principal. The shapes come from the API model,
no real event was seen. What the role may do isn't judged. The other sign of it, a role whose trust
names account-access.amazonaws.com, is no concern of this rule. Entitlements that exist already
aren't looked for.
Source: https://docs.aws.amazon.com/account-access/latest/APIReference/API_CreateEntitlement.html

How to fix: give the same access through a permission set, and delete the entitlement. Or record an
exemption with an owner and an end.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings


def judge(change: IdentityCenterChange, hint: Hint, _settings: RuleSettings) -> Iterator[Reason]:
    """Objects to every entitlement."""
    if change.part is not Part.ENTITLEMENT:
        return
    values = change.values
    who = values.get("userId") or values.get("groupId") or "somebody"
    kind = "user" if "userId" in values else "group" if "groupId" in values else "principal"
    role = values.get("roleArn", "a role")
    yield Reason(
        code="created",
        text=f"{kind} {who} may assume {role} without a permission set, by {hint.actor.label}",
    )


RULE = Rule(
    id="idc-entitlement-created",
    triggers={"account-access.amazonaws.com": ("CreateEntitlement",)},
    judges=IdentityCenterChange,
    settings=RuleSettings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Give the access through a permission set instead, and delete the entitlement.",
)
