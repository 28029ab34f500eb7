"""Who may sign in to Identity Center, and how: as events tell it. Memberships as they are now, too.

One group change has three spellings: the console's (sso-directory), the public API's
(identitystore) and SCIM's (identitystore-scim), which masks who joins. Names are masked in all.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/sso-info-in-cloudtrail.html
Many of these calls are the console's own and described nowhere. What identifies a subject is
therefore read strictly, what only describes it leniently: better a word with less in it than none.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from keyward.errors import EventError, NotFoundError
from keyward.events import KEYWARD, text_of
from keyward.model import (
    DirectoryIdentity,
    GroupMembership,
    Hint,
    IdentityCenterChange,
    Part,
    PrincipalKind,
    SignIn,
    Subject,
)

if TYPE_CHECKING:
    from keyward.gateways.identity_center import IdentityCenterGateway

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What CloudTrail writes instead of names.

Source: https://aws.amazon.com/blogs/security/modifications-to-aws-cloudtrail-event-data-of-iam-identity-center/
"""

VALUE_LENGTH = 200
"""So many characters of a value that only describes are kept."""

ATTRIBUTES = 50
"""So many attributes for access control there can be.

Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_InstanceAccessControlAttributeConfiguration.html
"""

SCIM_TOKEN_AGE = "ScimTokenAge"  # noqa: S105 - why Keyward looks
"""Why Keyward looks at a SCIM token of which it knows when it was made."""

type InDirectory = DirectoryIdentity | GroupMembership
type Reader = Callable[[Hint], tuple[Subject, ...]]
type Path = tuple[str, ...]

_SSO = "sso.amazonaws.com"
_DIRECTORY = "sso-directory.amazonaws.com"
_STORE_API = "identitystore.amazonaws.com"
_SCIM = "identitystore-scim.amazonaws.com"
_ORGANIZATIONS = "organizations.amazonaws.com"
_PORTAL = re.compile(r"https://[A-Za-z0-9.-]+\.(awsapps\.com|app\.aws)(/.*)?", re.DOTALL)
_STORE: tuple[Path, ...] = (("identityStoreId",), ("directoryId",))


def claimed(hint: Hint) -> tuple[Subject, ...]:
    """What the event says of directory, identity provider, sign-in and delegation; mostly nothing.

    Raises EventError where the event lacks what it must have. Only allow-listed fields are taken:
    requests hold certificates, and the page that a sign-in leads to holds codes.
    """
    reader = _READERS.get((hint.event_source, hint.event_name))
    return reader(hint) if reader else ()


def identified(
    subjects: Iterable[InDirectory], center: "IdentityCenterGateway"
) -> tuple[list[InDirectory], list[InDirectory]]:
    """The claimed subjects with the name of user or group, in the hub's account; and the gone ones.

    One call for each. Who joined a group is read later: most groups matter to nobody.
    """
    found: list[InDirectory] = []
    gone: list[InDirectory] = []
    for subject in subjects:
        match subject:
            case DirectoryIdentity():
                name = center.principal_name(subject.kind, subject.identity_id)
                named: InDirectory = replace(subject, account=center.hub_account, name=name)
            case GroupMembership():
                name = center.principal_name(PrincipalKind.GROUP, subject.group_id)
                named = replace(subject, account=center.hub_account, group_name=name)
        if name is None:
            gone.append(subject)
        else:
            found.append(named)
    return found, gone


def current(subjects: Iterable[InDirectory], center: "IdentityCenterGateway") -> list[InDirectory]:
    """Just those subjects, as they are now; left out are those that are gone.

    Of a membership that SCIM made nobody can tell whether it is still there: it is let stand.
    """
    found: list[InDirectory] = []
    for subject in subjects:
        match subject:
            case DirectoryIdentity():
                name = center.principal_name(subject.kind, subject.identity_id)
                if name is not None:
                    found.append(replace(subject, name=name))
            case GroupMembership(member_id=None):
                found.append(subject)
            case GroupMembership(member_id=str() as member) if _is_member(subject, member, center):
                name = center.principal_name(PrincipalKind.USER, member)
                found.append(replace(subject, member_name=name))
    return found


def _is_member(membership: GroupMembership, member: str, center: "IdentityCenterGateway") -> bool:
    try:
        return center.is_member(membership.group_id, member)
    except NotFoundError:
        return False


