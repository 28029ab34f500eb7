"""What an event claims: who and what it is about, without a call to AWS."""

import pytest

from keyward.actions import DENY_ALL_ARN
from keyward.errors import EventError
from keyward.facts import claimed
from keyward.model import (
    AccessKey,
    Actor,
    ConsolePassword,
    Contained,
    CredentialKind,
    Hint,
    IamPrincipal,
    IamUser,
    OwnResource,
    PolicyDocument,
    RootAccessKey,
    StaticCredential,
    Subject,
    UserPolicy,
)
from tests.builders import (
    KEY_ID,
    MEMBER,
    NOW,
    USER_ID,
    a_hint,
    a_role_session,
    a_user_actor,
    root_of,
)

CERTIFICATE = "TA7SMP42TDN5Z26OBPJE7EXAMPLE"


def only(hint: Hint) -> Subject:
    (subject,) = claimed(hint)
    return subject


def kinds(hint: Hint) -> list[type]:
    return [type(subject) for subject in claimed(hint)]


def a_key_response(**others: object) -> dict[str, object]:
    key = {"userName": "bob", "accessKeyId": KEY_ID, "status": "Active"} | others
    return {"accessKey": {name: value for name, value in key.items() if value is not None}}


# ------------------------------------------------------------------ users and keys


def test_a_created_user_comes_with_its_unique_id_from_the_response() -> None:
    arn = f"arn:aws:iam::{MEMBER}:user/team/bob"
    user = {"userName": "bob", "userId": USER_ID, "arn": arn, "path": "/team/"}
    hint = a_hint("CreateUser", parameters={"userName": "bob"}, response={"user": user})
    assert only(hint) == IamUser(
        account=MEMBER, name="bob", user_id=USER_ID, arn=arn, path="/team/", created_at=NOW
    )


def test_a_created_user_without_a_response_is_known_by_name() -> None:
    hint = a_hint("CreateUser", parameters={"userName": "bob"})
    assert only(hint) == IamUser(account=MEMBER, name="bob", created_at=NOW)


def test_the_owner_of_a_new_key_comes_from_the_response() -> None:
    hint = a_hint(
        "CreateAccessKey",
        actor=a_user_actor("carla"),
        parameters={"userName": "other"},
        response=a_key_response(),
    )
    owner = IamUser(account=MEMBER, name="bob")
    assert only(hint) == AccessKey(owner=owner, key_id=KEY_ID, active=True, since=NOW)


def test_a_key_that_a_user_makes_for_itself_is_its_own() -> None:
    hint = a_hint(
        "CreateAccessKey", actor=a_user_actor("bob"), response=a_key_response(userName=None)
    )
    key = only(hint)
    assert isinstance(key, AccessKey)
    assert key.owner.name == "bob"


def test_a_key_that_root_makes_for_itself_is_roots() -> None:
    hint = a_hint("CreateAccessKey", actor=root_of(), response=a_key_response(userName=None))
    assert only(hint) == RootAccessKey(account=MEMBER, key_id=KEY_ID, since=NOW)


def test_a_key_that_root_makes_for_a_user_is_the_users() -> None:
    hint = a_hint(
        "CreateAccessKey",
        actor=root_of(),
        parameters={"userName": "bob"},
        response=a_key_response(),
    )
    assert kinds(hint) == [AccessKey]


def test_a_key_that_root_makes_for_a_user_is_not_roots_though_the_response_is_left_out() -> None:
    hint = a_hint("CreateAccessKey", actor=root_of(), parameters={"userName": "bob"})
    with pytest.raises(EventError, match="accessKeyId"):
        claimed(hint)


def test_a_new_key_without_request_and_response_is_refused() -> None:
    with pytest.raises(EventError, match="userName"):
        claimed(a_hint("CreateAccessKey"))


@pytest.mark.parametrize(
    ("status", "active"),
    [("Active", True), ("active", True), (None, True), ("Inactive", False), ("Expired", False)],
)
def test_a_key_counts_as_active_unless_it_says_otherwise(
    status: str | None, *, active: bool
) -> None:
    hint = a_hint(
        "UpdateAccessKey",
        parameters={
            "userName": "bob",
            "accessKeyId": KEY_ID,
            "status": status,
        },
    )
    key, *rest = claimed(hint)
    assert isinstance(key, AccessKey)
    assert key.active is active
    assert [type(subject) for subject in rest] == ([Contained] if active else [])


