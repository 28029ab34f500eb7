"""A user in quarantine: the ladder, what is verified, and the exact way back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from keyward.actions import DENY_ALL_ARN, MARKER_TAG, QUARANTINE_GROUP
from keyward.findings import Severity, State
from keyward.model import CredentialKind
from tests.flow.test_access_keys import release

if TYPE_CHECKING:
    from tests.flow.world import World

ONE_DOCUMENT = '{"Version":"2012-10-17","Statement":[]}'


def a_user_with_keys(world: World, name: str = "eve") -> tuple[dict[str, Any], list[str]]:
    """A user with an active and an inactive key: the CreateUser event, and the keys' ids."""
    event = world.do("CreateUser", UserName=name)
    iam = world.iam()
    keys = [iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"] for _ in range(2)]
    iam.update_access_key(UserName=name, AccessKeyId=keys[1], Status="Inactive")
    return event, keys


def tags(world: World, name: str = "eve") -> dict[str, str]:
    listed = world.iam().list_user_tags(UserName=name)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def groups(world: World, name: str = "eve") -> set[str]:
    listed = world.iam().list_groups_for_user(UserName=name)["Groups"]
    return {group["GroupName"] for group in listed}


def fill_policy_slots(world: World, name: str = "eve") -> None:
    world.extension.policy_slots = 1
    world.iam().attach_user_policy(
        UserName=name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"
    )


def test_created_user_is_denied_everything_its_keys_inactive_and_marked(world: World) -> None:
    event, keys = a_user_with_keys(world)

    world.deliver(event)

    assert world.is_denied("eve")
    assert {world.key_status("eve", key) for key in keys} == {"Inactive"}
    finding = world.finding("iam-user-created")
    assert finding.state is State.ACTED
    assert tags(world) == {MARKER_TAG: finding.key}


def test_calls_for_a_full_quarantine_are_at_most_twelve(world: World) -> None:
    world.deliver(a_user_with_keys(world, "warm")[0])
    event = world.do("CreateUser", UserName="eve")
    for _ in range(2):
        world.iam().create_access_key(UserName="eve")
    calls = world.counted(event)
    assert calls["UpdateAccessKey"] == 2
    assert calls.total() <= 12, calls


def test_calls_for_a_quarantine_by_console_password_are_at_most_twelve(world: World) -> None:
    world.deliver(a_user_with_keys(world, "warm")[0])
    world.do("CreateUser", UserName="eve")
    for _ in range(2):
        world.iam().create_access_key(UserName="eve")
    event = world.do("CreateLoginProfile", UserName="eve", Password="Secret-1-of-a-test")
    calls = world.counted(event)
    assert world.is_denied("eve")
    assert calls.total() <= 12, calls


def test_release_restores_exactly_what_was_there_before(world: World) -> None:
    event, keys = a_user_with_keys(world)
    world.iam().tag_user(UserName="eve", Tags=[{"Key": "team", "Value": "payments"}])
    world.deliver(event)

    answer = release(world, world.finding("iam-user-created").key)

    assert answer["ok"] is True
    assert not world.is_denied("eve")
    assert world.key_status("eve", keys[0]) == "Active"
    assert world.key_status("eve", keys[1]) == "Inactive", "it was inactive before"
    assert tags(world) == {"team": "payments"}


def test_release_leaves_a_deny_that_was_there_before(world: World) -> None:
    event, _ = a_user_with_keys(world)
    world.iam().attach_user_policy(UserName="eve", PolicyArn=DENY_ALL_ARN)
    world.deliver(event)
    release(world, world.finding("iam-user-created").key)
    assert world.is_denied("eve")


def test_released_user_and_its_keys_are_not_contained_by_later_events(world: World) -> None:
    event, keys = a_user_with_keys(world)
    world.deliver(event)
    release(world, world.finding("iam-user-created").key)
    later = [
        event,
        world.event(
            "UpdateAccessKey", {"UserName": "eve", "AccessKeyId": keys[0], "Status": "Active"}
        ),
        world.event("DetachUserPolicy", {"UserName": "eve", "PolicyArn": DENY_ALL_ARN}),
        world.do("CreateLoginProfile", UserName="eve", Password="Secret-1-of-a-test"),
    ]
    for again in later:
        world.deliver(again)
    assert not world.is_denied("eve")
    assert world.key_status("eve", keys[0]) == "Active"


def test_full_policy_slots_lead_to_the_group(world: World) -> None:
    event, keys = a_user_with_keys(world)
    fill_policy_slots(world)
    world.deliver(event)
    assert groups(world) == {QUARANTINE_GROUP}
    assert world.key_status("eve", keys[0]) == "Inactive"
    assert world.finding("iam-user-created").state is State.ACTED

    release(world, world.finding("iam-user-created").key)

    assert groups(world) == set()
    assert world.key_status("eve", keys[0]) == "Active"


def test_full_groups_too_lead_to_the_boundary(world: World) -> None:
    event, _ = a_user_with_keys(world)
    fill_policy_slots(world)
    world.extension.group_slots = 0
    world.deliver(event)
    assert world.extension.boundaries == {(world.member, "eve"): DENY_ALL_ARN}

    release(world, world.finding("iam-user-created").key)

    assert world.extension.boundaries == {}


def test_group_without_its_deny_is_no_rung(world: World) -> None:
    event, _ = a_user_with_keys(world)
    fill_policy_slots(world)
    world.iam().delete_group_policy(GroupName=QUARANTINE_GROUP, PolicyName="keyward-deny-all")
    world.deliver(event)
    assert groups(world) == set()
    assert world.extension.boundaries == {(world.member, "eve"): DENY_ALL_ARN}


def test_user_that_no_rung_holds_is_critical_with_its_keys_inactive(world: World) -> None:
    event, keys = a_user_with_keys(world)
    fill_policy_slots(world)
    world.extension.group_slots = 0
    own = "arn:aws:iam::aws:policy/PowerUserAccess"
    world.iam().put_user_permissions_boundary(UserName="eve", PermissionsBoundary=own)

    world.deliver(event)

    finding = world.finding("iam-user-created")
    assert finding.state is State.FAILED
    assert finding.severity is Severity.CRITICAL
    assert finding.outcome is not None
    assert "cannot contain" in finding.outcome
    assert world.key_status("eve", keys[0]) == "Inactive"
    assert world.extension.boundaries == {(world.member, "eve"): own}


@pytest.mark.parametrize("removal", ["DetachUserPolicy", "UntagUser"])
def test_what_an_attacker_takes_away_is_put_back(world: World, removal: str) -> None:
    event, _ = a_user_with_keys(world)
    world.deliver(event)
    first = world.finding("iam-user-created")
    more: dict[str, Any] = (
        {"PolicyArn": DENY_ALL_ARN} if removal == "DetachUserPolicy" else {"TagKeys": [MARKER_TAG]}
    )
    attack = world.do(removal, UserName="eve", **more)

    world.deliver(attack)

    assert world.is_denied("eve")
    assert MARKER_TAG in tags(world)
    assert world.finding("iam-quarantine-undone").state is State.ACTED
    release(world, first.key)
    assert not world.is_denied("eve")


def test_group_that_is_tampered_with_moves_its_users_to_the_next_rung(world: World) -> None:
    event, _ = a_user_with_keys(world)
    fill_policy_slots(world)
    world.deliver(event)
    assert groups(world) == {QUARANTINE_GROUP}
    attack = world.do(
        "DeleteGroupPolicy", GroupName=QUARANTINE_GROUP, PolicyName="keyward-deny-all"
    )

    world.deliver(attack)

    assert world.extension.boundaries == {(world.member, "eve"): DENY_ALL_ARN}
    assert world.finding("iam-quarantine-undone").state is State.ACTED


def test_password_of_a_user_of_the_same_name_made_later_is_not_judged(world: World) -> None:
    event = world.event("CreateLoginProfile", {"UserName": "eve"}, at=world.now.replace(year=2021))
    world.do("CreateUser", UserName="eve")
    world.iam().create_login_profile(UserName="eve", Password="Secret-1-of-a-test")
    world.deliver(event)
    assert not world.is_denied("eve")
    assert world.finding("iam-console-password-set").state is State.RESOLVED


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_credential_of_each_kind_is_deactivated_and_restored(
    world: World, kind: CredentialKind
) -> None:
    world.do("CreateUser", UserName="eve")
    event = a_credential(world, kind)
    owner = world.services.iam(world.member, world.now).user("eve")

    world.deliver(event)

    iam = world.services.iam(world.member, world.now)
    (credential,) = iam.credentials(owner, kind).values()
    assert not credential.active
    finding = world.finding("iam-static-credential-created")
    assert finding.state is State.ACTED
    release(world, finding.key)
    assert iam.credentials(owner, kind)[credential.credential_id].active


def a_credential(world: World, kind: CredentialKind) -> dict[str, Any]:
    match kind:
        case CredentialKind.SSH_PUBLIC_KEY:
            return world.do("UploadSSHPublicKey", UserName="eve", SSHPublicKeyBody="ssh-rsa AAAA")
        case CredentialKind.SIGNING_CERTIFICATE:
            return world.do("UploadSigningCertificate", UserName="eve", CertificateBody=CERTIFICATE)
        case CredentialKind.SERVICE_SPECIFIC:
            return world.do(
                "CreateServiceSpecificCredential",
                UserName="eve",
                ServiceName="codecommit.amazonaws.com",
            )


def test_aws_believing_a_key_leaked_makes_every_key_of_the_user_inactive(world: World) -> None:
    world.do("CreateUser", UserName="eve")
    keys = [
        world.iam().create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"] for _ in range(2)
    ]
    event = world.do(
        "AttachUserPolicy",
        UserName="eve",
        PolicyArn="arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
    )
    world.deliver(event)
    assert {world.key_status("eve", key) for key in keys} == {"Inactive"}


def test_management_account_is_only_reported_unless_settings_name_it(world: World) -> None:
    hub = "123456789012"
    event = world.do("CreateUser", UserName="eve", account=hub)
    world.deliver(event)
    assert not world.is_denied("eve", hub)
    held = world.finding("iam-user-created").held
    assert held is not None
    assert "management account" in held

    world.settings(settings={"ceiling": "enforce", "act_in_management_account": hub})
    world.deliver(world.do("CreateUser", UserName="mallory", account=hub))
    assert world.is_denied("mallory", hub)


CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBFzCBv6ADAgECAgEBMAoGCCqGSM49BAMCMBYxFDASBgNVBAMMC2V4YW1wbGUu
Y29tMB4XDTI0MDEwMTAwMDAwMFoXDTQ0MDEwMTAwMDAwMFowFjEUMBIGA1UEAwwL
ZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARlxtTTM33xhk49
mC3nEP1KTDomgT1jiDGwgGZ+bERLkoKREB3fgAZQrMtsEmaRMHCcR1+A9O+tfbzz
6VJavvlkMAoGCCqGSM49BAMCA0cAMEQCIDGY+DLmLDKIgEbKn1jzdHhzoQGRusGu
YwsPXlssfIUjAiAbzJiLeYau/ekUhiAkAIRNkFQlC5s+RopUZivMCu23Og==
-----END CERTIFICATE-----
"""


def test_release_frees_the_user_of_every_finding_it_is_contained_for(world: World) -> None:
    event, keys = a_user_with_keys(world)
    world.deliver(event)
    world.deliver(world.do("CreateLoginProfile", UserName="eve", Password="Secret-1-of-a-test"))
    password = world.finding("iam-console-password-set")
    assert password.state is State.ACTED

    release(world, password.key)

    assert not world.is_denied("eve")
    assert world.key_status("eve", keys[0]) == "Active"
    assert {record.state for record in world.findings()} == {State.RELEASED}


def test_containment_is_forgotten_with_its_release_for_the_keys_too(world: World) -> None:
    event, keys = a_user_with_keys(world)
    world.deliver(event)
    attack = world.do("UpdateAccessKey", UserName="eve", AccessKeyId=keys[0], Status="Active")
    world.deliver(attack)
    release(world, world.finding("iam-user-created").key, days=1)
    world.later(days=2)
    assert world.ledger.contained(world.member, now=world.now) == []


def test_user_created_within_the_second_of_its_event_is_still_the_same(world: World) -> None:
    world.do("CreateUser", UserName="eve")
    created = world.iam().get_user(UserName="eve")["User"]["CreateDate"]
    event = world.do(
        "CreateLoginProfile",
        UserName="eve",
        Password="Secret-1-of-a-test",
        at=created - timedelta(seconds=1),
    )
    world.deliver(event)
    assert world.is_denied("eve")