def _changed(part: Part, *named: Path, shown: tuple[Path, ...] = ()) -> Reader:
    """The reader of a change that is called after the first of `named` that the event has."""

    def reader(hint: Hint) -> tuple[Subject, ...]:
        name = next((found for path in named if (found := _text(hint, path)) is not None), "")
        values = {path[-1]: value for path in shown if (value := _value(hint, path)) is not None}
        return _change(hint, part, name, values)

    return reader


def _change(
    hint: Hint, part: Part, name: str, values: Mapping[str, str]
) -> tuple[IdentityCenterChange]:
    return (
        IdentityCenterChange(
            account=hint.account,
            part=part,
            name=name,
            change=hint.event_name,
            values=values,
            since=hint.time,
        ),
    )


def _token_age(hint: Hint) -> tuple[Subject, ...]:
    """Reads Keyward's word to itself about a token that the ledger knows: `id`, and `madeAt`."""
    made_at = time_in(hint, "madeAt")
    name = _required(hint, hint.parameters, "id")
    (change,) = _change(hint, Part.SCIM_TOKEN, name, {"madeAt": made_at.isoformat()})
    return (replace(change, since=made_at),)


def time_in(hint: Hint, parameter: str) -> datetime:
    """The time that Keyward tells itself. Raises EventError where it is none, or has no zone."""
    text = _required(hint, hint.parameters, parameter)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        message = f"event {hint.event_id}: {parameter} {text!r} is no time with a zone"
        raise EventError(message)
    return found


def _mfa_settings(hint: Hint) -> tuple[Subject, ...]:
    """Reads UpdateSsoConfiguration, which sets other things than MFA as well."""
    kind = text_of(hint.parameters, "configurationType")
    if kind not in {None, HIDDEN, "APP_AUTHENTICATION_CONFIGURATION"}:
        return ()
    settings = hint.parameters.get("ssoConfiguration")
    settings = settings if isinstance(settings, Mapping) else {}
    values = {
        name: value
        for name in ("mfaMode", "noMfaSignInBehavior", "noPasswordSignInBehavior")
        if (value := _described(settings.get(name))) is not None
    }
    types = settings.get("allowedMfaTypes")
    if isinstance(types, list):
        values["allowedMfaTypes"] = _listed(types)
    return _change(hint, Part.MFA_SETTINGS, text_of(hint.parameters, "instanceArn") or "", values)


def _mfa_device(hint: Hint) -> tuple[Subject, ...]:
    """Reads DeleteMfaDeviceForUser; who removes a device of its own may leave itself out."""
    user = (
        text_of(hint.parameters, "userId")
        or _value(hint, ("user", "userId"))
        or hint.actor.on_behalf_of
    )
    device = text_of(hint.parameters, "deviceId")
    values = {"userId": user, "deviceId": device}
    return _change(
        hint,
        Part.MFA_DEVICE,
        "/".join(filter(None, (user, device))),
        {name: shown for name, value in values.items() if (shown := _described(value)) is not None},
    )


def _access_attributes(hint: Hint) -> tuple[Subject, ...]:
    """Reads the changes of attributes for access control: each with what it is taken from."""
    configuration = hint.parameters.get("instanceAccessControlAttributeConfiguration")
    found = (
        configuration.get("accessControlAttributes") if isinstance(configuration, Mapping) else None
    )
    values: dict[str, str] = {}
    for attribute in found[:ATTRIBUTES] if isinstance(found, list) else ():
        if not isinstance(attribute, Mapping) or (key := _described(attribute.get("key"))) is None:
            continue
        value = attribute.get("value")
        source = value.get("source") if isinstance(value, Mapping) else None
        values[key] = _listed(source) if isinstance(source, list) else "unknown"
    name = text_of(hint.parameters, "instanceArn") or ""
    return _change(hint, Part.ACCESS_CONTROL_ATTRIBUTES, name, values)


def _delegation(hint: Hint) -> tuple[Subject, ...]:
    """Reads who becomes or stops being administrator of a service: only Identity Center matters."""
    if _required(hint, hint.parameters, "servicePrincipal").casefold() != _SSO:
        return ()
    account = _required(hint, hint.parameters, "accountId")
    return _change(hint, Part.DELEGATED_ADMINISTRATOR, account, {})


