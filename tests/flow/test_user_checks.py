"""What a sweep has looked at of one IAM user: the same findings and acts as by events."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from moto.iam.models import iam_backends

from keyward import alerts, rules
from keyward.actions import DENY_ALL_ARN
from keyward.errors import EventError, GatewayError
from keyward.events import check_message
from keyward.facts.iam import LOOKS, USER_CHECK
from keyward.findings import FindingRecord, Severity, State
from keyward.model import CredentialKind
from tests.flow.test_access_keys import release
from tests.flow.test_quarantine import a_credential
from tests.flow.world import HUB, UNCOUNTED, aws_error

if TYPE_CHECKING:
    from tests.flow.world import World

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
LEAKED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
EVERYTHING = ",".join(sorted(LOOKS))
KEY = "iam-access-key-created"
USER = "iam-user-created"
LITTLE = (
    '{"Version":"2012-10-17","Statement":'
    '[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
)
OF_A_USER = {
    KEY,
    USER,
    "iam-admin-granted",
    "iam-console-password-set",
    "iam-static-credential-created",
    "iam-user-policy-attached",
}


def a_check(world: World, user: str | None = "eve", **parameters: str) -> str:
    """A sweep's word about one user, each time by another sweep."""
    named = {"userName": user} if user is not None else {}
    world.later(seconds=1)
    return check_message(
        id_=f"sweep-{world.now.timestamp():.0f}",
        account=world.member,
        region="us-east-1",
        time=world.now,
        why=USER_CHECK,
        parameters=named | parameters,
    )


def look(world: World, user: str | None = "eve", **parameters: str) -> None:
    world.deliver(a_check(world, user, **parameters))


def id_of(world: World, user: str = "eve") -> str:
    return str(world.iam().get_user(UserName=user)["User"]["UserId"])


def a_user(world: World, name: str = "eve") -> str:
    """A user of whom no event came; its id."""
    return str(world.iam().create_user(UserName=name)["User"]["UserId"])


def a_key_of(world: World, user: str = "eve") -> str:
    return str(world.iam().create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])


def report_only(world: World) -> None:
    world.settings(settings={"ceiling": "report"})


def by_rule(world: World) -> dict[str, FindingRecord]:
    return {record.rule: record for record in world.findings()}


def states(world: World) -> dict[str, State]:
    return {rule: record.state for rule, record in by_rule(world).items()}


def calls_of(world: World, check: str) -> Counter[str]:
    """The calls to IAM of one check, once warm."""
    with world.recorded() as calls:
        world.deliver(check)
    dynamo = {"GetItem", "PutItem", "TransactWriteItems", "Query", "UpdateItem"}
    return Counter(name for name, _ in calls if name not in UNCOUNTED | dynamo)


# ------------------------------------------------------------------ what it finds


def test_key_that_no_event_told_of_is_deactivated(world: World) -> None:
    a_user(world)
    key = a_key_of(world)
    look(world, looks="keys")
    assert world.key_status("eve", key) == "Inactive"
    record = world.finding(KEY)
    assert (record.state, record.unique_id) == (State.ACTED, key)
    assert "Who:      unknown: a sweep found it" in alerts.alert(record).body


def test_user_that_no_event_told_of_is_quarantined(world: World) -> None:
    user_id = a_user(world)
    look(world, userId=user_id, looks="user")
    assert world.is_denied("eve")
    assert world.finding(USER).user_id == user_id


def events_about_eve(world: World) -> list[dict[str, Any]]:
    """Everything that IAM rules object to, with the events; the user made by herself."""
    world.do("CreateUser", UserName="eve")
    herself = {
        "type": "IAMUser",
        "arn": f"arn:aws:iam::{world.member}:user/eve",
        "accountId": world.member,
        "userName": "eve",
    }
    password = "Correct-horse-9"
    return [
        world.event("CreateUser", {"UserName": "eve"}, {"User": {"UserName": "eve"}}),
        world.do("CreateAccessKey", UserName="eve", actor=herself),
        world.do("CreateLoginProfile", UserName="eve", Password=password),
        *(a_credential(world, kind) for kind in CredentialKind),
        world.do("AttachUserPolicy", UserName="eve", PolicyArn=ADMINISTRATOR),
        world.do("PutUserPolicy", UserName="eve", PolicyName="in,line", PolicyDocument=LITTLE),
    ]


