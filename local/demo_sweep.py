"""The part of the demo without events: what a sweep finds by itself, and how silence is heard.

Who was here before Keyward is made at the beginning, and reported by a first sweep. What comes
later, at the end of the story, is one key whose event is lost, one that grows old, an account that
can't be entered, and a guard that was broken for a while.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from typing import TYPE_CHECKING

from local.center import ADMINISTRATOR
from local.inbox import (
    ACCOUNT_BASELINE,
    IAM_GUARD,
    IAM_SWEEP,
    IDENTITY_CENTER_GUARD,
    dead_letters,
    wait_until,
)
from local.organization import give_back, take_away
from local.story import (
    SETTINGS_SECONDS,
    key_statuses,
    printed,
    show,
    verb,
    wait_for_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.inbox import Heard
    from local.story import Story

KEYS, OLD_KEYS = "iam-access-key-created", "iam-access-key-too-old"
TAMPERED = "keyward-tampered"
ENFORCED = (OLD_KEYS,)
# So old a key may get, by the rule's default.
MAX_AGE_DAYS = 90
# IAM users who were here before Keyward, by account; the first has no key.
RESIDENTS = {
    "sandbox-ben": ("ben", "build"),
    "payments-prod": ("pay", "mallory"),
    "data-prod": ("olga", "etl"),
}
ADMINISTRATORS = ("pay", "mallory")
# Whose keys are older than the rule that objects to them, and where.
EXISTING = {
    **{user: name for name, users in RESIDENTS.items() for user in users[1:]},
    **dict.fromkeys(("ana", "nobody"), "sandbox-ana"),
}
# Where something happens that no event tells, and where nobody may enter for a while.
LOST, CLOSED, BROKEN = "sandbox-ben", "sandbox-chris", "shared-services"
LATE = "late"
MEMBER_ROLE = "keyward-member"
WAYS = ("accounts", "iam", "identity-center")
# The guard tries a message so often before it is a dead letter.
TRIES = 5
SECONDS = 60
ALERTS = {"single_per_window": 100}
OWNER = "build-team@example.com"


def settle(story: Story) -> None:
    """Make the users who were here before Keyward, and have each alert told by itself.

    And ask for every account's first credential report, which takes a while to be made.
    """
    hub, name = story.organization.hub, "/keyward/settings"
    hub.ssm.put_parameter(Name=name, Value=json.dumps({"alerts": ALERTS}), Type="String")
    story.organization.driver.parameter_changed(hub, name, "Create")
    for account in (hub, *map(story.organization.member, story.organization.accounts)):
        account.iam.generate_credential_report()
    for name, (first, *others) in RESIDENTS.items():
        account = story.organization.member(name)
        for user in (first, *others):
            account.iam.create_user(UserName=user)
            if user in ADMINISTRATORS:
                account.iam.attach_user_policy(UserName=user, PolicyArn=ADMINISTRATOR)
        for user in others:
            key = account.iam.create_access_key(UserName=user)["AccessKey"]
            story.people[user] = account.using(key["AccessKeyId"], key["SecretAccessKey"])


def swept(story: Story, *options: str) -> list[Heard]:
    """Have a sweep done, to its end and all that follows, and return what was told meanwhile."""
    story.note(story.keyward("sweep", *options, "--wait").strip().splitlines()[-1])
    for guard in (IDENTITY_CENTER_GUARD, ACCOUNT_BASELINE):
        story.inbox.wait_until_idle(guard, SECONDS)
    story.inbox.wait_until_quiet(SECONDS, guards=(IAM_GUARD, IAM_SWEEP))
    return story.inbox.read()


def of_rule(told: list[Heard], rule: str) -> list[Heard]:
    """Return the alerts of one rule."""
    return [alert for alert in told if alert.attributes.get("rule") == rule]


# The steps


def looked(story: Story) -> None:
    """A schedule begins the first sweep: who was here before is reported, and left alone."""
    story.organization.driver.fire(story.organization.hub, "keyward/keyward-sweep")
    told = swept(story)
    users = {user for some in RESIDENTS.values() for user in some}
    named = {user for user in users if any(f" {user}" in alert.subject for alert in told)}
    story.expect("users told of", users, named)
    story.expect("what the alerts say", {"Reported"}, {verb(alert) for alert in told})
    account = story.organization.member("payments-prod")
    story.expect("mallory's key, in IAM", ["Active"], key_statuses(account, "mallory"))
    story.settings_read = time.monotonic()


def alive(story: Story) -> None:
    """Signs of life: three canaries walk the whole way, from schedule to ledger."""
    for way in WAYS:
        story.organization.driver.fire(story.organization.hub, f"keyward/keyward-canary-{way}")

    def came() -> set[str]:
        reply = story.asked("status")
        return {it["way"] for it in reply["sources"] if not it["late"]}

    wait_until(lambda: came() == set(WAYS), "every canary has come")
    story.expect("canaries that came", set(WAYS), came())


def planned(story: Story) -> None:
    """What existed before is acted on only once somebody has confirmed a plan of it."""
    setting = {"mode": "enforce", "existing": "enforce"}
    story.expect("without a plan", ["setting-refused"], written(story, KEYS, setting))
    shown = story.keyward("sweep", "--plan", "--rule", KEYS, "--existing")
    printed(story, shown)
    listed = {user for user in EXISTING if f" {user}" in shown}
    story.expect("whose keys are in the plan", set(EXISTING), listed)
    (word,) = set(re.findall(rf"{KEYS}:[0-9a-f]+", shown))
    story.keyward("sweep", "--confirm", word, "--yes")
    story.expect("and now", ["plan-confirmed"], written(story, KEYS, setting))
    story.settings_read = time.monotonic()


def written(story: Story, rule: str, setting: dict[str, str]) -> list[str]:
    """Write a rule's setting, and return the kinds of what was told of it."""
    hub, name = story.organization.hub, f"/keyward/rules/{rule}"
    hub.ssm.put_parameter(Name=name, Value=json.dumps(setting), Type="String", Overwrite=True)
    story.organization.driver.parameter_changed(hub, name)
    return [alert.attributes["kind"] for alert in story.told()]


