"""A policy was put on a permission set that makes it as good as administrator.

Why: whoever can make themselves administrator is one, however the permission set is called; and
everybody whom it is assigned to, in every account, becomes one with it.

Raised by: AttachManagedPolicyToPermissionSet, PutInlinePolicyToPermissionSet (PutPermissionsPolicy
in an old console), AttachCustomerManagedPolicyReferenceToPermissionSet; the sweep. Regions:
Identity Center's home region, in the management account and in that of the delegated administrator.
All policies of the set are judged together, under its boundary: what the new one completes counts
as its own, as does what it grants and another one grants as well. The finding names the policy, the
way to more, and the statement. `reach` says which ways count.
In mode enforce that policy, and no other, is taken off; then the accounts that have the set get it
so. Where the set was assigned, sessions go on without the policy from then on.

What is let be: the sets in `admin_sets`, Control Tower's own unless changed; a policy that the
catalogue names for that very set; and ways that those policies open already. Whatever else is put
on a set of the catalogue is drift.

A customer managed policy is told (`customer_severity`) and not taken off, unless the catalogue
names it for that set: each account has its own under that name, and no other is read. Where the
set's role lands, iam-admin-granted judges what it says there.

Where `identity_center.second_opinion` of /keyward/settings allows it, IAM Access Analyzer is asked
about a policy that was put on and that Keyward's own analysis finds to lead less far than
`escalation`: whether it allows a call that by itself makes one administrator, on users, groups,
roles or policies of any name. Where it says so, that is told (medium) and nothing taken off; where
`reach` is admin, it isn't. It reads the policy alone and knows no boundary. That it can't be asked
changes nothing.

Known gaps: names prove nothing: where Control Tower is not in use, take its sets out of
`admin_sets`. A boundary that is a customer managed policy isn't read, and counts as none. Taking a
boundary away is judged for sets of the catalogue alone (idc-boundary-missing). Where two policies
complete each other, each counts as completing. What the sweep finds is told: which of the policies
should go, people say. What AWS adds to a managed policy later is found by the sweep only. IAM
Access Analyzer says what a policy might allow: how far it weighs conditions was not tried, and
about ways of several calls it isn't asked. None of these events was seen: their parameters come
from the API model, those of PutPermissionsPolicy from the console's requests.

How to fix: take the policy off and provision the set. If the set is meant to be administrator, list
the policy in the catalogue, or the set in `admin_sets`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from typing import Literal

from pydantic import Field

from keyward.actions import Enforcement
from keyward.drift import is_wanted
from keyward.findings import Reason, Severity
from keyward.model import CustomerPolicy, Hint, PermissionSet, PolicyDocument
from keyward.policy import Grant, Reach, analyse, contributes
from keyward.policy.aws_managed import harmless
from keyward.policy.sentinels import SENTINELS
from keyward.rule import Rule
from keyward.settings import RuleSettings

SHOWN = 10
"""So many ways to more are listed."""

type Policy = PolicyDocument | CustomerPolicy


class Settings(RuleSettings):
    """What counts, and which sets may be so."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )
    customer_severity: Severity = Field(
        default=Severity.MEDIUM,
        description="The same of a customer managed policy, of which the name alone is known.",
    )
    admin_sets: tuple[str, ...] = Field(
        default=(
            "AWSAdministratorAccess",
            "AWSOrganizationsFullAccess",
            "AWSPowerUserAccess",
            "AWSServiceCatalogAdminFullAccess",
        ),
        max_length=50,
        description="Names of permission sets that are meant to be administrators.",
    )
    reach: Literal["indirect", "escalation", "admin"] = Field(
        default="escalation",
        description=(
            "From where on a policy counts: admin (everything on everything), escalation (can make "
            "itself or others admin), indirect (can take over what happens to exist)."
        ),
    )


