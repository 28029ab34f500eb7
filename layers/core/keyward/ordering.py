"""An operator's order: do to one finding now what mode enforce would do, though it only reports.

The order is in the ledger, and holds for an hour. The guard that judges such subjects is told to
look at this one: it reads what is so now, judges, and acts on the one finding. See pipeline.py.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from keyward import planner
from keyward.actions import Enforcement
from keyward.centersweep import assigned
from keyward.errors import RequestError
from keyward.events import USER_CHECK, check_message
from keyward.facts.accounts import GRACE_OVER
from keyward.findings import FindingRecord, State
from keyward.model import CredentialKind
from keyward.observability import count, logger
from keyward.services import Services
from keyward.settings import Mode
from keyward.told import Order

LASTS = timedelta(hours=1)
"""So long an order may be carried out: what is so much later, nobody looked at who gave it."""

ORDERED = "Order"
"""Why Keyward looks."""

BY_ACCOUNT = {
    "baseline-assignment-missing": "Sweep",
    "baseline-assignment-stale": "Sweep",
    "account-factory-user-assignment": GRACE_OVER,
}
"""Rules that judge an account as a whole, and why it is looked at to see what they object to."""

OF_USERS = frozenset(
    {"AccessKey", "ConsolePassword", "Contained", "IamPrincipal", "IamUser", "StaticCredential"}
    | {"UserPolicy"}
)
OF_IDENTITY_CENTER = frozenset({"AccountAccess", "AccountAssignment", "PermissionSet"})

PASSES = (planner.EXISTED, planner.OVER_BUDGET, planner.OUT_OF_REACH)
"""How what held Keyward back begins, where an order overrides it or it may be over by now."""


def may_order(record: FindingRecord) -> str | None:
    """Why nothing can be ordered about this finding; None where an order can be given. Pure.

    What holds the guard back when it looks (an exemption, a protected principal), it says then.
    """
    if record.state not in {State.OPEN, State.FAILED}:
        return f"it is {record.state}: there is nothing to act on"
    if record.enforcement is Enforcement.REPORT:
        return f"rule {record.rule} only ever reports"
    if record.subject_kind not in OF_USERS | OF_IDENTITY_CENTER:
        return f"Keyward can do nothing about {record.subject}"
    would = record.would
    if would is None:
        held = record.held if not (record.held or "").startswith(PASSES) else None
    else:
        held = would.held
    is_found = record.enforcement is Enforcement.DETACH_POLICY and held == planner.UNIDENTIFIED
    return None if held is None or is_found else f"Keyward must not act on it: {held}"


def order(
    record: FindingRecord, *, by: str, reason: str, services: Services, now: datetime
) -> None:
    """Gives the order, and has the guard look at the subject now.

    The guard reads the present state, judges, and acts as in mode enforce; protected principals and
    the management account are as safe as ever. Asked once more after that began it does nothing.
    Raises RequestError where nothing can be ordered or the rule is off, and GatewayError.
    """
    if is_carried_out(record, by, now):
        return
    why = may_order(record) or _is_off(record, services, now)
    if why is not None:
        raise RequestError(why)
    message = _check(record, services, now)
    given = Order(
        finding=record.key,
        episode=record.episode,
        by=by,
        reason=reason,
        at=now,
        until=now + LASTS,
    )
    services.ledger.give_order(given)
    services.queue_of(record.rule).send(message)
    logger.info("order given", finding=record.key, rule=record.rule, by=by)
    count("Orders")


def is_carried_out(record: FindingRecord, by: str, now: datetime) -> bool:
    """Whether what the same person ordered of late is being done: a crash has it asked again."""
    began = [it.at for it in record.history if it.state is State.ACTING]
    is_of_late = bool(began) and now - began[-1] < LASTS
    return is_of_late and record.ordered_by == by and record.state in {State.ACTING, State.ACTED}


def _is_off(record: FindingRecord, services: Services, now: datetime) -> str | None:
    """Whether the rule judges at all: what is off finds nothing, and so nothing to act on."""
    accepted = services.accepted(now)
    own = accepted.rules.get(record.rule, {}).get("mode")
    if own == Mode.OFF or accepted.settings.ceiling is Mode.OFF:
        return f"rule {record.rule} is in mode off: have it report, then order it"
    return None


def _check(record: FindingRecord, services: Services, now: datetime) -> str:
    """Keyward's word to itself to look at the subject of this finding, by order."""
    is_of_user = record.subject_kind in OF_USERS
    return check_message(
        id_=f"order-{record.key}-{record.episode}-{now.timestamp():.0f}",
        account=record.account if is_of_user else services.environment.hub_account,
        region=services.environment.region,
        time=now,
        why=USER_CHECK if is_of_user else BY_ACCOUNT.get(record.rule, ORDERED),
        parameters=_of_user(record) if is_of_user else _of_identity_center(record, services),
        order=record.key,
    )


def _of_user(record: FindingRecord) -> Mapping[str, str]:
    """The parameters of facts.iam.USER_CHECK that name the subject."""
    looks, named = "", {}
    one = record.unique_id.replace("%", "%25").replace(",", "%2C")
    match record.subject_kind:
        case "AccessKey":
            named = {"keys": one}
        case "StaticCredential":
            named = {"credentials": f"{_kind_of(record)}:{one}"}
        case "UserPolicy":
            named = {"policies": one}
        case "IamUser":
            looks = "user"
        case "ConsolePassword":
            looks = "password"
        case "IamPrincipal":
            looks = "principal"
        case _:
            looks = "containment"
            kind = _kind_of(record)
            if kind is not None:
                named = {"credentials": f"{kind}:{one}"}
            elif record.unique_id != record.user_id:
                named = {"keys": one}
    return {
        "userName": record.user_name or "",
        **({"userId": record.user_id} if record.user_id else {}),
        **({"looks": looks} if looks else {}),
        **named,
    }


def _kind_of(record: FindingRecord) -> CredentialKind | None:
    """The kind of a credential: how the finding's subject is called begins with it."""
    called = record.subject.removeprefix("containment of ")
    return next((it for it in CredentialKind if called.startswith(f"{it} ")), None)


def _of_identity_center(record: FindingRecord, services: Services) -> Mapping[str, str]:
    """What names an account, an assignment or a permission set."""
    if record.rule in BY_ACCOUNT:
        return {"account": record.account}
    if record.subject_kind == "PermissionSet":
        name = record.unique_id.removeprefix("permission-set/")
        if name == record.unique_id:
            return {"permissionSetArn": record.unique_id}
        known = services.ledger.known_ids("permission-set", [name])
        return {
            "permissionSetName": name,
            **({"permissionSetArn": known[name]} if name in known else {}),
        }
    parts = assigned(record.unique_id)
    if parts is None:
        message = f"finding {record.key} names no assignment: {record.subject}"
        raise RequestError(message)
    arn, kind, principal = parts
    return {
        "accountId": record.account,
        "permissionSetArn": arn,
        "principalType": kind.value,
        "principalId": principal,
    }
