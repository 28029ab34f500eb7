"""Who is who: whether two who ask are two people. Pure.

Slack knows people by a member id, AWS by an ARN; the list in settings says which belong together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from keyward.settings import OperatorPerson


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks for an act, and how the request came.

    `identity` is a member id of Slack, an ARN, or what the caller says it is; `proven` tells that
    Slack's signature or the caller's own credentials vouch for it. `label` is what records say.
    `at` and `id` are the request's own: the same when it is delivered again.
    """

    via: Literal["slack", "invocation"]
    identity: str
    label: str
    proven: bool
    at: datetime
    id: str


def by_slack(user: str, people: Iterable[OperatorPerson]) -> OperatorPerson | None:
    """The listed person with this member id."""
    return next((it for it in people if it.slack_user == user), None)


def by_arn(arn: str, people: Iterable[OperatorPerson]) -> OperatorPerson | None:
    """The listed person whose name stands after the last / of the ARN, in whatever case.

    A federated user is nobody on the list: whoever asked for the token chose that name.
    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html

    IAM takes names that differ in case alone for the same.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    name = None if _chose_its_name(arn) else _name(arn)
    return next((it for it in people if it.session and it.session.casefold() == name), None)


def same_person(first: str, second: str, people: tuple[OperatorPerson, ...]) -> str | None:
    """Why these may be one person; None where they are two. Both must be proven.

    Each is an ARN or a member id of Slack. Of an assumed role the session's name counts, never the
    role: somebody who holds two permission sets is one person all the same.
    """
    one, other = _listed(first, people), _listed(second, people)
    if one is not None and other is not None:
        return "it is the same person" if one == other else None
    if one is None and other is None and _names_somebody(first) and _names_somebody(second):
        return "it is the same person" if _unlisted(first) == _unlisted(second) else None
    return (
        "nobody can tell whether it is the same person: list both in operators.people of "
        "/keyward/settings"
    )


def _listed(identity: str, people: tuple[OperatorPerson, ...]) -> OperatorPerson | None:
    return by_arn(identity, people) if _is_arn(identity) else by_slack(identity, people)


def _is_arn(identity: str) -> bool:
    return identity.startswith("arn:")


def _names_somebody(identity: str) -> bool:
    return _is_arn(identity) and not _chose_its_name(identity)


def _chose_its_name(arn: str) -> bool:
    """Whether it is a federated user's."""
    return arn.split(":", 5)[-1].startswith("federated-user/")


def _name(arn: str) -> str:
    """What stands after the last / of an ARN, of the root user's the whole."""
    return arn.rpartition("/")[2].casefold()


def _unlisted(arn: str) -> tuple[str, str]:
    """An account and a name in it, which are a person where no list says more."""
    return arn.split(":")[4], _name(arn)