def _sign_in(hint: Hint) -> tuple[Subject, ...]:
    """Reads UserAuthentication, which other services (WorkSpaces) emit, too.

    Events from before October 2024 don't say on whose behalf; these are Identity Center's where
    they lead to its portal. Where they lead is not kept: it contains codes.
    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/understanding-sign-in-events.html
    Source: https://docs.aws.amazon.com/workspaces/latest/adminguide/signin-events.html
    """
    if hint.details.get("UserAuthentication", "Success") != "Success":
        return ()
    user_id = hint.actor.on_behalf_of
    if user_id is None and not _PORTAL.fullmatch(text_of(hint.additional, "LoginTo") or ""):
        return ()
    factors = _required(hint, hint.additional, "CredentialType").split(",")
    name = _unmasked(hint.actor.user_name) or _unmasked(text_of(hint.additional, "UserName"))
    return (
        SignIn(
            account=hint.account,
            user_id=user_id or name or "unknown user",
            factors=tuple(dict.fromkeys(factor.strip().upper() for factor in factors)),
            name=name,
            since=hint.time,
        ),
    )


def _made(via: Literal["console", "api"], kind: PrincipalKind, *response: str) -> Reader:
    """The reader of a user or group that was made; its id stands in the response."""

    def reader(hint: Hint) -> tuple[Subject, ...]:
        identity = _required(hint, hint.response, *response)
        return (_identity(hint, via, kind, identity),)

    return reader


def _joined(via: Literal["console", "api"], *member: str) -> Reader:
    """The reader of a member put into a group: the group has changed, too."""

    def reader(hint: Hint) -> tuple[Subject, ...]:
        group = _required(hint, hint.parameters, "groupId")
        membership = GroupMembership(
            account=hint.account,
            group_id=group,
            via=via,
            member_id=_unmasked(_required(hint, hint.parameters, *member)),
            identity_store_id=text_of(hint.parameters, "identityStoreId"),
            since=hint.time,
        )
        return membership, _identity(hint, via, PrincipalKind.GROUP, group)

    return reader


def _patched(hint: Hint) -> tuple[Subject, ...]:
    """Reads SCIM's PatchGroup, which puts members in, takes them out, or renames the group.

    Values are masked, so that nobody can tell who joined. An operation that is masked itself, or
    has no path, may be a join.
    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/scim-logging-using-cloudtrail.html
    """
    group = _required(hint, hint.parameters, "id")
    body = hint.parameters.get("httpBody")
    operations = body.get("operations") if isinstance(body, Mapping) else None
    if isinstance(operations, list) and not any(map(_may_add, operations)):
        return ()
    return (GroupMembership(account=hint.account, group_id=group, via="scim", since=hint.time),)


def _may_add(operation: object) -> bool:
    if not isinstance(operation, Mapping):
        return True
    name = str(operation.get("op") or "").casefold()
    path = str(operation.get("path") or "members").casefold()
    about_members = path.startswith("members") or path == HIDDEN.casefold()
    return name != "remove" and about_members


def _identity(
    hint: Hint, via: Literal["console", "api"], kind: PrincipalKind, identity: str
) -> DirectoryIdentity:
    return DirectoryIdentity(
        account=hint.account,
        kind=kind,
        identity_id=identity,
        via=via,
        change=hint.event_name,
        identity_store_id=text_of(hint.parameters, "identityStoreId"),
        since=hint.time,
    )


def _required(hint: Hint, values: Mapping[str, object], *path: str) -> str:
    found = text_of(values, *path)
    if not found:
        message = (
            f"event {hint.event_id}: {hint.event_name} in {hint.account} lacks "
            f"{'.'.join(path)}: look by hand"
        )
        raise EventError(message)
    return found


def _text(hint: Hint, path: Path) -> str | None:
    """What request or response has at `path`. Raises EventError where it is no text."""
    found = text_of(hint.parameters, *path) or text_of(hint.response, *path)
    return _unmasked(found) or None


def _value(hint: Hint, path: Path) -> str | None:
    """What request or response has at `path`, where it is one value that can be shown."""
    for values in (hint.parameters, hint.response):
        value: object = values
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if (found := _described(value)) is not None:
            return found
    return None


