"""What an order makes of a finding, and of its record: as enforce would, once, and no more."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from keyward import ordering, planner, rules
from keyward.actions import (
    AWS_QUARANTINE_ARN,
    DeactivateAccessKeys,
    DeactivateCredential,
    DetachPolicy,
    Enforcement,
    QuarantineUser,
)
from keyward.findings import FindingRecord, State, Would
from keyward.model import PermissionSetAttributes, PolicyDocument, Subject
from keyward.planner import Busy, Plan
from keyward.rule import InForce, in_force
from keyward.settings import Mode
from keyward.told import Order
from tests.builders import (
    HUB,
    MEMBER,
    NOW,
    a_credential,
    a_key,
    a_password,
    a_permission_set,
    a_policy,
    an_exemption,
    an_iam_user,
)
from tests.core.test_planner import CLAIM, found, in_mode, planned, recorded

BY = "jane"
KEY = "iam-access-key-created"


def an_order(record: FindingRecord, *, at: datetime = NOW, episode: int | None = None) -> Order:
    return Order(
        finding=record.key,
        episode=episode or record.episode,
        by=BY,
        reason="it leaked",
        at=at,
        until=at + ordering.LASTS,
    )


def reporting(**settings: object) -> InForce:
    return in_mode(Mode.REPORT, ceiling=Mode.REPORT, **settings)


def plan_of(
    subject: Subject,
    rule: str = KEY,
    *,
    settings: InForce | None = None,
    record: FindingRecord | None = None,
    order: Order | None = None,
) -> Plan:
    """The plan of an order about `subject`."""
    settings = settings or reporting()
    finding = found(subject, rule, settings=settings)
    record = record or recorded(planned(subject, rule, settings=settings))
    return planner.plan_of_order(
        finding,
        order or an_order(record),
        record,
        settings=settings,
        hub_account=HUB,
        now=NOW,
    )


def advanced(
    old: FindingRecord | None, plan: Plan, *, now: datetime = NOW
) -> FindingRecord | Busy | None:
    return planner.advance(old, plan, now=now, claim_seconds=CLAIM)


def acting() -> FindingRecord:
    """A finding of a rule that reports, from when an order is carried out."""
    subject = a_key()
    old = recorded(planned(subject, settings=reporting()))
    begun = advanced(old, plan_of(subject, record=old))
    assert isinstance(begun, FindingRecord)
    return begun


# The plan


@pytest.mark.parametrize(
    ("subject", "rule", "action"),
    [
        (a_key(), KEY, DeactivateAccessKeys),
        (an_iam_user(age=timedelta(days=1)), "iam-user-created", QuarantineUser),
        (a_password(), "iam-console-password-set", QuarantineUser),
        (a_credential(), "iam-static-credential-created", DeactivateCredential),
        (
            a_policy(f"{AWS_QUARANTINE_ARN}V3"),
            "iam-key-quarantined-by-aws",
            DeactivateAccessKeys,
        ),
    ],
)
def test_an_order_plans_what_enforce_would_though_the_rule_reports(
    subject: Subject, rule: str, action: type
) -> None:
    plan = plan_of(subject, rule)
    assert isinstance(plan.action, action)
    assert (plan.mode, plan.held) == (Mode.REPORT, None)


def test_what_existed_before_the_rule_enforced_is_included() -> None:
    settings = in_mode()
    old = an_iam_user(age=timedelta(days=3000))
    assert planned(old, "iam-user-created", settings=settings).action is None
    assert plan_of(old, "iam-user-created", settings=settings).action is not None


def test_a_protected_principal_is_held_whoever_orders() -> None:
    principal = {"account": MEMBER, "user_id": an_iam_user().user_id, "why": "break-glass"}
    plan = plan_of(a_key(), settings=reporting(protected=[principal]))
    assert plan.action is None
    assert "break-glass" in (plan.held or "")


@pytest.mark.parametrize("allowed", [None, HUB])
def test_the_management_account_is_acted_on_only_where_settings_name_it(
    allowed: str | None,
) -> None:
    settings = reporting(act_in_management_account=allowed)
    plan = plan_of(a_key(an_iam_user(account=HUB)), settings=settings)
    assert (plan.action is not None) is (allowed == HUB)


def test_what_a_recognised_actor_made_is_left_alone() -> None:
    old = recorded(planned(a_key(), settings=reporting()))
    old = old.model_copy(update={"would": Would(held="made by Control Tower")})
    assert plan_of(a_key(), record=old).held == "made by Control Tower"


def test_an_order_may_take_of_the_critical_reserve() -> None:
    budgets = {"organization": 5, "account": 2, "critical_reserve": 3}
    spend = plan_of(a_key(), settings=reporting(budgets=budgets)).spend
    assert spend is not None
    assert (spend.organization_limit, spend.account_limit) == (8, 5)


def test_a_policy_that_a_look_found_is_the_one_of_the_finding() -> None:
    document = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
    admin = PolicyDocument(
        name="AdministratorAccess", text=document, arn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    attributes = PermissionSetAttributes(managed_policies=(admin.arn or "",))
    subject = a_permission_set("Operators", attributes=attributes, documents=(admin,))
    rule = "idc-permission-set-admin-equivalent"
    assert planned(subject, rule).action is None
    plan = plan_of(subject, rule, settings=in_mode())
    assert isinstance(plan.action, DetachPolicy)
    assert plan.action.policy == admin


# The record


def test_the_record_says_who_ordered_it_and_keeps_the_mode_of_its_rule() -> None:
    record = acting()
    assert (record.state, record.mode, record.ordered_by) == (State.ACTING, "report", BY)
    assert record.history[-1].note == "ordered by jane: it leaked"


def test_a_plan_that_only_reports_does_not_stop_what_somebody_ordered() -> None:
    record, later = acting(), NOW + timedelta(minutes=10)
    taken = advanced(record, planned(a_key(), settings=reporting()), now=later)
    assert isinstance(taken, FindingRecord)
    assert (taken.state, taken.ordered_by) == (State.ACTING, BY)
    not_ordered = record.model_copy(update={"ordered_by": None})
    stopped = advanced(not_ordered, planned(a_key(), settings=reporting()), now=later)
    assert isinstance(stopped, FindingRecord)
    assert stopped.state is State.FAILED


def test_what_holds_keyward_back_stops_an_order_under_way() -> None:
    record, later = acting(), NOW + timedelta(minutes=10)
    principal = {"account": MEMBER, "user_id": an_iam_user().user_id, "why": "break-glass"}
    protected = planned(a_key(), settings=reporting(protected=[principal]))
    stopped = advanced(record, protected, now=later)
    assert isinstance(stopped, FindingRecord)
    assert stopped.state is State.FAILED
    assert "break-glass" in (stopped.outcome or "")


def test_an_exemption_stops_an_order_under_way() -> None:
    accepted = reporting().accepted.model_copy(update={"exemptions": {"ours": an_exemption(KEY)}})
    settings = in_force(accepted, rules.every())
    (covered,), _ = planner.without_exempt(
        [found(a_key(), settings=settings)], settings=settings, now=NOW
    )
    stopped = advanced(acting(), covered, now=NOW + timedelta(minutes=10))
    assert isinstance(stopped, FindingRecord)
    assert stopped.state is State.FAILED


@pytest.mark.parametrize("state", [it for it in State if it not in {State.OPEN, State.FAILED}])
def test_an_order_does_nothing_in_any_other_state(state: State) -> None:
    old = recorded(planned(a_key(), settings=reporting()))
    plan = plan_of(a_key(), record=old)
    assert advanced(old.model_copy(update={"state": state}), plan) is None


def test_an_order_makes_no_finding_and_none_of_another_episode() -> None:
    old = recorded(planned(a_key(), settings=reporting()))
    assert advanced(None, plan_of(a_key(), record=old)) is None
    earlier = plan_of(a_key(), record=old, order=an_order(old, episode=2))
    assert advanced(old, earlier) is None


def test_an_order_is_used_up_by_the_act_that_it_led_to() -> None:
    record = acting()
    failed = planner.finished(record, State.FAILED, outcome="denied", now=NOW)
    order = an_order(record)
    assert advanced(failed, plan_of(a_key(), record=failed, order=order)) is None
    again = an_order(record, at=NOW + timedelta(minutes=5))
    acts = advanced(failed, plan_of(a_key(), record=failed, order=again))
    assert isinstance(acts, FindingRecord)
    assert acts.state is State.ACTING


def test_an_order_that_is_not_carried_out_is_told_and_over() -> None:
    old = recorded(planned(a_key(), settings=reporting()))
    old = old.model_copy(update={"untold": None})
    order = an_order(old)
    told = planner.not_carried_out(old, order, "AWS denies it", now=NOW + timedelta(seconds=5))
    assert (told.state, told.held, told.untold) == (
        State.OPEN,
        "AWS denies it",
        NOW + timedelta(seconds=5),
    )
    assert not planner.is_to_be_carried_out(order, told)
    assert planner.is_to_be_carried_out(an_order(old, at=NOW + timedelta(minutes=1)), told)


def test_an_acknowledgement_does_not_use_an_order_up() -> None:
    old = recorded(planned(a_key(), settings=reporting()))
    seen = planner.acknowledged(old, by="joe", note="", now=NOW + timedelta(seconds=1))
    assert planner.is_to_be_carried_out(an_order(old), seen)


def test_what_happens_again_after_an_order_has_nobody_who_ordered_it() -> None:
    done = planner.finished(acting(), State.ACTED, outcome="inactive", now=NOW)
    closed = planner.finished(done, State.RELEASED, outcome="released", now=NOW)
    again = advanced(closed, planned(a_key(), settings=reporting()), now=NOW + timedelta(days=9))
    assert isinstance(again, FindingRecord)
    assert (again.episode, again.ordered_by) == (2, None)


# What can be ordered


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"would": None}, None),
        ({"would": None, "held": planner.EXISTED}, None),
        ({"would": None, "held": planner.OVER_BUDGET}, None),
        ({"would": None, "held": "made by Control Tower"}, "made by Control Tower"),
        ({"would": Would(action="quarantine-user", existed=True)}, None),
        ({"would": Would(held="protected principal: break-glass")}, "protected principal"),
        ({"state": State.FAILED}, None),
        ({"state": State.EXEMPT}, "exempt"),
        ({"state": State.ACTING}, "acting"),
        ({"enforcement": Enforcement.REPORT}, "only ever reports"),
        ({"subject_kind": "OwnResource"}, "can do nothing"),
        ({"grace_until": NOW + timedelta(days=7)}, None),
    ],
)
def test_what_can_be_ordered(changes: dict[str, object], why: str | None) -> None:
    record = recorded(planned(a_key(), settings=reporting())).model_copy(update=changes)
    said = ordering.may_order(record)
    assert said is None if why is None else why in (said or "")
