"""What tests are made of: small values with defaults, so that a test shows only what matters."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keyward import events, facts
from keyward.baselines import baselines_of
from keyward.catalogue import catalogue_of
from keyward.findings import Finding, Reason
from keyward.model import (
    Access,
    AccessKey,
    AccountAccess,
    AccountAssignment,
    AccountId,
    AccountLifecycle,
    Actor,
    Catalogue,
    ConsolePassword,
    Contained,
    CredentialKind,
    Expectation,
    Governed,
    Hint,
    IamUser,
    IdentityCenterChange,
    OrganizationChange,
    OwnResource,
    Part,
    PermissionSet,
    PermissionSetAttributes,
    PrincipalKind,
    RootAccessKey,
    StaticCredential,
    Subject,
    UserPolicy,
)
from keyward.rule import AnyRule, InForce, in_force, judge
from keyward.rules import every
from keyward.settings import Accepted

HUB: AccountId = "111122223333"
MEMBER: AccountId = "444455556666"
OTHER_MEMBER: AccountId = "555566667777"
NOW = datetime(2026, 11, 20, 9, 14, 5, tzinfo=UTC)
USER_ID = "AIDAJQABLZS4A3EXAMPLE"
OTHER_USER_ID = "AIDACKCEVSQ6C2EXAMPLE"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
INSTANCE = "arn:aws:sso:::instance/ssoins-72231f5a3ebc2a4b"
SET_ARN = "arn:aws:sso:::permissionSet/ssoins-72231f5a3ebc2a4b/ps-1a2b3c4d5e6f7a8b"
OTHER_SET_ARN = "arn:aws:sso:::permissionSet/ssoins-72231f5a3ebc2a4b/ps-8b7a6f5e4d3c2b1a"
PERSON_ID = "9067642ac7-5f2b1c44-7d3e-4a8b-9c10-2e6f8a1b3c5d"
GROUP_ID = "9067642ac7-a81d6e02-0b9f-4c57-8e33-6d2c4b0a9f18"
READ_ONLY_ARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ADMINISTRATOR_ARN = "arn:aws:iam::aws:policy/AdministratorAccess"
CATALOGUE_ENTRIES: dict[str, dict[str, object]] = {
    "Administrator": {
        "description": "Everything, for an hour",
        "managed_policies": [ADMINISTRATOR_ARN],
        "session_hours": 1,
    },
    "Developer": {
        "description": "Builds and runs things",
        "managed_policies": [READ_ONLY_ARN],
        "boundary": {"customer_policy": {"name": "workload-boundary"}},
        "session_hours": 4,
        "tags": {"team": "platform"},
    },
}
"""The catalogue that samples are judged by, as its parameters have it."""
CATALOGUE = catalogue_of(CATALOGUE_ENTRIES)
DEVELOPER = CATALOGUE["Developer"]
SAMPLE_RULES: dict[str, dict[str, object]] = {
    "idc-admin-assignment-restricted": {"accounts": [HUB]},
    "idc-local-identity-created": {"external_idp": True},
}
"""The settings that samples are judged by, of rules that find nothing by their defaults."""
SAMPLE_BASELINES: dict[str, dict[str, object]] = {
    "everybody": {
        "accounts": [{"everything": True}],
        "exclude": [{"tags": {"stage": "sandbox"}}],
        "assignments": [{"group": "Developers", "permission_set": "Developer"}],
    },
}
"""The baselines that samples are judged by, as their parameters have them."""
BASELINES = baselines_of(SAMPLE_BASELINES)
SAMPLES = Path(__file__).parent.parent / "events"
IDENTITY_CENTER_PATH = (
    "aws-reserved/sso.amazonaws.com/eu-central-1/"
    "AWSReservedSSO_AWSAdministratorAccess_0123456789abcdef"
)


def a_role_session(
    path: str = "ci/deployer",
    *,
    account: AccountId = MEMBER,
    session: str = "build-4711",
    invoked_by: str | None = None,
) -> Actor:
    """A session of the role at `path` (no leading slash)."""
    name = path.rpartition("/")[2]
    return Actor(
        type="AssumedRole",
        arn=f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        account=account,
        principal_id=f"AROACKCEVSQ6C2EXAMPLE:{session}",
        issuer_arn=f"arn:aws:iam::{account}:role/{path}",
        invoked_by=invoked_by,
        source_ip="192.0.2.44",
    )


def a_user_actor(
    name: str = "bob", *, account: AccountId = MEMBER, user_id: str | None = USER_ID
) -> Actor:
    """An IAM user who makes the call."""
    return Actor(
        type="IAMUser",
        arn=f"arn:aws:iam::{account}:user/{name}",
        account=account,
        principal_id=user_id,
        user_name=name,
        source_ip="192.0.2.44",
    )


def root_of(account: AccountId = MEMBER) -> Actor:
    """The root user who makes the call."""
    return Actor(
        type="Root", arn=f"arn:aws:iam::{account}:root", account=account, principal_id=account
    )


def a_hint(
    event_name: str = "CreateAccessKey",
    *,
    source: str = "iam.amazonaws.com",
    account: AccountId = MEMBER,
    actor: Actor | None = None,
    parameters: Mapping[str, object] | None = None,
    response: Mapping[str, object] | None = None,
    error_code: str | None = None,
    time: datetime = NOW,
    sweep: bool = False,
) -> Hint:
    """A hint at something that happened in a member account."""
    return Hint(
        event_id="8030de99-8285-4bf7-b05d-d0d26a7e9f45",
        event_source=source,
        event_name=event_name,
        time=time,
        account=account,
        region="us-east-1",
        actor=actor or a_role_session(account=account),
        error_code=error_code,
        parameters=parameters or {},
        response=response or {},
        origin="sweep" if sweep else "event",
    )


def an_iam_user(
    name: str = "bob",
    *,
    account: AccountId = MEMBER,
    user_id: str | None = USER_ID,
    path: str = "/",
    age: timedelta | None = None,
) -> IamUser:
    """An IAM user as AWS tells of it; `age` is counted to NOW, None where it is unknown."""
    return IamUser(
        account=account,
        name=name,
        user_id=user_id,
        arn=f"arn:aws:iam::{account}:user{path}{name}",
        path=path,
        created_at=None if age is None else NOW - age,
    )


def a_key(owner: IamUser | None = None, *, key_id: str = KEY_ID, active: bool = True) -> AccessKey:
    """An access key, active."""
    return AccessKey(owner=owner or an_iam_user(), key_id=key_id, active=active, since=NOW)


def a_password(owner: IamUser | None = None) -> ConsolePassword:
    """A console password."""
    return ConsolePassword(owner=owner or an_iam_user(), since=NOW)


def a_credential(
    kind: CredentialKind = CredentialKind.SSH_PUBLIC_KEY,
    *,
    owner: IamUser | None = None,
    credential_id: str = "APKAIOSFODNN7EXAMPLE",
    active: bool = True,
    service: str | None = None,
) -> StaticCredential:
    """A long-lived credential of another kind, active."""
    return StaticCredential(
        owner=owner or an_iam_user(),
        kind=kind,
        credential_id=credential_id,
        active=active,
        service=service,
        since=NOW,
    )


def a_policy(
    arn: str | None = "arn:aws:iam::aws:policy/ReadOnlyAccess", *, owner: IamUser | None = None
) -> UserPolicy:
    """A policy attached to a user; inline where `arn` is None."""
    name = arn.rpartition("/")[2] if arn else "inline"
    return UserPolicy(owner=owner or an_iam_user(), name=name, arn=arn, since=NOW)


def a_root_key(account: AccountId = MEMBER) -> RootAccessKey:
    """An access key of a root user."""
    return RootAccessKey(account=account, since=NOW)


def a_containment(*, holds: bool | None, broken: tuple[str, ...] = ()) -> Contained:
    """A containment of a user."""
    return Contained(of=an_iam_user(), finding="0123456789abcdef0123", holds=holds, broken=broken)


def an_own_resource(
    name: str = "keyward-forward",
    *,
    service: str = "events",
    change: str = "DisableRule",
    account: AccountId = MEMBER,
) -> OwnResource:
    """A part of Keyward that somebody changed."""
    return OwnResource(account=account, service=service, name=name, change=change, since=NOW)


def a_center_hint(event_name: str = "UpdatePermissionSet", **others: Any) -> Hint:
    """A hint at something that happened to Identity Center, in the management account."""
    known: dict[str, Any] = {"source": "sso.amazonaws.com", "account": HUB}
    return a_hint(event_name, **(known | others))


def a_check(**parameters: str) -> Hint:
    """Keyward's word to itself to look at a permission set."""
    return a_hint("Sweep", source=events.KEYWARD, account=HUB, parameters=parameters, sweep=True)


