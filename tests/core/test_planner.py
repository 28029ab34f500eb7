"""What is to be done about a finding, and what becomes of its record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st

from keyward import planner, rules
from keyward.actions import DeactivateAccessKeys, DeactivateCredential, QuarantineUser
from keyward.findings import Finding, FindingRecord, Severity, State, Would
from keyward.model import AccessKey, Actor, Contained, Hint, IamUser, Subject
from keyward.planner import Busy, Plan
from keyward.rule import InForce, in_force, judge
from keyward.settings import Accepted, Mode
from tests.builders import (
    DEVELOPER,
    HUB,
    MEMBER,
    NOW,
    USER_ID,
    a_containment,
    a_credential,
    a_hint,
    a_key,
    a_password,
    a_permission_set,
    a_policy,
    a_role_session,
    a_root_key,
    an_assignment,
    an_exemption,
    an_iam_user,
)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CLAIM = 90.0
TOOL = "arn:aws:iam::123456789012:role/elevator"


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


TOO_OLD = "iam-access-key-too-old"
UNUSED = "iam-credential-unused"
GRACE = timedelta(days=14)
BY_ITSELF = Actor(type="Keyward", invoked_by="Keyward")


def a_look(now: datetime = NOW) -> Hint:
    """Keyward looks by itself."""
    return replace(
        a_hint("UserCheck", source="keyward", actor=BY_ITSELF, time=now, sweep=True),
        event_id=f"look-{now.isoformat()}",
    )


def an_old_key(
    days: float = 100, *, used: float | None = 0, owner: IamUser | None = None
) -> AccessKey:
    """A key of this age at NOW that was used so many days ago; None: never."""
    made = NOW - timedelta(days=days)
    return replace(
        a_key(owner),
        created_at=made,
        since=made,
        used_at=None if used is None else NOW - timedelta(days=used),
        use_known=True,
    )


def changed(settings: InForce, rule: str, **fields: object) -> InForce:
    """The same, with other settings of one rule."""
    return replace(
        settings,
        rules={**settings.rules, rule: settings.rules[rule].model_copy(update=fields)},
    )


def only(*names: str, **settings: object) -> InForce:
    """These rules enforce, all others are off."""
    every = in_mode(**settings)  # type: ignore[arg-type]  # global fields
    off = {
        name: rule.model_copy(update={"mode": Mode.OFF}) if name not in names else rule
        for name, rule in every.rules.items()
    }
    return replace(every, rules=off)


def looked(key: AccessKey, *, now: datetime = NOW, settings: InForce | None = None) -> Plan:
    """The one plan of a sweep for a key."""
    settings = settings or only(TOO_OLD)
    findings = judge(rules.every(), [key], hint=a_look(now), settings=settings)
    exempt, rest = planner.without_exempt(findings, settings=settings, now=now)
    plans = planner.plan(rest, settings=settings, hub_account=HUB, now=now)
    (plan,) = [*exempt, *plans]
    return plan


def seen(
    old: FindingRecord | None,
    key: AccessKey,
    *,
    days: float = 0,
    settings: InForce | None = None,
) -> FindingRecord:
    """The record after a sweep so many days after NOW; whatever was to be told was told before."""
    now = NOW + timedelta(days=days)
    plan = looked(key, now=now, settings=settings)
    told = old and old.model_copy(update={"untold": None})
    new = planner.advance(told, plan, now=now, claim_seconds=CLAIM)
    assert not isinstance(new, Busy)
    record = new or told
    assert record is not None
    return record


def test_rule_of_time_warns_first_and_tells_it() -> None:
    record = seen(None, an_old_key())
    assert (record.state, record.action, record.untold) == (State.OPEN, None, NOW)
    assert record.grace_until == NOW + GRACE
    assert record.would == Would(action="deactivate-access-key")
    assert record.history[-1].note == "warned: acted on after 2026-12-04 09:14 UTC"


def test_until_the_grace_period_is_over_nothing_is_told_and_then_it_acts() -> None:
    warned = seen(None, an_old_key())
    waiting = seen(warned, an_old_key(), days=13.9)
    assert (waiting.state, waiting.untold, waiting.seen) == (State.OPEN, None, 2)
    acting = seen(waiting, an_old_key(), days=14)
    assert (acting.state, acting.episode) == (State.ACTING, 1)
    assert isinstance(acting.action, DeactivateAccessKeys)
    assert "114 days old" in acting.reason


def test_the_very_same_look_acts_too_once_the_grace_period_is_over() -> None:
    warned = seen(None, an_old_key())
    plan = looked(an_old_key())
    acting = planner.advance(warned, plan, now=NOW + GRACE, claim_seconds=CLAIM)
    assert isinstance(acting, FindingRecord)
    assert acting.state is State.ACTING


def test_without_grace_it_acts_at_once() -> None:
    settings = changed(only(TOO_OLD), TOO_OLD, grace_days=0)
    record = seen(None, an_old_key(), settings=settings)
    assert (record.state, record.grace_until) == (State.ACTING, None)


def test_what_was_reported_long_before_is_warned_of_first() -> None:
    reporting = changed(only(TOO_OLD), TOO_OLD, mode=Mode.REPORT)
    reported = seen(None, an_old_key(), settings=reporting)
    assert (reported.grace_until, reported.owner) == (None, None)
    warned = seen(reported, an_old_key(), days=100)
    assert warned.state is State.OPEN
    assert warned.untold == NOW + timedelta(days=100)
    assert warned.grace_until == NOW + timedelta(days=114)
    assert warned.mode == "enforce"
    assert "200 days old" in warned.reason


def test_what_came_of_age_before_the_rule_began_is_only_reported() -> None:
    record = seen(None, an_old_key(days=1000))
    assert (record.held, record.grace_until) == ("existed before the rule began to enforce", None)
    assert record.would == Would(action="deactivate-access-key", existed=True)


def test_an_old_key_that_came_of_age_since_then_is_no_old_case() -> None:
    made_before = (NOW - BEGAN).days + 10
    settings = changed(only(TOO_OLD), TOO_OLD, max_age_days=330)
    assert seen(None, an_old_key(days=made_before), settings=settings).grace_until is not None


def test_existing_ones_are_warned_of_as_well_where_settings_say_so() -> None:
    settings = changed(only(TOO_OLD), TOO_OLD, existing="enforce")
    record = seen(None, an_old_key(days=1000), settings=settings)
    assert (record.state, record.grace_until) == (State.OPEN, NOW + GRACE)


def test_a_rule_that_only_reports_again_calls_the_warning_off() -> None:
    warned = seen(None, an_old_key())
    reporting = changed(only(TOO_OLD), TOO_OLD, mode=Mode.REPORT)
    off = seen(warned, an_old_key(), days=2, settings=reporting)
    assert (off.state, off.grace_until, off.untold) == (State.OPEN, None, None)
    anew = seen(off, an_old_key(), days=20)
    assert anew.grace_until == NOW + timedelta(days=34)


def test_a_rule_that_began_anew_between_two_sweeps_warns_anew() -> None:
    warned = seen(None, an_old_key())
    began = NOW + timedelta(days=3)
    settings = changed(only(TOO_OLD), TOO_OLD, existing="enforce")
    accepted = settings.accepted.model_copy(update={"enforcing_since": {TOO_OLD: began}})
    anew = seen(warned, an_old_key(), days=15, settings=replace(settings, accepted=accepted))
    assert (anew.state, anew.grace_until) == (State.OPEN, NOW + timedelta(days=29))


def test_a_pause_holds_the_act_and_not_the_time() -> None:
    warned = seen(None, an_old_key())
    settings = only(TOO_OLD)
    accepted = settings.accepted.model_copy(update={"paused_until": NOW + timedelta(days=16)})
    paused = replace(settings, accepted=accepted)
    during = seen(warned, an_old_key(), days=15, settings=paused)
    assert (during.state, during.untold) == (State.OPEN, None)
    assert during.grace_until == NOW + GRACE
    assert seen(during, an_old_key(), days=16, settings=paused).state is State.ACTING


def test_a_spent_budget_leaves_it_open_and_it_acts_later_without_another_warning() -> None:
    warned = seen(None, an_old_key()).model_copy(update={"untold": None})
    later = NOW + timedelta(days=15)
    plan = planner.over_budget(looked(an_old_key(), now=later))
    kept = planner.advance(warned, plan, now=later, claim_seconds=CLAIM)
    assert isinstance(kept, FindingRecord)
    assert (kept.state, kept.grace_until, kept.untold) == (State.OPEN, NOW + GRACE, None)
    assert seen(kept, an_old_key(), days=15.5).state is State.ACTING


def test_an_exemption_ends_the_warning_and_its_end_begins_another() -> None:
    warned = seen(None, an_old_key())
    until = NOW + timedelta(days=30)
    ours = an_exemption(TOO_OLD, until=until.isoformat())
    accepted = only(TOO_OLD).accepted.model_copy(update={"exemptions": {"ours": ours}})
    settings = changed(in_force(accepted, rules.every()), TOO_OLD, mode=Mode.ENFORCE)
    settings = replace(settings, rules=only(TOO_OLD).rules)
    exempt = seen(warned, an_old_key(), days=3, settings=settings)
    assert (exempt.state, exempt.grace_until) == (State.EXEMPT, None)
    anew = seen(exempt, an_old_key(), days=31, settings=settings)
    assert (anew.state, anew.episode) == (State.OPEN, 2)
    assert anew.grace_until == NOW + timedelta(days=45)
    assert anew.owner == "team-data@example.com"


def test_who_mends_it_gets_no_alert_and_who_was_told_of_it_hears_that_it_is_over() -> None:
    warned = seen(None, an_old_key()).model_copy(update={"untold": None})
    plan = looked(an_old_key())
    settled = planner.settle(warned, plan, why="gone", now=NOW, claim_seconds=CLAIM)
    assert isinstance(settled, FindingRecord)
    assert (settled.state, settled.grace_until) == (State.RESOLVED, None)
    assert (settled.untold, settled.follows) == (NOW, True)


def test_a_credential_that_was_used_meanwhile_is_unused_anew() -> None:
    settings = only(UNUSED)
    warned = seen(None, an_old_key(80, used=60), settings=settings)
    assert warned.grace_until == NOW + GRACE
    used_since = replace(an_old_key(80), used_at=NOW + timedelta(days=1))
    anew = seen(warned, used_since, days=50, settings=settings)
    assert (anew.state, anew.untold) == (State.OPEN, NOW + timedelta(days=50))
    assert anew.grace_until == NOW + timedelta(days=64)


def test_what_keyward_did_and_somebody_undid_needs_no_second_warning() -> None:
    acting = seen(seen(None, an_old_key()), an_old_key(), days=14)
    acted = planner.finished(acting, State.ACTED, outcome="inactive", now=NOW + GRACE)
    again = seen(acted, an_old_key(), days=20)
    assert (again.state, again.episode) == (State.ACTING, 2)


def test_an_act_that_was_announced_long_ago_is_announced_anew() -> None:
    """Such as where no sweep came, or another rule's act was in the way."""
    warned = seen(None, an_old_key())
    late = seen(warned, an_old_key(), days=43.9)
    assert late.state is State.ACTING
    forgotten = seen(warned, an_old_key(), days=44)
    assert (forgotten.state, forgotten.grace_until) == (State.OPEN, NOW + timedelta(days=58))
    assert forgotten.untold == NOW + timedelta(days=44)


