"""The table of known paths by which a policy leads to more than it says.

Each row says which actions it takes, on which resources, and how far that reaches. Rows that come
from others' lists cite them:

- Rhino Security Labs, the first 21:
  https://rhinosecuritylabs.com/aws/aws-privilege-escalation-methods-mitigation/
- pathfinding.cloud (Datadog), each path with its prerequisites: https://pathfinding.cloud
- cloudsplaining (Salesforce), `PRIVILEGE_ESCALATION_METHODS`:
  https://github.com/salesforce/cloudsplaining/blob/master/cloudsplaining/shared/constants.py
- PMapper (NCC Group), its edges: https://github.com/nccgroup/PMapper

Rows that cite AWS's Service Authorization Reference are read off it: an action that takes a role or
changes who may get in.

Not in the table: reading data or secrets, which is harm of its own and leads to whatever they open;
resource policies; what only an account's quotas, network or code would allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from keyward.policy.conditions import DELEGATED, POLICY_ARN, POLICY_TYPE, ROOT_TASK, Value
from keyward.policy.globs import FRESH


class Reach(StrEnum):
    """How far a set of policies leads, each further than the one before.

    NONE: no further. INDIRECT: as far as what happens to exist in the account lets it. ESCALATION:
    it can make itself or somebody else admin, whatever the account holds. ADMIN: it is admin.
    """

    NONE = "none"
    INDIRECT = "indirect"
    ESCALATION = "escalation"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 for NONE to 3 for ADMIN."""
        return _RANKS[self]


_RANKS: Mapping[Reach, int] = {reach: rank for rank, reach in enumerate(Reach)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """A kind of resource: how its ARN reads, and when a scope of it counts as all of them.

    `prefix` begins the last part of the ARN; what follows is the name. `loose`: any scope does,
    because whoever acts chooses the name, or one such resource is as good as another. `names` count
    as all of them, too: AWS's own names for what is in every account. With `only_names` nothing
    else counts, and only where a policy says so on purpose: a pattern that would match any name
    does not. Where `types` is set, names are of three parts, only those count of which the middle
    one is among them, and `names` has an example of each. `untouchable` begins names that nobody
    may change, pass or assume. `by_last_part`: the name is what follows the last slash.
    """

    services: tuple[str, ...]
    prefix: str = ""
    regional: bool = True
    has_account: bool = True
    loose: bool = False
    names: tuple[str, ...] = ()
    only_names: bool = False
    types: tuple[str, ...] = ()
    untouchable: tuple[str, ...] = ()
    by_last_part: bool = False


_UNTOUCHABLE_ROLES = ("aws-service-role/", "aws-reserved/")

USER = Kind(services=("iam",), prefix="user/", regional=False)
GROUP = Kind(services=("iam",), prefix="group/", regional=False)
POLICY = Kind(services=("iam",), prefix="policy/", regional=False)
ROLE = Kind(services=("iam",), prefix="role/", regional=False, untouchable=_UNTOUCHABLE_ROLES)
"""Service-linked roles and those of Identity Center are AWS's to change.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/using-service-linked-roles.html
"""

MEMBER_ADMIN_ROLE = Kind(
    services=("iam",),
    prefix="role/",
    regional=False,
    names=("OrganizationAccountAccessRole", "AWSControlTowerExecution"),
    only_names=True,
)
"""The roles with AdministratorAccess that trust the management account.

Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
Source: https://docs.aws.amazon.com/controltower/latest/userguide/roles-how.html
"""

PERMISSION_SET = Kind(
    services=("sso",),
    prefix="permissionSet/",
    regional=False,
    has_account=False,
    by_last_part=True,
)
IDENTITY_GROUP = Kind(
    services=("identitystore",), prefix="group/", regional=False, has_account=False
)
SHELL_DOCUMENT = Kind(
    services=("ssm",),
    prefix="document/",
    has_account=False,
    names=(
        "AWS-RunShellScript",
        "AWS-RunPowerShellScript",
        "AWS-RunRemoteScript",
        "AWS-RunDocument",
        "AWS-ApplyAnsiblePlaybooks",
    ),
)
"""A document of Systems Manager; these run what the caller gives them."""

GUARDRAIL = Kind(
    services=("organizations",),
    prefix="policy/",
    regional=False,
    by_last_part=True,
    types=("service_control_policy", "resource_control_policy"),
    names=(
        f"o-{FRESH}/service_control_policy/p-{FRESH}",
        f"o-{FRESH}/resource_control_policy/p-{FRESH}",
    ),
)
"""The policies of an organization that deny; others configure.

Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies.html
"""

_KINDS: Mapping[str, Kind] = {
    "iam:PassRole": ROLE,
    "iam:CreateRole": ROLE,
    "iam:AttachRolePolicy": ROLE,
    "iam:PutRolePolicy": ROLE,
    "iam:UpdateAssumeRolePolicy": ROLE,
    "iam:DeleteRolePermissionsBoundary": ROLE,
    "iam:PutRolePermissionsBoundary": ROLE,
    "iam:CreateUser": USER,
    "iam:AttachUserPolicy": USER,
    "iam:PutUserPolicy": USER,
    "iam:CreateAccessKey": USER,
    "iam:CreateLoginProfile": USER,
    "iam:UpdateLoginProfile": USER,
    "iam:DeleteUserPermissionsBoundary": USER,
    "iam:PutUserPermissionsBoundary": USER,
    "iam:CreateGroup": GROUP,
    "iam:AttachGroupPolicy": GROUP,
    "iam:PutGroupPolicy": GROUP,
    "iam:AddUserToGroup": GROUP,
    "iam:CreatePolicyVersion": POLICY,
    "iam:SetDefaultPolicyVersion": POLICY,
    "sts:AssumeRole": ROLE,
    "sso:CreateAccountAssignment": PERMISSION_SET,
    "sso:AttachManagedPolicyToPermissionSet": PERMISSION_SET,
    "sso:AttachCustomerManagedPolicyReferenceToPermissionSet": PERMISSION_SET,
    "sso:PutInlinePolicyToPermissionSet": PERMISSION_SET,
    "sso:PutPermissionsBoundaryToPermissionSet": PERMISSION_SET,
    "sso:DeletePermissionsBoundaryFromPermissionSet": PERMISSION_SET,
    "identitystore:CreateGroupMembership": IDENTITY_GROUP,
    "ssm:SendCommand": SHELL_DOCUMENT,
    "organizations:AttachPolicy": GUARDRAIL,
    "organizations:DetachPolicy": GUARDRAIL,
    "organizations:UpdatePolicy": GUARDRAIL,
    "organizations:DeletePolicy": GUARDRAIL,
}
_ALSO_OF: Mapping[str, tuple[str, ...]] = {
    "ssm": ("ssm", "ec2", "ecs"),
    "ec2-instance-connect": ("ec2",),
    "sso-directory": ("sso-directory", "identitystore", "sso"),
    "sts": ("iam", "sts"),
    "elasticmapreduce": ("elasticmapreduce", "ec2"),
}
"""Services whose actions are on resources of other services."""

_GLOBAL = frozenset({"account", "iam", "organizations", "sts"})
"""Services whose resources are in no region."""

ENOUGH: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("iam:AttachUserPolicy", "iam:AttachGroupPolicy", "iam:AttachRolePolicy"),
        (
            POLICY_ARN,
            (
                "arn:aws:iam::aws:policy/AdministratorAccess",
                "arn:aws:iam::aws:policy/IAMFullAccess",
            ),
        ),
    ),
    **dict.fromkeys(
        (
            "organizations:AttachPolicy",
            "organizations:DetachPolicy",
            "organizations:UpdatePolicy",
            "organizations:DeletePolicy",
            "organizations:DisablePolicyType",
        ),
        (POLICY_TYPE, ("SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY")),
    ),
    "organizations:RegisterDelegatedAdministrator": (
        DELEGATED,
        (
            "sso.amazonaws.com",
            "account-access.amazonaws.com",
            "iam.amazonaws.com",
            "member.org.stacksets.cloudformation.amazonaws.com",
        ),
    ),
    "sts:AssumeRoot": (
        ROOT_TASK,
        ("arn:aws:iam::aws:policy/root-task/IAMCreateRootUserPassword",),
    ),
}
"""What whoever tries would ask for, by the condition key that tells: any of these is enough.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user-privileged-task.html
Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_integrate_services_list.html
"""

