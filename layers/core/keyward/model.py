"""What Keyward judges: frozen values, the same for what an event claims and what AWS says now.

A field that is None is not known. Nothing here reads a clock, an environment or AWS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

AccountId = str
"""Twelve digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who made the call that an event reports, as CloudTrail's userIdentity has it.

    `issuer_arn` is the role's ARN, path included, for assumed roles; None otherwise. `on_behalf_of`
    is the id of the Identity Center user who acts, where CloudTrail tells it.
    Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """

    type: str
    arn: str | None = None
    account: AccountId | None = None
    principal_id: str | None = None
    user_name: str | None = None
    issuer_arn: str | None = None
    invoked_by: str | None = None
    source_ip: str | None = None
    user_agent: str | None = None
    on_behalf_of: str | None = None

    @property
    def is_keyward(self) -> bool:
        """Whether nobody acted: Keyward looks by itself."""
        return self.type == "Keyward"

    @property
    def label(self) -> str:
        """The shortest name that tells a reader who it was."""
        behind = f"{self.type} {self.on_behalf_of}" if self.on_behalf_of else self.type
        return self.arn or self.invoked_by or self.user_name or behind


@dataclass(frozen=True, slots=True, kw_only=True)
class IamUser:
    """An IAM user. `user_id` (AIDA...) is unique for ever; name and path are not."""

    account: AccountId
    name: str
    user_id: str | None = None
    arn: str | None = None
    path: str | None = None
    created_at: datetime | None = None
    boundary_arn: str | None = None
    tags: Mapping[str, str] | None = None
    password_used_at: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """The id that is never used again, or None where only the name is known."""
        return self.user_id

    @property
    def since(self) -> datetime | None:
        """When it came to be as it is."""
        return self.created_at

    @property
    def label(self) -> str:
        """How people call it."""
        return f"IAM user {self.name}"

    @property
    def owner(self) -> "IamUser":
        """The user whom the exemptions for this subject name."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An access key of an IAM user. `since` is when it became active, as far as is known.

    `created_at` is None where it was not read. `used_at` is when it was used last, `use_known`
    whether that was asked: a key that was never used has None. `newer_since` is when the user's
    other key was made, where that is active and newer.
    """

    owner: IamUser
    key_id: str
    active: bool
    since: datetime | None = None
    created_at: datetime | None = None
    used_at: datetime | None = None
    use_known: bool = False
    newer_since: datetime | None = None

    @property
    def account(self) -> AccountId:
        """The account that holds the key."""
        return self.owner.account

    @property
    def unique_id(self) -> str | None:
        """Access key ids are never used again."""
        return self.key_id

    @property
    def label(self) -> str:
        """How people call it."""
        return f"access key {self.key_id} of IAM user {self.owner.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePassword:
    """The login profile of an IAM user: with it the user can sign in to the console.

    `since` is when it was made. `used_at` is when it was used last, `use_known` whether that was
    asked: a password that was never used has None.
    """

    owner: IamUser
    since: datetime | None = None
    used_at: datetime | None = None
    use_known: bool = False

    @property
    def account(self) -> AccountId:
        """The account that holds the login profile."""
        return self.owner.account

    @property
    def unique_id(self) -> str | None:
        """A user has one login profile at most, so the user's id identifies it."""
        return self.owner.user_id

    @property
    def label(self) -> str:
        """How people call it."""
        return f"console password of IAM user {self.owner.name}"


