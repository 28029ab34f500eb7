"""A sweep in one account, from its message to what is found, done, resolved and remembered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from keyward import events, operating, services
from keyward.actions import DENY_ALL_ARN
from keyward.errors import EventError
from keyward.events import SweepPart, SweepStep
from keyward.findings import FindingRecord, Severity, State
from keyward.surveying import REPORT_SECONDS
from keyward.sweep import Swept
from tests.flow.sweeping import Sweeping, the_sweeping
from tests.flow.world import HUB, World, aws_error

IAM_CALLS = {
    "GenerateCredentialReport",
    "GetCredentialReport",
    "GetAccountAuthorizationDetails",
    "ListServiceSpecificCredentials",
}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ADMIN = json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING]})
SSH_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7"


@pytest.fixture
def sweeping(world: World) -> Iterator[Sweeping]:
    """The world a few hours after its accounts have joined, and the queues of a sweep."""
    world.later(hours=3)
    with the_sweeping(world) as made:
        world.settings()
        yield made


class Surveys:
    """Sweeps of one account, one after the other."""

    def __init__(self) -> None:
        self.number = 0

    def ask(self, sweeping: Sweeping, account: str | None = None, *, full: bool = False) -> None:
        self.number += 1
        step = SweepStep(
            id=f"sweep{self.number}",
            part=SweepPart.ACCOUNT,
            account=account or sweeping.world.member,
            full=full,
        )
        sweeping.line.put("iam", events.sweep_message(step))


SURVEYS = Surveys()


def survey(sweeping: Sweeping, account: str | None = None, *, full: bool = False) -> Counter[str]:
    """One sweep of the account and all that follows; the calls that were made."""
    world = sweeping.world
    world.later(hours=6)
    SURVEYS.ask(sweeping, account, full=full)
    with world.recorded() as calls:
        sweeping.drain()
    return Counter(name for name, _ in calls)


def look(sweeping: Sweeping, account: str | None = None, *, full: bool = False) -> Counter[str]:
    """The same without what it asks for: that stays on the queue."""
    world = sweeping.world
    world.later(hours=6)
    SURVEYS.ask(sweeping, account, full=full)
    with world.recorded() as calls:
        while any('"part":"account"' in body for _, _, _, body, _ in sweeping.line.waiting):
            sweeping.next()
    return Counter(name for name, _ in calls)


def asked(sweeping: Sweeping) -> list[dict[str, Any]]:
    """The checks on the queue."""
    return [json.loads(body) for _, _, _, body, _ in sorted(sweeping.line.waiting)]


def swept(sweeping: Sweeping, account: str | None = None) -> Swept:
    found = sweeping.world.ledger.last_seen_in(account or sweeping.world.member)
    assert found is not None
    return found


def of_rule(world: World, rule: str) -> list[FindingRecord]:
    return [it for it in world.findings() if rule in {it.rule, *it.also}]


def denying(*operations: str, code: str = "AccessDenied") -> Any:
    def fault(operation: str, _params: object, call: Any) -> Any:
        if operation in operations:
            raise aws_error(code, operation, 403)
        return call()

    return fault


def a_user(world: World, name: str = "ci", account: str | None = None) -> None:
    world.do("CreateUser", UserName=name, account=account)


# ---------------------------------------------------------------- calls


@pytest.mark.parametrize("users", [0, 1, 60])
def test_an_account_is_read_in_five_calls_whatever_its_users(
    sweeping: Sweeping, users: int
) -> None:
    for number in range(users):
        a_user(sweeping.world, f"u{number}")
        sweeping.world.iam().create_access_key(UserName=f"u{number}")
    calls = look(sweeping)
    of_iam = {name: number for name, number in calls.items() if name in IAM_CALLS}
    assert set(of_iam) == IAM_CALLS
    assert sum(of_iam.values()) <= 5, of_iam
    of_events = {"DescribeRule": 2, "ListTargetsByRule": 2}
    assert {name: calls[name] for name in of_events} == of_events
    assert len(asked(sweeping)) == users
    assert (swept(sweeping).users, swept(sweeping).keys) == (users, users)
    assert swept(sweeping).calls <= 5


def test_no_user_is_called_for_and_nothing_sent_while_nothing_changes(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.settings(settings={"ceiling": "report"})
    for number in range(5):
        a_user(world, f"u{number}")
        world.iam().create_access_key(UserName=f"u{number}")
        world.iam().attach_user_policy(UserName=f"u{number}", PolicyArn=DENY_ALL_ARN)
    survey(sweeping)
    before = sweeping.line.sent["iam"]
    calls = survey(sweeping)
    assert sweeping.line.sent["iam"] == before + 2, "itself, and once more for the report"
    assert not {name for name in calls if "User" in name or "AccessKey" in name}
    assert swept(sweeping).suspected == 0


def test_a_full_sweep_looks_at_every_suspect_again(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.settings(settings={"ceiling": "report"})
    for number in range(3):
        a_user(world, f"u{number}")
    survey(sweeping)
    look(sweeping)
    assert not asked(sweeping)
    look(sweeping, full=True)
    assert sum(it.get("why") == "UserCheck" for it in asked(sweeping)) == 3


def test_members_and_the_hub_are_read_with_the_credentials_of_each(sweeping: Sweeping) -> None:
    world = sweeping.world
    for account in (world.member, world.other_member, HUB):
        a_user(world, f"of-{account}", account=account)
    for account in (world.member, HUB, world.other_member, world.member):
        calls = survey(sweeping, account)
        if account == HUB:
            assert not calls["AssumeRole"]
        assert swept(sweeping, account).ok
    found = {(it.account, it.user_name) for it in of_rule(world, "iam-user-created")}
    assert found == {(it, f"of-{it}") for it in (world.member, world.other_member, HUB)}


def test_a_guard_keeps_few_accounts_clients(
    sweeping: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One takes 400 KB, and checks come from all accounts."""
    monkeypatch.setattr(services, "ACCOUNTS_KEPT", 2)
    made, now = sweeping.world.services, sweeping.world.now - timedelta(hours=3)
    member, other = sweeping.world.member, sweeping.world.other_member
    with sweeping.world.recorded() as calls:
        for account in (member, other, HUB, other, HUB, member):
            assert made.iam(account, now).account == account
    assert [name for name, _ in calls].count("AssumeRole") == 3
    assert len(made._accounts) == 2


