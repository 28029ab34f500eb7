"""Plans of what enforcing a rule would do, shown and confirmed: `existing: enforce` needs that."""

import json
from datetime import datetime
from itertools import accumulate, takewhile

from keyward import planning, rules
from keyward.errors import RequestError
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.planning import CANDIDATES, Row, RulePlan
from keyward.rule import in_force
from keyward.services import Services
from keyward.settings import Accepted, Mode
from keyward.sweep import ConfirmedPlan

ROWS_A_PAGE, CHARACTERS_A_PAGE = 8000, 3_000_000
"""So many rows, and so much, are in one answer: Lambda sends 6 MB at most, and names may be long.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

type Place = tuple[str, str, str]


def shown(
    rule: str | None, *, existing: bool, after: Place | None, services: Services, now: datetime
) -> dict[str, object]:
    """The plan of one rule, or of all that found something: in numbers, and a page of its rows.

    Every page is made of findings as they are then; `digest` tells whether they are the same.
    Raises RequestError for a rule that there isn't, and GatewayError.
    """
    accepted = services.ledger.accepted() or Accepted()
    planned = _planned(rule, accepted, existing=existing, services=services)
    rows = [row for plan in planned for row in plan.rows if after is None or row.place > after]
    page = _page(rows)
    sweeps = services.ledger.sweeps()
    complete = planning.last_complete(sweeps)
    typed = in_force(accepted, rules.every())
    return {
        "existing": existing,
        "swept_at": complete.ended_at.isoformat() if complete and complete.ended_at else None,
        "doubts": planning.doubts(sweeps, now),
        "plan_days": accepted.settings.sweeps.plan_days,
        "budget": accepted.settings.budgets.organization,
        "budget_minutes": accepted.settings.budgets.window_minutes,
        "plans": [
            {
                **_in_numbers(plan),
                "mode": typed.mode(plan.rule, now).value,
                "confirmed": _confirmed(services.ledger.confirmed_plan(plan.rule)),
            }
            for plan in planned
        ],
        "rows": [_as_json(row) for row in page],
        "next": page[-1].place if len(rows) > len(page) else None,
    }


def _page(rows: list[Row]) -> list[Row]:
    """As many of the first rows as fit into one answer; one at least."""
    sizes = accumulate(len(json.dumps(_as_json(row))) for row in rows[:ROWS_A_PAGE])
    fitting = sum(1 for _ in takewhile(lambda size: size <= CHARACTERS_A_PAGE, sizes))
    return rows[: max(fitting, 1)]


def confirm(
    rule: str, digest: str, *, by: str, services: Services, now: datetime
) -> dict[str, object]:
    """Keeps that somebody saw what `existing: enforce` of the rule would do, and wants it.

    Raises RequestError where that is another plan by now, or where none can be made.
    """
    accepted = services.ledger.accepted() or Accepted()
    (plan,) = _planned(rule, accepted, existing=True, services=services)
    typed = in_force(accepted, rules.every())
    if typed.mode(rule, now) is Mode.OFF:
        message = (
            f"{rule} is in mode off, so that nothing is found and a plan says nothing: "
            "have it report, then keyward sweep --full --wait"
        )
        raise RequestError(message)
    if planning.last_complete(services.ledger.sweeps()) is None:
        message = "no sweep was complete yet, so that a plan says nothing: keyward sweep --wait"
        raise RequestError(message)
    if plan.digest != digest:
        message = (
            f"the plan of {rule} is another one by now, of {plan.acts} acts: "
            f"keyward sweep --plan --rule {rule} shows it anew"
        )
        raise RequestError(message)
    if plan.unknown:
        message = (
            f"of {plan.unknown} findings in the plan nobody knows what would be done: "
            "keyward sweep --full --wait, then plan again"
        )
        raise RequestError(message)
    confirmed = ConfirmedPlan(
        rule=rule,
        digest=digest,
        count=plan.acts,
        by=by,
        at=now,
        terms=typed.rules[rule].terms,
    )
    services.ledger.confirm_plan(confirmed)
    days = accepted.settings.sweeps.plan_days
    services.ledger.notice(
        Notice(
            kind="plan-confirmed",
            id=f"{rule}-{now.timestamp():.0f}",
            title=f"Rule {rule} may enforce what exists: {plan.acts} acts by its plan",
            text=(
                f'Confirmed by {by}. For {days} days "existing": "enforce" of the rule is '
                f"accepted; it is in force only once somebody writes it to /keyward/rules/{rule}. "
                "What comes up meanwhile is then acted on as well."
            ),
            severity=Severity.MEDIUM,
            at=now,
        )
    )
    return {"rule": rule, "acts": plan.acts, "accounts": plan.accounts, "plan_days": days}


def _planned(
    rule: str | None, accepted: Accepted, *, existing: bool, services: Services
) -> list[RulePlan]:
    known = [one.id for one in rules.every()]
    if rule is not None and rule not in known:
        message = f"no rule is called {rule}; see keyward rules"
        raise RequestError(message)
    records = list(services.ledger.every(*CANDIDATES, State.EXEMPT))
    wanted = [rule] if rule is not None else _in_order(known, records)
    return [
        planning.plan_of(one, records, existing=existing, exemptions=accepted.exemptions)
        for one in wanted
    ]


def _in_order(known: list[str], records: list[FindingRecord]) -> list[str]:
    named = {one for it in records for one in (it.rule, *it.also) if it.state in CANDIDATES}
    return sorted(named.intersection(known))


def _in_numbers(plan: RulePlan) -> dict[str, object]:
    return {
        "rule": plan.rule,
        "digest": plan.digest,
        "acts": plan.acts,
        "accounts": plan.accounts,
        "held": len(plan.rows) - plan.acts - plan.unknown,
        "unknown": plan.unknown,
        "exempt": plan.exempt,
    }


def _confirmed(plan: ConfirmedPlan | None) -> dict[str, object] | None:
    return plan.model_dump(mode="json") if plan is not None else None


def _as_json(row: Row) -> dict[str, object]:
    return {
        "rule": row.rule,
        "finding": row.finding,
        "account": row.account,
        "subject": row.subject,
        "owner": row.owner,
        "action": row.action,
        "held": row.held,
        "together": row.together,
        "due": row.due.isoformat() if row.due else None,
    }