def test_a_user_may_leave_its_own_name_out_when_it_updates_a_key() -> None:
    parameters = {"accessKeyId": KEY_ID, "status": "Active"}
    hint = a_hint("UpdateAccessKey", actor=a_user_actor("bob"), parameters=parameters)
    assert all(subject.owner == IamUser(account=MEMBER, name="bob") for subject in claimed(hint))
    with pytest.raises(EventError, match="userName"):
        claimed(a_hint("UpdateAccessKey", parameters=parameters))


@pytest.mark.parametrize("unnamed", [{}, {"userName": None}])
def test_root_that_activates_its_own_key_has_one(unnamed: dict[str, object]) -> None:
    parameters = {"accessKeyId": KEY_ID, "status": "Active", **unnamed}
    hint = a_hint("UpdateAccessKey", actor=root_of(), parameters=parameters)
    assert only(hint) == RootAccessKey(account=MEMBER, key_id=KEY_ID, since=NOW)


def test_root_that_deactivates_its_own_key_claims_nothing() -> None:
    parameters = {"accessKeyId": KEY_ID, "status": "Inactive"}
    assert claimed(a_hint("UpdateAccessKey", actor=root_of(), parameters=parameters)) == ()


# ------------------------------------------------------------------ passwords and the like


@pytest.mark.parametrize("event", ["CreateLoginProfile", "UpdateLoginProfile"])
def test_a_login_profile_is_a_console_password(event: str) -> None:
    owner = IamUser(account=MEMBER, name="bob")
    hint = a_hint(event, parameters={"userName": "bob"})
    assert only(hint) == ConsolePassword(owner=owner, since=NOW)


@pytest.mark.parametrize(
    ("event", "response", "kind", "credential_id"),
    [
        (
            "CreateServiceSpecificCredential",
            {
                "serviceSpecificCredential": {
                    "userName": "bob",
                    "serviceSpecificCredentialId": "ACCAEXAMPLE",
                    "serviceName": "bedrock.amazonaws.com",
                }
            },
            CredentialKind.SERVICE_SPECIFIC,
            "ACCAEXAMPLE",
        ),
        (
            "UploadSSHPublicKey",
            {"sSHPublicKey": {"userName": "bob", "sSHPublicKeyId": "APKAEXAMPLE"}},
            CredentialKind.SSH_PUBLIC_KEY,
            "APKAEXAMPLE",
        ),
        (
            "UploadSigningCertificate",
            {"certificate": {"userName": "bob", "certificateId": CERTIFICATE}},
            CredentialKind.SIGNING_CERTIFICATE,
            CERTIFICATE,
        ),
    ],
)
def test_a_created_credential_is_known_by_its_id(
    event: str, response: dict[str, object], kind: CredentialKind, credential_id: str
) -> None:
    credential = only(a_hint(event, parameters={"userName": "x"}, response=response))
    assert isinstance(credential, StaticCredential)
    assert (credential.kind, credential.credential_id) == (kind, credential_id)
    assert credential.owner.name == "bob"
    assert credential.active
    with pytest.raises(EventError, match=r"lacks .*Id: look by hand"):
        claimed(a_hint(event, parameters={"userName": "x"}))


@pytest.mark.parametrize(
    ("event", "identifier"),
    [
        ("UpdateServiceSpecificCredential", "serviceSpecificCredentialId"),
        ("UpdateSSHPublicKey", "sSHPublicKeyId"),
        ("UpdateSigningCertificate", "certificateId"),
    ],
)
def test_an_activated_credential_may_be_a_broken_containment(event: str, identifier: str) -> None:
    whole = {"userName": "bob", identifier: "XXXAEXAMPLE"}
    assert kinds(a_hint(event, parameters=whole | {"status": "Active"})) == [
        StaticCredential,
        Contained,
    ]
    assert kinds(a_hint(event, parameters=whole | {"status": "Inactive"})) == [StaticCredential]
    with pytest.raises(EventError, match=identifier):
        claimed(a_hint(event, parameters={"userName": "bob", "status": "Active"}))


