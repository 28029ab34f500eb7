"""What is to be done about a finding, and what becomes of its record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyward import planner, rules
from keyward.actions import DeactivateAccessKeys, DeactivateCredential, QuarantineUser
from keyward.findings import Finding, FindingRecord, Severity, State
from keyward.model import Contained, Hint, Subject
from keyward.planner import Busy, Plan
from keyward.rule import InForce, in_force, judge
from keyward.settings import Accepted, Mode
from tests.builders import (
    HUB,
    MEMBER,
    NOW,
    USER_ID,
    a_containment,
    a_credential,
    a_hint,
    a_key,
    a_password,
    a_policy,
    a_role_session,
    an_iam_user,
)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CLAIM = 90.0


def in_mode(
    mode: Mode = Mode.ENFORCE, *, ceiling: Mode = Mode.ENFORCE, **settings: object
) -> InForce:
    """Every rule in `mode`, under this ceiling; `settings` are global fields."""
    every = rules.every()
    accepted = Accepted.model_validate_json(
        json.dumps(
            {
                "version": 7,
                "settings": {"ceiling": ceiling, **settings},
                "rules": {rule.id: {"mode": mode} for rule in every},
                "enforcing_since": dict.fromkeys((rule.id for rule in every), BEGAN),
            },
            default=str,
        )
    )
    return in_force(accepted, every)


def found(
    subject: Subject,
    rule: str = "iam-access-key-created",
    *,
    hint: Hint | None = None,
    settings: InForce | None = None,
) -> Finding:
    """The finding of one rule about `subject`."""
    hint = hint or a_hint(sweep=True)
    (finding,) = [
        finding
        for finding in judge(rules.every(), [subject], hint=hint, settings=settings or in_mode())
        if finding.rule == rule
    ]
    return finding


def planned(
    subject: Subject,
    rule: str = "iam-access-key-created",
    *,
    hint: Hint | None = None,
    settings: InForce | None = None,
    now: datetime = NOW,
) -> Plan:
    """The one plan for one finding."""
    settings = settings or in_mode()
    finding = found(subject, rule, hint=hint, settings=settings)
    (plan,) = planner.plan([finding], settings=settings, hub_account=HUB, now=now)
    return plan


def recorded(plan: Plan, *, now: datetime = NOW) -> FindingRecord:
    """The first record of a plan."""
    record = planner.advance(None, plan, now=now, claim_seconds=CLAIM)
    assert isinstance(record, FindingRecord)
    return record


def test_enforced_key_becomes_inactive_and_only_that_key() -> None:
    plan = planned(a_key(an_iam_user()))
    assert isinstance(plan.action, DeactivateAccessKeys)
    assert plan.action.key_ids == ("AKIAIOSFODNN7EXAMPLE",)
    assert plan.action.target.account == MEMBER


@pytest.mark.parametrize(
    ("mode", "ceiling"),
    [
        (Mode.REPORT, Mode.ENFORCE),
        (Mode.ENFORCE, Mode.REPORT),
        (Mode.REPORT, Mode.REPORT),
    ],
)
def test_without_enforce_in_rule_and_ceiling_nothing_is_done(mode: Mode, ceiling: Mode) -> None:
    assert planned(a_key(), settings=in_mode(mode, ceiling=ceiling)).action is None


def test_pause_puts_every_rule_back_to_report_and_ends_by_itself() -> None:
    settings = in_mode()
    accepted = settings.accepted.model_copy(update={"paused_until": NOW + timedelta(hours=4)})
    paused = replace(settings, accepted=accepted)
    assert planned(a_key(), settings=paused).action is None
    later = NOW + timedelta(hours=4)
    assert planned(a_key(), settings=paused, now=later).action is not None


@pytest.mark.parametrize(
    ("subject", "rule", "action"),
    [
        (an_iam_user(age=timedelta(days=1)), "iam-user-created", QuarantineUser),
        (a_password(), "iam-console-password-set", QuarantineUser),
        (a_credential(), "iam-static-credential-created", DeactivateCredential),
        (
            replace(a_containment(holds=False), of=a_key()),
            "iam-quarantine-undone",
            DeactivateAccessKeys,
        ),
        (a_containment(holds=False, broken=("x",)), "iam-quarantine-undone", QuarantineUser),
    ],
)
def test_each_rule_asks_for_its_action(subject: Subject, rule: str, action: type) -> None:
    assert isinstance(planned(subject, rule).action, action)


def test_what_existed_before_the_rule_began_is_only_reported() -> None:
    old = replace(a_key(), since=BEGAN - timedelta(seconds=1))
    at_the_boundary = replace(a_key(), since=BEGAN)
    unknown = replace(a_key(), since=None)
    assert planned(old).held == "existed before the rule began to enforce"
    assert planned(unknown).action is None
    assert planned(at_the_boundary).action is not None


def test_protected_principal_is_never_touched() -> None:
    settings = in_mode(protected=[{"account": MEMBER, "user_id": USER_ID, "why": "break-glass"}])
    plan = planned(a_key(an_iam_user()), settings=settings)
    assert plan.action is None
    assert plan.held == "protected principal: break-glass"
    assert plan.finding.severity is Severity.CRITICAL


def test_finding_about_a_protected_principal_is_critical_in_report_mode_too() -> None:
    settings = in_mode(
        Mode.REPORT, protected=[{"account": MEMBER, "user_id": USER_ID, "why": "break-glass"}]
    )
    assert planned(a_key(an_iam_user()), settings=settings).finding.severity is Severity.CRITICAL


def test_what_the_role_of_keyward_made_is_acted_on_like_anybody_elses() -> None:
    actor = a_role_session("keyward/keyward-member")
    assert planned(a_key(), hint=a_hint(actor=actor, sweep=True)).action is not None


def test_look_alike_of_a_protected_principal_is_not_protected() -> None:
    settings = in_mode(protected=[{"account": MEMBER, "user_id": USER_ID, "why": "break-glass"}])
    other = an_iam_user(user_id="AIDAOTHEREXAMPLE")
    assert planned(a_key(other), settings=settings).action is not None


def test_what_a_recognised_actor_made_is_only_reported() -> None:
    actor = a_role_session("aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO")
    plan = planned(a_key(), hint=a_hint(actor=actor, sweep=True))
    assert plan.held == "made by Identity Center"


def test_undoing_a_containment_by_a_recognised_actor_is_put_back() -> None:
    actor = a_role_session("aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO")
    undone = a_containment(holds=False, broken=("nothing denies the user",))
    plan = planned(undone, "iam-quarantine-undone", hint=a_hint(actor=actor, sweep=True))
    assert plan.action is not None


def test_management_account_is_acted_on_only_by_its_own_id() -> None:
    key = a_key(an_iam_user(account=HUB))
    hint = a_hint(account=HUB, sweep=True)
    assert planned(key, hint=hint).action is None
    wrong = in_mode(act_in_management_account=MEMBER)
    assert planned(key, hint=hint, settings=wrong).action is None
    right = in_mode(act_in_management_account=HUB)
    assert planned(key, hint=hint, settings=right).action is not None


def test_user_who_is_not_identified_is_not_acted_on() -> None:
    assert planned(a_key(an_iam_user(user_id=None))).action is None


def test_findings_about_one_key_are_one_plan_that_names_both_rules() -> None:
    settings = in_mode()
    findings = judge(rules.every(), [a_key()], hint=a_hint(), settings=settings)
    (plan,) = planner.plan(findings, settings=settings, hub_account=HUB, now=NOW)
    names = {plan.finding.rule, *plan.finding.also}
    assert names == {"iam-access-key-created", "iam-access-key-for-other-user"}


def test_the_rule_that_acts_leads_even_where_another_is_graver() -> None:
    settings = in_mode()
    report = settings.rules["iam-access-key-for-other-user"].model_copy(
        update={"mode": Mode.REPORT, "severity": Severity.CRITICAL}
    )
    mixed = replace(settings, rules={**settings.rules, "iam-access-key-for-other-user": report})
    findings = judge(rules.every(), [a_key()], hint=a_hint(), settings=mixed)
    (plan,) = planner.plan(findings, settings=mixed, hub_account=HUB, now=NOW)
    assert plan.action is not None
    assert plan.finding.rule == "iam-access-key-created"
    assert plan.finding.severity is Severity.CRITICAL


def test_critical_findings_have_a_reserve_and_a_containment_put_back_costs_nothing() -> None:
    settings = in_mode(budgets={"organization": 3, "account": 1, "critical_reserve": 2})
    ordinary = planned(a_key(), settings=settings).spend
    assert ordinary is not None
    assert (ordinary.organization_limit, ordinary.account_limit) == (3, 1)
    undone = a_containment(holds=False, broken=("x",))
    assert planned(undone, "iam-quarantine-undone", settings=settings).spend is None


def test_new_finding_that_acts_is_a_claim_and_not_told_yet() -> None:
    record = recorded(planned(a_key()))
    assert record.state is State.ACTING
    assert record.untold is None
    assert record.claim_until == NOW + timedelta(seconds=CLAIM)


def test_new_finding_that_only_reports_is_open_and_told() -> None:
    record = recorded(planned(a_key(), settings=in_mode(Mode.REPORT)))
    assert record.state is State.OPEN
    assert record.untold == NOW


def test_live_claim_makes_others_wait_and_an_ended_one_is_taken_over() -> None:
    plan = planned(a_key())
    acting = recorded(plan)
    at_once = planner.advance(acting, plan, now=NOW, claim_seconds=CLAIM)
    assert isinstance(at_once, Busy)
    later = NOW + timedelta(seconds=CLAIM)
    taken = planner.advance(acting, plan, now=later, claim_seconds=CLAIM)
    assert isinstance(taken, FindingRecord)
    assert (taken.state, taken.action) == (State.ACTING, acting.action)


def test_same_event_again_changes_nothing() -> None:
    plan = planned(a_key(), settings=in_mode(Mode.REPORT))
    assert planner.advance(recorded(plan), plan, now=NOW, claim_seconds=CLAIM) is None


def test_another_event_about_an_open_finding_is_counted_and_not_told() -> None:
    plan = planned(a_key(), settings=in_mode(Mode.REPORT))
    told = recorded(plan).model_copy(update={"untold": None})
    other = replace(
        plan,
        finding=replace(plan.finding, evidence=replace(plan.finding.evidence, event_id="other")),
    )
    again = planner.advance(told, other, now=NOW, claim_seconds=CLAIM)
    assert isinstance(again, FindingRecord)
    assert again.seen == 2
    assert again.untold is None


def test_open_finding_is_acted_on_once_its_rule_enforces() -> None:
    reported = recorded(planned(a_key(), settings=in_mode(Mode.REPORT)))
    acting = planner.advance(reported, planned(a_key()), now=NOW, claim_seconds=CLAIM)
    assert isinstance(acting, FindingRecord)
    assert acting.state is State.ACTING
    assert acting.action is not None


@pytest.mark.parametrize("closed", [State.RELEASED, State.RESOLVED])
def test_violation_of_a_closed_finding_that_is_back_is_a_new_episode(closed: State) -> None:
    plan = planned(a_key())
    done = planner.finished(recorded(plan), closed, outcome="done", now=NOW)
    again = planner.advance(done, plan, now=NOW, claim_seconds=CLAIM)
    assert isinstance(again, FindingRecord)
    assert (again.episode, again.state) == (2, State.ACTING)


def test_contained_user_seen_again_is_not_quarantined_again() -> None:
    user = an_iam_user(age=timedelta(days=1))
    plan = planned(user, "iam-user-created")
    acted = planner.finished(recorded(plan), State.ACTED, outcome="done", now=NOW)
    assert planner.advance(acted, plan, now=NOW, claim_seconds=CLAIM) is None


def test_half_done_act_is_taken_over_even_where_the_state_looks_right() -> None:
    plan = planned(a_key())
    later = NOW + timedelta(seconds=CLAIM)
    taken = planner.settle(recorded(plan), plan, why="gone", now=later, claim_seconds=CLAIM)
    assert isinstance(taken, FindingRecord)
    assert taken.state is State.ACTING


def test_suspicion_that_the_state_does_not_bear_out_is_kept_as_resolved() -> None:
    record = planner.settle(None, planned(a_key()), why="gone", now=NOW, claim_seconds=CLAIM)
    assert isinstance(record, FindingRecord)
    assert (record.state, record.outcome, record.version) == (State.RESOLVED, "gone", 1)
    assert record.action is None


def test_same_outcome_again_is_not_told_again() -> None:
    failed = planner.finished(recorded(planned(a_key())), State.FAILED, outcome="denied", now=NOW)
    told = failed.model_copy(update={"untold": None})
    again = planner.finished(told, State.FAILED, outcome="denied", now=NOW)
    assert failed.severity is Severity.CRITICAL
    assert again.untold is None


STATES = st.sampled_from(list(State))
MODES = st.sampled_from(list(Mode))


@given(state=STATES, mode=MODES, ceiling=MODES, minutes=st.integers(0, 10_000))
def test_records_only_ever_grow_and_claim_only_where_enforce_is_allowed(
    state: State, mode: Mode, ceiling: Mode, minutes: int
) -> None:
    settings = in_mode(mode, ceiling=ceiling)
    findings = judge(rules.every(), [a_key()], hint=a_hint(), settings=settings)
    plans = planner.plan(findings, settings=settings, hub_account=HUB, now=NOW)
    for plan in plans:
        old = recorded(planned(a_key())).model_copy(update={"state": state, "claim_until": NOW})
        now = NOW + timedelta(minutes=minutes)
        new = planner.advance(old, plan, now=now, claim_seconds=CLAIM)
        if isinstance(new, FindingRecord):
            assert new.version == old.version + 1
            assert new.key == plan.finding.key
            assert new.episode >= old.episode
            claims = new.state is State.ACTING and old.state is not State.ACTING
            assert not claims or min(mode.rank, ceiling.rank) == Mode.ENFORCE.rank


def test_keys_of_findings_differ_by_subject_rule_account_and_code() -> None:
    keys = {
        found(a_key()).key,
        found(a_key(key_id="AKIAOTHEREXAMPLE")).key,
        found(a_key(), "iam-access-key-for-other-user", hint=a_hint()).key,
        found(a_key(an_iam_user(account="555566667777"))).key,
    }
    assert len(keys) == 4
    assert isinstance(a_containment(holds=None), Contained)


def test_quarantine_that_a_service_of_aws_attached_is_acted_on() -> None:
    actor = a_role_session("aws-service-role/support.amazonaws.com/AWSServiceRoleForSupport")
    policy = a_policy("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3")
    plan = planned(policy, "iam-key-quarantined-by-aws", hint=a_hint(actor=actor, sweep=True))
    assert isinstance(plan.action, DeactivateAccessKeys)
    assert plan.action.key_ids is None


def test_same_event_judged_by_a_state_read_before_the_act_must_look_again() -> None:
    plan = planned(a_key())
    acted = planner.finished(recorded(plan), State.ACTED, outcome="inactive", now=NOW)
    stale = NOW + timedelta(seconds=1)
    assert isinstance(planner.advance(acted, plan, now=stale, claim_seconds=CLAIM), Busy)
    later = NOW + timedelta(seconds=CLAIM)
    again = planner.advance(acted, plan, now=later, claim_seconds=CLAIM)
    assert isinstance(again, FindingRecord)
    assert (again.state, again.episode) == (State.ACTING, 2)


def test_key_made_in_the_very_second_in_which_the_rule_began_is_acted_on() -> None:
    """IAM tells whole seconds, settings_guard parts of them."""
    settings = in_mode()
    began = BEGAN + timedelta(milliseconds=400)
    accepted = settings.accepted.model_copy(
        update={"enforcing_since": dict.fromkeys(settings.accepted.enforcing_since, began)}
    )
    key = replace(a_key(), since=BEGAN)
    assert planned(key, settings=replace(settings, accepted=accepted)).action is not None