def test_of_what_may_be_so_and_is_exempt_each_stands_for_itself() -> None:
    settings = only(TOO_OLD)
    ours = {"ours": an_exemption(TOO_OLD)}
    accepted = settings.accepted.model_copy(update={"exemptions": ours})
    settings = replace(in_force(accepted, rules.every()), rules=settings.rules)
    unread = judge(rules.every(), [a_key()], hint=a_look(), settings=settings)
    exempt, rest = planner.without_exempt(unread, settings=settings, now=NOW)
    assert ({plan.finding.reason.code for plan in exempt}, rest) == ({"too-old", "second-key"}, [])
    both = replace(an_old_key(), newer_since=NOW - timedelta(days=50))
    read = judge(rules.every(), [both], hint=a_look(), settings=settings)
    assert len(planner.without_exempt(read, settings=settings, now=NOW)[0]) == 2
    told = judge(rules.every(), [both], hint=a_hint(sweep=True), settings=settings)
    assert len(planner.without_exempt(told, settings=settings, now=NOW)[0]) == 1


def test_of_two_reasons_the_one_that_is_no_old_case_says_what_enforce_would_do() -> None:
    """Too old since before the rule began; the older of two since then."""
    reporting = changed(only(TOO_OLD), TOO_OLD, mode=Mode.REPORT)
    key = replace(an_old_key(1000), newer_since=NOW - timedelta(days=50))
    record = seen(None, key, settings=reporting)
    assert record.would == Would(action="deactivate-access-key")
    reporting = changed(only(TOO_OLD, "iam-access-key-created"), TOO_OLD, mode=Mode.REPORT)
    reporting = changed(reporting, "iam-access-key-created", mode=Mode.REPORT)
    record = seen(None, key, settings=reporting)
    assert record.rule == "iam-access-key-created"
    assert record.also_would == {TOO_OLD: Would(action="deactivate-access-key")}


