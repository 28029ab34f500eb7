"""Brings what owners wrote into force: reads the tree, compiles it, records and tells the rest."""

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.compiling import Compilation, Refusal, compiled
from keyward.findings import Notice, Severity
from keyward.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyward.gateways.ssm import SsmGateway
    from keyward.ledger import Ledger
    from keyward.rule import AnyRule


def settle(
    *, ssm: "SsmGateway", ledger: "Ledger", rules: "Iterable[AnyRule]", now: datetime
) -> Compilation:
    """What is in force from `now` on. Writes only where something changed; told once each.

    Raises GatewayError where AWS or somebody faster was in the way; nothing is lost then, since
    the next call compiles the whole tree again.
    """
    previous = ledger.accepted()
    compilation = compiled(ssm.parameters(PREFIX), previous=previous, rules=rules, now=now)
    if compilation.changed:
        ledger.accept(compilation.accepted, replacing=previous.version if previous else 0)
    for refusal in compilation.refused:
        ledger.notice(_notice(refusal, now))
    return compilation


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
