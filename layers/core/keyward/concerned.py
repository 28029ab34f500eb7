"""Tells the owner of what was contained: why, and what to use instead.

Anybody who makes an IAM user can tag it with somebody else's address, or take a session name that
looks like one. So an address of a tag or exemption counts only in the domains that settings name,
and a session only as a user name that Identity Center knows: it says what the address is.
"""

import re
from datetime import datetime

from keyward.findings import FindingRecord, State
from keyward.observability import count, logger
from keyward.services import Services
from keyward.settings import Concerned
from keyward.text import clean, unlinked
from keyward.told import PERSON, Told

SUBJECTS = frozenset({"IamUser", "AccessKey", "ConsolePassword", "StaticCredential", "UserPolicy"})
"""What has an owner who may have used it."""

PART_LENGTH = 2900
"""A text of Slack's blocks holds 3,000 characters.

Source: https://docs.slack.dev/reference/block-kit/blocks/section-block
"""

_ADDRESS = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9])?)"
    r"@(?P<domain>[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9-]{1,63})+)",
    re.ASCII,
)
_SESSION = re.compile(
    r"arn:aws[a-z-]*:sts::[0-9]{12}:assumed-role/AWSReservedSSO_[\w+=,.@-]+_[0-9a-f]{16}"
    r"/(?P<session>[\w+=,.@-]{2,64})",
    re.ASCII,
)


def is_due(record: FindingRecord, told: Told, *, services: Services, now: datetime) -> bool:
    """Whether the owner is to be told: of a containment, once an episode, where settings say so.

    No call is made to tell.
    """
    environment = services.environment
    settings = services.accepted(now).settings.concerned
    before = told.places.get(PERSON)
    return (
        record.state is State.ACTED
        and record.subject_kind in SUBJECTS
        and settings.text is not None
        and (before is None or before.episode != record.episode)
        and bool(environment.slack_secret_arn or environment.mail_from)
        and (named_address(record, settings) is not None or session_of(record) is not None)
    )


def tell(record: FindingRecord, *, services: Services, now: datetime) -> None:
    """Tells the owner, by Slack or e-mail, where an address can be found. Raises GatewayError.

    Where nobody is found, and where the address is refused, that is logged (without the address),
    and it is as if he were told.
    """
    settings = services.accepted(now).settings.concerned
    address = named_address(record, settings) or _looked_up(record, services, now)
    if address is None or settings.text is None:
        logger.warning("nobody to tell", finding=record.key, rule=record.rule)
        count("OwnersNotTold")
        return
    subject, body = message(record, settings)
    if _by_slack(address, subject, body, services) or _by_mail(address, subject, body, services):
        logger.info("owner told", finding=record.key, rule=record.rule)
        count("OwnersTold")
        return
    logger.error("owner not told: the address is refused", finding=record.key, rule=record.rule)
    count("OwnersNotTold")


def address_in(text: str | None) -> str | None:
    """The text, if it is one e-mail address and nothing else; the domain in lower case."""
    found = _ADDRESS.fullmatch(text or "")
    if found is None or ".." in found["name"]:
        return None
    return f"{found['name']}@{found['domain'].lower()}"


def named_address(record: FindingRecord, settings: Concerned) -> str | None:
    """The address of the owner that a tag or exemption names, in a domain that settings name."""
    address = address_in(record.owner)
    if address is None or address.partition("@")[2] not in settings.domains:
        return None
    return address


def session_of(record: FindingRecord) -> str | None:
    """The name of Identity Center's user whose session did it, as the session says."""
    found = _SESSION.fullmatch(record.evidence.actor)
    return None if found is None else found["session"]


def _looked_up(record: FindingRecord, services: Services, now: datetime) -> str | None:
    session = session_of(record)
    if session is None:
        return None
    return address_in(services.identity_center(now).email_of(session))


def _by_slack(address: str, subject: str, body: str, services: Services) -> bool:
    """Whether Slack took it; the fallback text is of our own words only."""
    if not services.environment.slack_secret_arn:
        return False
    parts = [body[at : at + PART_LENGTH] for at in range(0, len(body), PART_LENGTH)]
    blocks = [
        {"type": "section", "text": {"type": "plain_text", "text": part, "emoji": False}}
        for part in parts
    ]
    return services.slack.write_to(address, text=subject, blocks=blocks)


def _by_mail(address: str, subject: str, body: str, services: Services) -> bool:
    if not services.environment.mail_from:
        return False
    return services.mail.send(address, subject=subject, body=body)


def message(record: FindingRecord, settings: Concerned) -> tuple[str, str]:
    """Subject and text of what the owner is told. Plain text; what events say is cleaned.

    Source: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
    """
    subject = f"Your AWS credential in account {record.account} was disabled"
    portal = (
        [f"- By hand and in the console: sign in at {settings.portal}"]
        if settings.portal is not None
        else ["- By hand and in the console: sign in at your organization's AWS access portal"]
    )
    own = [clean(line, limit=2000) for line in (settings.text or "").splitlines()]
    what = (
        f"Keyward, which watches this organization's AWS accounts, has acted on "
        f"{unlinked(record.subject)} in account {record.account}:"
    )
    evidence = record.evidence
    seen = (
        f"Seen: {unlinked(evidence.event_name)} at {evidence.event_time:%Y-%m-%d %H:%M} UTC. "
        f"{unlinked(record.reason)}"
    )
    lines = [
        what,
        "",
        f"    {unlinked(record.outcome or '')}",
        "",
        seen,
        "Nothing was deleted: an operator can put it back as it was.",
        "",
        *own,
        "",
        "What to use instead:",
        *portal,
        "- On the command line: aws configure sso, once; then aws sso login",
        "- In CI (GitHub, GitLab ...): a role that trusts its OIDC provider, without any key",
        "- For a program in AWS: the role of its function, task or instance",
        "",
        f"When you ask about it, name finding {record.key}.",
    ]
    return subject, "\n".join(lines)