def test_a_failed_act_is_tried_again_without_another_warning() -> None:
    acting = seen(seen(None, an_old_key()), an_old_key(), days=14)
    failed = planner.finished(acting, State.FAILED, outcome="denied", now=NOW + GRACE)
    assert seen(failed, an_old_key(), days=15).state is State.ACTING


def test_of_two_that_warn_the_one_that_is_due_first_leads_to_the_end() -> None:
    """Unused since day 76, too old since day 90: the second warning must not put off the act."""
    settings = only(TOO_OLD, UNUSED)
    key = an_old_key(80, used=50)
    warned = seen(None, key, settings=settings)
    assert (warned.rule, warned.also) == (UNUSED, ())
    later = seen(warned, key, days=11, settings=settings)
    assert (later.key, later.also, later.untold) == (warned.key, (TOO_OLD,), None)
    assert later.also_would == {TOO_OLD: Would(action="deactivate-access-key")}
    assert seen(later, key, days=14, settings=settings).state is State.ACTING


def test_what_acts_at_once_waits_for_nobodys_grace() -> None:
    settings = only(TOO_OLD, "iam-access-key-created")
    plan = looked(an_old_key(), settings=settings)
    assert (plan.finding.rule, plan.warns) == ("iam-access-key-created", False)
    assert plan.finding.also == (TOO_OLD,)
    assert seen(None, an_old_key(), settings=settings).state is State.ACTING