def test_an_attached_policy_has_its_arn_and_an_inline_one_only_a_name() -> None:
    owner = IamUser(account=MEMBER, name="bob")
    arn = "arn:aws:iam::aws:policy/job-function/Billing"
    attached = a_hint("AttachUserPolicy", parameters={"userName": "bob", "policyArn": arn})
    assert claimed(attached)[0] == UserPolicy(owner=owner, name="Billing", arn=arn, since=NOW)
    inline = a_hint("PutUserPolicy", parameters={"userName": "bob", "policyName": "s3"})
    assert claimed(inline)[0] == UserPolicy(owner=owner, name="s3", since=NOW)


@pytest.mark.parametrize(
    ("event", "parameter", "kind"),
    [
        ("AttachUserPolicy", "userName", "user"),
        ("AttachRolePolicy", "roleName", "role"),
        ("AttachGroupPolicy", "groupName", "group"),
    ],
)
def test_whoever_is_given_a_managed_policy_is_judged_by_it(
    event: str, parameter: str, kind: str
) -> None:
    arn = "arn:aws:iam::aws:policy/job-function/Billing"
    principal = claimed(a_hint(event, parameters={parameter: "bob", "policyArn": arn}))[-1]
    assert isinstance(principal, IamPrincipal)
    assert (principal.kind, principal.name) == (kind, "bob")
    assert principal.added == PolicyDocument(name="Billing", text="", arn=arn)


@pytest.mark.parametrize(
    ("event", "parameter"),
    [("PutUserPolicy", "userName"), ("PutRolePolicy", "roleName"), ("PutGroupPolicy", "groupName")],
)
def test_whoever_is_given_an_inline_policy_is_judged_by_its_text(
    event: str, parameter: str
) -> None:
    asked = {parameter: "bob", "policyName": "s3", "policyDocument": '{"Statement": []}'}
    principal = claimed(a_hint(event, parameters=asked))[-1]
    assert isinstance(principal, IamPrincipal)
    assert principal.added == PolicyDocument(name="s3", text='{"Statement": []}')


def test_whoever_joins_a_group_is_judged() -> None:
    hint = a_hint("AddUserToGroup", parameters={"userName": "bob", "groupName": "admins"})
    assert only(hint) == IamPrincipal(account=MEMBER, kind="user", name="bob", since=NOW)


@pytest.mark.parametrize("event", ["CreatePolicyVersion", "SetDefaultPolicyVersion"])
def test_a_new_version_of_a_policy_concerns_everybody_who_has_it(event: str) -> None:
    arn = f"arn:aws:iam::{MEMBER}:policy/team"
    hint = a_hint(event, parameters={"policyArn": arn, "setAsDefault": True})
    principal = only(hint)
    assert isinstance(principal, IamPrincipal)
    assert principal.label == "whoever has policy team"
    assert principal.added is not None
    assert principal.added.arn == arn


def test_a_version_that_is_not_in_force_concerns_nobody() -> None:
    asked = {"policyArn": f"arn:aws:iam::{MEMBER}:policy/team", "setAsDefault": False}
    assert claimed(a_hint("CreatePolicyVersion", parameters=asked)) == ()


@pytest.mark.parametrize("event", ["AttachUserPolicy", "PutUserPolicy"])
def test_a_policy_event_without_a_policy_is_refused(event: str) -> None:
    with pytest.raises(EventError, match="policy"):
        claimed(a_hint(event, parameters={"userName": "bob"}))


# ------------------------------------------------------------------ containments


