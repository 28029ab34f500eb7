"""Denies what is left of a person's sessions, in a permission set's inline policy, until they end.

Removing an assignment ends no session that has begun. A deny on the person's id does, in the one
account that it was about. What is wanted of a set is the catalogue plus such denies, so that they
are no drift; which ones stand, the ledger knows, and nothing else counts: a deny that somebody else
puts in is drift.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/prereqs-revoking-user-permissions.html
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from keyward.model import AccountId, PermissionSetAttributes

MARK = "KeywardDeniesLiveSession"
"""How the Sid of each such statement begins; letters and digits only, as IAM wants it."""

VERSION = "2012-10-17"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDeny:
    """What is left of one person's sessions in one account is denied until then."""

    account: AccountId
    user_id: str
    until: datetime


def with_denies(
    attributes: PermissionSetAttributes, denies: Iterable[LiveDeny]
) -> PermissionSetAttributes:
    """The same attributes, with exactly these denies in the inline policy; others of ours go.

    An inline policy that is no JSON object stays as it is.
    """
    document = _document(attributes.inline_policy)
    if document is None:
        return attributes
    kept = [it for it in _statements(document) if not _is_ours(it)]
    ours = [_statement(deny) for deny in sorted(denies, key=lambda it: (it.account, it.user_id))]
    if not ours and len(kept) == len(_statements(document)):
        return attributes
    if not ours and not kept:
        return replace(attributes, inline_policy=None)
    document = {"Version": VERSION, **document, "Statement": [*kept, *ours]}
    return replace(attributes, inline_policy=json.dumps(document))


def _document(text: str | None) -> dict[str, object] | None:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _statements(document: dict[str, object]) -> list[object]:
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _is_ours(statement: object) -> bool:
    sid = statement.get("Sid") if isinstance(statement, dict) else None
    return isinstance(sid, str) and sid.startswith(MARK)


def _statement(deny: LiveDeny) -> dict[str, object]:
    digest = hashlib.sha256(f"{deny.account}/{deny.user_id}".encode()).hexdigest()[:16]
    return {
        "Sid": f"{MARK}{digest}",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "identitystore:UserId": deny.user_id,
                "aws:PrincipalAccount": deny.account,
            }
        },
    }