def a_permission_set(
    name: str | None = "Developer",
    *,
    attributes: PermissionSetAttributes | None = None,
    catalogue: Catalogue = CATALOGUE,
    **others: Any,
) -> PermissionSet:
    """A permission set in the management account; not read where `attributes` are None."""
    known: dict[str, Any] = {"instance_arn": INSTANCE, "arn": SET_ARN, "since": NOW}
    return PermissionSet(
        account=HUB, name=name, attributes=attributes, catalogue=catalogue, **(known | others)
    )


def an_assignment(
    kind: PrincipalKind = PrincipalKind.USER,
    *,
    account: AccountId = MEMBER,
    permission_set: PermissionSet | None = None,
    **others: Any,
) -> AccountAssignment:
    """An assignment of the set Developer; not read where `permission_set` is None."""
    known: dict[str, Any] = {
        "permission_set_arn": SET_ARN,
        "principal_id": PERSON_ID if kind is PrincipalKind.USER else GROUP_ID,
        "instance_arn": INSTANCE,
        "since": NOW,
    }
    return AccountAssignment(
        account=account,
        principal_kind=kind,
        permission_set=permission_set,
        **(known | others),
    )


def an_access(group: str = "Developers", permission_set: str = "Developer") -> Access:
    """Access that the baseline `everybody` wants."""
    return Access(
        group_id=GROUP_ID,
        permission_set_arn=SET_ARN,
        group_name=group,
        permission_set_name=permission_set,
        baselines=("everybody",),
    )