# ---------------------------------------------------------------- what is found without any event


def test_what_no_event_told_of_is_found_and_contained(sweeping: Sweeping) -> None:
    world = sweeping.world
    budgets = {"organization": 100, "account": 100}
    world.settings(settings={"ceiling": "enforce", "budgets": budgets})
    for name in ("key", "password", "admin", "service", "member", "comma,%2C", "boundary"):
        a_user(world, name)
    iam = world.iam()
    key_id = iam.create_access_key(UserName="key")["AccessKey"]["AccessKeyId"]
    iam.create_login_profile(UserName="password", Password="correct horse battery")
    iam.put_user_policy(UserName="admin", PolicyName="a,b%", PolicyDocument=ADMIN)
    iam.create_service_specific_credential(UserName="service", ServiceName="bedrock.amazonaws.com")
    iam.create_group(GroupName="admins")
    iam.put_group_policy(GroupName="admins", PolicyName="all", PolicyDocument=ADMIN)
    iam.add_user_to_group(GroupName="admins", UserName="member")
    other = iam.create_access_key(UserName="comma,%2C")["AccessKey"]["AccessKeyId"]

    survey(sweeping)

    assert not sweeping.errors
    assert not sweeping.dead
    assert world.key_status("key", key_id) == "Inactive"
    assert world.key_status("comma,%2C", other) == "Inactive"
    for name in ("key", "password", "admin", "service", "member"):
        assert world.is_denied(name), name
    acted = {(it.rule, it.user_name) for it in world.findings() if it.state is State.ACTED}
    assert acted >= {
        ("iam-access-key-created", "key"),
        ("iam-access-key-created", "comma,%2C"),
        ("iam-console-password-set", "password"),
        ("iam-admin-granted", "admin"),
        ("iam-admin-granted", "member"),
        ("iam-static-credential-created", "service"),
    }
    attached = [it for it in world.findings() if it.rule == "iam-user-policy-attached"]
    assert [it.subject for it in attached] == ["policy a,b% on IAM user admin"]


def test_ssh_keys_are_read_user_by_user_in_a_full_sweep_alone(sweeping: Sweeping) -> None:
    world = sweeping.world
    for number in range(3):
        a_user(world, f"u{number}")
    key = world.iam().upload_ssh_public_key(UserName="u1", SSHPublicKeyBody=SSH_KEY)
    assert not survey(sweeping)["ListSSHPublicKeys"]
    assert not of_rule(world, "iam-static-credential-created")
    survey(sweeping, full=True)
    (found,) = of_rule(world, "iam-static-credential-created")
    assert found.unique_id == key["SSHPublicKey"]["SSHPublicKeyId"]
    assert found.state is State.ACTED