def judge(permission_set: PermissionSet, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to the policy that was added, and in a sweep to each that reaches that far."""
    if not permission_set.exists or permission_set.name in settings.admin_sets:
        return
    if permission_set.attributes is None:
        yield from _suspicions(permission_set, hint)
        return
    for policy in _suspects(permission_set, hint):
        if _is_listed(policy, permission_set):
            continue
        match policy:
            case CustomerPolicy():
                yield _unread(policy, permission_set, settings)
            case PolicyDocument():
                yield from _objections(policy, permission_set, settings)


def _suspicions(permission_set: PermissionSet, hint: Hint) -> Iterator[Reason]:
    """What the event alone can't rule out: not even all that an inline policy says is all."""
    added = permission_set.added
    if added is None:
        if hint.origin != "event":
            text = f"{permission_set.label} may be as good as administrator"
            yield Reason(code="admin", text=text, maybe=True)
    elif not _grants_nothing(added) and not _is_listed(added, permission_set):
        text = f"{_called(added)} may make {permission_set.label} as good as administrator"
        yield Reason(code=_code(added), text=text, maybe=True)


def _grants_nothing(policy: Policy) -> bool:
    match policy:
        case CustomerPolicy():
            return False
        case PolicyDocument(arn=str() as arn):
            return harmless(arn)
        case PolicyDocument():
            return not contributes(policy)


def _suspects(permission_set: PermissionSet, hint: Hint) -> Iterable[Policy]:
    if permission_set.added is not None:
        return (permission_set.added,)
    if hint.origin == "event" or permission_set.attributes is None:
        return ()
    return (*(permission_set.documents or ()), *permission_set.attributes.customer_policies)


def _is_listed(policy: Policy, permission_set: PermissionSet) -> bool:
    """Whether the catalogue names this policy for this set."""
    return is_wanted(policy, permission_set.wanted)


def _unread(policy: CustomerPolicy, permission_set: PermissionSet, settings: Settings) -> Reason:
    return Reason(
        code=_code(policy),
        text=(
            f"{_called(policy)} is on {permission_set.label}: what it grants differs by account, "
            f"and the catalogue doesn't name it"
        ),
        severity=settings.customer_severity,
        report_only=True,
    )


def _objections(
    policy: PolicyDocument, permission_set: PermissionSet, settings: Settings
) -> Iterator[Reason]:
    documents, boundary = permission_set.documents or (), permission_set.boundary_document
    listed = analyse((it for it in documents if _is_listed(it, permission_set)), boundary=boundary)
    together = analyse(documents, boundary=boundary)
    least = Reach(settings.reach).rank
    meant = {grant.path for grant in listed.grants if grant.reach.rank >= least}
    grants = [
        grant
        for grant in together.grants
        if grant.reach.rank >= least and policy.name in grant.policies and grant.path not in meant
    ]
    on = f"{_called(policy)} on {permission_set.label}"
    if grants:
        yield Reason(
            code=_code(policy),
            text=f"{on}: {_line(grants[0])}",
            details=_lines(grants),
            policy=policy,
        )
    elif policy.name in together.unreadable and not _grants_nothing(policy):
        text = f"{on} says something that Keyward can't read: look by hand"
        details = _second_opinion(permission_set)
        yield Reason(code=_code(policy), text=text, details=details, report_only=True)
    elif permission_set.second_opinion and least <= Reach.ESCALATION.rank:
        yield Reason(
            code=f"second-opinion:{policy.arn or policy.name}",
            text=(
                f"{on} may make its holder administrator, says IAM Access Analyzer; by Keyward's "
                f"own analysis it doesn't: look by hand"
            ),
            severity=Severity.MEDIUM,
            details=_second_opinion(permission_set),
            report_only=True,
        )


def _second_opinion(permission_set: PermissionSet) -> tuple[str, ...]:
    """What IAM Access Analyzer objects to, and what it was asked; nothing where it doesn't."""
    if not permission_set.second_opinion:
        return ()
    asked = (f"asked about {', '.join(calls)}" for calls in batched(SENTINELS, 6, strict=False))
    return (*permission_set.second_opinion, *asked)


def _lines(grants: Sequence[Grant]) -> tuple[str, ...]:
    """The ways to more, one in a line; who can do everything needs no other way."""
    if grants[0].reach is Reach.ADMIN:
        grants = [grant for grant in grants if grant.reach is Reach.ADMIN]
    more = (f"and {len(grants) - SHOWN} ways more",) if len(grants) > SHOWN else ()
    return (*(_line(grant) for grant in grants[:SHOWN]), *more)


def _line(grant: Grant) -> str:
    return f"{grant.text} ({grant.path}; {', '.join(grant.statements)})"


def _called(policy: Policy) -> str:
    match policy:
        case CustomerPolicy():
            return f"customer managed policy {policy.path}{policy.name}"
        case PolicyDocument(arn=str()):
            return f"policy {policy.name}"
        case PolicyDocument():
            return policy.name


def _code(policy: Policy) -> str:
    match policy:
        case CustomerPolicy():
            return f"admin:{policy.path}{policy.name}"
        case PolicyDocument():
            return f"admin:{policy.arn or policy.name}"


RULE = Rule(
    id="idc-permission-set-admin-equivalent",
    triggers={
        "sso.amazonaws.com": (
            "AttachManagedPolicyToPermissionSet",
            "AttachCustomerManagedPolicyReferenceToPermissionSet",
            "PutInlinePolicyToPermissionSet",
            "PutPermissionsPolicy",
        )
    },
    judges=PermissionSet,
    settings=Settings,
    enforcement=Enforcement.DETACH_POLICY,
    judge=judge,
    fix="Take the policy off and provision the set; or list it in the catalogue if it is meant.",
    needs="state",
)
