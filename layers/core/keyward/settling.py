"""Brings what owners wrote into force: reads the tree, compiles it, records and tells the rest."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.compiling import PERMISSION_SETS, Compilation, Refusal, compiled, of_aws
from keyward.errors import GatewayError
from keyward.events import check_message
from keyward.facts.accounts import BASELINE_CHANGED
from keyward.facts.identity_center import CATALOGUE_CHANGED
from keyward.findings import Notice, Severity
from keyward.model import PolicyDocument
from keyward.observability import count, logger
from keyward.services import SETTINGS_SECONDS
from keyward.settings import PREFIX, Accepted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyward.gateways.ssm import SsmGateway
    from keyward.ledger import Ledger
    from keyward.rule import AnyRule
    from keyward.services import Services

CHECK_SECONDS = SETTINGS_SECONDS + 5
"""What changed is looked at after so long: by then every guard has the new settings."""


def settle(
    *,
    ssm: "SsmGateway",
    ledger: "Ledger",
    rules: "Iterable[AnyRule]",
    now: datetime,
    hub: "Services | None" = None,
) -> Compilation:
    """What is in force from `now` on. Writes only where something changed; told once each.

    With the services of settings_guard as `hub`, IAM is asked about policies that this version
    doesn't know, IAM Access Analyzer for its opinion where settings allow it, and
    identity_center_guard is told which permission sets changed, account_baseline which baselines
    are new or changed: after that they are in force, and again by the next call should this one not
    get so far. Without, all that is left to settings_guard.

    Raises GatewayError where AWS or somebody faster was in the way; nothing is lost then, since
    the next call compiles the whole tree again. Where only IAM didn't answer, all else was done.
    """
    previous = ledger.accepted()
    policies = _Policies(hub=hub, now=now)
    compilation = compiled(
        ssm.parameters(PREFIX),
        previous=previous,
        rules=rules,
        now=now,
        policy_exists=policies.exists,
        plan_of=ledger.confirmed_plan,
    )
    if compilation.changed:
        ledger.accept(compilation.accepted, replacing=previous.version if previous else 0)
    for refusal in compilation.refused:
        if policies.are_known or not refusal.parameter.startswith(PERMISSION_SETS):
            _tell(refusal, ledger, now)
    if hub is not None:
        _have_checked(compilation.accepted, ledger, hub)
        _have_doubted(compilation.accepted, ledger, hub, now)
    if policies.failure is not None:
        raise policies.failure
    return compilation


@dataclass(slots=True, kw_only=True)
class _Policies:
    """AWS's managed policies: those that this version knows, else what IAM says of them."""

    hub: "Services | None"
    now: datetime
    failure: GatewayError | None = field(default=None, init=False)

    @property
    def are_known(self) -> bool:
        """Whether what doesn't exist here exists nowhere."""
        return self.hub is not None and self.failure is None

    def exists(self, arn: str) -> bool:
        """Whether there is one of this ARN; where nobody can say, for now there is none."""
        if of_aws(arn):
            return True
        if self.hub is None or self.failure is not None:
            return False
        try:
            return self.hub.iam(self.hub.environment.hub_account, self.now).has_policy(arn)
        except GatewayError as error:
            self.failure = error
            return False


def _have_checked(accepted: Accepted, ledger: "Ledger", hub: "Services") -> None:
    """Has every permission set and baseline that changed compared with what is; remembers that.

    A crash in between has all of them compared twice, which changes nothing.
    """
    if not accepted.unchecked and not accepted.unrolled:
        return
    for name, since in accepted.unchecked.items():
        hub.center_queue.send(
            check_message(
                id_=f"settings-{accepted.version}-{name}",
                account=hub.environment.hub_account,
                region=hub.environment.region,
                time=since,
                why=CATALOGUE_CHANGED,
                parameters={"permissionSetName": name},
            ),
            delay_seconds=CHECK_SECONDS,
        )
    for name, since in accepted.unrolled.items():
        hub.baseline_queue.send(
            check_message(
                id_=f"baseline-{accepted.version}-{name}",
                account=hub.environment.hub_account,
                region=hub.environment.region,
                time=since,
                why=BASELINE_CHANGED,
                parameters={"baseline": name},
            ),
            delay_seconds=CHECK_SECONDS,
        )
    if accepted.unchecked:
        logger.info("catalogue changed", permission_sets=sorted(accepted.unchecked))
        count("CatalogueChanges", len(accepted.unchecked))
    if accepted.unrolled:
        logger.info("baselines changed", baselines=sorted(accepted.unrolled))
        count("BaselineChanges", len(accepted.unrolled))
    told = accepted.model_copy(update={"unchecked": {}, "unrolled": {}})
    ledger.accept(told, replacing=accepted.version)


def _have_doubted(accepted: Accepted, ledger: "Ledger", hub: "Services", now: datetime) -> None:
    """Tells what IAM Access Analyzer has against the inline policies that changed, if it may.

    Each is in force whatever it says. Where it doesn't answer nothing is told, then or later.
    """
    if not accepted.settings.identity_center.second_opinion:
        return
    for name in accepted.unchecked:
        policy = accepted.permission_sets.get(name, {}).get("inline_policy")
        if policy is None:
            continue
        text = json.dumps(policy)
        try:
            doubts = hub.access_analyzer.doubts(PolicyDocument(name=f"of {name}", text=text))
        except GatewayError as error:
            logger.warning("no second opinion", permission_set=name, reason=str(error))
            if error.retryable:
                return
            continue
        if doubts:
            ledger.notice(_doubted(name, text, doubts, now))


def _doubted(name: str, text: str, doubts: "tuple[str, ...]", now: datetime) -> Notice:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return Notice(
        kind="policy-doubted",
        id=f"{name}:{digest}",
        title=f"IAM Access Analyzer doubts the inline policy of permission set {name}",
        text=(
            f"{'; '.join(doubts)}. The policy is in force all the same: if it is not meant so, "
            f"change {PERMISSION_SETS}{name}."
        ),
        severity=Severity.MEDIUM,
        at=now,
    )


def _tell(refusal: Refusal, ledger: "Ledger", now: datetime) -> None:
    """Tells what is not in force and why: not while it may be half written, but on a later look."""
    if not refusal.may_be_unfinished:
        ledger.notice(_notice(refusal, now))


def _notice(refusal: Refusal, now: datetime) -> Notice:
    """What people hear. The digest: a deleted parameter begins at version 1 again."""
    digest = hashlib.sha256(refusal.text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return Notice(
        kind="setting-refused",
        id=f"{refusal.parameter}:{refusal.version}:{digest}",
        title=f"Setting refused: {refusal.parameter} version {refusal.version}",
        text=(
            f"{refusal.text}. It is not in force: the value accepted before it is, or the default "
            "where there was none. Check with `keyward settings validate`, then push it again."
        ),
        severity=Severity.HIGH,
        at=now,
    )