def test_users_for_ssh_keys_are_asked_for_in_handfuls(sweeping: Sweeping) -> None:
    for number in range(101):
        a_user(sweeping.world, f"u{number}")
    look(sweeping, full=True)
    steps = [it for it in asked(sweeping) if it.get("part") == "ssh-keys"]
    assert sorted(len(it["users"]) for it in steps) == [1, 50, 50]
    assert len({name for it in steps for name in it["users"]}) == 101


def test_a_user_who_is_gone_meanwhile_is_let_be(sweeping: Sweeping) -> None:
    world = sweeping.world
    for name in ("gone", "here"):
        a_user(world, name)
    world.iam().upload_ssh_public_key(UserName="here", SSHPublicKeyBody=SSH_KEY)
    look(sweeping, full=True)
    world.iam().delete_user(UserName="gone")
    sweeping.drain()
    assert not sweeping.errors
    assert of_rule(world, "iam-static-credential-created")


def test_an_exempt_user_is_recorded_once_and_left_alone(sweeping: Sweeping) -> None:
    world = sweeping.world
    exemption = {
        "owner": "platform@example.com",
        "reason": "legacy build",
        "ticket": "SEC-1",
        "until": (world.now + timedelta(days=30)).isoformat(),
        "account": world.member,
        "user_pattern": "build",
        "signed_by": "ciso@example.com",
        "rules": ["iam-user-created"],
    }
    world.settings(exemptions={"build": exemption})
    a_user(world, "build")
    survey(sweeping)
    assert [it.state for it in of_rule(world, "iam-user-created")] == [State.EXEMPT]
    calls = survey(sweeping)
    assert not calls["GetUser"]
    assert not world.is_denied("build")


