"""What Keyward judges: frozen values, the same for what an event claims and what AWS says now.

A field that is None is not known. Nothing here reads a clock, an environment or AWS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

AccountId = str
"""Twelve digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who made the call that an event reports, as CloudTrail's userIdentity has it.

    `issuer_arn` is the role's ARN, path included, for assumed roles; None otherwise.
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

    @property
    def label(self) -> str:
        """The shortest name that tells a reader who it was."""
        return self.arn or self.invoked_by or self.user_name or self.type


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
    """An access key of an IAM user. `since` is when it became active, as far as is known."""

    owner: IamUser
    key_id: str
    active: bool
    since: datetime | None = None

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
    """The login profile of an IAM user: with it the user can sign in to the console."""

    owner: IamUser
    since: datetime | None = None

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
    """Something that Keyward itself is made of, and that an event changed."""

    account: AccountId
    service: str
    name: str
    change: str
    since: datetime | None = None

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


type Subject = (
    IamUser
    | AccessKey
    | ConsolePassword
    | StaticCredential
    | UserPolicy
    | RootAccessKey
    | Contained
    | OwnResource
)
"""What a rule can be about. `account`, `unique_id`, `since`, `label`, `owner` are on each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something that may have happened: who, when, where, and whom to look at. Never believed.

    `account` is the envelope's, and agrees with the record's. `parameters` and `response` are
    CloudTrail's requestParameters and responseElements, {} where absent.
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
    origin: Literal["event", "sweep"] = "event"