def unheard(story: Story) -> None:
    """A key is made whose event is lost, and an exempted key comes of age: a sweep finds both."""
    account, build = (story.organization.member(it) for it in (LOST, "shop-staging"))
    account.iam.create_access_key(UserName="ben")
    (key,) = build.iam.list_access_keys(UserName="ci-deploy")["AccessKeyMetadata"]
    story.organization.emulator.make_older(
        story.organization.accounts["shop-staging"], key["AccessKeyId"], days=MAX_AGE_DAYS
    )
    wait_for_settings(story, SETTINGS_SECONDS)
    story.expect("alerts, for there was no event", 0, len(story.told()))
    told = swept(story)
    (found,) = (it for it in of_rule(told, KEYS) if " ben" in it.subject)
    show(story, found)
    story.expect("what the alert of the lost key says", "Contained", verb(found))
    story.expect("the key, in IAM", ["Inactive"], key_statuses(account, "ben"))
    old = of_rule(told, OLD_KEYS)
    for alert in old:
        show(story, alert)
    warned = [alert for alert in old if OWNER in alert.body]
    story.expect("alerts that warn the old key's owner", 1, len(warned))
    story.expect("which works until the day told", ["Active"], key_statuses(build, "ci-deploy"))
    for alert in told:
        if alert.attributes.get("rule") not in {KEYS, OLD_KEYS}:
            story.note(alert.subject)
    left = {
        user
        for user, name in EXISTING.items()
        if key_statuses(story.organization.member(name), user) != ["Inactive"]
    }
    story.expect("keys that existed before, and are active", set(), left)


def closed(story: Story) -> None:
    """The next one finds all as it was, but for an account that nobody may enter any more."""
    id_ = story.organization.accounts[CLOSED]
    # Of an account that has just joined nobody wonders that it isn't ready.
    story.organization.emulator.make_older(id_, days=100)
    story.roles[CLOSED] = take_away(story.organization.member(CLOSED), MEMBER_ROLE)
    told = swept(story)
    for alert in told:
        story.note(alert.subject)
    story.expect("alerts", [id_], [alert.attributes["account"] for alert in told])
    story.expect("of", ["keyward-tampered"], [it.attributes.get("rule") for it in told])
    account = story.organization.member(LOST)
    story.expect("ben's key, in IAM", ["Inactive"], key_statuses(account, "ben"))


def opened(story: Story) -> None:
    """The account's role is put back: the finding is resolved by the next sweep, and no other."""
    id_ = story.organization.accounts[CLOSED]
    give_back(story.organization.member(CLOSED), story.roles[CLOSED])
    story.expect("alerts", [], [alert.subject for alert in swept(story)])
    found = json.loads(story.keyward("findings", "list", "--json", silent=True))
    states = {it["state"] for it in found if it["account"] == id_ and it["rule"] == TAMPERED}
    story.expect("the finding", {"resolved"}, states)


def redriven(story: Story) -> None:
    """A guard was broken for a while: its dead letters go back, and are as good as new."""
    account = story.organization.member(BROKEN)
    account.iam.create_user(UserName=LATE)
    with broken_guard(story):
        story.call(account, "CreateAccessKey", UserName=LATE)
        for _ in range(TRIES + 1):
            try_in_vain(story)
    story.expect("dead letters", 1, dead_letters(story.organization))
    story.expect("the key, in IAM", ["Active"], key_statuses(account, LATE))
    printed(story, story.keyward("redrive", "--yes"))
    told = story.told()
    story.expect("what the alert says", ["Contained"], [verb(alert) for alert in told])
    story.expect("the key, in IAM, now", ["Inactive"], key_statuses(account, LATE))
    story.expect("dead letters, now", 0, dead_letters(story.organization))


@contextlib.contextmanager
def broken_guard(story: Story) -> Iterator[None]:
    """Let the IAM guard take nothing from its queue, until the block ends."""
    client = story.organization.hub.lambda_
    (mapping,) = (
        it
        for it in client.list_event_source_mappings(FunctionName=IAM_GUARD)["EventSourceMappings"]
        if it["EventSourceArn"].endswith(f":{IAM_GUARD}")
    )
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    yield
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def try_in_vain(story: Story) -> None:
    """Take what is on the guard's queue as a guard does that fails: it comes again."""
    sqs = story.organization.hub.sqs
    url = sqs.get_queue_url(QueueName=IAM_GUARD)["QueueUrl"]
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)


STEPS = (unheard, closed, opened, redriven)