def test_what_events_found_is_found_again_and_not_told_twice(world: World) -> None:
    report_only(world)
    for event in events_about_eve(world):
        world.deliver(event)
    told = {record.key: record for record in world.findings()}
    assert {record.rule for record in told.values()} == OF_A_USER
    look(world, userId=id_of(world), looks=EVERYTHING)
    now = {record.key: record for record in world.findings()}
    assert now.keys() == told.keys()
    assert {record.state for record in now.values()} == {State.OPEN}
    assert {record.seen - told[key].seen for key, record in now.items()} == {1}
    assert {key: record.untold for key, record in now.items()} == {
        key: record.untold for key, record in told.items()
    }


def test_without_any_event_the_same_is_found_under_the_same_keys(world: World) -> None:
    report_only(world)
    events = events_about_eve(world)
    look(world, userId=id_of(world), looks=EVERYTHING)
    found = {record.key for record in world.findings()}
    assert set(by_rule(world)) == OF_A_USER
    for event in events:
        world.deliver(event)
    assert {record.key for record in world.findings()} == found


def test_without_any_event_the_same_is_done(world: World) -> None:
    world.settings(settings={"ceiling": "enforce", "budgets": {"account": 100}})
    events_about_eve(world)
    since = (world.now - timedelta(hours=6)).isoformat()
    look(world, userId=id_of(world), looks=EVERYTHING, since=since)
    assert world.is_denied("eve")
    iam = world.services.iam(world.member, world.now)
    eve = iam.user("eve")
    assert not any(key.active for key in iam.access_keys(eve).values())
    for kind in CredentialKind:
        assert not any(it.active for it in iam.credentials(eve, kind).values())
    reported = {"iam-user-policy-attached"}
    assert states(world) == {
        rule: State.OPEN if rule in reported else State.ACTED for rule in OF_A_USER
    }


def test_key_for_another_user_is_not_told_again_by_another_rule(world: World) -> None:
    report_only(world)
    world.do("CreateUser", UserName="eve")
    at = datetime.now(UTC) + timedelta(days=3)
    world.now = at
    world.deliver(world.do("CreateAccessKey", UserName="eve", at=at))
    (record,) = world.findings()
    assert (record.rule, record.also) == ("iam-access-key-for-other-user", (KEY,))
    look(world, looks="keys", keys=record.unique_id)
    assert [it.key for it in world.findings()] == [record.key]
    world.settings()
    look(world, looks="keys", keys=record.unique_id)
    assert world.key_status("eve", record.unique_id) == "Inactive"


# ------------------------------------------------------------------ what is new, and whose it is


@pytest.mark.parametrize("looks", ["user", "keys", "password", "credentials"])
def test_what_is_older_than_the_rule_is_reported(world: World, looks: str) -> None:
    world.settings(since=datetime.now(UTC) + timedelta(hours=1))
    events_about_eve(world)
    look(world, userId=id_of(world), looks=looks)
    assert not world.is_denied("eve")
    assert {record.state for record in world.findings()} == {State.OPEN}
    assert {record.held for record in world.findings()} == {
        "existed before the rule began to enforce"
    }


