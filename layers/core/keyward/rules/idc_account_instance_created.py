"""A member account made an Identity Center instance of its own.

Why: an account instance has its own users, groups and identity source, which nobody in the
organization keeps. It opens AWS managed applications to people whom the organization's directory
doesn't know.

Raised by: CreateInstance, by anybody: the management account can't make such an instance, so that
every one is a member's. Regions: us-east-1 of every member account, and the hub's region in the
accounts that forward from there.
In mode enforce it is reported as well: deleting it would cut off whom it lets in.

Known gaps: an account may make its one instance in any region; one that is made in a region that
isn't forwarded is not seen. Prevent it: in the console (Settings, Management), or by a service
control policy that denies sso:CreateInstance. Enabling the organization's own instance (StartSSO)
isn't judged. The shapes come from the API model, no real event was seen.
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreateInstance.html

How to fix: ask the account's owner which application it is for; assign people to it through the
organization's instance, and delete this one. Or record an exemption with an owner and an end.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.findings import Reason
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings


def judge(change: IdentityCenterChange, hint: Hint, _settings: RuleSettings) -> Iterator[Reason]:
    """Objects to every instance that an account makes."""
    if change.part is Part.INSTANCE:
        yield Reason(
            code="created",
            text=f"account {change.account} has an instance of its own, by {hint.actor.label}",
            details=tuple(f"{name}: {value}" for name, value in change.values.items()),
        )


RULE = Rule(
    id="idc-account-instance-created",
    triggers={"sso.amazonaws.com": ("CreateInstance",)},
    judges=IdentityCenterChange,
    settings=RuleSettings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Use the organization's instance instead and delete this one; deny sso:CreateInstance.",
)
