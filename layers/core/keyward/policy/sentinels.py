"""What another engine is asked about a policy, to compare its answer with ours.

These are the calls of the table of which a single one, on resources of any name, makes whoever may
do it admin in whichever account. Whether a policy allows one of them is a question that needs no
table. Left out is what an answer to it would say too much of: what takes several calls, what works
in few accounts, and what leads to more only where a policy names the resource on purpose.
"""

from collections.abc import Iterator
from typing import Final

from keyward.model import PolicyDocument
from keyward.policy.analysis import analyse, contributes
from keyward.policy.paths import PATHS, Need, Reach

NAME = "of-any-name"
"""Of a resource that no policy means on purpose: what allows a call on it allows it on all."""


def _alone() -> Iterator[Need]:
    for path in PATHS:
        if path.reach is not Reach.ESCALATION or path.if_sweeping is not None:
            continue
        for way in path.ways:
            match way:
                case (need,) if not (need.on.loose or need.on.only_names):
                    yield need


_NEEDS = tuple(_alone())

SENTINELS: Final = tuple(dict.fromkeys(need.action for need in _NEEDS))
"""The actions, in the table's order. IAM Access Analyzer takes a hundred, and as many resources.

Source: https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_Access.html
"""


def resources(*, partition: str, account: str) -> tuple[str, ...]:
    """One resource of each kind that the actions are about, none of which anybody has."""
    kinds = dict.fromkeys(need.on for need in _NEEDS)
    return tuple(
        f"arn:{partition}:{service}::{account if kind.has_account else ''}:{kind.prefix}{NAME}"
        for kind in kinds
        for service in kind.services
    )


def worth_asking(document: PolicyDocument) -> bool:
    """Whether another engine could know of more than we do.

    It can't of what isn't there, of what speaks of no path, and of what we find to lead as far by
    itself; of what we can't read it can.
    """
    if not document.text or not contributes(document):
        return False
    return analyse([document]).reach.rank < Reach.ESCALATION.rank