def _described(value: object) -> str | None:
    """A value to show; None for what is masked, empty or no single value."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        return None
    return _unmasked(str(value)[:VALUE_LENGTH]) or None


def _listed(values: Iterable[object]) -> str:
    return ", ".join(value for value in values if isinstance(value, str))[:VALUE_LENGTH]


def _unmasked(text: str | None) -> str | None:
    return None if text == HIDDEN else text


_ENTITLED = ("entitlement", "principalRole")

_identity_source = _changed(
    Part.IDENTITY_SOURCE,
    *_STORE,
    ("instanceArn",),
    shown=(*_STORE, ("directoryType",), ("instanceArn",), ("idpId",)),
)
_certificate = _changed(
    Part.IDP_CERTIFICATE,
    ("certificateId",),
    ("idpId",),
    *_STORE,
    shown=(*_STORE, ("idpId",), ("certificateId",), ("certificateUse",)),
)
_token = _changed(
    Part.SCIM_TOKEN,
    ("tokenId",),
    ("tenantId",),
    *_STORE,
    shown=(*_STORE, ("tenantId",), ("tokenId",)),
)
_device_management = _changed(
    Part.MFA_SETTINGS, ("instanceArn",), *_STORE, shown=(*_STORE, ("instanceArn",))
)
_READERS: dict[tuple[str, str], Reader] = {
    (KEYWARD, SCIM_TOKEN_AGE): _token_age,
    (_SSO, "AssociateDirectory"): _identity_source,
    (_SSO, "DisassociateDirectory"): _identity_source,
    **{
        (_DIRECTORY, f"{verb}ExternalIdPConfigurationForDirectory"): _identity_source
        for verb in ("Create", "Delete", "Disable", "Enable", "Update")
    },
    (_DIRECTORY, "ImportExternalIdPCertificate"): _certificate,
    (_DIRECTORY, "DeleteExternalIdPCertificate"): _certificate,
    (_DIRECTORY, "CreateBearerToken"): _token,
    (_DIRECTORY, "DeleteBearerToken"): _token,
    (_DIRECTORY, "CreateProvisioningTenant"): _token,
    (_DIRECTORY, "DeleteProvisioningTenant"): _token,
    (_SSO, "UpdateSsoConfiguration"): _mfa_settings,
    (_SSO, "PutMfaDeviceManagementForDirectory"): _device_management,
    (_DIRECTORY, "PutMfaDeviceManagementForDirectory"): _device_management,
    (_DIRECTORY, "DeleteMfaDeviceForUser"): _mfa_device,
    **{
        (_SSO, f"{verb}InstanceAccessControlAttributeConfiguration"): _access_attributes
        for verb in ("Create", "Delete", "Update")
    },
    (_SSO, "CreateInstance"): _changed(
        Part.INSTANCE, ("instanceArn",), shown=(("name",), ("instanceArn",))
    ),
    (_ORGANIZATIONS, "RegisterDelegatedAdministrator"): _delegation,
    (_ORGANIZATIONS, "DeregisterDelegatedAdministrator"): _delegation,
    ("account-access.amazonaws.com", "CreateEntitlement"): _changed(
        Part.ENTITLEMENT,
        ("entitlementId",),
        (*_ENTITLED, "roleArn"),
        shown=(
            ("applicationArn",),
            (*_ENTITLED, "principal", "identityCenter", "userId"),
            (*_ENTITLED, "principal", "identityCenter", "groupId"),
            (*_ENTITLED, "roleArn"),
        ),
    ),
    ("signin.amazonaws.com", "UserAuthentication"): _sign_in,
    (_DIRECTORY, "CreateUser"): _made("console", PrincipalKind.USER, "user", "userId"),
    (_DIRECTORY, "CreateGroup"): _made("console", PrincipalKind.GROUP, "group", "groupId"),
    (_STORE_API, "CreateUser"): _made("api", PrincipalKind.USER, "userId"),
    (_STORE_API, "CreateGroup"): _made("api", PrincipalKind.GROUP, "groupId"),
    (_DIRECTORY, "AddMemberToGroup"): _joined("console", "member", "memberId"),
    (_STORE_API, "CreateGroupMembership"): _joined("api", "memberId", "userId"),
    (_SCIM, "PatchGroup"): _patched,
}