def test_a_rule_that_only_reports_lets_no_warning_be_skipped() -> None:
    settings = changed(
        only(TOO_OLD, "iam-access-key-created"), "iam-access-key-created", mode=Mode.REPORT
    )
    record = seen(None, an_old_key(), settings=settings)
    assert (record.rule, record.state) == (TOO_OLD, State.OPEN)
    assert (record.also, record.severity) == (("iam-access-key-created",), Severity.HIGH)


@pytest.mark.parametrize(
    ("subject", "action"),
    [
        (an_old_key(used=90), DeactivateAccessKeys),
        (
            replace(a_password(), since=NOW - timedelta(days=90), use_known=True),
            QuarantineUser,
        ),
    ],
)
def test_an_unused_credential_is_contained_by_what_it_is(subject: Subject, action: type) -> None:
    plan = planned(subject, UNUSED, hint=a_look())
    assert isinstance(plan.action, action)
    assert plan.spend is not None


OWNERS = {
    "ends-later": an_exemption("iam-user-created", owner="later@example.com")
    | {"until": (NOW - timedelta(days=1)).isoformat()},
    "ended-long-ago": an_exemption("iam-user-created", owner="ago@example.com")
    | {"until": (NOW - timedelta(days=90)).isoformat()},
    "somebody-else": an_exemption("iam-user-created", owner="else@example.com")
    | {"user_id": "AIDAELSE"},
}