class CredentialKind(StrEnum):
    """The kinds of long-lived credential besides access keys and passwords."""

    SSH_PUBLIC_KEY = "ssh-public-key"
    SIGNING_CERTIFICATE = "signing-certificate"
    SERVICE_SPECIFIC = "service-specific-credential"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCredential:
    """A long-lived credential of another kind; `service` is what a service-specific one opens."""

    owner: IamUser
    kind: CredentialKind
    credential_id: str
    active: bool
    service: str | None = None
    since: datetime | None = None

    @property
    def account(self) -> AccountId:
        """The account that holds the credential."""
        return self.owner.account

    @property
    def unique_id(self) -> str | None:
        """IAM's own id of the credential (APKA..., ACCA..., a certificate's id)."""
        return self.credential_id

    @property
    def label(self) -> str:
        """How people call it."""
        what = f"{self.kind} {self.credential_id}"
        return (
            f"{what}{f' for {self.service}' if self.service else ''} of IAM user {self.owner.name}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPolicy:
    """A policy directly on an IAM user: attached (`arn`) or inline (`name` only)."""

    owner: IamUser
    name: str
    arn: str | None = None
    since: datetime | None = None

    @property
    def account(self) -> AccountId:
        """The account that holds the user."""
        return self.owner.account

    @property
    def unique_id(self) -> str | None:
        """The user's id and the policy's: a user holds a policy at most once."""
        return self.owner.user_id and f"{self.owner.user_id}/{self.arn or self.name}"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"policy {self.name} on IAM user {self.owner.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootAccessKey:
    """An access key of an account's root user. `key_id` is None where only a count is known."""

    account: AccountId
    key_id: str | None = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """The account: IAM tells only whether root has keys, never which."""
        return f"{self.account}/root"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"access key of the root user of {self.account}"

    @property
    def owner(self) -> None:
        """Root is no IAM user: no exemption can name it."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Contained:
    """A user or credential that Keyward has contained and not released.

    `holds` tells whether it is still contained; None means that only AWS can tell (judged from
    the event alone). `broken` lists, in words, what no longer holds. `was_active` is what a release
    restores of a credential: whether it was active before Keyward contained it.
    """

    of: "IamUser | AccessKey | StaticCredential"
    finding: str | None
    holds: bool | None
    broken: tuple[str, ...] = ()
    was_active: bool = True
    since: datetime | None = None

    @property
    def account(self) -> AccountId:
        """The account of what was contained."""
        return self.of.account

    @property
    def unique_id(self) -> str | None:
        """The id of what was contained."""
        return self.of.unique_id

    @property
    def label(self) -> str:
        """How people call it."""
        return f"containment of {self.of.label}"

    @property
    def owner(self) -> IamUser:
        """The user whom it is about."""
        return self.of.owner


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """An identity policy: `text` is the JSON as AWS has it, `name` what people call it."""

    name: str
    text: str
    arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnResource:
    """Something that Keyward itself is made of, and that an event changed.

    `wrong` is what a sweep found wrong with it: no event tells who did that, or when.
    """

    account: AccountId
    service: str
    name: str
    change: str
    since: datetime | None = None
    wrong: str | None = None

    @property
    def unique_id(self) -> str | None:
        """Service and name: these names are Keyward's own and fixed."""
        return f"{self.service}/{self.name}"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"Keyward's own {self.service} resource {self.name}"

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


class PrincipalKind(StrEnum):
    """What an Identity Center principal is, in the API's own words."""

    USER = "USER"
    GROUP = "GROUP"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPolicy:
    """A customer managed policy by name and path: each account has one of its own, or none.

    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/howtocmp.html
    """

    name: str
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The permissions boundary of a permission set: one of the two."""

    managed_policy_arn: str | None = None
    customer_policy: CustomerPolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionSetAttributes:
    """All that a permission set is, but for its name and ARN: as AWS has it, or as wanted.

    `inline_policy` is JSON text. Policies and tags are in no order of their own.
    """

    description: str | None = None
    session_seconds: int = 3600
    relay_state: str | None = None
    managed_policies: tuple[str, ...] = ()
    customer_policies: tuple[CustomerPolicy, ...] = ()
    inline_policy: str | None = None
    boundary: Boundary | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


type Catalogue = Mapping[str, PermissionSetAttributes]
"""The permission sets that the owners wrote down, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionSet:
    """A permission set of Identity Center. It lives in the management account.

    `arn` and `name` are None where only the other is known; `attributes` and `accounts` (where it
    is provisioned) where they were not read. `stale_accounts` hold an older version. `claimed` has
    what an event says of the attributes, nothing else; `added` is the policy that it put on.
    `boundary_document` is None, too, where the boundary is a customer managed policy.
    `second_opinion` is what IAM Access Analyzer objects to in `added`, where it was asked.
    `catalogue` is the owners'. `former_arn` is what a set that is gone was known by. `since` is
    None where nobody knows since when it is so: Keyward looks by itself.
    """

    account: AccountId
    instance_arn: str | None = None
    arn: str | None = None
    name: str | None = None
    exists: bool = True
    attributes: PermissionSetAttributes | None = None
    claimed: Mapping[str, object] = field(default_factory=dict)
    added: "PolicyDocument | CustomerPolicy | None" = None
    documents: "tuple[PolicyDocument, ...] | None" = None
    boundary_document: "PolicyDocument | None" = None
    second_opinion: tuple[str, ...] = ()
    accounts: tuple[AccountId, ...] | None = None
    stale_accounts: tuple[AccountId, ...] = ()
    catalogue: Catalogue = field(default_factory=dict)
    number_of_sets: int | None = None
    former_arn: str | None = None
    since: datetime | None = None

    @property
    def wanted(self) -> PermissionSetAttributes | None:
        """What the catalogue says of it; None where it says nothing, or the name is not known."""
        return self.catalogue.get(self.name) if self.name is not None else None

    @property
    def may_be_listed(self) -> bool:
        """Whether the catalogue names it, or may: of many events only the ARN is known."""
        return self.name in self.catalogue if self.name is not None else bool(self.catalogue)

    @property
    def unique_id(self) -> str | None:
        """The ARN; the name where there is none (any more): no two sets have the same."""
        return self.arn or (self.name and f"permission-set/{self.name}")

    @property
    def label(self) -> str:
        """How people call it."""
        return f"permission set {self.name or self.arn}"

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAssignment:
    """A user or group of Identity Center holds a permission set in an account.

    `permission_set` and `principal_name` are None where they were not read; `parents` are the ids
    of the account's OUs and root, from the nearest up, None where not read. `request_id` is the
    request that makes the assignment, where an event tells it: that takes AWS a while. `expected`
    is what the account's baselines say of it, None where nobody asked them.
    """

    account: AccountId
    permission_set_arn: str
    principal_kind: PrincipalKind
    principal_id: str
    instance_arn: str | None = None
    permission_set: PermissionSet | None = None
    principal_name: str | None = None
    parents: tuple[str, ...] | None = None
    request_id: str | None = None
    expected: "Expectation | None" = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """Permission set and principal: an account has an assignment of the two at most once."""
        return f"{self.permission_set_arn}/{self.principal_kind}/{self.principal_id}"

    @property
    def label(self) -> str:
        """How people call it."""
        name = self.permission_set and self.permission_set.name
        who = self.principal_name or self.principal_id
        return (
            f"assignment of permission set {name or self.permission_set_arn} "
            f"to {self.principal_kind.lower()} {who}"
        )

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A permission set for a group, as baselines want it in the accounts that they select.

    `baselines` are the names of those that do.
    """

    group_id: str
    permission_set_arn: str
    group_name: str | None = None
    permission_set_name: str | None = None
    baselines: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Permission set and group: what makes it the same access, whatever people call it."""
        return self.permission_set_arn, self.group_id

    @property
    def label(self) -> str:
        """How people call it."""
        return (
            f"permission set {self.permission_set_name or self.permission_set_arn} "
            f"for group {self.group_name or self.group_id}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the baselines of an account say of an assignment that it has.

    `wanted`: one of them wants it. `exclusive`: one of them wants no others of the catalogue's
    sets. `elsewhere` are the baselines that want it in other accounts. `in_place`: the account has
    all that they want. `grace_over`: so much time has passed that nobody needs the first user's
    own access any more.
    """

    wanted: bool = False
    exclusive: bool = False
    elsewhere: tuple[str, ...] = ()
    in_place: bool = False
    grace_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAccess:
    """An account of the organization, with what it has of what its baselines want.

    `state` is Organizations' (ACTIVE, SUSPENDED ...); None, as `name`, where it was not read.
    `parents` are the ids of its OUs and root, from the nearest up. `wanted` is what its baselines
    want, `missing` what of that it lacks; None where not read. `baselines` are the names of those
    that select it. `unknown` are the names of groups and sets that baselines have and Identity
    Center hasn't. `moved`: other baselines may select it than before, since it may be elsewhere or
    have other tags. `removed` is the assignment whose removal an event reports. `request_id` is the
    request that removes it, which takes AWS a while. `finished` is when Control Tower had finished
    it, where its first days are over by now.
    """

    account: AccountId
    name: str | None = None
    state: str | None = None
    parents: tuple[str, ...] | None = None
    instance_arn: str | None = None
    baselines: tuple[str, ...] = ()
    wanted: tuple[Access, ...] | None = None
    missing: tuple[Access, ...] | None = None
    unknown: tuple[str, ...] = ()
    moved: bool = False
    removed: tuple[str, str] | None = None
    request_id: str | None = None
    grace_over: bool = False
    finished: datetime | None = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """The account: it has one access, that of all its baselines."""
        return f"{self.account}/access"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"baseline access of account {self.name or self.account}"

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLifecycle:
    """Something that was to be done with an account or OU, and how it ended, as AWS tells it.

    `name` is the account's or OU's id, or that of the request where it came to no account.
    `state` is AWS's own word: SUCCEEDED, FAILED ...
    """

    account: AccountId
    name: str
    change: str
    state: str
    message: str | None = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """What was done, and to what."""
        return f"{self.change}/{self.name}"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"{self.change} of {self.name}"

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


class Governed(StrEnum):
    """What an organization is governed by, and an event alone tells the change of."""

    MEMBERSHIP = "membership of account"
    POLICY = "policy"
    POLICY_TYPE = "policy type"
    TRAIL = "trail"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChange:
    """Something that keeps the organization's accounts in check, and that an event changed.

    `name` says which one of its kind; `change` is the call; `values` what the event tells of it.
    """

    account: AccountId
    what: Governed
    name: str
    change: str
    values: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """What and name."""
        return f"{self.what}/{self.name}"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"{self.what} {self.name}".rstrip()

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


class Part(StrEnum):
    """The parts of Identity Center of which no API shows what was: the change is all there is."""

    IDENTITY_SOURCE = "identity source"
    IDP_CERTIFICATE = "certificate of the identity provider"
    SCIM_TOKEN = "SCIM token"  # noqa: S105 - what it is called
    MFA_SETTINGS = "MFA settings"
    MFA_DEVICE = "MFA device"
    ACCESS_CONTROL_ATTRIBUTES = "attributes for access control"
    DELEGATED_ADMINISTRATOR = "delegated administrator"
    INSTANCE = "instance"
    ENTITLEMENT = "entitlement of account access manager"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityCenterChange:
    """Something about who may sign in, or get in, that an event changed.

    `name` says which one of its kind; `change` is the call; `values` what the event tells of it.
    """

    account: AccountId
    part: Part
    name: str
    change: str
    values: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """Part and name."""
        return f"{self.part}/{self.name}"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"Identity Center's {self.part} {self.name}".rstrip()

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Somebody completed signing in to Identity Center, with these factors (PASSWORD, TOTP, ...).

    `name` is known only where CloudTrail still tells it. Source:
    https://docs.aws.amazon.com/singlesignon/latest/userguide/understanding-sign-in-events.html
    """

    account: AccountId
    user_id: str
    factors: tuple[str, ...]
    name: str | None = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """The user's id: how often somebody signs in so is counted, not told anew."""
        return self.user_id

    @property
    def label(self) -> str:
        """How people call it."""
        return f"sign-in of Identity Center user {self.name or self.user_id}"

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryIdentity:
    """A user or group that somebody made or changed in Identity Center's own directory.

    `via` tells by which of the three ways: an external identity provider uses SCIM. Names are
    masked in events and None until they are read.
    """

    account: AccountId
    kind: PrincipalKind
    identity_id: str
    via: Literal["console", "api", "scim"]
    change: str
    identity_store_id: str | None = None
    name: str | None = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """The identity store's own id."""
        return self.identity_id

    @property
    def label(self) -> str:
        """How people call it."""
        return f"Identity Center {self.kind.lower()} {self.name or self.identity_id}"

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMembership:
    """Somebody was put into a group of Identity Center.

    `member_id` is None where SCIM masks it. `present` tells whether it is so now; None: not read.
    """

    account: AccountId
    group_id: str
    via: Literal["console", "api", "scim"]
    member_id: str | None = None
    identity_store_id: str | None = None
    group_name: str | None = None
    member_name: str | None = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """Group and member: a group has a member at most once."""
        return f"{self.group_id}/{self.member_id or 'member unknown'}"

    @property
    def label(self) -> str:
        """How people call it."""
        member = self.member_name or self.member_id or "somebody (masked by SCIM)"
        return f"membership of {member} in Identity Center group {self.group_name or self.group_id}"

    @property
    def owner(self) -> None:
        """No IAM user."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class IamPrincipal:
    """An IAM user, role or group with the policies that it has; None where they were not read.

    `added` is the policy that an event gave it, as far as the event tells. Name * is everybody who
    has that policy.
    """

    account: AccountId
    kind: Literal["user", "role", "group"]
    name: str
    principal_id: str | None = None
    arn: str | None = None
    policies: tuple[PolicyDocument, ...] | None = None
    boundary: PolicyDocument | None = None
    added: PolicyDocument | None = None
    user: IamUser | None = None
    since: datetime | None = None

    @property
    def unique_id(self) -> str | None:
        """AIDA..., AROA..., AGPA...: never used again."""
        return self.principal_id

    @property
    def label(self) -> str:
        """How people call it."""
        if self.name == "*" and self.added is not None:
            return f"whoever has policy {self.added.name}"
        return f"IAM {self.kind} {self.name}"

    @property
    def owner(self) -> IamUser | None:
        """The user itself; roles and groups have none."""
        return self.user


OfIam = (
    IamUser
    | AccessKey
    | ConsolePassword
    | StaticCredential
    | UserPolicy
    | RootAccessKey
    | Contained
    | IamPrincipal
)
"""Subjects that IAM shows, in the account of the event."""

OfIdentityCenter = PermissionSet | AccountAssignment | DirectoryIdentity | GroupMembership
"""Subjects that Identity Center's APIs show."""

OfAccounts = AccountAccess
"""Subjects that Organizations and Identity Center show together."""

EventOnly = OwnResource | IdentityCenterChange | SignIn | AccountLifecycle | OrganizationChange
"""Subjects that no API shows: the event is all there is, and nothing is read again."""

type Subject = OfIam | OfIdentityCenter | OfAccounts | EventOnly
"""What a rule can be about. `account`, `unique_id`, `since`, `label`, `owner` are on each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something that may have happened: who, when, where, and whom to look at. Never believed.

    `account` is the envelope's, and agrees with the record's. `parameters`, `response`,
    `additional` and `details` are CloudTrail's requestParameters, responseElements,
    additionalEventData and serviceEventDetails, {} where absent. `order` is the key of the finding
    that somebody ordered to be acted on: that one alone is looked at.
    """

    event_id: str
    event_source: str
    event_name: str
    time: datetime
    account: AccountId
    region: str
    actor: Actor
    error_code: str | None = None
    parameters: Mapping[str, object]
    response: Mapping[str, object]
    additional: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    origin: Literal["event", "sweep", "order"] = "event"
    order: str | None = None
