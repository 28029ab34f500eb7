"""What Keyward must get right: one entry here is one row of the matrix of faults."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto.iam.models import User, iam_backends

from keyward import operating, rules, settling
from keyward.actions import DENY_ALL_ARN, QUARANTINE_GROUP
from keyward.errors import GatewayError
from keyward.findings import State
from keyward.settings import Mode
from tests.faults.injection import Scenario
from tests.flow.world import REGION, World

Case = dict[str, Any]

USER = "eve"
AWS_QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
SSH_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCexample eve@example.com"


def a_certificate() -> str:
    """A certificate of its own making, as a user would upload it for signing."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eve.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


# Situations


def a_user(world: World) -> dict[str, Any]:
    """A user with an active and an inactive key, and the event of its making."""
    event = world.do("CreateUser", UserName=USER)
    iam = world.iam()
    keys = [iam.create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"] for _ in range(2)]
    iam.update_access_key(UserName=USER, AccessKeyId=keys[1], Status="Inactive")
    return {"event": event, "keys": keys}


def a_key(world: World) -> Case:
    world.do("CreateUser", UserName=USER)
    event = world.do("CreateAccessKey", UserName=USER)
    key = event["detail"]["responseElements"]["accessKey"]["accessKeyId"]
    return {"event": event, "keys": [key]}


def a_reactivated_key(world: World) -> Case:
    """A key that was inactive and that Keyward never touched."""
    case = a_key(world)
    world.do("UpdateAccessKey", UserName=USER, AccessKeyId=case["keys"][0], Status="Inactive")
    event = world.do("UpdateAccessKey", UserName=USER, AccessKeyId=case["keys"][0], Status="Active")
    return case | {"event": event}


def contained(situation: Callable[[World], Case]) -> Callable[[World], Case]:
    """The situation, after Keyward dealt with it and told so."""

    def prepare(world: World) -> Case:
        case = situation(world)
        world.deliver(case["event"])
        for item in world.untold():
            world.ledger.told(item)
        (finding,) = [record for record in world.findings() if record.state is State.ACTED]
        world.later(minutes=10)
        return case | {"finding": finding.key}

    return prepare


def contained_for_two_reasons(world: World) -> Case:
    """Made, and then given a password: two findings about one user."""
    case = contained(a_user)(world)
    world.deliver(world.do("CreateLoginProfile", UserName=USER, Password="Not-a-secret-1"))
    for item in world.untold():
        world.ledger.told(item)
    return case


def key_enabled_again(world: World) -> Case:
    case = contained(a_key)(world)
    key = case["keys"][0]
    return case | {
        "event": world.do("UpdateAccessKey", UserName=USER, AccessKeyId=key, Status="Active")
    }


def key_of_quarantined_user_enabled_again(world: World) -> Case:
    case = contained(a_user)(world)
    key = case["keys"][0]
    return case | {
        "event": world.do("UpdateAccessKey", UserName=USER, AccessKeyId=key, Status="Active")
    }


def deny_detached(world: World) -> Case:
    case = contained(a_user)(world)
    return case | {"event": world.do("DetachUserPolicy", UserName=USER, PolicyArn=DENY_ALL_ARN)}


def quarantine_group_defused(world: World) -> Case:
    case = contained(without_policy_slots(a_user))(world)
    event = world.do("DeleteGroupPolicy", GroupName=QUARANTINE_GROUP, PolicyName="keyward-deny-all")
    return case | {"event": event}


def without_policy_slots(situation: Callable[[World], Case]) -> Callable[[World], Case]:
    def prepare(world: World) -> Case:
        world.extension.policy_slots = 0
        return situation(world)

    return prepare


def without_any_slots(situation: Callable[[World], Case]) -> Callable[[World], Case]:
    def prepare(world: World) -> Case:
        world.extension.policy_slots = world.extension.group_slots = 0
        return situation(world)

    return prepare


def with_a_boundary_of_its_own(world: World) -> Case:
    """A user whom no rung of the ladder holds."""
    case = without_any_slots(a_user)(world)
    world.extension.boundaries[world.member, USER] = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    return case


def a_password(world: World) -> Case:
    case = a_user(world)
    event = world.do("CreateLoginProfile", UserName=USER, Password="Not-a-secret-1")
    return case | {"event": event}


def a_credential(operation: str, **params: Any) -> Callable[[World], Case]:
    def prepare(world: World) -> Case:
        world.do("CreateUser", UserName=USER)
        return {"event": world.do(operation, UserName=USER, **params)}

    return prepare


def a_leak(world: World) -> Case:
    """AWS found keys of the user somewhere."""
    case = a_user(world)
    world.iam().update_access_key(UserName=USER, AccessKeyId=case["keys"][1], Status="Active")
    return case | {"event": world.do("AttachUserPolicy", UserName=USER, PolicyArn=AWS_QUARANTINE)}


def in_report_mode(world: World) -> Case:
    world.settings(settings={"ceiling": Mode.REPORT})
    return a_key(world)


def exempt(world: World) -> Case:
    """By name, since moto's user ids aren't AIDA..."""
    case = a_key(world)
    exemption = {
        "owner": "team-data@example.com",
        "reason": "a product that takes no role",
        "ticket": "SEC-1",
        "until": (world.now + timedelta(days=30)).isoformat(),
        "account": world.member,
        "user_pattern": USER,
        "signed_by": "ciso@example.com",
        "rules": [rule.id for rule in rules.every()],
    }
    world.settings(exemptions={"ours": exemption})
    return case


def settings_written(_world: World) -> Case:
    """Parameters of which one is bad."""
    ssm = boto3.client("ssm", region_name=REGION)
    for name, value in (
        ("/keyward/settings", '{"ceiling": "enforce", "release_days": 14}'),
        ("/keyward/rules/iam-access-key-created", '{"mode": "enforce"}'),
        ("/keyward/rules/iam-user-created", '{"mode": "everything"}'),
    ):
        ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    return {}


# Deliveries


def event_delivered(world: World, case: Case) -> None:
    world.deliver(case["event"])


def release_asked(world: World, case: Case) -> None:
    """An operator asks until the answer is that it is done."""
    answer = operating.answer(
        {"act": "release", "by": "jane", "finding": case["finding"], "reason": "it was right"},
        services=world.services,
        now=world.now,
    )
    if not answer["ok"] and "released: there is nothing to release" not in str(answer["error"]):
        raise GatewayError(str(answer["error"]))


def settings_settled(world: World, _case: Case) -> None:
    settling.settle(ssm=world.services.ssm, ledger=world.ledger, rules=rules.every(), now=world.now)


# What must be so in the end: read past the API, which would take longer than what is tested


def the_user(world: World) -> User:
    user: User = iam_backends[world.member]["aws"].get_user(USER)
    return user


def key_statuses(world: World) -> list[str]:
    return [key.status for key in the_user(world).access_keys]


def groups(world: World) -> set[str]:
    return {g.name for g in iam_backends[world.member]["aws"].get_groups_for_user(USER)}


def keys_inactive(world: World, _case: Case) -> bool:
    return set(key_statuses(world)) == {"Inactive"}


def denied_by(rung: str) -> Callable[[World, Case], bool]:
    """By this rung, or by a later one where a fault forbids it."""

    def safe(world: World, case: Case) -> bool:
        rungs = {
            "policy": DENY_ALL_ARN in the_user(world).managed_policies,
            "group": QUARANTINE_GROUP in groups(world),
            "boundary": world.extension.boundaries.get((world.member, USER)) == DENY_ALL_ARN,
        }
        holding = list(rungs.values())[list(rungs).index(rung) :]
        return any(holding) and keys_inactive(world, case)

    return safe


def credentials_inactive(world: World, _case: Case) -> bool:
    user = the_user(world)
    listed = [
        *(key.status for key in user.ssh_public_keys),
        *(certificate.status for certificate in user.signing_certificates.values()),
        *(
            item["Status"]
            for item in world.extension.credentials.get((world.member, USER), {}).values()
        ),
    ]
    return listed == ["Inactive"]


def key_untouched(world: World, _case: Case) -> bool:
    return key_statuses(world) == ["Active"]


def as_it_was(world: World, case: Case) -> bool:
    """The user's first key is active, the second one as inactive as ever, nothing denies."""
    user = the_user(world)
    tags = iam_backends[world.member]["aws"].tagger.get_tag_dict_for_resource(user.arn)
    return (
        key_statuses(world) == ["Active", "Inactive"][: len(case["keys"])]
        and not user.managed_policies
        and not groups(world)
        and (world.member, USER) not in world.extension.boundaries
        and not tags
    )


def released_altogether(world: World, case: Case) -> bool:
    """No finding still claims to hold the user. A record may lag behind AWS, not the reverse."""
    lead = world.ledger.finding(case["finding"])
    others = {record.state for record in world.findings() if record.key != case["finding"]}
    claims_release = lead is not None and lead.state is State.RELEASED
    return as_it_was(world, case) and (not claims_release or others == {State.RELEASED})


def settings_in_force(world: World, _case: Case) -> bool:
    """What is valid is in force, and the bad one as it was accepted before."""
    accepted = world.ledger.accepted()
    enforced = {
        rule: {"mode": "enforce"} for rule in ("iam-access-key-created", "iam-user-created")
    }
    return (
        accepted is not None and accepted.rules == enforced and accepted.settings.release_days == 14
    )


def acting(
    name: str,
    prepare: Callable[[World], Case],
    safe: Callable[[World, Case], bool],
    *,
    done: State = State.ACTED,
) -> Scenario:
    return Scenario(name=name, prepare=prepare, deliver=event_delivered, safe=safe, done=done)


SCENARIOS = (
    acting("key", a_key, keys_inactive),
    acting("key-reactivated", a_reactivated_key, keys_inactive),
    acting(
        "ssh-key",
        a_credential("UploadSSHPublicKey", SSHPublicKeyBody=SSH_KEY),
        credentials_inactive,
    ),
    acting(
        "certificate",
        a_credential("UploadSigningCertificate", CertificateBody=a_certificate()),
        credentials_inactive,
    ),
    acting(
        "service-credential",
        a_credential("CreateServiceSpecificCredential", ServiceName="bedrock.amazonaws.com"),
        credentials_inactive,
    ),
    acting("user-policy", a_user, denied_by("policy")),
    acting("user-group", without_policy_slots(a_user), denied_by("group")),
    acting("user-boundary", without_any_slots(a_user), denied_by("boundary")),
    Scenario(
        name="user-cannot-contain",
        prepare=with_a_boundary_of_its_own,
        deliver=event_delivered,
        safe=denied_by("boundary"),
        done=State.ACTED,
        can_be_safe=False,
    ),
    acting("password", a_password, denied_by("policy")),
    acting("key-enabled-again", key_enabled_again, keys_inactive),
    acting(
        "quarantined-key-enabled-again", key_of_quarantined_user_enabled_again, denied_by("policy")
    ),
    acting("deny-detached", deny_detached, denied_by("policy")),
    acting("group-defused", quarantine_group_defused, denied_by("boundary")),
    acting("leak", a_leak, keys_inactive),
    Scenario(
        name="report",
        prepare=in_report_mode,
        deliver=event_delivered,
        safe=key_untouched,
        done=State.OPEN,
        acts=False,
    ),
    Scenario(
        name="exempt",
        prepare=exempt,
        deliver=event_delivered,
        safe=key_untouched,
        done=State.EXEMPT,
        acts=False,
    ),
    Scenario(
        name="release-key",
        prepare=contained(a_key),
        deliver=release_asked,
        safe=as_it_was,
        done=State.RELEASED,
    ),
    Scenario(
        name="release-user",
        prepare=contained(a_user),
        deliver=release_asked,
        safe=as_it_was,
        done=State.RELEASED,
    ),
    Scenario(
        name="release-user-of-two-findings",
        prepare=contained_for_two_reasons,
        deliver=release_asked,
        safe=released_altogether,
        done=State.RELEASED,
    ),
    Scenario(
        name="settings",
        prepare=settings_written,
        deliver=settings_settled,
        safe=settings_in_force,
        done=None,
        acts=False,
    ),
)