@pytest.mark.parametrize(
    ("tags", "exemptions", "owner"),
    [
        ({"Owner": "data@example.com", "team": "data"}, OWNERS, "data@example.com"),
        ({"TEAM": "data", "costs": "4711"}, {}, "data"),
        ({"owner": " \u202e\n", "team": "data"}, {}, "data"),
        ({"owner": "<!channel> & @here"}, {}, "(!channel) + (at)here"),
        ({}, OWNERS, "later@example.com"),
        (None, OWNERS, "later@example.com"),
        (None, {"somebody-else": OWNERS["somebody-else"]}, None),
        (None, {}, None),
    ],
)
def test_owner_is_who_is_tagged_or_answers_for_an_exemption(
    tags: dict[str, str] | None, exemptions: dict[str, dict[str, object]], owner: str | None
) -> None:
    settings = only(TOO_OLD)
    accepted = settings.accepted.model_copy(update={"exemptions": exemptions})
    settings = replace(in_force(accepted, rules.every()), rules=settings.rules)
    user = replace(an_iam_user(), tags=tags)
    assert seen(None, an_old_key(owner=user), settings=settings).owner == owner


def test_owner_of_what_is_contained_without_a_warning_is_known_and_no_others() -> None:
    user = replace(an_iam_user(), tags={"owner": "data"})
    assert recorded(planned(a_key(user))).owner == "data"
    reported = planned(a_key(user), settings=in_mode(Mode.REPORT))
    assert recorded(reported).owner is None


def test_maker_is_looked_for_by_key_then_password_then_user() -> None:
    key, _, user = planner.findings_of_making(looked(an_old_key()).finding)
    assert key == found(a_key()).key
    assert user == found(an_iam_user(age=timedelta(days=1)), "iam-user-created").key


def test_maker_is_the_actor_of_an_event_and_never_keyward() -> None:
    made = recorded(planned(a_key(), hint=a_hint()))
    assert planner.maker_in(made) == (
        f"arn:aws:sts::{MEMBER}:assumed-role/deployer/build-4711 (did CreateAccessKey)"
    )
    assert planner.maker_in(recorded(planned(a_key(), hint=a_look()))) is None


SUBJECTS: tuple[Subject, ...] = (
    a_key(),
    an_old_key(100, used=80),
    replace(a_key(), since=BEGAN - timedelta(days=1)),
    a_key(an_iam_user(account=HUB)),
    a_key(an_iam_user(user_id=None)),
    an_iam_user(age=timedelta(days=1)),
    an_iam_user(),
    a_password(),
    a_credential(),
    a_policy(),
    a_containment(holds=False, broken=("x",)),
)


@given(subject=st.sampled_from(SUBJECTS), mode=MODES, ceiling=MODES)
def test_what_enforce_would_do_is_what_enforce_does(
    subject: Subject, mode: Mode, ceiling: Mode
) -> None:
    shown = in_mode(mode, ceiling=ceiling)
    enforcing = in_mode()
    for name in enforcing.rules:
        enforcing = changed(enforcing, name, existing="enforce")
    for finding in judge(rules.every(), [subject], hint=a_look(), settings=shown):
        (told,) = planner.plan([finding], settings=shown, hub_account=HUB, now=NOW)
        (done,) = planner.plan([finding], settings=enforcing, hub_account=HUB, now=NOW)
        assert told.would == done.would
        assert told.would is not None
        assert told.would.action == (done.action.name if done.action else None)
        if done.action is None:
            assert told.would.held
        elif mode is ceiling is Mode.ENFORCE:
            assert told.would.existed == (told.action is None)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.sampled_from(["enforce", "report", "pause", "used", "exempt", "gone", "budget"]),
    ),
    max_size=12,
)


