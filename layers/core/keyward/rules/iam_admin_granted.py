"""An IAM user, role or group is admin-equivalent now, or can make itself so.

Why: whoever is admin in an account can make keys, users and roles there, and undo what is decided
here. Few principals need that, and they are known.

Raised by: AttachUserPolicy, PutUserPolicy, AttachRolePolicy, PutRolePolicy, AttachGroupPolicy,
PutGroupPolicy, AddUserToGroup, CreatePolicyVersion, SetDefaultPolicyVersion. Regions: IAM's
(us-east-1), every account. In mode enforce a user is quarantined; a role or group is reported,
since work may hang on it.

What is judged is all that the principal has, a user's groups and its boundary among it, read anew;
the event decides only whether anybody looks: a policy that takes part in no path to more, by its
text or as one of AWS's known by name, costs no call. What Identity Center itself puts on the roles
that it provisions is the permission sets' business, but for customer managed policies: what these
say differs by account, and is read here.

Known gaps: a role's trust is judged elsewhere.
What a group is given is reported of the group, not of each member. Resource policies and SCPs are
not weighed: they may forbid what is found here. A policy of AWS that gained rights after this
version was built counts as it was then, until a sweep reads it.

How to fix: take the policy away again, or name the principal in the setting `allowed`; people get
their access from a permission set.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import DENY_ALL_ARN, Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, IamPrincipal
from keyward.policy import Reach, analyse, contributes
from keyward.principals import matches_arn, recognised
from keyward.rule import Rule
from keyward.settings import RuleSettings

CODE = "admin"


class Settings(RuleSettings):
    """Who may be admin, and what counts as that."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )
    allowed: tuple[str, ...] = Field(
        default=(
            "arn:aws:iam::*:role/AWSControlTowerExecution",
            "arn:aws:iam::*:role/OrganizationAccountAccessRole",
            "arn:aws:iam::*:role/aws-service-role/*/*",
            "arn:aws:iam::*:role/stacksets-exec-*",
        ),
        max_length=200,
        description=(
            "ARNs of users, roles and groups that may be admin; * stands for any run of characters "
            "but / and :."
        ),
    )
    reach: Reach = Field(
        default=Reach.ESCALATION,
        description="From which reach on it is a finding: indirect, escalation or admin.",
    )


def judge(principal: IamPrincipal, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to whoever reaches as far as the setting says, and is not allowed to."""
    if principal.policies is None:
        if _may_matter(principal, hint):
            text = f"{principal.label} may be admin-equivalent now: its policies must be read"
            yield Reason(code=CODE, text=text, maybe=True, report_only=principal.kind != "user")
        return
    if principal.arn is not None and matches_arn(principal.arn, settings.allowed):
        return
    analysis = analyse(principal.policies, boundary=principal.boundary)
    if analysis.reach.rank < settings.reach.rank or not analysis.grants:
        return
    worst = analysis.grants[0]
    yield Reason(
        code=CODE,
        text=f"{principal.label} reaches {analysis.reach}: {worst.text}",
        details=tuple(
            f"{grant.reach}, {grant.path}: {', '.join(grant.statements)}"
            for grant in analysis.grants
            if grant.reach.rank >= settings.reach.rank
        ),
        report_only=principal.kind != "user",
    )


def _may_matter(principal: IamPrincipal, hint: Hint) -> bool:
    """Whether the event can have given anybody a part of a path to more."""
    added = principal.added
    if added is None:
        return True
    is_of_aws = added.arn is None or ":iam::aws:" in added.arn
    if is_of_aws and recognised(hint.actor, hint.account) == "Identity Center":
        return False
    if added.text:
        return contributes(added)
    from keyward.policy import aws_managed  # noqa: PLC0415 - a long table, for these events only

    return added.arn is None or not (added.arn == DENY_ALL_ARN or aws_managed.harmless(added.arn))


RULE = Rule(
    id="iam-admin-granted",
    triggers={
        "iam.amazonaws.com": (
            "AddUserToGroup",
            "AttachGroupPolicy",
            "AttachRolePolicy",
            "AttachUserPolicy",
            "CreatePolicyVersion",
            "PutGroupPolicy",
            "PutRolePolicy",
            "PutUserPolicy",
            "SetDefaultPolicyVersion",
        )
    },
    judges=IamPrincipal,
    settings=Settings,
    enforcement=Enforcement.QUARANTINE_USER,
    judge=judge,
    fix="Take the policy away again, or allow the principal in the rule's settings.",
    needs="state",
)
