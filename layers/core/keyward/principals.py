"""Who is who: roles that AWS and Keyward act with, users that nobody may touch.

Names prove nothing: anybody can make a role called AWSServiceRoleForSSO. Paths do where IAM keeps
them for AWS, and exact ARNs do in an account that the reader of the event knows.
"""

import re
from collections.abc import Iterable

from keyward.model import AccountAssignment, AccountId, Actor, Subject
from keyward.settings import GlobalSettings

HUB_ROLES = (
    "keyward-iam-guard",
    "keyward-identity-center-guard",
    "keyward-account-baseline",
    "keyward-settings-guard",
    "keyward-notifier",
    "keyward-operator",
)
"""Roles of Keyward's functions, under /keyward/ in the hub's account."""

MEMBER_ROLE = "keyward-member"
"""The role that member/template.yaml puts under /keyward/ into every member account."""

CONTROL_TOWER_SETS = frozenset(
    {
        "AWSAdministratorAccess",
        "AWSOrganizationsFullAccess",
        "AWSPowerUserAccess",
        "AWSReadOnlyAccess",
        "AWSServiceCatalogAdminFullAccess",
        "AWSServiceCatalogEndUserAccess",
    }
)
"""The permission sets that Control Tower makes, and needs for each new account.

Source: https://docs.aws.amazon.com/controltower/latest/userguide/sso-groups.html
"""

CONTROL_TOWER_GROUPS = frozenset(
    {
        "AWSAccountFactory",
        "AWSAuditAccountAdmins",
        "AWSControlTowerAdmins",
        "AWSLogArchiveAdmins",
        "AWSLogArchiveViewers",
        "AWSSecurityAuditPowerUsers",
        "AWSSecurityAuditors",
        "AWSServiceCatalogAdmins",
    }
)
"""The groups that Control Tower makes. Source: the same page."""

_ROLE = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/(?P<path>.+)")
_SERVICE_LINKED = re.compile(
    r"aws-service-role/[a-z0-9.-]+\.amazonaws\.com/AWSServiceRoleFor[\w+=,.@-]+", re.ASCII
)
_IDENTITY_CENTER = re.compile(
    r"aws-reserved/sso\.amazonaws\.com/(?:[a-z0-9-]+/)?AWSReservedSSO_[\w+=,.@-]+_[0-9a-f]{16}",
    re.ASCII,
)
_CONTROL_TOWER_HUB = {
    "service-role/AWSControlTowerAdmin",
    "service-role/AWSControlTowerStackSetRole",
}
_CONTROL_TOWER_MEMBER = "AWSControlTowerExecution"
_CONTROL_TOWER_SERVICE_LINKED = (
    "aws-service-role/controltower.amazonaws.com/AWSServiceRoleForAWSControlTower"
)
_IDENTITY_CENTER_SERVICE_LINKED = "aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO"


def recognised(
    actor: Actor, hint_account: AccountId, *, hub: AccountId | None = None
) -> str | None:
    """Whose role the actor is: Keyward's, Control Tower's, Identity Center's, a service's; or None.

    Only a role of the event's own account counts, told by its exact path; `hub` is where Keyward's
    functions and Control Tower live. People hold the roles of Identity Center (AWSReservedSSO_*)
    and, from the management account, AWSControlTowerExecution as well: these count only where the
    service itself made the call.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
    Source: https://docs.aws.amazon.com/controltower/latest/userguide/roles-how.html
    """
    match = _ROLE.fullmatch(actor.issuer_arn or "")
    if match is None or actor.type != "AssumedRole" or match["account"] != hint_account:
        return None
    path = match["path"]
    if _is_keyward(path, hint_account, hub):
        return "Keyward"
    if _is_control_tower(path, hint_account, hub, actor.invoked_by):
        return "Control Tower"
    if path == _IDENTITY_CENTER_SERVICE_LINKED:
        return "Identity Center"
    if actor.invoked_by == "sso.amazonaws.com" and _IDENTITY_CENTER.fullmatch(path):
        return "Identity Center"
    return "AWS service-linked role" if _SERVICE_LINKED.fullmatch(path) else None


def protected(subject: Subject, settings: GlobalSettings) -> str | None:
    """Why nobody may touch `subject` (break-glass), or None. Account and id or ARN must agree.

    The ARN decides only where the settings or the user lack the unique id: a user made later under
    the same name is another user.
    """
    for principal in settings.protected:
        user = subject.owner
        if principal.account != subject.account:
            continue
        if isinstance(subject, AccountAssignment):
            same = principal.principal_id == subject.principal_id
        elif user is None:
            same = False
        elif principal.user_id is not None and user.user_id is not None:
            same = principal.user_id == user.user_id
        else:
            same = principal.arn is not None and principal.arn == user.arn
        if same:
            return principal.why
    return None


def is_one_of(actor: Actor, patterns: Iterable[str]) -> bool:
    """Whether a role's or a user's ARN matches one of the patterns; `*` never crosses `/` or `:`.

    A session counts by the role that issued it, path included. Root matches nothing.
    """
    arn = actor.issuer_arn if actor.type == "AssumedRole" else actor.arn
    if arn is None or actor.type not in {"AssumedRole", "IAMUser"}:
        return False
    return matches_arn(arn, patterns)


def matches_arn(arn: str, patterns: Iterable[str]) -> bool:
    """Whether the ARN matches one of the patterns; `*` never crosses `/` or `:`."""
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", "[^/:]*"), arn) for pattern in patterns
    )


def _is_keyward(path: str, account: AccountId, hub: AccountId | None) -> bool:
    """Members have the member role, the hub has its functions' roles, and neither the other's."""
    names = HUB_ROLES if account == hub else (MEMBER_ROLE,)
    return path in {f"keyward/{name}" for name in names}


def _is_control_tower(
    path: str, account: AccountId, hub: AccountId | None, invoked_by: str | None
) -> bool:
    if path == _CONTROL_TOWER_MEMBER:
        return invoked_by == "controltower.amazonaws.com"
    return path == _CONTROL_TOWER_SERVICE_LINKED or (account == hub and path in _CONTROL_TOWER_HUB)