def test_a_policy_that_came_between_two_sweeps_is_new_and_what_was_there_before_is_not(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    for name in ("old", "new"):
        a_user(world, name)
    world.iam().put_user_policy(UserName="old", PolicyName="all", PolicyDocument=ADMIN)
    world.later(hours=1)
    rules = {"iam-admin-granted": {"mode": "enforce"}, "iam-user-created": {"mode": "off"}}
    world.settings(rules=rules, enforcing_since={"iam-admin-granted": world.now})
    survey(sweeping)
    world.iam().put_user_policy(UserName="new", PolicyName="all", PolicyDocument=ADMIN)
    survey(sweeping)
    survey(sweeping, full=True)
    found = {it.user_name: (it.state, it.held) for it in of_rule(world, "iam-admin-granted")}
    assert found == {
        "old": (State.OPEN, "existed before the rule began to enforce"),
        "new": (State.ACTED, None),
    }


def test_what_a_spent_budget_held_is_done_by_the_next_sweep(sweeping: Sweeping) -> None:
    world = sweeping.world
    budgets = {"organization": 1, "account": 1, "critical_reserve": 0, "window_minutes": 60}
    world.settings(settings={"ceiling": "enforce", "budgets": budgets})
    for name in ("one", "two"):
        a_user(world, name)
    survey(sweeping)
    states = Counter(it.state for it in of_rule(world, "iam-user-created"))
    assert states == {State.ACTED: 1, State.OPEN: 1}
    survey(sweeping)
    assert {it.state for it in of_rule(world, "iam-user-created")} == {State.ACTED}


def test_a_key_that_comes_of_age_is_warned_of_and_then_switched_off(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.settings(rules={"iam-access-key-too-old": {"mode": "enforce"}})
    a_user(world)
    key_id = world.iam().create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    for days, status, state in (
        (1, "Active", None),
        (91, "Active", State.OPEN),
        (6, "Active", State.OPEN),
        (9, "Inactive", State.ACTED),
    ):
        world.later(days=days)
        survey(sweeping)
        assert world.key_status("ci", key_id) == status, days
        states = [it.state for it in of_rule(world, "iam-access-key-too-old")]
        assert states == ([] if state is None else [state])


# ---------------------------------------------------------------- an old report


def test_a_report_of_before_the_act_leads_to_no_second_look(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.extension.reports_are_kept = True
    a_user(world)
    world.iam().create_access_key(UserName="ci")
    survey(sweeping)
    assert not survey(sweeping)["ListAccessKeys"]
    assert not of_rule(world, "iam-quarantine-undone")


def test_a_user_that_is_newer_than_the_report_is_looked_at(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.extension.reports_are_kept = True
    survey(sweeping)
    world.later(hours=1)
    a_user(world, "late")
    key_id = world.iam().create_access_key(UserName="late")["AccessKey"]["AccessKeyId"]
    survey(sweeping)
    assert world.key_status("late", key_id) == "Inactive"


def test_a_report_that_takes_its_time_is_waited_for(sweeping: Sweeping) -> None:
    world = sweeping.world
    left = 3

    def slow(operation: str, _params: object, call: Any) -> Any:
        nonlocal left
        if operation == "GetCredentialReport" and left:
            left -= 1
            raise aws_error("ReportInProgress", operation, 404)
        return call()

    world.fault = slow
    calls = survey(sweeping)
    assert calls["GenerateCredentialReport"] == 1
    assert calls["GetCredentialReport"] == 4
    assert calls["GetAccountAuthorizationDetails"] == 1
    assert swept(sweeping).ok


def test_a_report_that_never_comes_is_told_once(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.fault = denying("GetCredentialReport", code="ReportInProgress")
    calls = survey(sweeping)
    assert calls["GetCredentialReport"] == len(REPORT_SECONDS)
    assert calls["GenerateCredentialReport"] == 1
    assert not swept(sweeping).ok
    (found,) = of_rule(world, "keyward-tampered")
    assert "not made" in found.reason


# ---------------------------------------------------------------- what is over


def test_findings_whose_cause_is_gone_are_resolved_without_a_call_for_each(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    world.settings(settings={"ceiling": "report"})
    a_user(world)
    a_user(world, "gone")
    iam = world.iam()
    key_id = iam.create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    iam.create_login_profile(UserName="ci", Password="correct horse battery")
    iam.attach_user_policy(UserName="ci", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    survey(sweeping)
    assert Counter(it.state for it in world.findings()) == {State.OPEN: 6}

    iam.delete_access_key(UserName="ci", AccessKeyId=key_id)
    iam.delete_login_profile(UserName="ci")
    iam.detach_user_policy(UserName="ci", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_user(UserName="gone")
    calls = survey(sweeping)

    assert not {name for name in calls if "User" in name or "AccessKey" in name}
    (still,) = [it for it in world.findings() if it.state is State.OPEN]
    assert (still.rule, still.user_name) == ("iam-user-created", "ci")
    resolved = [it for it in world.findings() if it.state is State.RESOLVED]
    assert len(resolved) == 5
    assert all(it.outcome for it in resolved)


def test_of_two_keys_the_one_that_is_gone_is_resolved(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.settings(settings={"ceiling": "report"})
    a_user(world)
    ids = [
        world.iam().create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"] for _ in range(2)
    ]
    survey(sweeping)
    world.iam().update_access_key(UserName="ci", AccessKeyId=ids[0], Status="Inactive")
    survey(sweeping)
    found = {it.unique_id: it.state for it in of_rule(world, "iam-access-key-created")}
    assert found == {ids[0]: State.RESOLVED, ids[1]: State.OPEN}


def test_a_quarantine_that_somebody_undid_unseen_is_applied_again(sweeping: Sweeping) -> None:
    world = sweeping.world
    a_user(world)
    survey(sweeping)
    assert world.is_denied("ci")
    assert not of_rule(world, "iam-quarantine-undone")
    world.iam().detach_user_policy(UserName="ci", PolicyArn=DENY_ALL_ARN)
    survey(sweeping)
    assert world.is_denied("ci")
    (found,) = of_rule(world, "iam-quarantine-undone")
    assert (found.state, found.severity) == (State.ACTED, Severity.CRITICAL)
    survey(sweeping)
    assert not survey(sweeping)["GetUser"]


def test_a_key_that_somebody_switched_on_unseen_is_switched_off_again(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.settings(
        rules={
            "iam-access-key-created": {"mode": "enforce"},
            "iam-quarantine-undone": {"mode": "enforce"},
        }
    )
    a_user(world)
    key_id = world.iam().create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    survey(sweeping)
    world.iam().update_access_key(UserName="ci", AccessKeyId=key_id, Status="Active")
    survey(sweeping)
    assert world.key_status("ci", key_id) == "Inactive"
    assert of_rule(world, "iam-quarantine-undone")


def test_a_released_user_is_left_alone(sweeping: Sweeping) -> None:
    world = sweeping.world
    a_user(world)
    survey(sweeping)
    finding = world.finding("iam-user-created")
    asked = {"act": "release", "by": "arn:aws:iam::1:user/op", "finding": finding.key}
    operating.answer(
        asked | {"reason": "agreed", "days": 30}, services=world.services, now=world.now
    )
    assert not world.is_denied("ci")
    survey(sweeping)
    survey(sweeping, full=True)
    assert not world.is_denied("ci")


def test_a_key_of_root_is_told_once_and_resolved_once_it_is_gone(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.extension.roots_with_keys.add(world.member)
    survey(sweeping)
    survey(sweeping)
    survey(sweeping, full=True)
    found = world.finding("iam-root-access-key-created")
    assert (found.state, found.episode) == (State.OPEN, 1)
    world.extension.roots_with_keys.clear()
    survey(sweeping)
    assert world.finding("iam-root-access-key-created").state is State.RESOLVED


# ---------------------------------------------------------------- out of reach


@pytest.mark.parametrize(
    "operation",
    [
        "AssumeRole",
        "GenerateCredentialReport",
        "GetCredentialReport",
        "GetAccountAuthorizationDetails",
        "ListServiceSpecificCredentials",
    ],
)
def test_an_account_that_is_out_of_reach_is_told_once_and_the_sweep_goes_on(
    sweeping: Sweeping, operation: str
) -> None:
    world = sweeping.world
    a_user(world)
    world.fault = denying(operation)
    survey(sweeping)
    survey(sweeping)
    assert not sweeping.errors, "no retry helps"
    seen = swept(sweeping)
    assert not seen.ok
    assert operation in (seen.why or "")
    (found,) = of_rule(world, "keyward-tampered")
    assert (found.state, found.severity, found.episode) == (State.OPEN, Severity.HIGH, 1)
    assert operation in found.reason
    assert "keyward-members" in found.reason, "and what to do"

    world.fault = None
    survey(sweeping)
    assert swept(sweeping).ok
    assert world.finding("keyward-tampered").state is State.RESOLVED
    assert world.is_denied("ci")


def test_what_an_event_told_of_where_nobody_could_look_is_looked_at_by_the_next_sweep(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    world.settings(settings={"ceiling": "report"})
    a_user(world)
    event = world.do("CreateAccessKey", UserName="ci")
    world.fault = denying("AssumeRole")
    with world.recorded():
        world.deliver(event)
    assert {(it.held or "")[:19] for it in world.findings()} == {"cannot enforce here"}
    world.fault = None
    survey(sweeping)
    assert {it.held for it in of_rule(world, "iam-access-key-created")} == {None}
    assert not survey(sweeping)["ListAccessKeys"], "looked at once is enough"


def test_an_account_that_joined_just_now_is_given_time(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.now -= timedelta(hours=9)
    world.fault = denying("AssumeRole")
    SURVEYS.ask(sweeping)
    world.now += timedelta(hours=7)
    with world.recorded():
        sweeping.drain()
    assert not swept(sweeping).ok
    assert not of_rule(world, "keyward-tampered")
    survey(sweeping)
    assert of_rule(world, "keyward-tampered")


def test_an_account_that_left_meanwhile_is_no_finding(sweeping: Sweeping) -> None:
    world = sweeping.world

    def left(operation: str, _params: object, call: Any) -> Any:
        if operation == "AssumeRole":
            raise aws_error("AccessDenied", operation, 403)
        if operation == "DescribeAccount":
            raise aws_error("AccountNotFoundException", operation)
        return call()

    world.fault = left
    survey(sweeping)
    assert not swept(sweeping).ok
    assert not world.findings()


@pytest.mark.parametrize(
    "operations",
    [
        ("AssumeRole", "GetCallerIdentity", "GenerateCredentialReport"),
        (
            *("GetCredentialReport", "GetAccountAuthorizationDetails"),
            *("ListServiceSpecificCredentials", "ListTargetsByRule"),
        ),
        ("DescribeRule", "PutObject"),
    ],
    ids=lambda operations: operations[0],
)
@pytest.mark.parametrize("code", ["Throttling", "InternalFailure"])
def test_what_passes_by_itself_comes_again(
    sweeping: Sweeping, operations: tuple[str, ...], code: str
) -> None:
    """Each call fails once."""
    world = sweeping.world
    a_user(world)
    left = set(operations)

    def once(of: str, _params: object, call: Any) -> Any:
        if of in left:
            left.remove(of)
            raise aws_error(code, of)
        return call()

    world.fault = once
    survey(sweeping)
    assert not left
    assert len(sweeping.errors) == len(operations)
    assert not sweeping.dead
    assert swept(sweeping).ok
    assert not of_rule(world, "keyward-tampered")
    assert world.is_denied("ci")
    assert len(of_rule(world, "iam-user-created")) == 1


def test_a_crash_before_the_end_costs_no_second_look(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.extension.reports_are_kept = True
    a_user(world)
    left = ["PutObject"]

    def once(of: str, _params: object, call: Any) -> Any:
        if of in left:
            left.remove(of)
            raise aws_error("ServiceUnavailable", of, 503)
        return call()

    world.fault = once
    survey(sweeping)
    assert len(sweeping.errors) == 1
    assert swept(sweeping).ok
    # Itself, once more for the report, the look, and once more after the failure.
    assert sweeping.line.sent["iam"] == 4
    assert world.is_denied("ci")


@pytest.mark.parametrize(
    "step",
    [
        SweepStep(id="s", part=SweepPart.ACCOUNT),
        SweepStep(id="s", part=SweepPart.LIST, account=HUB),
        SweepStep(id="s", part=SweepPart.START),
    ],
)
def test_a_step_of_another_kind_is_refused(sweeping: Sweeping, step: SweepStep) -> None:
    with pytest.raises(EventError):
        sweeping.world.deliver(events.sweep_message(step))


# ---------------------------------------------------------------- forwarders


def test_a_forwarder_that_is_switched_off_is_told_once_and_resolved_when_it_is_on(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    rules = world.administrator(world.member, "events")
    rules.disable_rule(Name="keyward-forward")
    rules.remove_targets(Rule="keyward-forward-watch", Ids=["hub"])
    survey(sweeping)
    survey(sweeping)
    seen = swept(sweeping)
    assert seen.ok
    assert seen.forwarders["keyward-forward@us-east-1"] == "is disabled"
    assert "doesn't send" in seen.forwarders["keyward-forward-watch@us-east-1"]
    found = of_rule(world, "keyward-tampered")
    assert {(it.state, it.severity, it.episode) for it in found} == {(State.OPEN, Severity.HIGH, 1)}
    assert len(found) == 2

    rules.enable_rule(Name="keyward-forward")
    survey(sweeping)
    assert Counter(it.state for it in of_rule(world, "keyward-tampered")) == {
        State.OPEN: 1,
        State.RESOLVED: 1,
    }


@pytest.mark.parametrize(
    ("rule", "told"),
    [("keyward-watch-rules", 1), ("keyward-forward-control-tower", 0)],
)
def test_a_rule_of_the_hub_that_is_gone_is_told_unless_it_may_be_elsewhere(
    sweeping: Sweeping, rule: str, told: int
) -> None:
    world = sweeping.world
    rules = world.administrator(HUB, "events")
    rules.remove_targets(Rule=rule, Ids=["hub"])
    rules.delete_rule(Name=rule)
    survey(sweeping, HUB)
    assert [it for it in swept(sweeping, HUB).forwarders.values() if it] == ["is missing"] * told
    assert len(of_rule(world, "keyward-tampered")) == told


def test_a_forwarder_that_cannot_be_read_is_told_and_the_rest_is_done(sweeping: Sweeping) -> None:
    world = sweeping.world
    a_user(world)
    world.fault = denying("ListTargetsByRule")
    survey(sweeping)
    assert swept(sweeping).ok
    assert len(of_rule(world, "keyward-tampered")) == 2
    assert world.is_denied("ci")


# ---------------------------------------------------------------- the inventory


def test_a_sweep_leaves_what_the_users_hold(sweeping: Sweeping) -> None:
    world = sweeping.world
    a_user(world)
    world.iam().create_access_key(UserName="ci")
    survey(sweeping)
    assert world.services.inventory is not None
    key = f"inventory/sweep{SURVEYS.number}/iam/{world.member}.jsonl"
    lines = world.services.inventory.lines(key)
    assert [(it["kind"], it["user"]) for it in lines] == [("user", "ci"), ("access-key", "ci")]
    assert "AKIA" not in json.dumps(lines)


def test_without_a_bucket_there_is_no_inventory_and_no_error(sweeping: Sweeping) -> None:
    sweeping.world.services.__dict__["inventory"] = None
    calls = survey(sweeping)
    assert not calls["PutObject"]
    assert swept(sweeping).ok