@pytest.mark.parametrize("hours", [None, -1, 1])
def test_what_has_no_date_is_as_new_as_the_survey_says(world: World, hours: int | None) -> None:
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    world.settings(since=began)
    a_user(world)
    world.iam().attach_user_policy(UserName="eve", PolicyArn=ADMINISTRATOR)
    key = a_key_of(world)
    since = {} if hours is None else {"since": (began + timedelta(hours=hours)).isoformat()}
    is_new = hours == 1
    look(world, looks="principal", **since)
    assert world.is_denied("eve") is is_new
    assert states(world) == {"iam-admin-granted": State.ACTED if is_new else State.OPEN}
    world.iam().update_access_key(UserName="eve", AccessKeyId=key, Status="Active")
    world.iam().attach_user_policy(UserName="eve", PolicyArn=LEAKED)
    look(world, looks="policies", **since)
    assert world.key_status("eve", key) == ("Inactive" if is_new else "Active")
    leaked = by_rule(world)["iam-key-quarantined-by-aws"]
    assert leaked.state is (State.ACTED if is_new else State.OPEN)


def test_what_was_released_stays_free(world: World) -> None:
    user_id = a_user(world)
    key = a_key_of(world)
    look(world, userId=user_id, looks="user,keys")
    release(world, by_rule(world)[USER].key)
    look(world, userId=user_id, looks=EVERYTHING, keys=key)
    assert not world.is_denied("eve")
    assert states(world) == {USER: State.RELEASED, KEY: State.ACTED}


def test_exempt_user_costs_nobody_anything(world: World) -> None:
    report_only(world)
    a_user(world)
    world.iam().attach_user_policy(UserName="eve", PolicyArn=ADMINISTRATOR)
    key = a_key_of(world)
    look(world, looks="user,keys,principal")
    assert {record.state for record in world.findings()} == {State.OPEN}
    exemption = {
        "owner": "platform@example.com",
        "reason": "legacy build",
        "ticket": "SEC-1",
        "until": (world.now + timedelta(days=30)).isoformat(),
        "account": world.member,
        "user_pattern": "eve",
        "signed_by": "ciso@example.com",
        "rules": [rule.id for rule in rules.of_guard("iam_guard")],
    }
    world.settings(exemptions={"eve": exemption})
    look(world, looks="user,keys,principal", keys=key)
    assert {record.state for record in world.findings()} == {State.EXEMPT}
    look(world, looks="credentials,policies,password")
    assert {record.rule for record in world.findings() if record.untold is None} == {
        "iam-user-policy-attached"
    }
    assert world.key_status("eve", key) == "Active"


def test_protected_user_pages_once_and_is_never_touched(world: World) -> None:
    user_id = a_user(world)
    why = "break-glass"
    protected = {"account": world.member, "user_id": "AIDAEXAMPLE", "arn": None, "why": why}
    arn = f"arn:aws:iam::{world.member}:user/eve"
    world.settings(
        settings={"ceiling": "enforce", "protected": [protected | {"user_id": None, "arn": arn}]}
    )
    key = a_key_of(world)
    for _ in range(2):
        look(world, userId=user_id, looks="user,keys")
    assert (world.is_denied("eve"), world.key_status("eve", key)) == (False, "Active")
    assert {(it.severity, it.held, it.seen) for it in world.findings()} == {
        (Severity.CRITICAL, f"protected principal: {why}", 2)
    }


def test_what_a_service_made_is_left_to_it(world: World) -> None:
    key = a_key_of(world) if a_user(world) else ""
    role = (
        f"arn:aws:iam::{world.member}:role/aws-service-role/ops.amazonaws.com/AWSServiceRoleForOps"
    )
    by_service = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{world.member}:assumed-role/AWSServiceRoleForOps/x",
        "accountId": world.member,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": role, "accountId": world.member}
        },
    }
    answer = {"AccessKey": {"UserName": "eve", "AccessKeyId": key, "Status": "Active"}}
    world.deliver(world.event("CreateAccessKey", {"UserName": "eve"}, answer, actor=by_service))
    look(world, looks="keys", keys=key)
    assert world.key_status("eve", key) == "Active"
    assert world.finding(KEY).held == "made by AWS service-linked role"


# ------------------------------------------------------------------ what is no longer so