PERHAPS_ENOUGH: Mapping[str, Value] = {POLICY_ARN: Value.ANOTHER_POLICY}
"""What may be enough, depending on what it is, where nothing that is enough is let through."""

ON_OTHERS = frozenset({"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"})
"""The calls that lead to more only where they are about somebody else than the caller."""

UNHEARD_OF = f"{FRESH}:{FRESH}"
"""An action that no policy names: whatever grants it, grants everything that it does not except."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Need:
    """One action that a way takes, and the resources it is needed on.

    `passed_to`: the services of which one must be one that the role may be passed to. `bounded`: a
    grant is enough that holds only for who keeps a permissions boundary.
    """

    action: str
    on: Kind
    passed_to: tuple[str, ...] = ()
    bounded: bool = False


type Way = tuple[Need, ...]
"""What one way takes, all of it. Needs on the same kind are on the same resource, if not loose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One path: `ways` are alternatives. `text` ends in what its holder can do.

    `reach` is where the grants cover all resources of a kind, `narrow` where some only. Where
    `if_sweeping` is set, it is how far the path reaches for who holds it only by a grant of
    everything (`*`, NotAction): for calls that work in few accounts, a policy that means them says
    so.
    """

    id: str
    text: str
    ways: tuple[Way, ...]
    reach: Reach
    source: str
    narrow: Reach = Reach.INDIRECT
    if_sweeping: Reach | None = None


@cache
def _any_of(service: str) -> Kind:
    return Kind(
        services=_ALSO_OF.get(service, (service,)), regional=service not in _GLOBAL, loose=True
    )


@cache
def _need(action: str, *, passed_to: tuple[str, ...] = (), bounded: bool = False) -> Need:
    """The same object for the same need, so that what is found of it is found once."""
    on = _KINDS.get(action) or _any_of(action.partition(":")[0])
    return Need(action=action, on=on, passed_to=passed_to, bounded=bounded)


def _way(*actions: str) -> Way:
    return tuple(_need(it) for it in actions)


def _ways(*ways: str) -> tuple[Way, ...]:
    """Alternatives, each written as its actions with spaces between."""
    return tuple(_way(*it.split()) for it in ways)


def _passing(to: str, *ways: str) -> tuple[Way, ...]:
    """Alternatives that also pass a role to one of the services in `to`."""
    role = _need("iam:PassRole", passed_to=tuple(f"{it}.amazonaws.com" for it in to.split()))
    return tuple((role, *way) for way in _ways(*ways))


def _bounded(*ways: str) -> tuple[Way, ...]:
    """Alternatives in which all but what takes boundaries away may be limited by a boundary."""
    return tuple(
        tuple(_need(it, bounded="PermissionsBoundary" not in it) for it in way.split())
        for way in ways
    )


_RHINO = "https://rhinosecuritylabs.com/aws/aws-privilege-escalation-methods-mitigation/"
_PATHFINDING = "https://pathfinding.cloud/paths/"
_PATHFINDING_LIST = "https://pathfinding.cloud"
_PMAPPER = "https://github.com/nccgroup/PMapper/wiki/Privilege-Escalation"
_REFERENCE = "https://docs.aws.amazon.com/service-authorization/latest/reference/"
_IDENTITY_CENTER = f"{_REFERENCE}list_awsiamidentitycenter.html"
_DIRECTORY = f"{_REFERENCE}list_awsiamidentitycenterdirectory.html"
_ORGANIZATIONS = f"{_REFERENCE}list_awsorganizations.html"

_CORE_OF_IAM = (
    "iam:CreatePolicyVersion",
    "iam:AttachUserPolicy",
    "iam:PassRole",
    "iam:AttachRolePolicy",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
)
_EVERYTHING = Need(action=UNHEARD_OF, on=Kind(services=(FRESH,)))

_ADMIN = (
    Path(
        id="everything",
        text="Can do everything, iam:* included",
        ways=((_EVERYTHING, *_way(*_CORE_OF_IAM)),),
        reach=Reach.ADMIN,
        narrow=Reach.NONE,
        source="https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AdministratorAccess.html",
    ),
    Path(
        id="all-of-iam",
        text="Can do all of iam:*, and so give itself the rest",
        ways=(_way(*_CORE_OF_IAM),),
        reach=Reach.ADMIN,
        narrow=Reach.NONE,
        source="https://docs.aws.amazon.com/aws-managed-policy/latest/reference/IAMFullAccess.html",
    ),
)

_IAM = (
    Path(
        id="create-policy-version",
        text="Can rewrite a managed policy that it holds",
        ways=_ways("iam:CreatePolicyVersion"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-001",
    ),
    Path(
        id="set-default-policy-version",
        text="Can make an older, wider version of a managed policy the one that counts",
        ways=_ways("iam:SetDefaultPolicyVersion"),
        reach=Reach.INDIRECT,
        source=_RHINO,
    ),
    Path(
        id="attach-user-policy",
        text="Can attach AdministratorAccess to a user",
        ways=_ways("iam:AttachUserPolicy"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-008",
    ),
    Path(
        id="attach-group-policy",
        text="Can attach AdministratorAccess to a group",
        ways=_ways("iam:AttachGroupPolicy"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-010",
    ),
    Path(
        id="attach-role-policy",
        text="Can attach AdministratorAccess to a role",
        ways=_ways("iam:AttachRolePolicy"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-009",
    ),
    Path(
        id="put-user-policy",
        text="Can write an inline policy into a user",
        ways=_ways("iam:PutUserPolicy"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-007",
    ),
    Path(
        id="put-group-policy",
        text="Can write an inline policy into a group",
        ways=_ways("iam:PutGroupPolicy"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-011",
    ),
    Path(
        id="put-role-policy",
        text="Can write an inline policy into a role",
        ways=_ways("iam:PutRolePolicy"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-005",
    ),
    Path(
        id="update-assume-role-policy",
        text="Can let itself, or anybody, assume a role by rewriting whom the role trusts",
        ways=_ways("iam:UpdateAssumeRolePolicy"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-012",
    ),
    Path(
        id="create-access-key",
        text="Can make itself an access key of another user",
        ways=_ways("iam:CreateAccessKey"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-002",
    ),
    Path(
        id="create-login-profile",
        text="Can give another user a console password",
        ways=_ways("iam:CreateLoginProfile"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-004",
    ),
    Path(
        id="update-login-profile",
        text="Can change another user's console password",
        ways=_ways("iam:UpdateLoginProfile"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-006",
    ),
    Path(
        id="add-user-to-group",
        text="Can put itself into a group with more rights",
        ways=_ways("iam:AddUserToGroup"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-013",
    ),
    Path(
        id="new-role",
        text="Can make a role that trusts it, and give that role any policy",
        ways=_ways("iam:CreateRole iam:AttachRolePolicy", "iam:CreateRole iam:PutRolePolicy"),
        reach=Reach.ESCALATION,
        narrow=Reach.ESCALATION,
        source="https://github.com/nccgroup/PMapper",
    ),
    Path(
        id="new-group",
        text="Can make a group, give it any policy and join it",
        ways=_ways(
            "iam:CreateGroup iam:AttachGroupPolicy iam:AddUserToGroup",
            "iam:CreateGroup iam:PutGroupPolicy iam:AddUserToGroup",
        ),
        reach=Reach.ESCALATION,
        narrow=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-013",
    ),
    Path(
        id="new-user",
        text="Can make a user, give it any policy and take its credentials",
        ways=_ways(
            "iam:CreateUser iam:AttachUserPolicy iam:CreateAccessKey",
            "iam:CreateUser iam:AttachUserPolicy iam:CreateLoginProfile",
            "iam:CreateUser iam:PutUserPolicy iam:CreateAccessKey",
            "iam:CreateUser iam:PutUserPolicy iam:CreateLoginProfile",
        ),
        reach=Reach.ESCALATION,
        narrow=Reach.ESCALATION,
        source=f"{_PATHFINDING}iam-015",
    ),
    Path(
        id="boundary-of-new-role",
        text="Can make a role with a boundary, give it any policy and take the boundary away",
        ways=_bounded(
            "iam:CreateRole iam:AttachRolePolicy iam:DeleteRolePermissionsBoundary",
            "iam:CreateRole iam:PutRolePolicy iam:DeleteRolePermissionsBoundary",
            "iam:CreateRole iam:AttachRolePolicy iam:PutRolePermissionsBoundary",
            "iam:CreateRole iam:PutRolePolicy iam:PutRolePermissionsBoundary",
        ),
        reach=Reach.ESCALATION,
        narrow=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
    ),
    Path(
        id="boundary-of-new-user",
        text="Can make a user with a boundary, give it any policy and take the boundary away",
        ways=_bounded(
            "iam:CreateUser iam:AttachUserPolicy iam:DeleteUserPermissionsBoundary",
            "iam:CreateUser iam:PutUserPolicy iam:DeleteUserPermissionsBoundary",
            "iam:CreateUser iam:AttachUserPolicy iam:PutUserPermissionsBoundary",
            "iam:CreateUser iam:PutUserPolicy iam:PutUserPermissionsBoundary",
        ),
        reach=Reach.ESCALATION,
        narrow=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
    ),
    Path(
        id="remove-boundary",
        text="Can take away or replace the permissions boundary of a user or role",
        ways=_ways(
            "iam:DeleteUserPermissionsBoundary",
            "iam:DeleteRolePermissionsBoundary",
            "iam:PutUserPermissionsBoundary",
            "iam:PutRolePermissionsBoundary",
        ),
        reach=Reach.INDIRECT,
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
    ),
    Path(
        id="update-saml-provider",
        text="Can sign in as anybody of an identity provider that roles trust, by its own metadata",
        ways=_ways("iam:UpdateSAMLProvider"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsidentityandaccessmanagementiam.html",
    ),
    Path(
        id="update-oidc-provider",
        text="Can widen an OpenID Connect provider that roles trust",
        ways=_ways(
            "iam:AddClientIDToOpenIDConnectProvider", "iam:UpdateOpenIDConnectProviderThumbprint"
        ),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsidentityandaccessmanagementiam.html",
    ),
    Path(
        id="assume-role",
        text="Can assume roles that trust its account",
        ways=_ways("sts:AssumeRole"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}sts-001",
    ),
    Path(
        id="assume-member-admin-role",
        text="Can assume the administrator's role in member accounts",
        ways=((Need(action="sts:AssumeRole", on=MEMBER_ADMIN_ROLE),),),
        reach=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html",
    ),
    Path(
        id="assume-root",
        text="Can act as the root user of member accounts",
        ways=_ways("sts:AssumeRoot"),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source="https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoot.html",
    ),
)

_PASS_ROLE = (
    Path(
        id="pass-role-lambda",
        text="Can run its code as a role, in a new Lambda function",
        ways=_passing(
            "lambda",
            "lambda:CreateFunction lambda:InvokeFunction",
            "lambda:CreateFunction lambda:InvokeAsync",
            "lambda:CreateFunction lambda:CreateEventSourceMapping",
            "lambda:CreateFunction lambda:AddPermission",
            "lambda:CreateFunction lambda:CreateFunctionUrlConfig",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}lambda-001",
    ),
    Path(
        id="pass-role-lambda-triggered-by-others",
        text="Can give its code a role in a new Lambda function, if something invokes it",
        ways=_passing("lambda", "lambda:CreateFunction"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}lambda-002",
    ),
    Path(
        id="pass-role-lambda-existing",
        text="Can give an existing Lambda function its code and another role",
        ways=_passing("lambda", "lambda:UpdateFunctionConfiguration lambda:UpdateFunctionCode"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awslambda.html",
    ),
    Path(
        id="pass-role-ec2",
        text="Can run its code as a role, on a new EC2 instance",
        ways=_passing("ec2", "ec2:RunInstances"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}ec2-001",
    ),
    Path(
        id="pass-role-ec2-spot",
        text="Can run its code as a role, on a new EC2 Spot instance",
        ways=_passing("ec2", "ec2:RequestSpotInstances", "ec2:RequestSpotFleet"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}ec2-003",
    ),
    Path(
        id="pass-role-ec2-fleet",
        text="Can run its code as a role, on the instances of a new EC2 fleet",
        ways=_passing("ec2", "ec2:CreateFleet ec2:CreateLaunchTemplate"),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_amazonec2.html",
    ),
    Path(
        id="pass-role-instance-profile",
        text="Can give an existing EC2 instance another role",
        ways=_passing(
            "ec2",
            "ec2:AssociateIamInstanceProfile",
            "ec2:ReplaceIamInstanceProfileAssociation",
        ),
        reach=Reach.INDIRECT,
        source=_PMAPPER,
    ),
    Path(
        id="pass-role-auto-scaling",
        text="Can run its code as a role, on the instances of a new Auto Scaling group",
        ways=_passing(
            "ec2",
            "autoscaling:CreateLaunchConfiguration autoscaling:CreateAutoScalingGroup",
            "autoscaling:CreateLaunchConfiguration autoscaling:UpdateAutoScalingGroup",
            "ec2:CreateLaunchTemplate autoscaling:CreateAutoScalingGroup",
            "ec2:CreateLaunchTemplate autoscaling:UpdateAutoScalingGroup",
        ),
        reach=Reach.ESCALATION,
        source=_PMAPPER,
    ),
    Path(
        id="pass-role-cloudformation",
        text="Can have CloudFormation make anything as a role, in a new stack",
        ways=_passing("cloudformation", "cloudformation:CreateStack"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}cloudformation-001",
    ),
    Path(
        id="pass-role-cloudformation-update",
        text="Can have CloudFormation make anything as a role, in an existing stack",
        ways=_passing("cloudformation", "cloudformation:UpdateStack"),
        reach=Reach.INDIRECT,
        source=_PMAPPER,
    ),
    Path(
        id="pass-role-cloudformation-change-set",
        text="Can have CloudFormation make anything as a role, by a change set",
        ways=_passing(
            "cloudformation", "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet"
        ),
        reach=Reach.ESCALATION,
        source=_PMAPPER,
    ),
    Path(
        id="pass-role-stack-set",
        text="Can have CloudFormation make anything as a role, in a new stack set",
        ways=_passing(
            "cloudformation",
            "cloudformation:CreateStackSet cloudformation:CreateStackInstances",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}cloudformation-003",
    ),
    Path(
        id="pass-role-stack-set-update",
        text="Can have CloudFormation make anything as a role, in an existing stack set",
        ways=_passing("cloudformation", "cloudformation:UpdateStackSet"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}cloudformation-004",
    ),
    Path(
        id="pass-role-glue-dev-endpoint",
        text="Can run its code as a role, on a new Glue development endpoint",
        ways=_passing("glue", "glue:CreateDevEndpoint"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}glue-001",
    ),
    Path(
        id="pass-role-glue-job",
        text="Can run its code as a role, in a Glue job",
        ways=_passing(
            "glue",
            "glue:CreateJob glue:StartJobRun",
            "glue:CreateJob glue:CreateTrigger",
            "glue:UpdateJob glue:StartJobRun",
            "glue:UpdateJob glue:CreateTrigger",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}glue-003",
    ),
    Path(
        id="pass-role-glue-session",
        text="Can run its code as a role, in a Glue session",
        ways=_passing("glue", "glue:CreateSession glue:RunStatement"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}glue-007",
    ),
    Path(
        id="pass-role-data-pipeline",
        text="Can run its code as a role, in a new data pipeline",
        ways=_passing(
            "datapipeline elasticmapreduce ec2",
            "datapipeline:CreatePipeline datapipeline:PutPipelineDefinition",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}datapipeline-001",
    ),
    Path(
        id="pass-role-codebuild",
        text="Can run its code as a role, in a new CodeBuild project",
        ways=_passing(
            "codebuild",
            "codebuild:CreateProject codebuild:StartBuild",
            "codebuild:CreateProject codebuild:StartBuildBatch",
            "codebuild:CreateProject codebuild:CreateWebhook",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}codebuild-001",
    ),
    Path(
        id="pass-role-codepipeline",
        text="Can run its commands as a role, in a new pipeline",
        ways=_passing("codepipeline", "codepipeline:CreatePipeline"),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_awscodepipeline.html",
    ),
    Path(
        id="pass-role-ecs",
        text="Can run its code as a role, in an ECS task",
        ways=_passing(
            "ecs-tasks",
            "ecs:RegisterTaskDefinition ecs:RunTask",
            "ecs:RegisterTaskDefinition ecs:StartTask",
            "ecs:RegisterTaskDefinition ecs:CreateService",
            "ecs:RegisterTaskDefinition ecs:UpdateService",
            "ecs:CreateExpressGatewayService",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}ecs-004",
    ),
    Path(
        id="pass-role-ecs-override",
        text="Can run an existing ECS task as another role",
        ways=_passing("ecs-tasks", "ecs:RunTask", "ecs:StartTask"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}ecs-008",
    ),
    Path(
        id="pass-role-batch",
        text="Can run its code as a role, in a Batch job",
        ways=_passing("ecs-tasks", "batch:RegisterJobDefinition batch:SubmitJob"),
        reach=Reach.ESCALATION,
        source=_PATHFINDING_LIST,
    ),
    Path(
        id="pass-role-sagemaker-notebook",
        text="Can run its code as a role, in a new SageMaker notebook",
        ways=_passing("sagemaker", "sagemaker:CreateNotebookInstance"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}sagemaker-001",
    ),
    Path(
        id="pass-role-sagemaker-training",
        text="Can run its code as a role, in a SageMaker training job",
        ways=_passing(
            "sagemaker",
            "sagemaker:CreateTrainingJob",
            "sagemaker:CreateHyperParameterTuningJob",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}sagemaker-002",
    ),
    Path(
        id="pass-role-sagemaker-processing",
        text="Can run its code as a role, in a SageMaker processing job",
        ways=_passing(
            "sagemaker",
            "sagemaker:CreateProcessingJob",
            "sagemaker:CreateMonitoringSchedule",
            "sagemaker:CreatePipeline sagemaker:StartPipelineExecution",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}sagemaker-003",
    ),
    Path(
        id="pass-role-sagemaker-model",
        text="Can run its code as a role, in a SageMaker model",
        ways=_passing(
            "sagemaker",
            "sagemaker:CreateModel sagemaker:CreateTransformJob",
            "sagemaker:CreateModel sagemaker:CreateEndpointConfig sagemaker:CreateEndpoint",
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_amazonsagemaker.html",
    ),
    Path(
        id="pass-role-sagemaker-studio",
        text="Can run its code as a role, in SageMaker Studio",
        ways=_passing(
            "sagemaker",
            "sagemaker:CreateDomain sagemaker:CreatePresignedDomainUrl",
            "sagemaker:CreateUserProfile sagemaker:CreatePresignedDomainUrl",
            "sagemaker:UpdateUserProfile sagemaker:CreatePresignedDomainUrl",
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_amazonsagemaker.html",
    ),
    Path(
        id="pass-role-app-runner",
        text="Can run its code as a role, in an App Runner service",
        ways=_passing("apprunner tasks.apprunner", "apprunner:CreateService"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}apprunner-001",
    ),
    Path(
        id="pass-role-agentcore-code-interpreter",
        text="Can run its code as a role, in a Bedrock AgentCore code interpreter",
        ways=_passing(
            "bedrock-agentcore",
            "bedrock-agentcore:CreateCodeInterpreter bedrock-agentcore:StartCodeInterpreterSession "
            "bedrock-agentcore:InvokeCodeInterpreter",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}bedrock-001",
    ),
    Path(
        id="pass-role-agentcore-runtime",
        text="Can run its code as a role, in a Bedrock AgentCore runtime",
        ways=_passing(
            "bedrock-agentcore",
            "bedrock-agentcore:CreateAgentRuntime bedrock-agentcore:InvokeAgentRuntime",
            "bedrock-agentcore:CreateAgentRuntime bedrock-agentcore:InvokeAgentRuntimeCommand",
            "bedrock-agentcore:UpdateAgentRuntime bedrock-agentcore:InvokeAgentRuntime",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}bedrock-003",
    ),
    Path(
        id="pass-role-bedrock-agent",
        text="Can have a new Bedrock agent call what a role may call",
        ways=_passing(
            "bedrock", "bedrock:CreateAgent bedrock:CreateAgentActionGroup bedrock:InvokeAgent"
        ),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_amazonbedrock.html",
    ),
    Path(
        id="pass-role-step-functions",
        text="Can call any API as a role, from a new state machine",
        ways=_passing(
            "states",
            "states:CreateStateMachine states:StartExecution",
            "states:CreateStateMachine states:StartSyncExecution",
            "states:UpdateStateMachine states:StartExecution",
            "states:UpdateStateMachine states:StartSyncExecution",
            "states:TestState",
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_awsstepfunctions.html",
    ),
    Path(
        id="pass-role-scheduler",
        text="Can call any API as a role, from a schedule",
        ways=_passing("scheduler", "scheduler:CreateSchedule", "scheduler:UpdateSchedule"),
        reach=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html",
    ),
    Path(
        id="pass-role-events",
        text="Can have EventBridge start what a role may start",
        ways=_passing("events pipes", "events:PutRule events:PutTargets", "pipes:CreatePipe"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_amazoneventbridge.html",
    ),
    Path(
        id="pass-role-api-gateway",
        text="Can call any API as a role, through an integration of API Gateway",
        ways=_passing("apigateway", "apigateway:POST apigateway:PUT"),
        reach=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-integration-settings-integration-request.html",
    ),
    Path(
        id="pass-role-appsync",
        text="Can call any API as a role, through an HTTP data source of AppSync",
        ways=_passing("appsync", "appsync:CreateDataSource appsync:CreateResolver"),
        reach=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/appsync/latest/devguide/tutorial-http-resolvers-js.html",
    ),
    Path(
        id="pass-role-ssm-automation",
        text="Can call any API as a role, by an automation of Systems Manager",
        ways=_passing(
            "ssm",
            "ssm:StartAutomationExecution",
            "ssm:StartChangeRequestExecution",
            "ssm:CreateAssociation",
        ),
        reach=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-setup-iam.html",
    ),
    Path(
        id="pass-role-ssm-maintenance-window",
        text="Can call any API as a role, by a task of a maintenance window",
        ways=_passing("ssm", "ssm:CreateMaintenanceWindow ssm:RegisterTaskWithMaintenanceWindow"),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_awssystemsmanager.html",
    ),
    Path(
        id="pass-role-config-remediation",
        text="Can call any API as a role, by a remediation of AWS Config",
        ways=_passing(
            "ssm", "config:PutRemediationConfigurations config:StartRemediationExecution"
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_awsconfig.html",
    ),
    Path(
        id="pass-role-service-catalog",
        text="Can have Service Catalog make anything as a role, by a product of its own",
        ways=_passing(
            "servicecatalog",
            "servicecatalog:CreateProduct servicecatalog:CreateConstraint "
            "servicecatalog:ProvisionProduct",
        ),
        reach=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/servicecatalog/latest/adminguide/constraints-launch.html",
    ),
    Path(
        id="pass-role-budgets",
        text="Can have a budget attach any policy as a role",
        ways=_passing("budgets", "budgets:CreateBudgetAction budgets:ExecuteBudgetAction"),
        reach=Reach.ESCALATION,
        source="https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-controls.html",
    ),
    Path(
        id="pass-role-codecatalyst",
        text="Can run its code as a role, in a workflow of CodeCatalyst",
        ways=_passing(
            "codecatalyst codecatalyst-runner", "codecatalyst:AssociateIamRoleToConnection"
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_amazoncodecatalyst.html",
    ),
    Path(
        id="pass-role-fis",
        text="Can run commands as a role, by an experiment of Fault Injection Service",
        ways=_passing("fis", "fis:CreateExperimentTemplate fis:StartExperiment"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsfaultinjectionservice.html",
    ),
    Path(
        id="pass-role-emr",
        text="Can run its code as a role, on a new EMR cluster",
        ways=_passing("ec2 elasticmapreduce", "elasticmapreduce:RunJobFlow"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}emr-001",
    ),
    Path(
        id="pass-role-emr-serverless",
        text="Can run its code as a role, in EMR Serverless",
        ways=_passing("emr-serverless", "emr-serverless:StartJobRun"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}emrserverless-001",
    ),
    Path(
        id="pass-role-managed-flink",
        text="Can run its code as a role, in a Flink application",
        ways=_passing(
            "kinesisanalytics",
            "kinesisanalytics:CreateApplication kinesisanalytics:StartApplication",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}kinesisanalytics-001",
    ),
    Path(
        id="pass-role-airflow",
        text="Can run its code as a role, in a new Airflow environment",
        ways=_passing("airflow airflow-env", "airflow:CreateEnvironment"),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_amazonmanagedworkflowsforapacheairflow.html",
    ),
    Path(
        id="pass-role-elastic-beanstalk",
        text="Can run its code as a role, in a new Elastic Beanstalk environment",
        ways=_passing(
            "ec2 elasticbeanstalk",
            "elasticbeanstalk:CreateApplicationVersion elasticbeanstalk:CreateEnvironment",
            "elasticbeanstalk:CreateApplicationVersion elasticbeanstalk:UpdateEnvironment",
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_awselasticbeanstalk.html",
    ),
    Path(
        id="pass-role-image-builder",
        text="Can run its code as a role, while EC2 Image Builder makes an image",
        ways=_passing(
            "ec2 imagebuilder",
            "imagebuilder:CreateComponent imagebuilder:CreateImageRecipe "
            "imagebuilder:CreateInfrastructureConfiguration imagebuilder:CreateImage",
        ),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}imagebuilder-001",
    ),
    Path(
        id="pass-role-gamelift",
        text="Can run its code as a role, on a new GameLift fleet",
        ways=_passing("gamelift ec2", "gamelift:CreateBuild gamelift:CreateFleet"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}gamelift-001",
    ),
    Path(
        id="pass-role-omics",
        text="Can run its code as a role, in a HealthOmics workflow",
        ways=_passing("omics", "omics:CreateWorkflow omics:StartRun"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}omics-001",
    ),
    Path(
        id="pass-role-braket",
        text="Can run its code as a role, in a Braket job",
        ways=_passing("braket", "braket:CreateJob"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}braket-001",
    ),
    Path(
        id="pass-role-amplify",
        text="Can run its code as a role, in a build of Amplify",
        ways=_passing("amplify", "amplify:CreateApp amplify:StartJob"),
        reach=Reach.ESCALATION,
        source=f"{_PATHFINDING}amplify-001",
    ),
    Path(
        id="pass-role-appstream",
        text="Can work as a role, on an image builder or fleet of AppStream",
        ways=_passing(
            "appstream",
            "appstream:CreateImageBuilder appstream:CreateImageBuilderStreamingURL",
            "appstream:CreateFleet appstream:CreateStreamingURL",
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_amazonappstream2.0.html",
    ),
    Path(
        id="pass-role-synthetics",
        text="Can run its code as a role, in a canary",
        ways=_passing("lambda", "synthetics:CreateCanary synthetics:StartCanary"),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_amazoncloudwatchsynthetics.html",
    ),
    Path(
        id="pass-role-eks",
        text="Can give a role to pods or nodes of a Kubernetes cluster",
        ways=_passing(
            "eks eks-fargate-pods ec2 pods.eks",
            "eks:CreatePodIdentityAssociation",
            "eks:CreateNodegroup",
            "eks:CreateFargateProfile",
        ),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_amazonelastickubernetesservice.html",
    ),
    Path(
        id="pass-role-cognito",
        text="Can give a role to who signs in to an identity pool",
        ways=_passing(
            "cognito-identity",
            "cognito-identity:SetIdentityPoolRoles",
        ),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}cognitoidentity-001",
    ),
    Path(
        id="pass-role-roles-anywhere",
        text="Can let a certificate of its own stand for a role",
        ways=_passing(
            "rolesanywhere", "rolesanywhere:CreateProfile rolesanywhere:CreateTrustAnchor"
        ),
        reach=Reach.ESCALATION,
        source=f"{_REFERENCE}list_awsidentityandaccessmanagementrolesanywhere.html",
    ),
    Path(
        id="pass-role-iot",
        text="Can let a device certificate stand for a role",
        ways=_passing("iot credentials.iot", "iot:CreateRoleAlias iot:AttachPolicy"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsiot.html",
    ),
)

_EXISTING = (
    Path(
        id="lambda-code",
        text="Can replace the code of a Lambda function and act as its role",
        ways=_ways("lambda:UpdateFunctionCode"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}lambda-003",
    ),
    Path(
        id="lambda-layer",
        text="Can put a layer of its own into a Lambda function and act as its role",
        ways=_ways("lambda:UpdateFunctionConfiguration"),
        reach=Reach.INDIRECT,
        source=_PMAPPER,
    ),
    Path(
        id="cloudformation-update-stack",
        text="Can have the role of an existing stack make anything",
        ways=_ways("cloudformation:UpdateStack"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}cloudformation-002",
    ),
    Path(
        id="cloudformation-change-set",
        text="Can have the role of an existing stack make anything, by a change set",
        ways=_ways("cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}cloudformation-005",
    ),
    Path(
        id="cloudformation-stack-set",
        text="Can have the role of a stack set make anything, in other accounts too",
        ways=_ways(
            "cloudformation:UpdateStackSet",
            "cloudformation:CreateStackSet cloudformation:CreateStackInstances",
        ),
        reach=Reach.INDIRECT,
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-activate-trusted-access.html",
    ),
    Path(
        id="ssm-send-command",
        text="Can run commands on instances and act as their role",
        ways=_ways("ssm:SendCommand"),
        reach=Reach.INDIRECT,
        narrow=Reach.NONE,
        source=_PATHFINDING_LIST,
    ),
    Path(
        id="ssm-start-session",
        text="Can open a shell on instances and act as their role",
        ways=_ways("ssm:StartSession"),
        reach=Reach.INDIRECT,
        source=_PATHFINDING_LIST,
    ),
    Path(
        id="ssm-association",
        text="Can have instances run its commands and act as their role",
        ways=_ways("ssm:CreateAssociation"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awssystemsmanager.html",
    ),
    Path(
        id="ec2-user-data",
        text="Can replace what an instance runs when it starts and act as its role",
        ways=_ways("ec2:ModifyInstanceAttribute ec2:StopInstances ec2:StartInstances"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}ec2-002",
    ),
    Path(
        id="ec2-launch-template",
        text="Can replace what new instances of a launch template run and act as their role",
        ways=_ways("ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}ec2-004",
    ),
    Path(
        id="ec2-instance-connect",
        text="Can sign in to instances and act as their role",
        ways=_ways(
            "ec2-instance-connect:SendSSHPublicKey",
            "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
        ),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}ec2instanceconnect-003",
    ),
    Path(
        id="ecs-execute-command",
        text="Can open a shell in an ECS task and act as its role",
        ways=_ways("ecs:ExecuteCommand"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}ecs-006",
    ),
    Path(
        id="eks-access-entry",
        text="Can make itself administrator of a Kubernetes cluster",
        ways=_ways(
            "eks:CreateAccessEntry eks:AssociateAccessPolicy",
            "eks:AssociateAccessPolicy",
        ),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_amazonelastickubernetesservice.html",
    ),
    Path(
        id="batch-job",
        text="Can run a Batch job with commands of its own and act as its role",
        ways=_ways("batch:SubmitJob"),
        reach=Reach.INDIRECT,
        source=_PATHFINDING_LIST,
    ),
    Path(
        id="glue-dev-endpoint",
        text="Can sign in to a Glue development endpoint and act as its role",
        ways=_ways("glue:UpdateDevEndpoint"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}glue-002",
    ),
    Path(
        id="glue-job",
        text="Can replace the code of a Glue job and act as its role",
        ways=_ways("glue:UpdateJob"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}glue-005",
    ),
    Path(
        id="glue-session",
        text="Can run its code in a Glue session of others and act as its role",
        ways=_ways("glue:RunStatement"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsglue.html",
    ),
    Path(
        id="data-pipeline",
        text="Can rewrite a data pipeline and act as its role",
        ways=_ways("datapipeline:PutPipelineDefinition"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsdatapipeline.html",
    ),
    Path(
        id="emr-steps",
        text="Can run its code on an EMR cluster and act as its role",
        ways=_ways("elasticmapreduce:AddJobFlowSteps", "emr-containers:StartJobRun"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_amazonelasticmapreduce.html",
    ),
    Path(
        id="codebuild-build",
        text="Can run its commands in a CodeBuild project and act as its role",
        ways=_ways("codebuild:StartBuild", "codebuild:StartBuildBatch", "codebuild:UpdateProject"),
        reach=Reach.INDIRECT,
        source=_PATHFINDING_LIST,
    ),
    Path(
        id="codedeploy-deployment",
        text="Can deploy its code to instances and act as their role",
        ways=_ways("codedeploy:CreateDeployment"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}codedeploy-001",
    ),
    Path(
        id="step-functions-definition",
        text="Can rewrite a state machine and act as its role",
        ways=_ways("states:UpdateStateMachine"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsstepfunctions.html",
    ),
    Path(
        id="app-runner-service",
        text="Can replace the code of an App Runner service and act as its role",
        ways=_ways("apprunner:UpdateService"),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}apprunner-002",
    ),
    Path(
        id="sagemaker-notebook",
        text="Can open a SageMaker notebook and act as its role",
        ways=_ways(
            "sagemaker:CreatePresignedNotebookInstanceUrl",
            "sagemaker:CreateNotebookInstanceLifecycleConfig sagemaker:StopNotebookInstance "
            "sagemaker:UpdateNotebookInstance sagemaker:StartNotebookInstance",
        ),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}sagemaker-004",
    ),
    Path(
        id="sagemaker-studio",
        text="Can open SageMaker Studio as another of its users and act as that role",
        ways=_ways("sagemaker:CreatePresignedDomainUrl"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_amazonsagemaker.html",
    ),
    Path(
        id="agentcore-code-interpreter",
        text="Can run its code in a Bedrock AgentCore code interpreter and act as its role",
        ways=_ways(
            "bedrock-agentcore:StartCodeInterpreterSession bedrock-agentcore:InvokeCodeInterpreter"
        ),
        reach=Reach.INDIRECT,
        source=f"{_PATHFINDING}bedrock-002",
    ),
    Path(
        id="agentcore-runtime-command",
        text="Can run commands in a Bedrock AgentCore runtime and act as its role",
        ways=_ways("bedrock-agentcore:InvokeAgentRuntimeCommand"),
        reach=Reach.INDIRECT,
        source=_PATHFINDING_LIST,
    ),
    Path(
        id="airflow-web-login",
        text="Can sign in to an Airflow environment and act as its role",
        ways=_ways("airflow:CreateWebLoginToken", "airflow:CreateCliToken"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_amazonmanagedworkflowsforapacheairflow.html",
    ),
    Path(
        id="cloud9-environment",
        text="Can enter a Cloud9 environment of somebody else and act as its owner",
        ways=_ways("cloud9:CreateEnvironmentMembership"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awscloud9.html",
    ),
    Path(
        id="directory-password",
        text="Can set the password of a user of a directory and sign in as that user",
        ways=_ways("ds:ResetUserPassword"),
        reach=Reach.INDIRECT,
        source=f"{_REFERENCE}list_awsdirectoryservice.html",
    ),
)

_ORGANIZATION = (
    Path(
        id="assign-permission-set",
        text="Can assign itself a permission set, in any account of the organization",
        ways=_ways("sso:CreateAccountAssignment", "sso:AssociateProfile"),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_IDENTITY_CENTER,
    ),
    Path(
        id="permission-set-policy",
        text="Can put any policy into a permission set",
        ways=_ways(
            "sso:AttachManagedPolicyToPermissionSet",
            "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
            "sso:PutInlinePolicyToPermissionSet",
            "sso:PutPermissionsPolicy",
        ),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_IDENTITY_CENTER,
    ),
    Path(
        id="permission-set-boundary",
        text="Can take away or replace the boundary of a permission set",
        ways=_ways(
            "sso:DeletePermissionsBoundaryFromPermissionSet",
            "sso:PutPermissionsBoundaryToPermissionSet",
        ),
        reach=Reach.INDIRECT,
        source=_IDENTITY_CENTER,
    ),
    Path(
        id="identity-source",
        text="Can decide who signs in to Identity Center, by another identity source",
        ways=_ways(
            "sso:AssociateDirectory",
            "sso-directory:CreateExternalIdPConfigurationForDirectory",
            "sso-directory:UpdateExternalIdPConfigurationForDirectory",
            "sso-directory:ImportExternalIdPCertificate",
        ),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_DIRECTORY,
    ),
    Path(
        id="scim-token",
        text="Can make itself a token that writes users and groups of Identity Center",
        ways=_ways("sso-directory:CreateBearerToken"),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_DIRECTORY,
    ),
    Path(
        id="group-membership",
        text="Can put itself into a group of Identity Center",
        ways=_ways("identitystore:CreateGroupMembership", "sso-directory:AddMemberToGroup"),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_DIRECTORY,
    ),
    Path(
        id="identity-center-password",
        text="Can set the password of a user of Identity Center and sign in as that user",
        ways=_ways("sso-directory:UpdatePassword"),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_DIRECTORY,
    ),
    Path(
        id="access-control-attributes",
        text="Can change the attributes by which Identity Center decides access",
        ways=_ways(
            "sso:CreateInstanceAccessControlAttributeConfiguration",
            "sso:UpdateInstanceAccessControlAttributeConfiguration",
        ),
        reach=Reach.INDIRECT,
        source=_IDENTITY_CENTER,
    ),
    Path(
        id="identity-center-application",
        text="Can let an application act for users of Identity Center",
        ways=_ways("sso:PutApplicationGrant sso:PutApplicationAccessScope"),
        reach=Reach.INDIRECT,
        source=_IDENTITY_CENTER,
    ),
    Path(
        id="account-access-entitlement",
        text="Can entitle a user of Identity Center, itself included, to a role",
        ways=_ways("account-access:CreateEntitlement"),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=f"{_REFERENCE}list_account-access.html",
    ),
    Path(
        id="guardrails",
        text="Can loosen what the organization denies its accounts",
        ways=_ways(
            "organizations:DetachPolicy",
            "organizations:AttachPolicy",
            "organizations:UpdatePolicy",
            "organizations:DeletePolicy",
            "organizations:DisablePolicyType",
            "organizations:PutResourcePolicy",
        ),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_ORGANIZATIONS,
    ),
    Path(
        id="leave-guardrails",
        text="Can take an account out of what the organization denies it",
        ways=_ways(
            "organizations:MoveAccount",
            "organizations:RemoveAccountFromOrganization",
            "organizations:LeaveOrganization",
        ),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_ORGANIZATIONS,
    ),
    Path(
        id="root-address",
        text="Can change the address of a member account's root user, and so its password",
        ways=_ways("account:StartPrimaryEmailUpdate account:AcceptPrimaryEmailUpdate"),
        reach=Reach.INDIRECT,
        source="https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-update-root-user-email.html",
    ),
    Path(
        id="delegated-administrator",
        text="Can hand Identity Center, root access or StackSets to an account of its choice",
        ways=_ways("organizations:RegisterDelegatedAdministrator"),
        reach=Reach.ESCALATION,
        if_sweeping=Reach.INDIRECT,
        source=_ORGANIZATIONS,
    ),
)

PATHS: tuple[Path, ...] = (*_ADMIN, *_IAM, *_PASS_ROLE, *_EXISTING, *_ORGANIZATION)
"""Every known path. Ids are unique, and never change: findings and exemptions name them."""

ACTIONS: frozenset[str] = frozenset(
    need.action.lower() for path in PATHS for way in path.ways for need in way
)
"""Every action that some path takes, in lower case; nothing else is ever asked of a policy."""
