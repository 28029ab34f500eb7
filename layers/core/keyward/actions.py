"""What may be done about a finding. Every action can be undone; none deletes anything.

Actions are values that the ledger stores as they are: an intent, written before the act.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from keyward.model import (
    CredentialKind,
    CustomerPolicy,
    PermissionSetAttributes,
    PolicyDocument,
    PrincipalKind,
)

DENY_ALL_ARN = "arn:aws:iam::aws:policy/AWSDenyAll"
"""AWS's own deny-all policy: no member of the organization can edit it.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSDenyAll.html
"""

AWS_QUARANTINE_ARN = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine"
"""How the ARNs of AWS's own policies for leaked keys begin; a customer's has an account id there.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html
"""

QUARANTINE_GROUP = "keyward-quarantine"
"""The deny-all group that member/template.yaml puts into every account."""

MARKER_TAG = "keyward:quarantined"
"""Tag on a quarantined user, for people to read. It decides nothing."""


class Enforcement(StrEnum):
    """What a rule asks for in mode `enforce`; `explain`, the ledger and alerts say it like this.

    CONTAIN: a credential becomes inactive; who has a password, which can't, is quarantined.
    """

    REPORT = "report"
    DEACTIVATE_ACCESS_KEY = "deactivate-access-key"
    DEACTIVATE_CREDENTIAL = "deactivate-credential"
    QUARANTINE_USER = "quarantine-user"
    CONTAIN = "contain"
    REAPPLY = "re-apply"
    REMOVE_ASSIGNMENT = "remove-assignment"
    DETACH_POLICY = "detach-policy"
    RESTORE_PERMISSION_SET = "restore-permission-set"
    RECREATE_PERMISSION_SET = "recreate-permission-set"
    PROVISION_PERMISSION_SET = "provision-permission-set"
    ASSIGN_ACCESS = "assign-access"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Target(_Value):
    """The IAM user whom an action is about; `user_id` is compared before anything is written."""

    account: str
    user_name: str
    user_id: str
    user_arn: str | None = None


class DeactivateAccessKeys(_Value):
    """Make these access keys of one user inactive; `key_ids` None means every key it has."""

    name: Literal["deactivate-access-key"] = "deactivate-access-key"
    target: Target
    key_ids: tuple[str, ...] | None


class DeactivateCredential(_Value):
    """Make one SSH key, signing certificate or service-specific credential inactive."""

    name: Literal["deactivate-credential"] = "deactivate-credential"
    target: Target
    kind: CredentialKind
    credential_id: str


class QuarantineUser(_Value):
    """Deny everything to a user, by the first rung of the ladder that holds; its keys inactive.

    `marker` is the value of the marker tag: the finding's key.
    """

    name: Literal["quarantine-user"] = "quarantine-user"
    target: Target
    marker: str


class AssignmentTarget(_Value):
    """The assignment that an action is about; all ids are compared before anything is written."""

    account: str
    instance_arn: str
    permission_set_arn: str
    permission_set_name: str
    principal_kind: PrincipalKind
    principal_id: str
    principal_name: str | None = None


class PermissionSetTarget(_Value):
    """The permission set that an action is about; `arn` is None where it has to be made first.

    `account` is the management account's: Identity Center lives there.
    """

    account: str
    instance_arn: str
    arn: str | None
    permission_set_name: str


class RemoveAssignment(_Value):
    """Take one assignment away; `deny_sessions`: and deny what sessions begun before could do.

    `session_seconds` is how long such a session lives at most. Nothing is denied where the account
    `spared` has the permission set, too: settings don't let Keyward act there.
    """

    name: Literal["remove-assignment"] = "remove-assignment"
    target: AssignmentTarget
    session_seconds: int
    deny_sessions: bool = False
    spared: str | None = None


class DetachPolicy(_Value):
    """Take one policy off a permission set: managed (`arn`), customer managed, or inline.

    An inline policy's `name` is "inline policy".
    """

    name: Literal["detach-policy"] = "detach-policy"
    target: PermissionSetTarget
    policy: PolicyDocument | CustomerPolicy


class RestorePermissionSet(_Value):
    """Make a permission set what is wanted of it, in every account that has it.

    `only`: of these attributes, named as in `PermissionSetAttributes`; empty means of all.
    """

    name: Literal["restore-permission-set"] = "restore-permission-set"
    target: PermissionSetTarget
    wanted: PermissionSetAttributes
    only: tuple[str, ...] = ()


class RecreatePermissionSet(_Value):
    """Make a permission set that is gone again, with the assignments to groups that it had.

    `assignments` is None until they were looked for; they name the set by the ARN that it had.
    `made` is the ARN that it has since, once there is one: no other of its name is ever undone.
    None is made in the account `spared`.
    """

    name: Literal["recreate-permission-set"] = "recreate-permission-set"
    target: PermissionSetTarget
    wanted: PermissionSetAttributes
    former_arn: str | None = None
    assignments: tuple[AssignmentTarget, ...] | None = None
    made: str | None = None
    spared: str | None = None


class ProvisionPermissionSet(_Value):
    """Bring the permission set as it is into the accounts that hold an older version of it."""

    name: Literal["provision-permission-set"] = "provision-permission-set"
    target: PermissionSetTarget


class AccountTarget(_Value):
    """The account whose access an action is about."""

    account: str
    instance_arn: str


class AssignAccess(_Value):
    """Give an account the assignments to groups that its baselines want and that it lacks."""

    name: Literal["assign-access"] = "assign-access"
    target: AccountTarget
    assignments: tuple[AssignmentTarget, ...]


IamAction = DeactivateAccessKeys | DeactivateCredential | QuarantineUser
"""What is done to IAM users. It holds until it is released, and is put back where it is undone."""

IdentityCenterAction = (
    RemoveAssignment
    | DetachPolicy
    | RestorePermissionSet
    | RecreatePermissionSet
    | ProvisionPermissionSet
    | AssignAccess
)
"""What is done in Identity Center: asynchronous, and once for each episode of a finding."""

type Action = Annotated[
    DeactivateAccessKeys
    | DeactivateCredential
    | QuarantineUser
    | RemoveAssignment
    | DetachPolicy
    | RestorePermissionSet
    | RecreatePermissionSet
    | ProvisionPermissionSet
    | AssignAccess,
    Field(discriminator="name"),
]


class RequestKind(StrEnum):
    """What Identity Center does asynchronously."""

    ASSIGNMENT_CREATION = "assignment-creation"
    ASSIGNMENT_DELETION = "assignment-deletion"
    PROVISIONING = "provisioning"


class Request(_Value):
    """A request that Identity Center took on: `about` says whose, where several are under way."""

    kind: RequestKind
    id: str
    about: str = ""


class Pending(_Value):
    """An act, or its undoing, that waits for Identity Center; looked at again by a later message.

    `looks` counts the looks so far, `failures` the requests that AWS began and did not finish.
    `stage` says, in words, what it waits for. `arn` is that of a permission set made on the way.
    Nothing is to be done `not_before` then. `ticket` grows with each message that is to come back.
    Of many requests, `asked` are those that AWS took on or that are done, by what they are about;
    `refused` says of what can never be why; `unwanted` are those that nobody wants any more;
    `waits` is why the others wait.
    """

    requests: tuple[Request, ...] = ()
    since: AwareDatetime
    looks: int = 0
    failures: int = 0
    stage: str
    arn: str | None = None
    notes: tuple[str, ...] = ()
    not_before: AwareDatetime | None = None
    ticket: int = 0
    asked: frozenset[str] = frozenset()
    refused: dict[str, str] = Field(default_factory=dict)
    unwanted: frozenset[str] = frozenset()
    waits: str = ""


class Done(_Value):
    """An act that is verified, in words; `aftercare` is what is taken back by itself later.

    `arn` is that of a permission set made on the way. `not_made` are, of many assignments, those
    that were not made, by what they are about: a release has nothing to take back of them.
    """

    text: str
    arn: str | None = None
    aftercare: Pending | None = None
    not_made: frozenset[str] = frozenset()


class Before(_Value):
    """What was there before the act: all that an undo needs.

    `statuses` maps ids of keys and credentials to whether they were active; `marker` is the value
    that the marker tag had, None where there was none; `attributes` are a permission set's.
    """

    statuses: dict[str, bool] = Field(default_factory=dict)
    deny_attached: bool = False
    in_group: bool = False
    boundary_arn: str | None = None
    marker: str | None = None
    attributes: PermissionSetAttributes | None = None