def an_account(account: AccountId = MEMBER, **others: Any) -> AccountAccess:
    """The access of an account; not read, unless `wanted` and `missing` are given."""
    return AccountAccess(account=account, **({"since": NOW} | others))


def an_expectation(**others: Any) -> Expectation:
    """What baselines say of an assignment: nothing of it holds, unless given."""
    return Expectation(**others)


def a_lifecycle(
    state: str = "FAILED", *, change: str = "CreateManagedAccount", **others: Any
) -> AccountLifecycle:
    """How the making of an account ended."""
    known: dict[str, Any] = {"account": MEMBER, "name": MEMBER, "since": NOW}
    return AccountLifecycle(change=change, state=state, **(known | others))


def an_organization_change(
    what: Governed, change: str = "", *, account: AccountId = HUB, name: str = "it", **values: str
) -> OrganizationChange:
    """A change of what governs the organization; `values` are what the event tells of it."""
    return OrganizationChange(
        account=account, what=what, name=name, change=change, values=values, since=NOW
    )


def a_center_change(
    part: Part, change: str = "", *, account: AccountId = HUB, name: str = "it", **values: str
) -> IdentityCenterChange:
    """A change of Identity Center that no API shows; `values` are what the event tells of it."""
    return IdentityCenterChange(
        account=account, part=part, name=name, change=change, values=values, since=NOW
    )


def settings_in_force(
    *,
    rules: Mapping[str, dict[str, object]] | None = None,
    exemptions: Mapping[str, dict[str, object]] | None = None,
    permission_sets: Mapping[str, dict[str, object]] | None = None,
    baselines: Mapping[str, dict[str, object]] | None = None,
) -> InForce:
    """The defaults in force, but for what is given as JSON values."""
    accepted = Accepted(
        rules=dict(rules or {}),
        exemptions=dict(exemptions or {}),
        permission_sets=dict(permission_sets or {}),
        baselines=dict(baselines or {}),
    )
    return in_force(accepted, every())


def an_exemption(*rules: str, **others: object) -> dict[str, object]:
    """An exemption of the user bob for a day, as its parameter has it."""
    return {
        "owner": "team-data@example.com",
        "reason": "a product that takes no role",
        "ticket": "SEC-1",
        "until": (NOW + timedelta(days=1)).isoformat(),
        "account": MEMBER,
        "user_id": USER_ID,
        "rules": list(rules),
    } | others


def exempt_by(rule: AnyRule, subject: Subject, *, now: datetime = NOW) -> str | None:
    """The exemption of bob that covers `subject` from `rule`, if it does."""
    settings = settings_in_force(exemptions={"ours": an_exemption(rule.id)})
    return settings.exemption(rule=rule.id, subject=subject, now=now)


def exempt_by_id(rule: AnyRule, subject: Subject, **others: object) -> str | None:
    """The exemption of exactly this subject, no IAM user's, that covers it from `rule`."""
    known = {"account": subject.account, "user_id": None, "unique_id": subject.unique_id}
    ours = an_exemption(rule.id, **(known | others))
    settings = settings_in_force(exemptions={"ours": ours})
    return settings.exemption(rule=rule.id, subject=subject, now=NOW)


def reasons(
    rule: AnyRule, subject: Subject, hint: Hint | None = None, **settings: object
) -> list[Reason]:
    """Why `rule` objects to `subject`; `settings` are fields of the rule's own."""
    return list(rule.reasons(subject, hint or a_hint(), rule.settings(**settings)))


def a_sample(path: str) -> object:
    """The JSON of one file under events/."""
    return json.loads((SAMPLES / path).read_text())


def findings_of(raw: object, rules: Iterable[AnyRule] | None = None) -> list[Finding]:
    """What the rules find in an event alone, by settings, catalogue and baselines for samples."""
    hint = events.parse(raw)
    chosen = every() if rules is None else rules
    settings = settings_in_force(
        rules=SAMPLE_RULES, permission_sets=CATALOGUE_ENTRIES, baselines=SAMPLE_BASELINES
    )
    claimed = facts.claimed(hint, settings.catalogue, settings.baselines)
    return judge(chosen, claimed, hint=hint, settings=settings)


def sample_names(rule: str) -> Iterator[str]:
    """The sample events of a rule, as `a_sample` takes them."""
    for path in sorted((SAMPLES / rule).glob("*.json")):
        yield f"{rule}/{path.name}"