@given(steps=STEPS, grace=st.integers(1, 30))
@within(deadline=None)
def test_nothing_is_ever_done_without_a_warning_a_grace_period_before(
    steps: list[tuple[int, str]], grace: int
) -> None:
    """Whatever else happens: one act follows one warning, and nothing between them is told."""
    enforcing = changed(changed(only(UNUSED), UNUSED, grace_days=grace), UNUSED, existing="enforce")
    reporting = changed(enforcing, UNUSED, mode=Mode.REPORT)
    old: FindingRecord | None = None
    key, now, warned_at = an_old_key(400, used=60), NOW, None
    for days, what in steps:
        now += timedelta(days=days)
        settings = reporting if what == "report" else enforcing
        if what == "pause":
            until = {"paused_until": now + timedelta(hours=1)}
            settings = replace(settings, accepted=settings.accepted.model_copy(update=until))
        if what == "used":
            key = replace(key, used_at=now)
            warned_at = None
        found_now = judge(rules.every(), [key], hint=a_look(now), settings=settings)
        if not found_now:
            continue
        (plan,) = planner.plan(found_now, settings=settings, hub_account=HUB, now=now)
        if what == "gone":
            new = planner.settle(old, plan, why="gone", now=now, claim_seconds=CLAIM)
            old = new if isinstance(new, FindingRecord) else old
            warned_at = None
            continue
        if what == "exempt":
            plan = replace(plan, action=None, due=None, exempt_by="ours", spend=None)
            warned_at = None
        if what == "budget":
            plan = planner.over_budget(plan)
        if what == "report":
            warned_at = None
        told = old and old.model_copy(update={"untold": None})
        new = planner.advance(told, plan, now=now, claim_seconds=CLAIM)
        if not isinstance(new, FindingRecord):
            continue
        if new.state is State.ACTING:
            assert warned_at is not None
            assert now >= warned_at + timedelta(days=grace)
            return
        if new.grace_until is not None and new.untold is not None:
            assert warned_at is None or now >= warned_at + timedelta(days=grace + 30)
            assert new.grace_until == now + timedelta(days=grace)
            warned_at = now
        elif told is not None and not told.state.closed:
            assert new.untold is None or new.follows
        old = new


# ------------------------------------------------------------------ what Keyward looks at by itself


def settled(
    old: FindingRecord | None, plan: Plan, *, now: datetime = NOW
) -> FindingRecord | Busy | None:
    return planner.settle(old, plan, why="gone", now=now, claim_seconds=CLAIM)


def test_what_nobody_did_and_is_not_so_leaves_no_record() -> None:
    assert settled(None, planned(a_key(), hint=a_look())) is None
    assert isinstance(settled(None, planned(a_key(), hint=a_hint())), FindingRecord)


@pytest.mark.parametrize(
    ("subject", "rule", "state"),
    [
        (a_key(an_iam_user()), "iam-access-key-created", State.RESOLVED),
        (a_credential(), "iam-static-credential-created", State.RESOLVED),
        (an_iam_user(), "iam-user-created", None),
        (a_password(), "iam-console-password-set", None),
    ],
)
def test_a_failed_containment_is_over_where_nothing_is_left_half_done(
    subject: Subject, rule: str, state: State | None
) -> None:
    plan = planned(subject, rule, hint=a_look())
    failed = planner.finished(recorded(plan), State.FAILED, outcome="denied", now=NOW)
    after = settled(failed, plan)
    assert (after.state if isinstance(after, FindingRecord) else None) is state
    assert settled(failed, planned(subject, rule, hint=a_hint(sweep=True))) is None


