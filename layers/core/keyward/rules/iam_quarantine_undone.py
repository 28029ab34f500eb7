"""What Keyward contained, a user or a credential, is free again and Keyward didn't release it.

Why: whoever undoes a containment either doesn't know of it or is the one it was meant for.

Raised by: UpdateAccessKey, UpdateSSHPublicKey, UpdateSigningCertificate and
UpdateServiceSpecificCredential to Active; DetachUserPolicy of AWSDenyAll; RemoveUserFromGroup and
DeleteGroup, DeleteGroupPolicy, DetachGroupPolicy, PutGroupPolicy, UpdateGroup on the group
keyward-quarantine; DeleteUserPermissionsBoundary, PutUserPermissionsBoundary of anything but
AWSDenyAll; TagUser and UntagUser of the marker keyward:quarantined. Regions: IAM's (us-east-1),
every account.
In mode enforce the containment is applied again.

Known gaps: the event alone cannot tell whether the subject was contained: the ledger does. The
marker decides nothing; its change only leads Keyward to look.

How to fix: if the containment was right, find out who undid it and why. If it was wrong, release it
(`keyward release`), which restores what was there and exempts it for some days.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Contained, Hint
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )


def judge(contained: Contained, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects unless the containment is known to hold."""
    if contained.holds:
        return
    if contained.holds is None:
        yield Reason(code="undone", text=f"{contained.label}, if there is one, may be undone")
    else:
        broken = ", ".join(contained.broken) or "it no longer holds"
        yield Reason(code="undone", text=f"{contained.label} is undone: {broken}")


RULE = Rule(
    id="iam-quarantine-undone",
    triggers={
        "iam.amazonaws.com": (
            "DeleteGroup",
            "DeleteGroupPolicy",
            "DeleteUserPermissionsBoundary",
            "DetachGroupPolicy",
            "DetachUserPolicy",
            "PutGroupPolicy",
            "PutUserPermissionsBoundary",
            "RemoveUserFromGroup",
            "TagUser",
            "UntagUser",
            "UpdateAccessKey",
            "UpdateGroup",
            "UpdateSSHPublicKey",
            "UpdateServiceSpecificCredential",
            "UpdateSigningCertificate",
        )
    },
    judges=Contained,
    settings=Settings,
    enforcement=Enforcement.REAPPLY,
    judge=judge,
    fix="Find out who undid it and why; release it with `keyward release` if it was wrong.",
    needs="ledger",
)
