"""An account or OU was to be made or brought under governance, and that failed.

Why: an account that is half made exists, costs, and can be signed in to, while guardrails, log
archive and the access of its baselines are missing; and nobody is told but who ordered it.

Raised by: CreateManagedAccount, UpdateManagedAccount, RegisterOrganizationalUnit, EnableBaseline,
ResetEnabledBaseline and UpdateEnabledBaseline of Control Tower, and CreateAccountResult of
Organizations, that don't tell of success. Regions: Control Tower's home region, and Organizations'
(us-east-1); management account.
In mode enforce it is reported as well: only Control Tower can finish what it began.

What is let be: what is still under way. The calls by which Control Tower is asked have the same
names, tell no outcome, and are let be, too.

Known gaps: an assignment that came to nothing is told by the finding for whose sake it was made. A
later success doesn't close the finding. An end in a word that this version doesn't know is
reported. But for UpdateManagedAccount the shapes come from AWS's documentation, no real event was
seen. It has no reason where a baseline failed: Control Tower's console shows it.
Source: https://docs.aws.amazon.com/controltower/latest/userguide/lifecycle-events.html

How to fix: read AWS's reason, mend it, and let Control Tower try again (update or enrol the
account, register the OU again). Or record an exemption by the unique id of the change, such as
"UpdateManagedAccount/<account>", in that account, with an owner and an end.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import AccountLifecycle, Hint
from keyward.rule import Rule
from keyward.settings import RuleSettings

NOT_FAILED = frozenset({"SUCCEEDED", "IN_PROGRESS", "PENDING", "UNDER_CHANGE"})
"""AWS's words for what ended well or hasn't ended. Whatever else it says is told.

Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccountStatus.html
Source: https://docs.aws.amazon.com/controltower/latest/APIReference/API_EnablementStatusSummary.html
"""


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")


def judge(lifecycle: AccountLifecycle, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every end but a good one."""
    if lifecycle.state in NOT_FAILED:
        return
    why = f": {lifecycle.message}" if lifecycle.message else ""
    yield Reason(code="failed", text=f"{lifecycle.label} ended as {lifecycle.state}{why}")


RULE = Rule(
    id="account-lifecycle-failed",
    triggers={
        "controltower.amazonaws.com": (
            "CreateManagedAccount",
            "EnableBaseline",
            "RegisterOrganizationalUnit",
            "ResetEnabledBaseline",
            "UpdateEnabledBaseline",
            "UpdateManagedAccount",
        ),
        "organizations.amazonaws.com": ("CreateAccountResult",),
    },
    judges=AccountLifecycle,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Read AWS's reason, mend it, and let Control Tower try again.",
)