def test_root_key_is_told_again_when_somebody_makes_one_and_not_when_it_is_seen() -> None:
    rule, key = "iam-root-access-key-created", a_root_key()
    old = recorded(planned(key, rule, hint=a_hint()))
    later = NOW + timedelta(hours=6)
    seen = planner.advance(
        old, planned(key, rule, hint=a_look(later)), now=later, claim_seconds=CLAIM
    )
    made = planner.advance(
        old,
        planned(key, rule, hint=replace(a_hint(time=later), event_id="another")),
        now=later,
        claim_seconds=CLAIM,
    )
    assert isinstance(seen, FindingRecord)
    assert isinstance(made, FindingRecord)
    assert (seen.episode, made.episode) == (1, 2)


def test_what_a_service_of_aws_made_is_let_be_by_a_sweep_that_cannot_see_who_did() -> None:
    actor = a_role_session("aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO")
    key = a_key(an_iam_user())
    old = recorded(planned(key, hint=a_hint(actor=actor)))
    again = planner.advance(old, planned(key, hint=a_look()), now=NOW, claim_seconds=CLAIM)
    assert isinstance(again, FindingRecord)
    assert (again.state, again.held) == (State.OPEN, "made by Identity Center")
    would = recorded(planned(key, hint=a_hint())).would
    mine = old.model_copy(
        update={"held": "the action budget of this window is spent", "would": would}
    )
    again = planner.advance(mine, planned(key, hint=a_look()), now=NOW, claim_seconds=CLAIM)
    assert isinstance(again, FindingRecord)
    assert again.state is State.ACTING


def test_user_and_password_are_two_findings_and_what_is_contained_comes_first() -> None:
    user = an_iam_user(age=timedelta(days=1))
    undone = replace(a_containment(holds=False, broken=("nothing denies it",)), of=user)
    findings = judge(
        rules.every(), [user, a_password(user), undone], hint=a_look(), settings=in_mode()
    )
    plans = planner.plan(findings, settings=in_mode(), hub_account=HUB, now=NOW)
    assert [(plan.finding.rule, plan.finding.also) for plan in plans] == [
        ("iam-quarantine-undone", ("iam-user-created",)),
        ("iam-console-password-set", ()),
    ]


def test_who_made_it_is_known_to_a_sweep_too_where_the_rule_only_reported_then() -> None:
    actor = a_role_session("aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO")
    key, reports = a_key(an_iam_user()), in_mode(Mode.REPORT)
    old = recorded(planned(key, hint=a_hint(actor=actor), settings=reports))
    later = NOW + timedelta(hours=6)
    for settings in (reports, in_mode()):
        plan = planned(key, hint=a_look(later), settings=settings)
        seen = planner.advance(old, plan, now=later, claim_seconds=CLAIM)
        assert isinstance(seen, FindingRecord)
        assert seen.state is State.OPEN
        assert seen.would is not None
        assert (seen.would.action, seen.would.held) == (None, "made by Identity Center")
        old = seen


@pytest.mark.parametrize(
    ("late", "tools", "acts"),
    [
        (timedelta(minutes=59), [TOOL], True),
        (timedelta(hours=2), [], True),
        (timedelta(hours=2), [TOOL], False),
    ],
)
def test_a_late_event_takes_nothing_away_that_a_tool_may_have_given_since(
    late: timedelta, tools: list[str], *, acts: bool
) -> None:
    rule = "idc-assignment-to-user"
    every = in_mode().accepted
    values = {**every.rules, rule: {"mode": "enforce", "just_in_time": tools}}
    settings = in_force(every.model_copy(update={"rules": values}), rules.every())
    assignment = an_assignment(permission_set=a_permission_set(attributes=DEVELOPER))
    hint = a_hint("CreateAccountAssignment", source="sso.amazonaws.com")
    plan = planned(assignment, rule, hint=hint, settings=settings, now=NOW + late)
    assert (plan.action is not None) is acts
    assert ("late" in (plan.held or "")) is not acts