@pytest.mark.parametrize(
    ("event", "parameters", "looked_at"),
    [
        ("DetachUserPolicy", {"policyArn": DENY_ALL_ARN}, True),
        ("DetachUserPolicy", {"policyArn": f"arn:aws:iam::{MEMBER}:policy/AWSDenyAll"}, False),
        ("RemoveUserFromGroup", {"groupName": "keyward-quarantine"}, True),
        ("RemoveUserFromGroup", {"groupName": "Keyward-Quarantine"}, True),
        ("RemoveUserFromGroup", {"groupName": "developers"}, False),
        ("DeleteUserPermissionsBoundary", {}, True),
        ("PutUserPermissionsBoundary", {"permissionsBoundary": "arn:aws:iam::aws:policy/X"}, True),
        ("PutUserPermissionsBoundary", {"permissionsBoundary": DENY_ALL_ARN}, False),
        ("TagUser", {"tags": [{"key": "keyward:quarantined", "value": "no"}]}, True),
        ("TagUser", {"tags": [{"key": "team", "value": "keyward:quarantined"}]}, False),
        ("TagUser", {"tags": "keyward:quarantined"}, False),
        ("UntagUser", {"tagKeys": ["team", "keyward:quarantined"]}, True),
        ("UntagUser", {"tagKeys": ["team"]}, False),
        ("UntagUser", {"tagKeys": None}, False),
    ],
)
def test_what_may_free_a_contained_user_is_looked_at(
    event: str, parameters: dict[str, object], *, looked_at: bool
) -> None:
    user = IamUser(account=MEMBER, name="bob")
    contained = Contained(of=user, finding=None, holds=None, since=NOW)
    hint = a_hint(event, parameters={"userName": "bob", **parameters})
    assert claimed(hint) == ((contained,) if looked_at else ())


@pytest.mark.parametrize(
    "event",
    ["DeleteGroup", "DeleteGroupPolicy", "DetachGroupPolicy", "PutGroupPolicy", "UpdateGroup"],
)
def test_a_change_of_the_quarantine_group_concerns_everybody_in_it(event: str) -> None:
    hint = a_hint(event, parameters={"groupName": "Keyward-quarantine"})
    contained, *_, group = claimed(hint)
    assert isinstance(contained, Contained)
    assert contained.of == IamUser(account=MEMBER, name="*")
    assert isinstance(group, OwnResource)
    others = claimed(a_hint(event, parameters={"groupName": "developers"}))
    assert not [it for it in others if isinstance(it, Contained | OwnResource)]


# ------------------------------------------------------------------ the rest


def test_a_failed_call_claims_nothing_even_without_parameters() -> None:
    assert claimed(a_hint("CreateAccessKey", error_code="AccessDenied")) == ()
    assert claimed(a_hint("DeleteRole", error_code="AccessDenied")) == ()


def test_an_event_that_no_rule_knows_claims_nothing() -> None:
    assert claimed(a_hint("ListUsers")) == ()
    assert claimed(a_hint("ListUsers", source="identitystore.amazonaws.com")) == ()


def test_a_change_of_keywards_own_is_claimed() -> None:
    hint = a_hint("DeleteRole", parameters={"roleName": "keyward-member"})
    assert kinds(hint) == [OwnResource]


@pytest.mark.parametrize("value", [7, True, ["bob"], {"name": "bob"}])
@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("CreateUser", "userName"),
        ("CreateAccessKey", "userName"),
        ("UpdateAccessKey", "accessKeyId"),
        ("UpdateAccessKey", "status"),
        ("CreateLoginProfile", "userName"),
        ("AttachUserPolicy", "policyArn"),
        ("PutUserPolicy", "policyName"),
        ("DetachUserPolicy", "policyArn"),
        ("RemoveUserFromGroup", "groupName"),
        ("PutUserPermissionsBoundary", "permissionsBoundary"),
        ("UpdateSSHPublicKey", "sSHPublicKeyId"),
        ("DeleteGroup", "groupName"),
    ],
)
def test_a_field_of_another_type_is_refused(event: str, field: str, value: object) -> None:
    whole: dict[str, object] = {"userName": "bob", "accessKeyId": KEY_ID, "status": "Active"}
    with pytest.raises(EventError, match="should be text"):
        claimed(a_hint(event, parameters=whole | {field: value}))


@pytest.mark.parametrize("response", ["text", 7, ["accessKey"]])
def test_a_response_element_of_another_type_is_refused(response: object) -> None:
    with pytest.raises(EventError, match="should be text"):
        claimed(a_hint("CreateAccessKey", response={"accessKey": response}))


@pytest.mark.parametrize(
    "actor", [a_role_session(), root_of(), Actor(type="Unknown")], ids=lambda actor: actor.type
)
def test_only_a_user_may_leave_the_name_out(actor: Actor) -> None:
    with pytest.raises(EventError, match="userName"):
        claimed(a_hint("CreateLoginProfile", actor=actor))
