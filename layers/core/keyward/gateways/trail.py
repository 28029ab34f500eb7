"""CloudTrail's event history: what became of the assignments of a permission set that is gone.

The history has what was called in this account: what a delegated administrator removed stands in
that account's, which nothing here reads.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from keyward import events
from keyward.actions import AssignmentTarget, PermissionSetTarget
from keyward.errors import EventError, GatewayError
from keyward.gateways.translate import translated
from keyward.model import Hint, PrincipalKind
from keyward.principals import recognised

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

EVENT_SOURCE = "sso.amazonaws.com"

BEFORE_IT_WENT = timedelta(hours=1)
"""A set goes only once nobody is assigned: what was removed so shortly before belonged to that."""

LAG = timedelta(minutes=15)
"""So long after a call the history may still lack it: AWS says 5 minutes on average, and no limit.

Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
"""

PAGE_SIZE = 50
"""LookupEvents gives no more at once."""

PAGES_OF_DELETIONS = 2
PAGES_OF_REMOVALS = 20
"""So many pages are read: a thousand removals in an hour. A Lambda must come to an end."""

FREE_CALLS = 2
PAUSE_SECONDS = 0.5
"""LookupEvents may be called twice in a second, by all of an account's region together.

Source: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TrailGateway:
    """The last 90 days of management events of this account and region."""

    def __init__(
        self,
        client: "CloudTrailClient",
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._client, self._sleep, self._clock = client, sleep, clock

    def groups_removed(
        self, former_arn: str, target: PermissionSetTarget, *, deleted_at: datetime | None = None
    ) -> tuple[AssignmentTarget, ...]:
        """The assignments to groups that were taken from the set within the hour before it went.

        Of each account and group the last removal counts, and not where Keyward made it. When the
        set went, the history says; where it doesn't, the hour before now counts, and as much more
        as the history may lag. Removals by the console's older API (DisassociateProfile) are not
        seen: nobody knows how their events look.

        Raises GatewayError: retryable, of code HistoryLags, where the set went at `deleted_at`, so
        short a while ago that the history may lack it; not retryable where more was removed than
        is read here, or where a record can't be read, since half of the groups would pass for all.
        """
        calls = itertools.count(1)
        went_at = self._went_at(former_arn, calls)
        now = self._clock()
        if went_at is not None:
            begins, ends = went_at - BEFORE_IT_WENT, went_at
        elif deleted_at is not None and now - deleted_at < LAG:
            message = f"CloudTrail's event history doesn't show yet how {former_arn} went"
            raise GatewayError(message, code="HistoryLags", retryable=True)
        else:
            begins, ends = (deleted_at or now - LAG) - BEFORE_IT_WENT, now
        removed: dict[tuple[str, str], Hint] = {}
        for hint in self._removals(former_arn, begins, ends, calls):
            account, group = _text(hint, "targetId"), _text(hint, "principalId")
            if _text(hint, "principalType") == PrincipalKind.GROUP and account and group:
                removed.setdefault((account, group), hint)
        return tuple(
            AssignmentTarget(
                account=account,
                instance_arn=target.instance_arn,
                permission_set_arn=former_arn,
                permission_set_name=target.permission_set_name,
                principal_kind=PrincipalKind.GROUP,
                principal_id=group,
            )
            for (account, group), hint in sorted(removed.items())
            if recognised(hint.actor, hint.account, hub=target.account) != "Keyward"
        )

    def _went_at(self, arn: str, calls: Iterator[int]) -> datetime | None:
        """When the set was deleted; None where the history doesn't show it, or not any more."""
        pages = self._pages("DeletePermissionSet", calls, {})
        for page in itertools.islice(pages, PAGES_OF_DELETIONS):
            for hint in page:
                if _is_about(hint, "DeletePermissionSet", arn):
                    return hint.time
        return None

    def _removals(
        self, arn: str, begins: datetime, ends: datetime, calls: Iterator[int]
    ) -> Iterator[Hint]:
        """The removals of the set's assignments within that time, the latest first."""
        period = {"StartTime": begins, "EndTime": ends}
        pages = self._pages("DeleteAccountAssignment", calls, period)
        for page in itertools.islice(pages, PAGES_OF_REMOVALS):
            yield from (hint for hint in page if _is_about(hint, "DeleteAccountAssignment", arn))
        if next(pages, []):
            message = (
                f"more than {PAGES_OF_REMOVALS * PAGE_SIZE} assignments were removed in the hour "
                f"before {arn} went: give the groups theirs by hand"
            )
            raise GatewayError(message, code="TooMuchHistory")

    def _pages(
        self, event_name: str, calls: Iterator[int], more: dict[str, datetime]
    ) -> Iterator[list[Hint]]:
        """The events of this name, the latest first, page by page."""
        token: dict[str, str] = {}
        while True:
            if next(calls) > FREE_CALLS:
                self._sleep(PAUSE_SECONDS)
            with translated(f"LookupEvents {event_name}"):
                page = self._client.lookup_events(
                    LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": event_name}],
                    MaxResults=PAGE_SIZE,
                    **more,  # type: ignore[arg-type]  # the stubs want every argument spelt out
                    **token,  # type: ignore[arg-type]  # the same
                )
            yield [_read(event["CloudTrailEvent"]) for event in page["Events"]]
            if not (following := page.get("NextToken")):
                return
            token = {"NextToken": following}


def _read(text: str) -> Hint:
    try:
        return events.parse_record(events.loads(text))
    except EventError as error:
        message = f"a record of CloudTrail's event history can't be read: {error}"
        raise GatewayError(message, code="UnreadableHistory") from error


def _is_about(hint: Hint, event_name: str, arn: str) -> bool:
    """Whether the call was this one, about this set, and took effect."""
    return (
        (hint.event_source, hint.event_name) == (EVENT_SOURCE, event_name)
        and hint.error_code is None
        and _text(hint, "permissionSetArn") == arn
    )


def _text(hint: Hint, name: str) -> str | None:
    try:
        return events.text_of(hint.parameters, name)
    except EventError as error:
        message = f"event {hint.event_id} of CloudTrail's event history: {error}"
        raise GatewayError(message, code="UnreadableHistory") from error
