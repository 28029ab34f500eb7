"""The owner of what was contained hears of it once, at an address that somebody vouches for."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.ses.models import ses_backends

from keyward import concerned, telling
from keyward.findings import FindingRecord, State
from keyward.gateways.slack import Block, SlackGateway
from keyward.settings import Concerned
from keyward.told import PERSON, Delivered, Told
from tests.builders import NOW
from tests.core.test_text_and_alerts import HOSTILE, a_record
from tests.flow.world import HUB, REGION, aws_error

if TYPE_CHECKING:
    from tests.flow.center import Center
    from tests.flow.world import World

TEXT = "Keys leak. Ask #cloud-help.\nSecond line."
PORTAL = "https://d-1234567890.awsapps.com/start"
SENDER = "keyward@example.com"
SESSION = (
    "arn:aws:sts::111122223333:assumed-role/"
    "AWSReservedSSO_AdministratorAccess_0123456789abcdef/jane@example.com"
)


def settings(**fields: object) -> Concerned:
    return Concerned.model_validate({"text": TEXT, "domains": ("example.com",)} | fields)


def by(actor: str, **fields: object) -> FindingRecord:
    record = a_record(State.ACTED, **fields)
    evidence = record.evidence.model_copy(update={"actor": actor})
    return record.model_copy(update={"evidence": evidence})


# Whose address it is


@pytest.mark.parametrize(
    "owner", ["jane@example.com", "Jane.Doe+aws@example.com", "j@EXAMPLE.COM", "a_b@example.com"]
)
def test_one_address_in_a_named_domain_is_one(owner: str) -> None:
    name, _, _ = owner.partition("@")
    assert concerned.named_address(a_record(owner=owner), settings()) == f"{name}@example.com"


@pytest.mark.parametrize(
    "owner",
    [
        None,
        "",
        "jane",
        "team data",
        "jane@example.org",
        "jane@sub.example.com",
        "jane@example.com.evil.org",
        "jane@evil.org,jane@example.com",
        "jane@example.com, bob@example.com",
        "Jane <jane@example.com>",
        '"jane"@example.com',
        "jane@@example.com",
        "jane@example.com\nBcc: all@example.com",
        "jane@example.com ",
        ".jane@example.com",
        "ja..ne@example.com",
        "j\u0430ne@example.com",
        "jane@ex\u0430mple.com",
        "arn:aws:sts::1:assumed-role/x/jane@example.com (did CreateAccessKey)",
        "jane@[192.0.2.1]",
        "a" * 65 + "@example.com",
    ],
)
def test_what_is_not_exactly_that_is_none(owner: str | None) -> None:
    assert concerned.named_address(a_record(owner=owner), settings()) is None


@given(st.text(max_size=80) | st.from_regex(r"[a-z.]{1,20}@[a-z.]{1,20}", fullmatch=True))
def test_no_text_yields_an_address_elsewhere_or_a_second_one(text: str) -> None:
    found = concerned.named_address(a_record(owner=text), settings())
    assert found is None or (found.endswith("@example.com") and found.count("@") == 1)


def test_without_named_domains_no_tag_or_exemption_is_written_to() -> None:
    assert concerned.named_address(a_record(owner="j@example.com"), settings(domains=())) is None


@pytest.mark.parametrize(
    ("actor", "session"),
    [
        (SESSION, "jane@example.com"),
        (SESSION.replace("jane@example.com", "jane"), "jane"),
        ("arn:aws:sts::111122223333:assumed-role/deployer/jane@example.com", None),
        ("arn:aws:iam::111122223333:user/jane@example.com", None),
        (SESSION + "/more", None),
        ("jane@example.com", None),
        ("Keyward", None),
    ],
)
def test_session_counts_only_as_identity_centers(actor: str, session: str | None) -> None:
    assert concerned.session_of(by(actor)) == session


# What it says


def test_message_says_what_why_and_what_to_use_instead() -> None:
    record = a_record(State.ACTED)
    subject, body = concerned.message(record, settings(portal=PORTAL))
    assert record.account in subject
    for said in (
        record.subject,
        "access key AKIA is inactive",
        "Keys leak. Ask #cloud-help.",
        "Second line.",
        PORTAL,
        "aws configure sso",
        "aws sso login",
        "OIDC",
        record.key,
    ):
        assert said in body


@given(HOSTILE, HOSTILE)
def test_text_of_events_in_it_is_harmless(subject: str, reason: str) -> None:
    title, body = concerned.message(a_record(subject=subject, reason=reason), settings())
    assert title.isprintable()
    assert not set("<>&\r\u202e") & set(body)
    assert "@here" not in body


# When and how


class Slack(SlackGateway):
    """Knows who is in the workspace, and keeps what it was given."""

    def __init__(self, *known: str) -> None:
        self.known, self.told = known, list[tuple[str, str, Sequence[Block]]]()

    def write_to(self, email: str, *, text: str, blocks: Sequence[Block]) -> bool:
        if email not in self.known:
            return False
        self.told.append((email, text, blocks))
        return True


def mails() -> list[Any]:
    """What SES sent."""
    return list(ses_backends[HUB][REGION].sent_messages)


@pytest.fixture
def mailing(world: World) -> World:
    """A world whose hub may send mail."""
    boto3.client("ses", region_name=REGION).verify_email_identity(EmailAddress=SENDER)
    world.more = {"mail_from": SENDER}
    world.restart()
    tell_owners(world)
    return world


def tell_owners(world: World, **fields: object) -> None:
    concerned_ = {"text": TEXT, "domains": ["example.com"], **fields}
    world.settings(settings={"ceiling": "enforce", "concerned": concerned_})


def a_tagged_key(world: World, owner: str | None, user: str = "ci") -> dict[str, Any]:
    """The event of a key of a user whose owner tag says that."""
    tags = [] if owner is None else [{"Key": "Owner", "Value": owner}]
    world.do("CreateUser", UserName=user, Tags=tags)
    return world.do(
        "CreateAccessKey", UserName=user, actor={"type": "IAMUser", "arn": "arn:aws:iam::1:user/x"}
    )


def told(world: World) -> None:
    telling.tell(world.untold(), services=world.services, now=world.now)


def test_owner_that_a_tag_names_gets_one_mail_for_an_episode(mailing: World) -> None:
    event = a_tagged_key(mailing, "jane@example.com")
    mailing.deliver(event)
    assert mailing.finding("iam-access-key-created").owner == "jane@example.com"
    told(mailing)
    told(mailing)
    (mail,) = mails()
    assert mail.destinations["ToAddresses"] == ["jane@example.com"]
    assert "aws sso login" in mail.body
    assert mailing.untold() == []


@pytest.mark.parametrize("owner", ["jane@example.org", "team-data", None])
def test_nobody_is_written_to_where_nothing_vouches_for_the_address(
    mailing: World, owner: str | None
) -> None:
    mailing.deliver(a_tagged_key(mailing, owner))
    with mailing.recorded() as calls:
        told(mailing)
    assert "SendEmail" not in {name for name, _ in calls}
    assert mails() == []
    assert mailing.untold() == []


def test_identity_centers_user_is_written_to_by_the_address_that_it_has(
    mailing: World, center: Center
) -> None:
    tell_owners(mailing, domains=[])
    center.directory.create_user(
        IdentityStoreId=center.store,
        UserName="jane@example.com",
        DisplayName="Jane",
        Name={"GivenName": "Jane", "FamilyName": "Doe"},
        Emails=[
            {"Value": "old@example.net", "Type": "work", "Primary": False},
            {"Value": "jane.doe@example.net", "Type": "work", "Primary": True},
        ],
    )
    mailing.do("CreateUser", UserName="ci")
    mailing.deliver(mailing.do("CreateAccessKey", UserName="ci"))
    told(mailing)
    (mail,) = mails()
    assert mail.destinations["ToAddresses"] == ["jane.doe@example.net"]


def test_session_whose_user_identity_center_does_not_know_is_nobody(
    mailing: World, center: Center
) -> None:
    assert center.store
    mailing.do("CreateUser", UserName="ci")
    mailing.deliver(mailing.do("CreateAccessKey", UserName="ci"))
    told(mailing)
    assert mails() == []
    assert mailing.untold() == []


def test_slack_is_asked_first_and_mail_where_slack_knows_nobody(mailing: World) -> None:
    mailing.more |= {"slack_secret_arn": "arn:aws:secretsmanager:::secret:slack"}
    mailing.restart()
    slack = Slack("jane@example.com")
    mailing.services.__dict__["slack"] = slack
    mailing.deliver(a_tagged_key(mailing, "jane@example.com"))
    told(mailing)
    ((email, text, blocks),) = slack.told
    assert email == "jane@example.com"
    assert mails() == []
    assert "ci" not in text, "the fallback text is of our own words"
    kinds = {block["text"]["type"] for block in json.loads(json.dumps(blocks))}
    assert kinds == {"plain_text"}
    mailing.deliver(a_tagged_key(mailing, "bob@example.com", "other"))
    told(mailing)
    assert len(mails()) == 1


def test_mail_that_fails_is_sent_later_and_the_alert_is_not_told_again(mailing: World) -> None:
    def down(operation: str, _params: object, call: Any) -> object:
        if operation == "SendEmail":
            raise aws_error("TooManyRequestsException", operation, 429)
        return call()

    mailing.deliver(a_tagged_key(mailing, "jane@example.com"))
    mailing.fault = down
    with mailing.recorded() as calls:
        told(mailing)
        mailing.fault = None
        mailing.later(minutes=5)
        telling.tell_the_rest(services=mailing.services, now=mailing.now)
    assert [name for name, _ in calls].count("Publish") == 1
    assert len(mails()) == 1


@pytest.mark.parametrize("code", ["MessageRejected", "BadRequestException"])
def test_refused_address_is_not_tried_again_and_no_log_has_it(
    mailing: World, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(operation: str, _params: object, call: Any) -> object:
        if operation == "SendEmail":
            raise aws_error(code, operation)
        return call()

    mailing.deliver(a_tagged_key(mailing, "jane.secret@example.com"))
    mailing.fault = refuses
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="keyward"), mailing.recorded() as calls:
        told(mailing)
        mailing.later(minutes=5)
        telling.tell_the_rest(services=mailing.services, now=mailing.now)
    assert [name for name, _ in calls].count("SendEmail") == 1
    assert "owner not told" in caplog.text
    assert "jane.secret" not in caplog.text + json.dumps(
        [vars(it) for it in caplog.records], default=str
    )


def test_only_a_containment_of_iam_is_due_once_an_episode_and_where_settings_say_so(
    mailing: World,
) -> None:
    record = a_record(State.ACTED, owner="jane@example.com")

    def due(it: FindingRecord, had: Told | None = None) -> bool:
        return concerned.is_due(it, had or Told(), services=mailing.services, now=mailing.now)

    assert due(record)
    heard = Told(places={PERSON: Delivered(news=NOW, episode=1)})
    assert not due(record, heard)
    assert due(record.model_copy(update={"episode": 2}), heard)
    for state in set(State) - {State.ACTED}:
        assert not due(record.model_copy(update={"state": state}))
    assert not due(record.model_copy(update={"subject_kind": "PermissionSet"}))
    mailing.settings(settings={"ceiling": "enforce"})
    assert not due(record)
    tell_owners(mailing)
    mailing.more = {}
    mailing.restart()
    assert not due(record)