def test_what_is_gone_is_settled(world: World) -> None:
    report_only(world)
    for event in events_about_eve(world):
        world.deliver(event)
    user_id = id_of(world)
    open_ = {record.rule: record for record in world.findings()}
    backend = iam_backends[world.member]["aws"]
    del backend.users["eve"]
    world.extension.credentials.clear()
    look(world, userId=user_id, looks=EVERYTHING, **named_in(world.findings()))
    assert {record.state for record in world.findings()} == {State.RESOLVED}
    assert len(world.findings()) == len({record.key for record in world.findings()})
    assert set(by_rule(world)) == set(open_)


def named_in(records: list[FindingRecord]) -> dict[str, str]:
    """The lists of a check that open findings are named in, as a survey makes them."""
    named: dict[str, list[str]] = {"keys": [], "credentials": [], "policies": []}
    for record in records:
        if record.subject_kind == "AccessKey":
            named["keys"].append(record.unique_id)
        elif record.subject_kind == "StaticCredential":
            named["credentials"].append(f"{record.subject.partition(' ')[0]}:{record.unique_id}")
        elif record.subject_kind == "UserPolicy":
            named["policies"].append(record.unique_id.replace(",", "%2C"))
    return {name: ",".join(ids) for name, ids in named.items()}


def test_what_was_taken_away_one_by_one_is_settled_and_the_rest_stays(world: World) -> None:
    report_only(world)
    for event in events_about_eve(world):
        world.deliver(event)
    named = named_in(world.findings())
    iam = world.iam()
    iam.update_access_key(UserName="eve", AccessKeyId=named["keys"], Status="Inactive")
    iam.delete_login_profile(UserName="eve")
    iam.detach_user_policy(UserName="eve", PolicyArn=ADMINISTRATOR)
    iam.delete_user_policy(UserName="eve", PolicyName="in,line")
    for held in world.extension.credentials.values():
        for credential in held.values():
            credential["Status"] = "Inactive"
    look(world, userId=id_of(world), looks="user,password,principal", **named)
    closed = [record for record in world.findings() if record.state is State.RESOLVED]
    assert Counter(record.rule for record in closed) == {
        KEY: 1,
        "iam-console-password-set": 1,
        "iam-admin-granted": 1,
        "iam-user-policy-attached": 2,
        "iam-static-credential-created": 1,
    }
    still = [record.rule for record in world.findings() if record.state is State.OPEN]
    assert Counter(still) == {
        USER: 1,
        "iam-static-credential-created": 2,
    }


def test_what_nobody_found_before_leaves_no_trace_where_it_is_not_so(world: World) -> None:
    user_id = a_user(world)
    world.settings(rules={USER: {"mode": "off"}})
    look(
        world,
        userId=user_id,
        looks=EVERYTHING,
        keys="AKIAGONE",
        credentials="ssh-public-key:APKAGONE",
        policies=READ_ONLY,
    )
    look(world, "nobody", userId="AIDANOBODY", looks=EVERYTHING, keys="AKIAGONE")
    assert world.findings() == []
    assert world.untold() == []


def test_namesake_is_another_user(world: World) -> None:
    report_only(world)
    former = a_user(world)
    look(world, userId=former, looks="user")
    world.iam().delete_user(UserName="eve")
    a_user(world)
    a_key_of(world)
    look(world, userId=former, looks=EVERYTHING)
    (record,) = world.findings()
    assert (record.rule, record.user_id, record.state) == (USER, former, State.RESOLVED)


