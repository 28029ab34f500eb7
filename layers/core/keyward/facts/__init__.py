"""Hint -> subjects: as the event claims them, and as they are in AWS now.

`claimed` is pure: it is what `explain` and `backtest` judge, and what decides whether AWS is asked
at all. `identified` finds out whom it is about, `current` reads just those subjects again.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from keyward.baselines import Baselines
from keyward.events import KEYWARD, check_message
from keyward.facts import access, accounts, directory, iam, identity_center, organization
from keyward.model import (
    AccountAccess,
    Catalogue,
    EventOnly,
    Hint,
    OfAccounts,
    OfIam,
    OfIdentityCenter,
    PermissionSetAttributes,
    Subject,
)
from keyward.own import changed_by

if TYPE_CHECKING:
    from keyward.gateways.reach import Reach
    from keyward.ledger import Ledger

NO_CATALOGUE: Mapping[str, PermissionSetAttributes] = {}
NO_BASELINES: Baselines = {}

MAX_ID_LENGTH = 128
"""So long an id of Keyward's own word may be: see events.py."""


def claimed(
    hint: Hint, catalogue: Catalogue = NO_CATALOGUE, baselines: Baselines = NO_BASELINES
) -> tuple[Subject, ...]:
    """The subjects that the event speaks of, as it claims them. No AWS call.

    Raises EventError where the event lacks what it must have: CloudTrail leaves out request and
    response over 100 KB, and such an event must reach a human and not be overlooked.
    Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    """
    if hint.error_code is not None:
        return ()
    return (
        *iam.claimed(hint),
        *identity_center.claimed(hint, catalogue),
        *directory.claimed(hint),
        *accounts.claimed(hint, baselines),
        *organization.claimed(hint),
        *changed_by(hint),
    )


def scope(hint: Hint, baselines: Baselines) -> str | None:
    """What many accounts the event is about, as a rollout has it; None where it is about none."""
    return accounts.scope(hint, baselines)


def look_again(hint: Hint, account: AccountAccess, *, after_seconds: int) -> str | None:
    """Keyward's word to itself: look at the account once its first days are over.

    None where the event begins none: Control Tower has not finished the account just then.
    """
    if (hint.event_source, hint.event_name) not in accounts.FINISHED:
        return None
    over = hint.time + timedelta(seconds=after_seconds)
    return check_message(
        id_=f"grace-{hint.event_id}"[:MAX_ID_LENGTH],
        account=hint.account,
        region=hint.region,
        time=over,
        why=accounts.GRACE_OVER,
        parameters={"account": account.account, "finished": hint.time.isoformat()},
    )


def too_early(hint: Hint, now: datetime) -> int:
    """For how many seconds Keyward's word to itself must wait; 0 where it needn't."""
    if hint.event_source != KEYWARD or hint.event_name != accounts.GRACE_OVER:
        return 0
    return max(math.ceil((hint.time - now).total_seconds()), 0)


def identified(
    subjects: Iterable[Subject], *, hint: Hint, reach: "Reach", ledger: "Ledger", now: datetime
) -> tuple[list[Subject], list[Subject]]:
    """The claimed subjects with whom they are about, exact; and those that are gone.

    What no API shows stays as it is claimed.
    """
    subjects = tuple(subjects)
    found: list[Subject] = [subject for subject in subjects if isinstance(subject, EventOnly)]
    gone: list[Subject] = []
    if in_iam := [subject for subject in subjects if isinstance(subject, OfIam)]:
        here, missing = iam.identified(in_iam, hint=hint, iam=reach.iam(), ledger=ledger, now=now)
        found += here
        gone += missing
    if others := [subject for subject in subjects if isinstance(subject, OfIdentityCenter)]:
        there, absent = identity_center.identified(others, reach=reach, ledger=ledger)
        found += there
        gone += absent
    if in_org := [subject for subject in subjects if isinstance(subject, OfAccounts)]:
        members, skipped = access.identified(in_org, reach=reach, ledger=ledger)
        found += members
        gone += skipped
    return found, gone


def recorded(
    subjects: Iterable[Subject], *, hint: Hint, ledger: "Ledger", now: datetime
) -> list[Subject]:
    """The claimed subjects as far as the ledger alone knows them, where AWS can't be read."""
    subjects = tuple(subjects)
    return [
        *(subject for subject in subjects if not isinstance(subject, OfIam)),
        *iam.recorded(
            (subject for subject in subjects if isinstance(subject, OfIam)),
            hint=hint,
            ledger=ledger,
            now=now,
        ),
    ]


def current(
    subjects: Iterable[Subject],
    *,
    reach: "Reach",
    ledger: "Ledger",
    now: datetime,
    unsure: Collection[Subject] = (),
) -> list[Subject]:
    """Just those subjects, as they are in AWS now; left out are those that are gone.

    Of the `unsure` ones a rule couldn't yet tell: what costs a call more is read of these alone.
    """
    subjects = tuple(subjects)
    found: list[Subject] = [subject for subject in subjects if isinstance(subject, EventOnly)]
    if in_iam := [subject for subject in subjects if isinstance(subject, OfIam)]:
        found += iam.current(in_iam, iam=reach.iam(), unsure=unsure)
    if others := [subject for subject in subjects if isinstance(subject, OfIdentityCenter)]:
        found += identity_center.current(others, reach=reach, ledger=ledger, now=now)
    if in_org := [subject for subject in subjects if isinstance(subject, OfAccounts)]:
        found += access.current(in_org, reach=reach, ledger=ledger, now=now)
    return found
