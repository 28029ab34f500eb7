"""What an event claims of sign-in and directory, and what is read of users and groups."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from keyward.errors import EventError, NotFoundError
from keyward.facts.directory import HIDDEN, claimed, current, identified
from keyward.gateways.identity_center import IdentityCenterGateway
from keyward.model import (
    Actor,
    DirectoryIdentity,
    GroupMembership,
    Hint,
    IdentityCenterChange,
    Part,
    PrincipalKind,
    SignIn,
    Subject,
)
from tests.builders import HUB, MEMBER, NOW, a_hint

SSO, DIRECTORY = "sso.amazonaws.com", "sso-directory.amazonaws.com"
API, SCIM = "identitystore.amazonaws.com", "identitystore-scim.amazonaws.com"
ORGANIZATIONS, SIGN_IN = "organizations.amazonaws.com", "signin.amazonaws.com"
STORE = "d-9967123456"
INSTANCE = "arn:aws:sso:::instance/ssoins-6987abcdef012345"
GROUP = "93a4b5c6-1001-70aa-b2c3-4d5e6f708192"
BOB = "d4e5f607-2b3c-4d4e-9f0a-1b2c3d4e5f60"
PORTAL = "https://d-9967123456.awsapps.com/start/?auth_code=11OawSqh&wdc_csrf_token=srAzW1"


def an_event(
    source: str,
    name: str,
    parameters: Mapping[str, object] | None = None,
    response: Mapping[str, object] | None = None,
    *,
    actor: Actor | None = None,
) -> Hint:
    return a_hint(
        name, source=source, account=HUB, actor=actor, parameters=parameters, response=response
    )


def a_sign_in(
    factors: object = "PASSWORD",
    *,
    user: str | None = BOB,
    name: str | None = None,
    outcome: str = "Success",
    **additional: object,
) -> Hint:
    actor = Actor(type="IdentityCenterUser", account=HUB, user_name=name, on_behalf_of=user)
    hint = an_event(SIGN_IN, "UserAuthentication", actor=actor)
    return replace(
        hint,
        additional={"CredentialType": factors, "LoginTo": PORTAL} | additional,
        details={"UserAuthentication": outcome},
    )


def only(hint: Hint) -> Subject:
    (subject,) = claimed(hint)
    return subject


def the_change(hint: Hint) -> IdentityCenterChange:
    change = only(hint)
    assert isinstance(change, IdentityCenterChange)
    return change


# ------------------------------------------------------------------ changes that no API shows


@pytest.mark.parametrize(
    ("source", "event", "part"),
    [
        (SSO, "AssociateDirectory", Part.IDENTITY_SOURCE),
        (SSO, "DisassociateDirectory", Part.IDENTITY_SOURCE),
        (DIRECTORY, "CreateExternalIdPConfigurationForDirectory", Part.IDENTITY_SOURCE),
        (DIRECTORY, "UpdateExternalIdPConfigurationForDirectory", Part.IDENTITY_SOURCE),
        (DIRECTORY, "EnableExternalIdPConfigurationForDirectory", Part.IDENTITY_SOURCE),
        (DIRECTORY, "DisableExternalIdPConfigurationForDirectory", Part.IDENTITY_SOURCE),
        (DIRECTORY, "DeleteExternalIdPConfigurationForDirectory", Part.IDENTITY_SOURCE),
        (DIRECTORY, "ImportExternalIdPCertificate", Part.IDP_CERTIFICATE),
        (DIRECTORY, "DeleteExternalIdPCertificate", Part.IDP_CERTIFICATE),
        (DIRECTORY, "CreateBearerToken", Part.SCIM_TOKEN),
        (DIRECTORY, "DeleteBearerToken", Part.SCIM_TOKEN),
        (DIRECTORY, "CreateProvisioningTenant", Part.SCIM_TOKEN),
        (DIRECTORY, "DeleteProvisioningTenant", Part.SCIM_TOKEN),
        (SSO, "UpdateSsoConfiguration", Part.MFA_SETTINGS),
        (SSO, "PutMfaDeviceManagementForDirectory", Part.MFA_SETTINGS),
        (DIRECTORY, "PutMfaDeviceManagementForDirectory", Part.MFA_SETTINGS),
        (DIRECTORY, "DeleteMfaDeviceForUser", Part.MFA_DEVICE),
        (
            SSO,
            "CreateInstanceAccessControlAttributeConfiguration",
            Part.ACCESS_CONTROL_ATTRIBUTES,
        ),
        (
            SSO,
            "UpdateInstanceAccessControlAttributeConfiguration",
            Part.ACCESS_CONTROL_ATTRIBUTES,
        ),
        (
            SSO,
            "DeleteInstanceAccessControlAttributeConfiguration",
            Part.ACCESS_CONTROL_ATTRIBUTES,
        ),
        (SSO, "CreateInstance", Part.INSTANCE),
        ("account-access.amazonaws.com", "CreateEntitlement", Part.ENTITLEMENT),
    ],
)
def test_a_change_is_claimed_even_where_the_event_says_nothing_of_it(
    source: str, event: str, part: Part
) -> None:
    expected = IdentityCenterChange(account=HUB, part=part, name="", change=event, since=NOW)
    assert only(an_event(source, event)) == expected


@pytest.mark.parametrize(
    ("event", "parameters", "response", "name", "values"),
    [
        (
            "EnableExternalIdPConfigurationForDirectory",
            {"directoryId": STORE, "idpId": "idp-1"},
            {},
            STORE,
            {"directoryId": STORE, "idpId": "idp-1"},
        ),
        (
            "ImportExternalIdPCertificate",
            {"directoryId": STORE, "idpId": "idp-1", "x509CertificateInPem": "-----BEGIN"},
            {"certificateId": "cert-1"},
            "cert-1",
            {"directoryId": STORE, "idpId": "idp-1", "certificateId": "cert-1"},
        ),
        (
            "CreateBearerToken",
            {"tenantId": "tenant-1"},
            {"tokenId": "token-1", "bearerToken": "secret", "token": {"value": "secret"}},
            "token-1",
            {"tenantId": "tenant-1", "tokenId": "token-1"},
        ),
    ],
)
def test_only_allow_listed_fields_are_taken(
    event: str,
    parameters: dict[str, object],
    response: dict[str, object],
    name: str,
    values: dict[str, str],
) -> None:
    change = the_change(an_event(DIRECTORY, event, parameters, response))
    assert (change.name, change.values) == (name, values)


def test_what_is_masked_is_not_known() -> None:
    parameters = {"directoryId": HIDDEN, "idpId": HIDDEN}
    change = the_change(
        an_event(DIRECTORY, "DeleteExternalIdPConfigurationForDirectory", parameters)
    )
    assert (change.name, change.values) == ("", {})


def test_a_value_is_kept_in_part_where_it_is_long() -> None:
    change = the_change(an_event(SSO, "CreateInstance", {"name": "x" * 5000}))
    assert change.values == {"name": "x" * 200}


def test_an_entitlement_says_who_may_assume_what() -> None:
    role = f"arn:aws:iam::{MEMBER}:role/Developer"
    principal = {"identityCenter": {"groupId": GROUP}}
    parameters = {"entitlement": {"principalRole": {"principal": principal, "roleArn": role}}}
    event = "account-access.amazonaws.com", "CreateEntitlement"
    change = the_change(an_event(*event, parameters))
    assert change.name == role
    assert change.values == {"groupId": GROUP, "roleArn": role}
    assert the_change(an_event(*event, parameters, {"entitlementId": "ent-1"})).name == "ent-1"


# ------------------------------------------------------------------ MFA


def mfa_values(configuration: object, kind: object = "APP_AUTHENTICATION_CONFIGURATION") -> object:
    parameters = {
        "instanceArn": INSTANCE,
        "configurationType": kind,
        "ssoConfiguration": configuration,
    }
    return the_change(an_event(SSO, "UpdateSsoConfiguration", parameters)).values


def test_mfa_settings_are_read_as_the_console_sends_them() -> None:
    assert mfa_values(
        {
            "mfaMode": "DISABLED",
            "noMfaSignInBehavior": "ALLOWED",
            "noPasswordSignInBehavior": "BLOCKED",
            "allowedMfaTypes": ["TOTP", "WEBAUTHN", {"a": "map"}],
            "sessionConfiguration": {"maxAuthenticationAge": "PT8H"},
        }
    ) == {
        "mfaMode": "DISABLED",
        "noMfaSignInBehavior": "ALLOWED",
        "noPasswordSignInBehavior": "BLOCKED",
        "allowedMfaTypes": "TOTP, WEBAUTHN",
    }


@pytest.mark.parametrize("kind", [None, HIDDEN, "APP_AUTHENTICATION_CONFIGURATION"])
@pytest.mark.parametrize("configuration", [None, HIDDEN, [], {}, {"mfaMode": HIDDEN}])
def test_mfa_settings_that_do_not_show_are_unknown(kind: object, configuration: object) -> None:
    assert mfa_values(configuration, kind) == {}


def test_the_length_of_portal_sessions_is_no_mfa_setting() -> None:
    parameters = {"configurationType": "SESSION", "ssoConfiguration": {"mfaMode": "DISABLED"}}
    assert claimed(an_event(SSO, "UpdateSsoConfiguration", parameters)) == ()


@pytest.mark.parametrize(
    ("parameters", "actor", "user"),
    [
        ({"userId": BOB}, None, BOB),
        ({"user": {"userId": BOB}}, None, BOB),
        ({"user": "bob"}, None, None),
        ({}, Actor(type="IdentityCenterUser", on_behalf_of=BOB), BOB),
        ({"userId": BOB}, Actor(type="AssumedRole", on_behalf_of="ana"), BOB),
        ({}, None, None),
    ],
)
def test_the_user_of_a_removed_device_is_named_where_the_event_tells(
    parameters: dict[str, object], actor: Actor | None, user: str | None
) -> None:
    hint = an_event(
        DIRECTORY, "DeleteMfaDeviceForUser", parameters | {"deviceId": "device-1"}, actor=actor
    )
    change = the_change(hint)
    assert change.values.get("userId") == user
    assert change.name == (f"{user}/device-1" if user else "device-1")


# ------------------------------------------------------------------ attributes for access control


def attributes_of(value: object) -> object:
    parameters = {
        "instanceArn": INSTANCE,
        "instanceAccessControlAttributeConfiguration": value,
    }
    event = "UpdateInstanceAccessControlAttributeConfiguration"
    return the_change(an_event(SSO, event, parameters)).values


def test_each_attribute_is_shown_with_its_source() -> None:
    attributes = [
        {"key": "CostCenter", "value": {"source": ["${path:enterprise.costCenter}"]}},
        {"key": "Team", "value": {"source": ["${path:nickName}", "${path:title}", {"a": 1}]}},
        {"key": "Masked", "value": HIDDEN},
        {"value": {"source": ["no key"]}},
        "no attribute",
    ]
    assert attributes_of({"accessControlAttributes": attributes}) == {
        "CostCenter": "${path:enterprise.costCenter}",
        "Team": "${path:nickName}, ${path:title}",
        "Masked": "unknown",
    }


def test_no_more_attributes_are_shown_than_there_can_be() -> None:
    attributes = [{"key": f"K{number}"} for number in range(51)]
    values = attributes_of({"accessControlAttributes": attributes})
    assert isinstance(values, Mapping)
    assert len(values) == 50


@pytest.mark.parametrize("value", [None, HIDDEN, [], {}, {"accessControlAttributes": HIDDEN}])
def test_attributes_that_do_not_show_are_left_out(value: object) -> None:
    assert attributes_of(value) == {}


# ------------------------------------------------------------------ delegation


@pytest.mark.parametrize(
    "event", ["RegisterDelegatedAdministrator", "DeregisterDelegatedAdministrator"]
)
def test_only_a_delegation_of_identity_center_is_claimed(event: str) -> None:
    parameters = {"accountId": MEMBER, "servicePrincipal": "sso.amazonaws.com"}
    change = the_change(an_event(ORGANIZATIONS, event, parameters))
    assert (change.part, change.name) == (Part.DELEGATED_ADMINISTRATOR, MEMBER)
    other = parameters | {"servicePrincipal": "securityhub.amazonaws.com"}
    assert claimed(an_event(ORGANIZATIONS, event, other)) == ()


# ------------------------------------------------------------------ sign-ins


def test_a_sign_in_has_its_factors_and_keeps_nothing_of_where_it_led() -> None:
    sign_in = only(a_sign_in("PASSWORD, totp,PASSWORD", UserName="bob"))
    assert sign_in == SignIn(
        account=HUB, user_id=BOB, factors=("PASSWORD", "TOTP"), name="bob", since=NOW
    )
    assert "auth_code" not in repr(sign_in)


@pytest.mark.parametrize(
    ("user", "name", "known"),
    [(BOB, "bob", BOB), (None, "bob", "bob"), (None, None, "unknown user")],
)
def test_who_signed_in_is_the_id_else_the_name(
    user: str | None, name: str | None, known: str
) -> None:
    sign_in = only(a_sign_in(user=user, name=name))
    assert isinstance(sign_in, SignIn)
    assert (sign_in.user_id, sign_in.name) == (known, name)


def test_a_masked_name_is_none() -> None:
    sign_in = only(a_sign_in(name=HIDDEN, UserName=HIDDEN))
    assert isinstance(sign_in, SignIn)
    assert sign_in.name is None


@pytest.mark.parametrize(
    ("login_to", "is_ours"),
    [
        ("https://d-9967123456.awsapps.com/start/", True),
        ("https://example.awsapps.com", True),
        ("https://ssoins-6987abcdef012345.portal.eu-central-1.app.aws/", True),
        ("https://clients.amazonaws.com/workspaces", False),
        ("https://skylight.local", False),
        ("https://example.com/?to=https://d-9967123456.awsapps.com/start", False),
        ("https://d-9967123456.awsapps.com.example.com/start", False),
        (None, False),
    ],
)
def test_a_sign_in_on_nobodys_behalf_is_identity_centers_where_it_leads_to_the_portal(
    login_to: str | None, *, is_ours: bool
) -> None:
    assert bool(claimed(a_sign_in(user=None, name="bob", LoginTo=login_to))) is is_ours


def test_a_sign_in_on_somebodys_behalf_is_identity_centers_wherever_it_leads() -> None:
    assert claimed(a_sign_in(user=BOB, LoginTo="https://app.example.com/"))


def test_a_sign_in_that_failed_is_none() -> None:
    assert claimed(a_sign_in(outcome="Failure")) == ()


# ------------------------------------------------------------------ the three spellings


@pytest.mark.parametrize(
    ("source", "event", "response", "kind", "identity"),
    [
        (DIRECTORY, "CreateUser", {"user": {"userId": BOB}}, PrincipalKind.USER, BOB),
        (DIRECTORY, "CreateGroup", {"group": {"groupId": GROUP}}, PrincipalKind.GROUP, GROUP),
        (API, "CreateUser", {"userId": BOB}, PrincipalKind.USER, BOB),
        (API, "CreateGroup", {"groupId": GROUP}, PrincipalKind.GROUP, GROUP),
    ],
)
def test_a_new_identity_is_known_by_its_id_alone(
    source: str, event: str, response: dict[str, object], kind: PrincipalKind, identity: str
) -> None:
    parameters = {"identityStoreId": STORE, "displayName": HIDDEN, "userName": HIDDEN}
    assert only(an_event(source, event, parameters, response)) == DirectoryIdentity(
        account=HUB,
        kind=kind,
        identity_id=identity,
        via="console" if source == DIRECTORY else "api",
        change=event,
        identity_store_id=STORE,
        since=NOW,
    )
    with pytest.raises(EventError, match=r"lacks .*Id: look by hand"):
        claimed(an_event(source, event, parameters))


JOINED = [
    (DIRECTORY, "AddMemberToGroup", {"groupId": GROUP, "member": {"memberId": BOB}}),
    (API, "CreateGroupMembership", {"groupId": GROUP, "memberId": {"userId": BOB}}),
]


@pytest.mark.parametrize(("source", "event", "parameters"), JOINED)
def test_who_joins_a_group_is_a_member_and_changes_the_group(
    source: str, event: str, parameters: dict[str, object]
) -> None:
    membership, group = claimed(an_event(source, event, parameters))
    via = "console" if source == DIRECTORY else "api"
    assert isinstance(membership, GroupMembership)
    assert (membership.group_id, membership.member_id) == (GROUP, BOB)
    assert membership.via == via
    assert isinstance(group, DirectoryIdentity)
    assert (group.kind, group.identity_id, group.change) == (PrincipalKind.GROUP, GROUP, event)


@pytest.mark.parametrize(("source", "event", "parameters"), JOINED)
def test_a_join_that_lacks_group_or_member_is_refused(
    source: str, event: str, parameters: dict[str, object]
) -> None:
    for missing in parameters:
        rest = {name: value for name, value in parameters.items() if name != missing}
        with pytest.raises(EventError, match=f"lacks {missing}"):
            claimed(an_event(source, event, rest))


def test_a_masked_member_is_none() -> None:
    parameters = {"groupId": GROUP, "member": {"memberId": HIDDEN}}
    membership, _ = claimed(an_event(DIRECTORY, "AddMemberToGroup", parameters))
    assert isinstance(membership, GroupMembership)
    assert membership.member_id is None


ADD = {"op": "ADD", "path": "members", "value": HIDDEN}
REMOVE = {"op": "REMOVE", "path": "members", "value": HIDDEN}


@pytest.mark.parametrize(
    ("body", "may_join"),
    [
        ({"operations": [ADD]}, True),
        ({"operations": [{"op": "add", "path": 'members[value eq "1"]'}]}, True),
        ({"operations": [{"op": "Replace", "path": "members"}]}, True),
        ({"operations": [REMOVE, ADD]}, True),
        ({"operations": [REMOVE]}, False),
        ({"operations": [{"op": "remove", "path": 'members[value eq "1"]'}]}, False),
        ({"operations": [{"op": "REPLACE", "path": "displayName"}]}, False),
        ({"operations": []}, False),
        ({"operations": [{"op": "REPLACE", "value": HIDDEN}]}, True),
        ({"operations": [{"op": "ADD", "path": HIDDEN}]}, True),
        ({"operations": [{"op": HIDDEN, "path": "members"}]}, True),
        ({"operations": [HIDDEN]}, True),
        ({"operations": HIDDEN}, True),
        (HIDDEN, True),
        (None, True),
    ],
)
def test_scim_tells_a_join_from_a_leave_unless_it_masks_that_too(
    body: object, *, may_join: bool
) -> None:
    found = claimed(an_event(SCIM, "PatchGroup", {"id": GROUP, "httpBody": body}))
    membership = GroupMembership(account=HUB, group_id=GROUP, via="scim", since=NOW)
    assert found == ((membership,) if may_join else ())


def test_leaving_a_group_by_the_api_is_no_join() -> None:
    assert claimed(an_event(API, "DeleteGroupMembership", {"membershipId": "1"})) == ()


# ------------------------------------------------------------------ what can't be read


@pytest.mark.parametrize(
    ("source", "event", "field"),
    [
        (SSO, "AssociateDirectory", "directoryId"),
        (SSO, "UpdateSsoConfiguration", "configurationType"),
        (SSO, "UpdateSsoConfiguration", "instanceArn"),
        (DIRECTORY, "CreateBearerToken", "tokenId"),
        (DIRECTORY, "DeleteMfaDeviceForUser", "userId"),
        (DIRECTORY, "AddMemberToGroup", "member"),
        (API, "CreateGroupMembership", "memberId"),
        (SCIM, "PatchGroup", "id"),
        (ORGANIZATIONS, "RegisterDelegatedAdministrator", "servicePrincipal"),
    ],
)
@pytest.mark.parametrize("value", [7, True, ["text"]])
def test_a_field_of_another_type_is_refused_in_one_line(
    source: str, event: str, field: str, value: object
) -> None:
    with pytest.raises(EventError, match="should be text") as refused:
        claimed(an_event(source, event, {"groupId": GROUP} | {field: value}))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("hint", "field"),
    [
        (an_event(ORGANIZATIONS, "RegisterDelegatedAdministrator"), "servicePrincipal"),
        (
            an_event(
                ORGANIZATIONS,
                "RegisterDelegatedAdministrator",
                {"servicePrincipal": "sso.amazonaws.com"},
            ),
            "accountId",
        ),
        (an_event(SCIM, "PatchGroup"), "id"),
        (a_sign_in(None), "CredentialType"),
        (a_sign_in(""), "CredentialType"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.event_name,
)
def test_an_event_that_lacks_what_it_must_have_is_refused(hint: Hint, field: str) -> None:
    with pytest.raises(EventError, match=f"lacks {field}: look by hand"):
        claimed(hint)


def test_an_event_of_another_source_claims_nothing() -> None:
    assert claimed(an_event("iam.amazonaws.com", "CreateUser", {"userName": "bob"})) == ()
    assert claimed(an_event(SCIM, "CreateUser", {"tenantId": "1"})) == ()


# ------------------------------------------------------------------ what is read


class Center(IdentityCenterGateway):
    """An instance with these names and memberships; it notes what it is asked."""

    hub_account = HUB

    def __init__(
        self, names: Mapping[str, str], members: Iterable[tuple[str, str]] | None = ()
    ) -> None:
        """`members` None: the group is gone while it is asked for."""
        self.names_by_id, self.members = names, members
        self.calls: list[str] = []

    def principal_name(self, kind: PrincipalKind, principal_id: str) -> str | None:
        self.calls.append(f"{kind.value} {principal_id}")
        return self.names_by_id.get(principal_id)

    def is_member(self, group_id: str, user_id: str) -> bool:
        self.calls.append(f"member {user_id}")
        if self.members is None:
            message = "gone"
            raise NotFoundError(message)
        return (group_id, user_id) in self.members


def test_keyward_looks_at_the_age_of_a_token() -> None:
    parameters = {"id": "token-1", "madeAt": NOW.isoformat()}
    hint = a_hint("ScimTokenAge", source="keyward", account=HUB, parameters=parameters, sweep=True)
    (token,) = claimed(hint)
    assert token == IdentityCenterChange(
        account=HUB,
        part=Part.SCIM_TOKEN,
        name="token-1",
        change="ScimTokenAge",
        values={"madeAt": NOW.isoformat()},
        since=NOW,
    )
    for wrong in ({"madeAt": NOW.isoformat()}, {"id": "token-1", "madeAt": "2026-11-20"}):
        with pytest.raises(EventError):
            claimed(replace(hint, parameters=wrong))


MEMBERSHIP = GroupMembership(account=MEMBER, group_id=GROUP, via="console", member_id=BOB)
USER = DirectoryIdentity(
    account=MEMBER, kind=PrincipalKind.USER, identity_id=BOB, via="api", change="CreateUser"
)
NAMES = {GROUP: "Admins", BOB: "bob@example.com"}


def test_whom_it_is_about_costs_one_call_each() -> None:
    center = Center(NAMES)
    found, gone = identified([MEMBERSHIP, USER], center)
    assert found == [
        replace(MEMBERSHIP, account=HUB, group_name="Admins"),
        replace(USER, account=HUB, name="bob@example.com"),
    ]
    assert gone == []
    assert center.calls == [f"GROUP {GROUP}", f"USER {BOB}"]


def test_a_group_or_user_without_a_name_is_gone() -> None:
    assert identified([MEMBERSHIP, USER], Center({})) == ([], [MEMBERSHIP, USER])
    assert current([USER], Center({})) == []


def test_a_membership_that_holds_has_its_members_name() -> None:
    assert current([MEMBERSHIP, USER], Center(NAMES, [(GROUP, BOB)])) == [
        replace(MEMBERSHIP, member_name="bob@example.com"),
        replace(USER, name="bob@example.com"),
    ]


@pytest.mark.parametrize("members", [(), None])
def test_a_membership_that_does_not_hold_is_left_out(members: tuple[()] | None) -> None:
    assert current([MEMBERSHIP], Center(NAMES, members)) == []


def test_a_membership_whose_member_scim_masks_stands_unread() -> None:
    membership = replace(MEMBERSHIP, via="scim", member_id=None)
    center = Center(NAMES)
    assert current([membership], center) == [membership]
    assert center.calls == []
