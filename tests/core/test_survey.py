"""Who is a suspect, since when, and what is over: by a snapshot, the ledger and the last survey."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from keyward.actions import (
    DENY_ALL_ARN,
    MARKER_TAG,
    QUARANTINE_GROUP,
    Action,
    Before,
    DeactivateAccessKeys,
    DeactivateCredential,
    Enforcement,
    QuarantineUser,
    Target,
)
from keyward.findings import (
    Containment,
    FindingRecord,
    RecordedEvidence,
    Severity,
    State,
    Would,
    finding_key,
)
from keyward.model import Actor, CredentialKind, PolicyDocument, StaticCredential
from keyward.policy import aws_managed
from keyward.rule import InForce, in_force
from keyward.rules import of_guard
from keyward.settings import Accepted
from keyward.survey import (
    ROOT,
    Ask,
    Authorizations,
    CredentialReport,
    Credentials,
    Holder,
    KeySlot,
    Snapshot,
    Survey,
    inventory,
    survey,
)
from keyward.sweep import Looked
from tests.builders import (
    ADMINISTRATOR_ARN,
    KEY_ID,
    MEMBER,
    NOW,
    OTHER_USER_ID,
    READ_ONLY_ARN,
    USER_ID,
    a_hint,
    an_exemption,
    an_iam_user,
)

RULES = of_guard("iam_guard")
HINT = replace(
    a_hint("UserCheck", source="keyward", actor=Actor(type="Keyward"), sweep=True),
    event_id="sweep-1",
)
OLD = timedelta(days=300)
ADMIN = json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
HARMLESS = json.dumps({"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}})
DENY = PolicyDocument(
    name="keyward-deny-all",
    text=json.dumps({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}),
)
OURS = Holder(name=QUARANTINE_GROUP, unique_id="AGPAKEYWARD", inline=(DENY,))


def enforcing(rules: Mapping[str, Any] | None = None, exemptions: Any = None) -> InForce:
    """Settings under a ceiling of enforce."""
    accepted = {
        "version": 1,
        "settings": {"ceiling": "enforce"},
        "rules": rules or {},
        "exemptions": exemptions or {},
    }
    return in_force(Accepted.model_validate_json(json.dumps(accepted)), RULES)


def an_exempt_user() -> InForce:
    """Everything enforces, and bob may exist: what else he has is then all that is found."""
    ours = an_exemption("iam-user-created", until=(NOW + timedelta(days=300)).isoformat())
    return enforcing({rule.id: {"mode": "enforce"} for rule in RULES}, {"ours": ours})


def a_holder(
    name: str = "bob", *, user_id: str = USER_ID, tags: Mapping[str, str] | None = None, **more: Any
) -> Holder:
    boundary = more.pop("boundary_arn", None)
    user = replace(
        an_iam_user(name, user_id=user_id, age=OLD), tags=tags or {}, boundary_arn=boundary
    )
    return Holder(name=name, unique_id=user_id, user=user, **more)


def a_line(holder: Holder, *keys: KeySlot, **more: Any) -> Credentials:
    assert holder.user is not None
    slots = (*keys, KeySlot(active=False), KeySlot(active=False))[:2]
    nothing: dict[str, Any] = {"password": False, "keys": slots, "certificates": (False, False)}
    return Credentials(
        user_name=holder.name,
        arn=holder.user.arn or "",
        created_at=holder.user.created_at,
        **(nothing | more),
    )


def a_snapshot(
    *holders: Holder,
    lines: Iterable[Credentials] | None = None,
    root: Credentials | None = None,
    groups: Iterable[Holder] = (OURS,),
    policies: Iterable[PolicyDocument] = (),
    credentials: Iterable[StaticCredential] = (),
    report_age: timedelta = timedelta(0),
    at: datetime = NOW,
) -> Snapshot:
    told = [a_line(holder) for holder in holders] if lines is None else lines
    listed = tuple(credentials)
    return Snapshot(
        account=MEMBER,
        at=at,
        report=CredentialReport(
            generated_at=at - report_age, users={line.arn: line for line in told}, root=root
        ),
        authorizations=Authorizations(
            users=holders,
            groups={group.name: group for group in groups},
            policies={it.arn or "": it for it in policies},
        ),
        credentials={listed[0].owner.name: listed} if listed else {},
    )


def looked_at(
    snapshot: Snapshot,
    *,
    before: Looked | None = None,
    settings: Any = None,
    contained: Iterable[Containment] = (),
    records: Iterable[FindingRecord] = (),
    full: bool = False,
) -> Survey:
    return survey(
        snapshot,
        rules=RULES,
        settings=settings or an_exempt_user(),
        hint=replace(HINT, time=snapshot.at),
        contained=contained,
        open_findings=records,
        before=before,
        full=full,
    )


def an_active_key(age_days: int = 10) -> KeySlot:
    return KeySlot(active=True, changed_at=NOW - timedelta(days=age_days), used_at=NOW)


def asks_of(*args: Any, **more: Any) -> dict[str, tuple[str, ...]]:
    return {ask.id: ask.looks for ask in looked_at(*args, **more).asks}


def a_record(
    rule: str = "iam-access-key-created",
    *,
    code: str = "active",
    kind: str = "AccessKey",
    unique_id: str = KEY_ID,
    user_id: str | None = USER_ID,
    subject: str = "access key of IAM user bob",
    age: timedelta = timedelta(days=1),
    **more: Any,
) -> FindingRecord:
    at = NOW - age
    return FindingRecord(
        key=finding_key(rule=rule, account=MEMBER, unique_id=unique_id, code=code),
        rule=rule,
        account=MEMBER,
        subject=subject,
        subject_kind=kind,
        unique_id=unique_id,
        user_id=user_id,
        **(
            {
                "state": State.OPEN,
                "severity": Severity.HIGH,
                "mode": "report",
                "user_name": "bob",
                "reason": "it is so",
                "fix": "mend it",
                "enforcement": Enforcement.REPORT,
                "evidence": RecordedEvidence(
                    event_id="1", event_name="X", event_time=at, region="us-east-1", actor="ana"
                ),
                "first_seen": at,
                "last_seen": at,
            }
            | more
        ),
    )


# ---------------------------------------------------------------- suspects


def test_a_user_whom_nobody_exempted_is_looked_at() -> None:
    settings = enforcing({"iam-user-created": {"mode": "enforce"}})
    assert asks_of(a_snapshot(a_holder()), settings=settings) == {USER_ID: ("user",)}


def test_an_exempt_user_is_looked_at_once_so_that_it_is_on_record() -> None:
    snapshot = a_snapshot(a_holder())
    first = looked_at(snapshot)
    assert [ask.looks for ask in first.asks] == [("user",)]
    assert not looked_at(snapshot, before=first.looked).asks


def test_rules_that_are_off_suspect_nobody() -> None:
    off = {rule.id: {"mode": "off"} for rule in RULES}
    assert not asks_of(a_snapshot(a_holder()), settings=enforcing(off))


@pytest.mark.parametrize(
    ("line", "look"),
    [
        ({"keys": (an_active_key(), KeySlot(active=False))}, "keys"),
        ({"keys": (KeySlot(active=False), an_active_key())}, "keys"),
        ({"password": True, "password_changed_at": NOW}, "password"),
        ({"certificates": (False, True)}, "credentials"),
    ],
)
def test_what_the_report_shows_is_looked_at(line: dict[str, Any], look: str) -> None:
    bob = a_holder()
    plain = looked_at(a_snapshot(bob)).looked
    found = asks_of(a_snapshot(bob, lines=[a_line(bob, **line)]), before=plain)
    assert set(found) == {USER_ID}
    assert look in found[USER_ID]


def test_an_inactive_key_is_nothing_new() -> None:
    bob = a_holder()
    plain = looked_at(a_snapshot(bob)).looked
    inactive = KeySlot(active=False, changed_at=NOW)
    assert not asks_of(a_snapshot(bob, lines=[a_line(bob, inactive)]), before=plain)


def test_a_service_specific_credential_is_looked_at_while_it_is_active() -> None:
    bob = a_holder()
    plain = looked_at(a_snapshot(bob)).looked
    active = StaticCredential(
        owner=an_iam_user(user_id=None),
        kind=CredentialKind.SERVICE_SPECIFIC,
        credential_id="ACCA1",
        active=True,
    )
    assert "credentials" in asks_of(a_snapshot(bob, credentials=[active]), before=plain)[USER_ID]
    off = replace(active, active=False)
    assert not asks_of(a_snapshot(bob, credentials=[off]), before=plain)


def test_a_user_that_is_newer_than_the_report_is_looked_at_whole() -> None:
    settings = enforcing({rule.id: {"mode": "off"} for rule in RULES})
    (ask,) = looked_at(a_snapshot(a_holder(), lines=[]), settings=settings).asks
    assert set(ask.looks) == {"keys", "password", "credentials"}


def test_a_namesake_in_an_old_report_is_another_user() -> None:
    bob = a_holder()
    old = replace(a_line(bob), created_at=NOW - OLD - timedelta(days=1))
    plain = looked_at(a_snapshot(bob)).looked
    assert "keys" in asks_of(a_snapshot(bob, lines=[old]), before=plain)[USER_ID]


def test_a_key_of_root_is_looked_at_until_it_is_known() -> None:
    bob = a_holder()
    root = replace(a_line(bob, an_active_key()), user_name="<root_account>")
    with_root = a_snapshot(bob, root=root)
    plain = looked_at(a_snapshot(bob)).looked
    first = looked_at(with_root, before=plain)
    assert [(ask.id, ask.looks, ask.user) for ask in first.asks] == [(ROOT, ("root",), None)]
    assert not looked_at(with_root, before=first.looked).asks


# ---------------------------------------------------------------- what changed


def test_an_unchanged_user_is_not_looked_at_again_but_in_full() -> None:
    bob = a_holder(attached=(READ_ONLY_ARN, ADMINISTRATOR_ARN))
    snapshot = a_snapshot(bob, lines=[a_line(bob, an_active_key(), password=True)])
    first = looked_at(snapshot)
    assert first.asks
    again = looked_at(snapshot, before=first.looked)
    assert not again.asks
    assert again.looked == first.looked
    assert [ask.id for ask in looked_at(snapshot, before=again.looked, full=True).asks] == [USER_ID]


def test_a_user_of_whom_nothing_is_suspected_is_not_looked_at_in_full_either() -> None:
    settings = enforcing({"iam-user-created": {"mode": "off"}})
    assert not looked_at(a_snapshot(a_holder()), settings=settings, full=True).asks


def test_a_key_that_is_replaced_by_another_is_looked_at() -> None:
    bob = a_holder()
    before = looked_at(a_snapshot(bob, lines=[a_line(bob, an_active_key(10))])).looked
    assert asks_of(a_snapshot(bob, lines=[a_line(bob, an_active_key(1))]), before=before)


def test_what_is_gone_needs_no_look() -> None:
    bob = a_holder(attached=(ADMINISTRATOR_ARN,))
    before = looked_at(a_snapshot(bob, lines=[a_line(bob, an_active_key())])).looked
    assert not asks_of(a_snapshot(a_holder()), before=before)


def test_which_of_two_keys_is_gone_only_a_look_tells() -> None:
    bob = a_holder()
    two = a_snapshot(bob, lines=[a_line(bob, an_active_key(10), an_active_key(5))])
    one = a_snapshot(bob, lines=[a_line(bob, an_active_key(10))])
    before = looked_at(two).looked
    assert not looked_at(one, before=before).asks
    (ask,) = looked_at(one, before=before, records=[a_record()]).asks
    assert ask.keys == (KEY_ID,)


@pytest.mark.parametrize(
    "change",
    [
        {"rules": {"iam-access-key-created": {"mode": "enforce"}}},
        {"rules": {"iam-access-key-created": {"existing": "enforce"}}},
        {"exemptions": {"ours": an_exemption("iam-access-key-created")}},
    ],
)
def test_what_is_to_be_done_otherwise_by_now_is_looked_at(change: dict[str, Any]) -> None:
    bob = a_holder()
    snapshot = a_snapshot(bob, lines=[a_line(bob, an_active_key())])
    before = looked_at(snapshot, settings=enforcing()).looked
    assert not asks_of(snapshot, settings=enforcing(), before=before)
    assert asks_of(snapshot, settings=enforcing(**change), before=before)


def test_an_exemption_that_has_ended_has_its_user_looked_at() -> None:
    settings = enforcing(None, {"ours": an_exemption("iam-user-created")})
    today = a_snapshot(a_holder())
    before = looked_at(today, settings=settings).looked
    assert not asks_of(today, settings=settings, before=before)
    later = replace(today, at=NOW + timedelta(days=2))
    assert asks_of(later, settings=settings, before=before)


def test_only_the_user_that_changed_is_looked_at() -> None:
    bob, eve = a_holder(), a_holder("eve", user_id=OTHER_USER_ID)
    before = looked_at(a_snapshot(bob, eve)).looked
    changed = a_snapshot(bob, eve, lines=[a_line(bob), a_line(eve, an_active_key())])
    assert set(asks_of(changed, before=before)) == {OTHER_USER_ID}


# ---------------------------------------------------------------- policies, and since when


def policy_asks(
    now: Snapshot, before: Looked | None, **more: Any
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...], datetime | None]]:
    found = looked_at(now, before=before, **more).asks
    return {ask.id: (ask.looks, ask.policies, ask.since) for ask in found}


EARLIER = NOW - timedelta(hours=6)


def before_that(*holders: Holder) -> Looked:
    return looked_at(a_snapshot(*holders, at=EARLIER)).looked


def test_policies_are_named_each_and_nobody_knows_since_when_they_are_there() -> None:
    bob = a_holder(attached=(READ_ONLY_ARN,), inline=(PolicyDocument(name="a,b", text=HARMLESS),))
    assert bob.user is not None
    found = policy_asks(a_snapshot(bob), None)
    assert found == {USER_ID: (("user",), (READ_ONLY_ARN, "a,b"), bob.user.created_at)}


def test_a_policy_that_the_last_survey_did_not_see_is_no_older() -> None:
    bob = a_holder(attached=(READ_ONLY_ARN,))
    new = f"arn:aws:iam::{MEMBER}:policy/new"
    found = policy_asks(a_snapshot(replace(bob, attached=(READ_ONLY_ARN, new))), before_that(bob))
    _, policies, since = found[f"{USER_ID}-new"]
    assert (policies, since) == ((new,), EARLIER)
    assert set(found) == {f"{USER_ID}-new"}, "the other one is known"


def test_what_is_judged_otherwise_by_now_is_as_old_as_it_was() -> None:
    bob = a_holder(attached=(READ_ONLY_ARN,))
    off = enforcing({"iam-user-policy-attached": {"mode": "off"}})
    before = looked_at(a_snapshot(bob, at=EARLIER), settings=off).looked
    found = policy_asks(a_snapshot(bob), before, settings=enforcing())
    assert bob.user is not None
    assert [(ask[1], ask[2]) for ask in found.values()] == [((READ_ONLY_ARN,), bob.user.created_at)]


def test_no_policy_is_taken_for_another() -> None:
    """With six digits a dozen of so many would be, and anybody could write one that is."""
    many = tuple(PolicyDocument(name=f"p{number}", text=HARMLESS) for number in range(20_000))
    off = enforcing({rule.id: {"mode": "off"} for rule in RULES})
    looked = looked_at(a_snapshot(a_holder(inline=many)), settings=off).looked
    _, _, marks = looked.users[USER_ID].partition(":")
    assert len(set(marks.split(","))) == len(many) + 1


def test_what_is_on_record_is_not_new() -> None:
    bob = a_holder()
    held = replace(bob, attached=(READ_ONLY_ARN,))
    known = a_record(
        "iam-user-policy-attached",
        code="attached",
        kind="UserPolicy",
        unique_id=f"{USER_ID}/{READ_ONLY_ARN}",
    )
    found = policy_asks(a_snapshot(held), before_that(bob), records=[known])
    assert set(found) == {USER_ID}
    assert found[USER_ID][1] == (READ_ONLY_ARN,)


def test_a_policy_of_a_new_user_is_no_older_than_the_user() -> None:
    bob = a_holder()
    eve = a_holder("eve", user_id=OTHER_USER_ID, attached=(READ_ONLY_ARN,))
    assert eve.user is not None
    eve = replace(eve, user=replace(eve.user, created_at=NOW - timedelta(hours=1)))
    found = policy_asks(a_snapshot(bob, eve), before_that(bob))
    assert found[OTHER_USER_ID][2] == NOW - timedelta(hours=1)


def test_a_user_whom_the_last_survey_missed_may_have_had_its_policies_before() -> None:
    bob, eve = a_holder(), a_holder("eve", user_id=OTHER_USER_ID, attached=(READ_ONLY_ARN,))
    found = policy_asks(a_snapshot(bob, eve), before_that(bob))
    assert eve.user is not None
    assert found[OTHER_USER_ID][1:] == ((READ_ONLY_ARN,), eve.user.created_at)


def test_what_another_version_knows_of_a_policy_makes_nobody_a_new_admin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bob = a_holder(attached=(ADMINISTRATOR_ARN,))
    with monkeypatch.context() as older:
        older.setattr(aws_managed, "harmless", lambda _arn: True)
        before = before_that(bob)
    (ask,) = (ask for ask in looked_at(a_snapshot(bob), before=before).asks)
    assert bob.user is not None
    assert ("principal" in ask.looks, ask.since) == (True, bob.user.created_at)


def test_what_was_recorded_as_new_stays_so_until_it_is_done() -> None:
    bob = a_holder()
    held = replace(bob, attached=(ADMINISTRATOR_ARN,))
    before = looked_at(a_snapshot(held, at=EARLIER), before=before_that(bob)).looked
    at = NOW - timedelta(hours=3)
    known = a_record(
        "iam-admin-granted",
        code="admin",
        kind="IamPrincipal",
        unique_id=USER_ID,
        held="the action budget of this window is spent",
        would=Would(action="quarantine-user"),
        age=timedelta(hours=3),
    )
    snapshot = a_snapshot(held)
    for full in (False, True):
        found = {
            ask.looks: ask.since
            for ask in looked_at(snapshot, before=before, records=[known], full=full).asks
            if "principal" in ask.looks
        }
        assert found == {("principal",): at}
    existed = known.model_copy(update={"would": Would(action="quarantine-user", existed=True)})
    (ask,) = looked_at(snapshot, before=before, records=[existed]).asks
    assert bob.user is not None
    assert ask.since == bob.user.created_at


@pytest.mark.parametrize(
    ("more", "looked"),
    [
        ({"inline": (PolicyDocument(name="p", text=ADMIN),)}, True),
        ({"inline": (PolicyDocument(name="p", text=HARMLESS),)}, False),
        ({"attached": (ADMINISTRATOR_ARN,)}, True),
        ({"attached": (READ_ONLY_ARN,)}, False),
        ({"attached": (f"arn:aws:iam::{MEMBER}:policy/admin",)}, True),
        ({"groups": ("admins",)}, True),
        ({"groups": ("readers",)}, False),
        ({"groups": ("unlisted",)}, True),
        ({"attached": (ADMINISTRATOR_ARN, DENY_ALL_ARN)}, False),
        ({"attached": (ADMINISTRATOR_ARN,), "groups": (QUARANTINE_GROUP,)}, False),
        ({"attached": (ADMINISTRATOR_ARN,), "boundary_arn": DENY_ALL_ARN}, False),
        ({"inline": (PolicyDocument(name="p", text=ADMIN),), "boundary_arn": READ_ONLY_ARN}, True),
        (
            {
                "inline": (PolicyDocument(name="p", text=ADMIN),),
                "boundary_arn": f"arn:aws:iam::{MEMBER}:policy/little",
            },
            False,
        ),
    ],
)
def test_whoever_may_be_admin_is_looked_at(more: dict[str, Any], *, looked: bool) -> None:
    groups = [
        OURS,
        Holder(name="admins", unique_id="AGPA1", inline=(PolicyDocument(name="g", text=ADMIN),)),
        Holder(name="readers", unique_id="AGPA2", attached=(READ_ONLY_ARN,)),
    ]
    policies = [
        PolicyDocument(name=name, text=text, arn=f"arn:aws:iam::{MEMBER}:policy/{name}")
        for name, text in (("admin", ADMIN), ("little", HARMLESS))
    ]
    snapshot = a_snapshot(a_holder(**more), groups=groups, policies=policies)
    looks = {look for ask in looked_at(snapshot).asks for look in ask.looks}
    assert ("principal" in looks) is looked


def test_a_group_that_gains_admin_makes_its_members_new_suspects() -> None:
    bob = a_holder(groups=("team",))
    team = Holder(name="team", unique_id="AGPA1")
    before = looked_at(a_snapshot(bob, groups=[team], at=EARLIER)).looked
    more = replace(team, inline=(PolicyDocument(name="g", text=ADMIN),))
    found = policy_asks(a_snapshot(bob, groups=[more]), before)
    assert found == {f"{USER_ID}-new": (("principal",), (), EARLIER)}


def test_what_many_hold_alike_is_analysed_once() -> None:
    document = PolicyDocument(name="p", text=ADMIN)
    holders = [
        a_holder(f"u{number}", user_id=f"AIDA{number:016}", inline=(document,), groups=("g",))
        for number in range(2000)
    ]
    lines = [a_line(holder, an_active_key(), password=True) for holder in holders]
    snapshot = a_snapshot(*holders, lines=lines, groups=[Holder(name="g", unique_id="AGPA1")])
    begun = time.process_time()
    found = looked_at(snapshot, settings=enforcing())
    assert len(found.asks) == 2000
    assert time.process_time() - begun < 20, "an invocation has 60 s, and a third of a CPU"
    assert len(found.looked.packed()) < 400_000, "an item of the ledger holds no more"


# ---------------------------------------------------------------- what is contained


TARGET = Target(account=MEMBER, user_name="bob", user_id=USER_ID, user_arn=None)
QUARANTINED = {MARKER_TAG: "0123"}


def a_containment(action: Action, *, unique_id: str = USER_ID, **statuses: bool) -> Containment:
    return Containment(
        account=MEMBER,
        unique_id=unique_id,
        finding="0123456789abcdef0123",
        action=action,
        before=Before(statuses=statuses),
        contained_at=NOW - timedelta(days=1),
    )


A_QUARANTINE = a_containment(QuarantineUser(target=TARGET, marker="0123"))


@pytest.mark.parametrize(
    ("more", "broken"),
    [
        ({"attached": (DENY_ALL_ARN,)}, False),
        ({"groups": (QUARANTINE_GROUP,)}, False),
        ({"boundary_arn": DENY_ALL_ARN}, False),
        ({}, True),
        ({"groups": ("keyward-quarantine-2",)}, True),
        ({"attached": (f"arn:aws:iam::{MEMBER}:policy/AWSDenyAll",)}, True),
        ({"attached": (DENY_ALL_ARN,), "tags": {"team": "x"}}, True),
    ],
)
def test_a_quarantine_that_holds_no_more_is_looked_at(
    more: dict[str, Any], *, broken: bool
) -> None:
    bob = a_holder(**({"tags": QUARANTINED} | more))
    found = looked_at(a_snapshot(bob), contained=[A_QUARANTINE]).asks
    assert any("containment" in ask.looks for ask in found) is broken


@pytest.mark.parametrize("text", [HARMLESS, ADMIN, "{}", "no json"])
def test_a_quarantine_group_that_denies_no_more_contains_nobody(text: str) -> None:
    bob = a_holder(tags=QUARANTINED, groups=(QUARANTINE_GROUP,))
    changed = replace(OURS, inline=(replace(DENY, text=text),))
    found = looked_at(a_snapshot(bob, groups=[changed]), contained=[A_QUARANTINE]).asks
    assert any("containment" in ask.looks for ask in found)


def test_a_quarantined_user_with_an_active_key_is_looked_at_unless_the_report_is_older() -> None:
    bob = a_holder(tags=QUARANTINED, attached=(DENY_ALL_ARN,))
    snapshot = a_snapshot(bob, lines=[a_line(bob, an_active_key())])
    asks = looked_at(snapshot, contained=[A_QUARANTINE]).asks
    assert "containment" in asks[0].looks
    late = a_snapshot(bob, lines=[a_line(bob, an_active_key())], report_age=timedelta(days=2))
    asks = looked_at(late, contained=[A_QUARANTINE]).asks
    assert "containment" not in asks[0].looks


@pytest.mark.parametrize(
    ("keys", "broken"),
    [
        ((KeySlot(active=False, changed_at=NOW),), False),
        ((KeySlot(active=True, changed_at=NOW),), True),
        ((KeySlot(active=True, changed_at=NOW), KeySlot(active=True, changed_at=NOW)), True),
        ((KeySlot(active=True, changed_at=NOW), KeySlot(active=False, changed_at=NOW)), True),
    ],
)
def test_a_key_that_may_be_active_again_is_looked_at_by_its_id(
    keys: tuple[KeySlot, ...], *, broken: bool
) -> None:
    """Of two keys one of which is contained, one may be active: only a look tells which."""
    bob = a_holder()
    action = DeactivateAccessKeys(target=TARGET, key_ids=(KEY_ID,))
    held = a_containment(action, unique_id=KEY_ID, **{KEY_ID: True})
    found = looked_at(a_snapshot(bob, lines=[a_line(bob, *keys)]), contained=[held]).asks
    looks = {look for ask in found for look in ask.looks}
    assert ("containment" in looks) is broken
    assert (KEY_ID in {key for ask in found for key in ask.keys}) is broken


def test_of_two_keys_another_one_that_is_active_is_looked_at() -> None:
    bob, on, off = a_holder(), KeySlot(active=True, changed_at=NOW), KeySlot(active=False)
    action = DeactivateAccessKeys(target=TARGET, key_ids=(KEY_ID,))
    held = [a_containment(action, unique_id=KEY_ID, **{KEY_ID: True})]
    before = looked_at(a_snapshot(bob, lines=[a_line(bob, off, on)]), contained=held).looked
    swapped = a_snapshot(bob, lines=[a_line(bob, on, off)])
    asks = looked_at(swapped, before=before, contained=held).asks
    assert ["containment" in ask.looks and ask.keys == (KEY_ID,) for ask in asks] == [True]


@pytest.mark.parametrize("active", [True, False])
def test_a_credential_that_is_active_again_is_looked_at_by_its_id(*, active: bool) -> None:
    kind = CredentialKind.SERVICE_SPECIFIC
    it = StaticCredential(
        owner=an_iam_user(user_id=None), kind=kind, credential_id="ACCA1", active=active
    )
    action = DeactivateCredential(target=TARGET, kind=kind, credential_id="ACCA1")
    held = a_containment(action, unique_id="ACCA1", ACCA1=True)
    found = looked_at(a_snapshot(a_holder(), credentials=[it]), contained=[held]).asks
    assert ({"service-specific-credential:ACCA1"} == set(found[0].credentials)) is active
    assert ("containment" in found[0].looks) is active


def test_a_quarantine_of_a_user_that_is_gone_is_nobodys() -> None:
    eve = a_holder("eve", user_id=OTHER_USER_ID)
    found = looked_at(a_snapshot(eve), contained=[A_QUARANTINE], settings=enforcing())
    assert {ask.id for ask in found.asks} == {OTHER_USER_ID}


# ---------------------------------------------------------------- what is on record


def why_over(snapshot: Snapshot, record: FindingRecord, **more: Any) -> str | None:
    before = looked_at(snapshot, **more).looked
    found = looked_at(snapshot, before=before, records=[record], **more)
    return {it.key: why for it, why in found.over}.get(record.key)


POLICY_RECORD = a_record(
    "iam-user-policy-attached",
    code="attached",
    kind="UserPolicy",
    unique_id=f"{USER_ID}/{READ_ONLY_ARN}",
)
PASSWORD_RECORD = a_record(
    "iam-console-password-set", code="can-sign-in", kind="ConsolePassword", unique_id=USER_ID
)
ADMIN_RECORD = a_record("iam-admin-granted", code="admin", kind="IamPrincipal", unique_id=USER_ID)
SERVICE_RECORD = a_record(
    "iam-static-credential-created",
    kind="StaticCredential",
    unique_id="ACCA1",
    subject="service-specific-credential ACCA1 of IAM user bob",
)
CERTIFICATE_RECORD = a_record(
    "iam-static-credential-created",
    kind="StaticCredential",
    unique_id="CERT1",
    subject="signing-certificate CERT1 of IAM user bob",
)
SSH_RECORD = a_record(
    "iam-static-credential-created",
    kind="StaticCredential",
    unique_id="APKA1",
    subject="ssh-public-key APKA1 of IAM user bob",
)
OTHERS_KEY_RECORD = a_record("iam-access-key-for-other-user", code="for-other")
USER_RECORD = a_record("iam-user-created", code="exists", kind="IamUser", unique_id=USER_ID)
UNDONE_RECORD = a_record(
    "iam-quarantine-undone", code="undone", kind="Contained", unique_id=USER_ID
)


@pytest.mark.parametrize(
    "record",
    [
        a_record(),
        OTHERS_KEY_RECORD,
        POLICY_RECORD,
        PASSWORD_RECORD,
        ADMIN_RECORD,
        SERVICE_RECORD,
        CERTIFICATE_RECORD,
        UNDONE_RECORD,
    ],
    ids=lambda it: f"{it.rule}-{it.unique_id}",
)
def test_a_finding_whose_cause_is_gone_is_over(record: FindingRecord) -> None:
    assert why_over(a_snapshot(a_holder()), record) is not None


@pytest.mark.parametrize(
    "record", [a_record(), SSH_RECORD, USER_RECORD, ADMIN_RECORD], ids=lambda it: it.rule
)
def test_every_finding_of_a_user_that_is_gone_is_over(record: FindingRecord) -> None:
    eve = a_holder("bob", user_id=OTHER_USER_ID)
    assert why_over(a_snapshot(eve), record) == "the IAM user is gone"


def test_what_is_still_so_is_not_over() -> None:
    bob = a_holder(attached=(READ_ONLY_ARN, ADMINISTRATOR_ARN))
    line = a_line(bob, an_active_key(), password=True, certificates=(True, False))
    active = StaticCredential(
        owner=an_iam_user(),
        kind=CredentialKind.SERVICE_SPECIFIC,
        credential_id="ACCA1",
        active=True,
    )
    snapshot = a_snapshot(bob, lines=[line], credentials=[active])
    for record in (
        a_record(),
        OTHERS_KEY_RECORD,
        POLICY_RECORD,
        PASSWORD_RECORD,
        ADMIN_RECORD,
        SERVICE_RECORD,
        CERTIFICATE_RECORD,
        SSH_RECORD,
        USER_RECORD,
    ):
        assert why_over(snapshot, record) is None, record.rule


def test_no_list_shows_ssh_keys() -> None:
    assert why_over(a_snapshot(a_holder()), SSH_RECORD) is None


@pytest.mark.parametrize(
    "record", [a_record(), OTHERS_KEY_RECORD, PASSWORD_RECORD, CERTIFICATE_RECORD, UNDONE_RECORD]
)
def test_a_report_that_is_older_than_the_finding_says_nothing_of_it(record: FindingRecord) -> None:
    snapshot = a_snapshot(a_holder(), report_age=timedelta(days=2))
    assert why_over(snapshot, record) is None


@pytest.mark.parametrize("record", [a_record(), POLICY_RECORD, ADMIN_RECORD])
def test_what_was_recorded_just_now_is_left_alone(record: FindingRecord) -> None:
    fresh = record.model_copy(update={"last_seen": NOW - timedelta(minutes=1)})
    assert why_over(a_snapshot(a_holder()), fresh) is None
    assert why_over(a_snapshot(), fresh) is None, "no list may show the user yet"


def test_a_finding_of_a_rule_that_is_off_stays() -> None:
    settings = enforcing({"iam-access-key-created": {"mode": "off"}})
    assert why_over(a_snapshot(a_holder()), a_record(), settings=settings) is None


def test_under_a_ceiling_of_off_every_finding_stays() -> None:
    bob = a_holder()
    accepted = {"version": 1, "settings": {"ceiling": "off"}, "rules": {}, "exemptions": {}}
    off = in_force(Accepted.model_validate_json(json.dumps(accepted)), RULES)
    snapshot = a_snapshot(bob, lines=[a_line(bob, an_active_key())])
    user = a_record("iam-user-created", code="exists", kind="IamUser", unique_id=USER_ID)
    assert not looked_at(snapshot, settings=off, records=[a_record(), user]).over


def test_a_key_of_root_that_is_gone_is_over() -> None:
    record = a_record(
        "iam-root-access-key-created",
        code="exists",
        kind="RootAccessKey",
        unique_id=f"{MEMBER}/root",
        user_id=None,
        user_name=None,
    )
    bob = a_holder()
    root = a_line(bob)
    assert why_over(a_snapshot(bob, root=root), record) is not None
    assert why_over(a_snapshot(bob, root=replace(root, keys=(an_active_key(),))), record) is None
    assert why_over(a_snapshot(bob), record) is None, "a report without root says nothing"


def test_a_group_that_is_gone_is_over_and_roles_are_left_alone() -> None:
    def of(kind: str, id_: str) -> FindingRecord:
        return a_record(
            "iam-admin-granted",
            code="admin",
            kind="IamPrincipal",
            unique_id=id_,
            user_id=None,
            user_name=None,
            subject=f"IAM {kind} team",
        )

    snapshot = a_snapshot(a_holder(), groups=[Holder(name="team", unique_id="AGPA1")])
    assert why_over(snapshot, of("group", "AGPA1")) is None
    assert why_over(snapshot, of("group", "AGPA2")) is not None
    assert why_over(snapshot, of("role", "AROA1")) is None


def test_whoever_is_looked_at_anyway_is_settled_by_that() -> None:
    found = looked_at(a_snapshot(a_holder()), records=[POLICY_RECORD], full=True)
    assert not found.over
    assert [ask.policies for ask in found.asks] == [(READ_ONLY_ARN,)]


def test_findings_of_others_are_left_alone() -> None:
    other = a_record("idc-assignment-to-user", kind="AccountAssignment", user_id=None)
    own = a_record("keyward-tampered", kind="OwnResource", user_id=None, user_name=None)
    found = looked_at(a_snapshot(), records=[other, own])
    assert not found.over
    assert not found.asks


# ---------------------------------------------------------------- what a finding waits for


def due(record: FindingRecord, **more: Any) -> list[Ask]:
    bob = a_holder()
    snapshot = a_snapshot(bob, lines=[a_line(bob, an_active_key())])
    before = looked_at(snapshot, **more).looked
    return list(looked_at(snapshot, before=before, records=[record], **more).asks)


@pytest.mark.parametrize(
    "waits",
    [
        {"grace_until": NOW - timedelta(seconds=1)},
        {"held": "the action budget of this window is spent"},
        {"held": "cannot enforce here: AssumeRole: AccessDenied"},
        {"state": State.FAILED},
    ],
)
def test_a_finding_that_waits_for_what_may_be_over_is_looked_at(waits: dict[str, Any]) -> None:
    (ask,) = due(a_record(**waits))
    assert ask.keys == (KEY_ID,)
    assert "keys" in ask.looks


@pytest.mark.parametrize(
    "waits",
    [
        {},
        {"grace_until": NOW + timedelta(seconds=1)},
        {"held": "existed before the rule began to enforce"},
        {"held": "in the management account, where settings don't let Keyward act"},
    ],
)
def test_a_finding_that_waits_for_nothing_is_not_looked_at_again(waits: dict[str, Any]) -> None:
    assert not due(a_record(**waits))


def test_a_rule_that_only_reports_waits_for_a_look_alone() -> None:
    settings = enforcing()
    assert not due(a_record(state=State.FAILED), settings=settings)
    assert due(a_record(held="cannot enforce here: AccessDenied"), settings=settings)


def test_an_ssh_key_that_is_due_is_named() -> None:
    (ask,) = due(SSH_RECORD.model_copy(update={"state": State.FAILED}))
    assert ask.credentials == ("ssh-public-key:APKA1",)


def test_what_was_recorded_by_name_alone_gives_way_to_what_is_known_by_id() -> None:
    by_name = a_record(
        "iam-user-created",
        code="exists",
        kind="IamUser",
        unique_id="IAM user bob",
        user_id=None,
        held="cannot enforce here: AccessDenied",
    )
    snapshot = a_snapshot(a_holder())
    first = looked_at(snapshot, records=[by_name])
    assert [ask.id for ask in first.asks] == [USER_ID]
    known = by_name.model_copy(update={"held": None})
    again = looked_at(snapshot, before=first.looked, records=[known])
    assert [it.key for it, _ in again.over] == [known.key]


# ---------------------------------------------------------------- the inventory


def test_a_name_that_the_caller_spelt_in_another_way_is_the_same() -> None:
    bob = a_holder()
    known = a_record(user_id=None, user_name="BOB")
    snapshot = a_snapshot(bob, lines=[a_line(bob, an_active_key())])
    assert not looked_at(snapshot, records=[known]).over


def test_the_inventory_has_a_line_for_each_thing_that_a_user_holds() -> None:
    bob = a_holder(attached=(READ_ONLY_ARN,), groups=("team",))
    line = a_line(bob, an_active_key(), password=True, mfa=True, certificates=(True, False))
    credential = StaticCredential(
        owner=an_iam_user(),
        kind=CredentialKind.SERVICE_SPECIFIC,
        credential_id="ACCA1",
        active=True,
        since=NOW,
    )
    snapshot = a_snapshot(bob, lines=[line], root=a_line(bob), credentials=[credential])
    lines = list(inventory(snapshot))
    assert [it["kind"] for it in lines] == [
        "user",
        "credential",
        "password",
        "access-key",
        "credential",
    ]
    assert {it["account"] for it in lines} == {MEMBER}
    assert {it["user"] for it in lines} == {"bob"}
    assert lines[0]["policies"] == [READ_ONLY_ARN]
    assert lines[3]["used"] == NOW.isoformat()
    json.dumps(lines)


def test_a_user_that_the_report_does_not_know_yet_has_a_line_all_the_same() -> None:
    (line,) = inventory(a_snapshot(a_holder(), lines=[]))
    assert (line["kind"], line["mfa"]) == ("user", None)