@pytest.mark.parametrize(("hours", "found"), [(0, True), (-1, False), (1, False)])
def test_namesake_is_told_by_the_day_where_no_id_is_known(
    world: World,
    hours: int,
    found: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    made = world.iam().create_user(UserName="eve")["User"]["CreateDate"]
    look(world, createdAt=(made + timedelta(hours=hours)).isoformat(), looks="user")
    assert bool(world.findings()) is found


def test_key_of_a_renamed_user_stays_open(world: World) -> None:
    report_only(world)
    user_id = a_user(world)
    key = a_key_of(world)
    look(world, userId=user_id, looks="user,keys")
    world.iam().update_user(UserName="eve", NewUserName="adam")
    look(world, userId=user_id, looks="user,keys", keys=key)
    assert states(world) == {KEY: State.OPEN, USER: State.RESOLVED}


def test_credential_that_could_not_be_contained_is_settled_once_it_is_inactive(
    world: World,
) -> None:
    a_user(world)
    key = a_key_of(world)

    def denied(operation: str, _params: object, call: Any) -> Any:
        if operation == "UpdateAccessKey":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    world.fault = denied
    with world.recorded():
        look(world, looks="keys")
    assert world.finding(KEY).state is State.FAILED
    world.iam().update_access_key(UserName="eve", AccessKeyId=key, Status="Inactive")
    look(world, looks="", keys=key)
    assert world.finding(KEY).state is State.RESOLVED


# ------------------------------------------------------------------ containments


def test_quarantine_that_no_longer_holds_is_put_back_by_one_act(world: World) -> None:
    for event in events_about_eve(world):
        world.deliver(event)
    before = {record.key: record.episode for record in world.findings()}
    world.iam().detach_user_policy(UserName="eve", PolicyArn=DENY_ALL_ARN)
    look(world, userId=id_of(world), looks="user,password,containment")
    assert world.is_denied("eve")
    undone = by_rule(world)["iam-quarantine-undone"]
    assert (undone.state, undone.unique_id) == (State.ACTED, id_of(world))
    assert {it.key: it.episode for it in world.findings() if it != undone} == before


def test_key_that_is_active_again_is_deactivated_by_one_act(world: World) -> None:
    a_user(world)
    key = a_key_of(world)
    look(world, looks="keys")
    world.iam().update_access_key(UserName="eve", AccessKeyId=key, Status="Active")
    look(world, looks="keys,containment")
    assert world.key_status("eve", key) == "Inactive"
    undone = by_rule(world)["iam-quarantine-undone"]
    assert (undone.state, undone.unique_id, undone.also) == (State.ACTED, key, (KEY,))
    assert by_rule(world)[KEY].episode == 1


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_credential_that_is_active_again_is_deactivated(world: World, kind: CredentialKind) -> None:
    a_user(world)
    a_credential(world, kind)
    look(world, looks="credentials")
    record = world.finding("iam-static-credential-created")
    iam = world.services.iam(world.member, world.now)
    iam.set_credential("eve", kind, record.unique_id, active=True)
    look(world, looks="containment")
    assert not iam.credentials(iam.user("eve"), kind)[record.unique_id].active
    assert by_rule(world)["iam-quarantine-undone"].unique_id == record.unique_id


def test_containment_that_holds_is_no_news(world: World) -> None:
    user_id = a_user(world)
    look(world, userId=user_id, looks="user,keys")
    told = world.untold()
    look(world, userId=user_id, looks="containment")
    assert set(by_rule(world)) == {USER}
    assert world.untold() == told


def test_undone_containment_of_a_user_who_is_gone_is_settled(world: World) -> None:
    user_id = a_user(world)
    look(world, userId=user_id, looks="user")
    report_only(world)
    world.iam().detach_user_policy(UserName="eve", PolicyArn=DENY_ALL_ARN)
    look(world, userId=user_id, looks="containment")
    assert by_rule(world)["iam-quarantine-undone"].state is State.OPEN
    world.iam().delete_user(UserName="eve")
    look(world, userId=user_id, looks="containment")
    assert by_rule(world)["iam-quarantine-undone"].state is State.RESOLVED


# ------------------------------------------------------------------ root


def test_root_key_is_told_once_and_settled(world: World) -> None:
    keys = 1

    def root(operation: str, _params: object, call: Any) -> Any:
        if operation == "GetAccountSummary":
            return {"SummaryMap": {"AccountAccessKeysPresent": keys}}
        return call()

    world.fault = root
    with world.recorded():
        for _ in range(3):
            look(world, None, looks="root")
        record = world.finding("iam-root-access-key-created")
        assert (record.state, record.episode, record.seen) == (State.OPEN, 1, 3)
        keys = 0
        look(world, None, looks="root")
    assert world.finding("iam-root-access-key-created").state is State.RESOLVED


# ------------------------------------------------------------------ rules of time


def used(world: World, at: datetime | None) -> None:
    """From now on IAM says that every access key was used last then."""

    def answer(operation: str, _params: object, call: Any) -> Any:
        if operation == "GetAccessKeyLastUsed":
            last = {} if at is None else {"LastUsedDate": at}
            return {"UserName": "eve", "AccessKeyLastUsed": last}
        return call()

    world.fault = answer


def test_last_use_is_read_of_active_keys_and_settles_what_was_unused(world: World) -> None:
    report_only(world)
    a_user(world)
    keys = [a_key_of(world), a_key_of(world)]
    world.iam().update_access_key(UserName="eve", AccessKeyId=keys[1], Status="Inactive")
    world.later(days=60)
    used(world, None)
    calls = calls_of(world, a_check(world, looks="keys"))
    assert calls["GetAccessKeyLastUsed"] == 1
    (unused,) = [it for it in world.findings() if "iam-credential-unused" in (it.rule, *it.also)]
    assert unused.unique_id == keys[0]
    world.settings(settings={"ceiling": "report"}, rules={KEY: {"mode": "off"}})
    with world.recorded():
        look(world, looks="keys")
    assert by_rule(world)["iam-credential-unused"].state is State.OPEN
    used(world, world.now - timedelta(days=1))
    with world.recorded():
        look(world, looks="", keys=keys[0])
    assert by_rule(world)["iam-credential-unused"].state is State.RESOLVED


def test_password_is_unused_by_what_the_user_says_of_it(world: World) -> None:
    world.settings(
        settings={"ceiling": "report"}, rules={"iam-console-password-set": {"mode": "off"}}
    )
    a_user(world)
    world.iam().create_login_profile(UserName="eve", Password="Correct-horse-9")
    world.later(days=60)
    last: datetime | None = world.now - timedelta(days=2)

    def answer(operation: str, _params: object, call: Any) -> Any:
        found = call()
        if operation == "GetUser" and last is not None:
            found["User"]["PasswordLastUsed"] = last
        return found

    world.fault = answer
    with world.recorded():
        look(world, looks="password")
        assert world.findings() == []
        last = None
        look(world, looks="password")
    assert states(world) == {"iam-credential-unused": State.OPEN}


# ------------------------------------------------------------------ what it costs, and what fails


def test_each_list_of_a_user_is_read_once(world: World) -> None:
    report_only(world)
    events_about_eve(world)
    a_key_of(world)
    look(world, looks="user")
    calls = calls_of(world, a_check(world, userId=id_of(world), looks=EVERYTHING))
    of_documents = {"GetPolicy", "GetPolicyVersion", "GetUserPolicy"}
    once = {name: number for name, number in calls.items() if name not in of_documents}
    assert once == {
        **dict.fromkeys(("GetUser", "ListAccessKeys", "GetLoginProfile"), 1),
        **dict.fromkeys(("ListSSHPublicKeys", "ListSigningCertificates"), 1),
        "ListServiceSpecificCredentials": 1,
        **dict.fromkeys(("ListAttachedUserPolicies", "ListUserPolicies"), 1),
        "ListGroupsForUser": 1,
        "GetAccountSummary": 1,
    }


def test_last_use_is_asked_once_for_each_key_that_is_old_enough(world: World) -> None:
    report_only(world)
    a_user(world)
    keys = [a_key_of(world), a_key_of(world)]
    world.later(days=60)
    look(world, looks="user")
    used(world, world.now)
    calls = calls_of(world, a_check(world, looks="keys", keys=keys[0]))
    assert calls == {"GetUser": 1, "ListAccessKeys": 1, "GetAccessKeyLastUsed": 2}


def test_user_alone_costs_one_call(world: World) -> None:
    report_only(world)
    a_user(world)
    look(world, looks="user")
    assert calls_of(world, a_check(world, looks="user")) == {"GetUser": 1}


def test_check_that_names_nothing_costs_no_call(world: World) -> None:
    with world.recorded() as calls:
        world.services.accepted(world.now)
        calls.clear()
        look(world, looks="")
    assert calls == []


def test_account_that_cannot_be_entered_leaves_no_finding(world: World) -> None:
    def denied(operation: str, _params: object, call: Any) -> Any:
        if operation == "AssumeRole":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    a_user(world)
    world.restart()
    world.fault = denied
    with world.recorded():
        look(world, looks="user,keys,password,credentials,policies,principal,containment")
    assert world.findings() == []


def test_user_whom_an_scp_hides_from_keyward_is_told_of_until_it_can_be_looked_at(
    world: World,
) -> None:
    def hidden(operation: str, _params: object, call: Any) -> Any:
        if operation == "GetUser":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    user_id = a_user(world)
    key = a_key_of(world)
    world.fault = hidden
    with world.recorded():
        look(world, userId=user_id, looks="user,keys")
    (record,) = world.findings()
    assert (record.rule, record.state) == (USER, State.OPEN)
    assert (record.held or "").startswith("cannot enforce here")
    look(world, userId=user_id, looks="user,keys")
    assert (world.is_denied("eve"), world.key_status("eve", key)) == (True, "Inactive")
    assert states(world) == {USER: State.ACTED, KEY: State.ACTED}


def test_throttled_check_comes_again(world: World) -> None:
    def throttled(operation: str, _params: object, call: Any) -> Any:
        if operation == "ListAccessKeys":
            raise aws_error("Throttling", operation)
        return call()

    a_user(world)
    a_key_of(world)
    check = a_check(world, looks="keys")
    world.fault = throttled
    with world.recorded(), pytest.raises(GatewayError):
        world.deliver(check)
    world.fault = None
    world.deliver(check)
    assert world.finding(KEY).state is State.ACTED


@pytest.mark.parametrize(
    "parameters",
    [
        {"looks": "user,everything"},
        {"looks": "user", "createdAt": "yesterday"},
        {"looks": "user", "since": "2026-11-20T09:14:05"},
        {"looks": "user", "since": "9999-12-31T23:59:59-12:00"},
        {"looks": "", "credentials": "password:x"},
        {"looks": "", "credentials": "ssh-public-key:"},
    ],
)
def test_check_that_cannot_be_read_is_refused(world: World, parameters: dict[str, str]) -> None:
    with pytest.raises(EventError):
        look(world, **parameters)


def test_check_of_a_user_without_a_name_is_refused(world: World) -> None:
    with pytest.raises(EventError, match="userName"):
        look(world, None, looks="user")


def test_access_analyzer_has_an_unused_key_looked_at(world: World) -> None:
    a_user(world)
    key = a_key_of(world)
    event = {
        "version": "0",
        "id": "dc7ce3ee-114b-3243-e249-7f10f9054b21",
        "detail-type": "Unused Access Finding for IAM entities",
        "source": "aws.access-analyzer",
        "account": HUB,
        "time": f"{world.now:%Y-%m-%dT%H:%M:%SZ}",
        "region": "us-east-1",
        "resources": [f"arn:aws:access-analyzer:us-east-1:{HUB}:analyzer/unused"],
        "detail": {
            "findingId": "b8ae0460-5d29-4922-b92a-ba956c986277",
            "resource": f"arn:aws:iam::{world.member}:user/eve",
            "resourceType": "AWS::IAM::User",
            "accountId": world.member,
            "status": "ACTIVE",
            "isDeleted": False,
            "findingType": "UnusedIAMUserAccessKey",
        },
    }
    world.deliver(event)
    assert world.key_status("eve", key) == "Inactive"
    assert world.finding(KEY).account == world.member
