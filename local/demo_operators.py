"""The part of the demo that plays in Slack: what people get there, and what their buttons do.

Slack is a workspace on this machine (local/slack.py); each press is the signed request that Slack
itself would send, to the function URL that was deployed. At the end there is the report.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyward.reporting import FILES
from local.center import ADMINISTRATOR
from local.emulator import PROJECT, STATE
from local.inbox import wait_until
from local.phone import Phone
from local.slack import MEMBERS
from local.story import key_statuses, printed

if TYPE_CHECKING:
    from local.caller import Caller
    from local.slack import Message
    from local.story import Story

CHANNEL = "C0ALERTS"
# Who may answer alerts, and by what; dana and emil may not.
OPERATORS = {
    "ana": ["acknowledge", "exempt", "quarantine", "release"],
    "ben": ["acknowledge", "release"],
    "chris": ["acknowledge", "quarantine"],
}
SETTINGS: dict[str, Any] = {
    "operators": {
        "people": [
            {"name": name.capitalize(), "slack_user": MEMBERS[name][0], "session": name, "may": may}
            for name, may in OPERATORS.items()
        ]
    },
    "concerned": {
        "text": "Credentials that last are not used here: people sign in, programs take roles.",
        "domains": ["example.com"],
        "portal": "https://d-9067642ac7.awsapps.com/start",
    },
}
ALERTS = {"slack": f"slack:{CHANNEL}"}
# Where it plays, and where the owner of its IAM users is read from.
ACCOUNT = "network"
OWNER = "emil"
SUBSCRIBERS = "tickets"
REPORTS = STATE / "reports"
SECONDS = 60
DAY = 86_400
UNDER_WAY = {"acting", "releasing"}


class Page(HTMLParser):
    """The report as its reader sees it: title, figures, and what it loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.figures: list[tuple[str, str]] = []
        self.loaded: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag begins, and what it loads."""
        given = dict(attrs)
        names = (given.get("class") or "").split()
        if tag == "title" and not self.title:
            self._inside = "title"
        elif "number" in names:
            self._inside = "number"
            self.figures.append(("", ""))
        elif "words" in names:
            self._inside = "words"
        elif "note" in names:
            self._inside = ""
        address = given.get("src") or (given.get("href") if tag == "link" else "") or ""
        if address and not address.startswith("data:"):
            self.loaded.append(address)

    def handle_endtag(self, tag: str) -> None:
        """Note that the title, or a list's item, is over."""
        if tag in {"title", "li"}:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep the words of the title and the figures."""
        number, words = self.figures[-1] if self.figures else ("", "")
        match self._inside:
            case "title":
                self.title += data
            case "number":
                self.figures[-1] = (number + data, words)
            case "words":
                self.figures[-1] = (number, words + data)


def subscribed(story: Story) -> str:
    """Let a queue get each event of the bus keyward-out, and return its address."""
    hub = story.organization.hub
    queue = hub.sqs.create_queue(QueueName=SUBSCRIBERS)["QueueUrl"]
    attributes = hub.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["keyward"]})
    hub.events.put_rule(Name=SUBSCRIBERS, EventBusName="keyward-out", EventPattern=pattern)
    hub.events.put_targets(
        Rule=SUBSCRIBERS, EventBusName="keyward-out", Targets=[{"Id": SUBSCRIBERS, "Arn": arn}]
    )
    return queue


def published(story: Story) -> list[dict[str, Any]]:
    """Return the events that the queue got, the oldest first."""
    sqs, found = story.organization.hub.sqs, []
    queue = sqs.get_queue_url(QueueName=SUBSCRIBERS)["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def in_slack(story: Story, about: str, severity: str = "") -> Message:
    """Return the newest message of the channel that speaks of it, and is so severe.

    Raises:
        TimeoutError: there is none.

    """
    found: list[Message] = []

    def came() -> bool:
        found.extend(
            it
            for it in story.organization.slack.in_channel(CHANNEL)
            if f" {about}" in it.shown() and severity in it.shown()
        )
        return bool(found)

    wait_until(came, f"Slack has a message about {about}", SECONDS)
    return found[-1]


def phone(story: Story, name: str) -> Phone:
    """Return a member's phone."""
    return Phone(story.organization, name)


def below(story: Story, message: Message) -> str:
    """Return what stands in the thread of a message."""
    return "\n".join(it.shown() for it in story.organization.slack.thread_of(message))


def first_line(text: str) -> str:
    """Return the first line of a text."""
    return next(iter(text.splitlines()), "")


def state(header: str) -> str:
    """Return the state that a message's header names: the word after the severity."""
    return header.partition(": ")[2].partition(",")[0]


def yes(is_so: bool) -> str:  # noqa: FBT001  what it says is its name
    """Return yes or no."""
    return "yes" if is_so else "no"


def policies(account: Caller, user: str) -> set[str]:
    """Return the names of the managed policies on a user, as IAM has them now."""
    found = account.iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
    return {policy["PolicyName"] for policy in found}


# The steps


def told(story: Story) -> None:
    """Slack: a key is contained, and people read there who did what, and what they can do."""
    account = story.organization.member(ACCOUNT)
    subscribed(story)
    account.iam.create_user(UserName="packer", Tags=[{"Key": "owner", "Value": MEMBERS[OWNER][1]}])
    story.call(account, "CreateAccessKey", UserName="packer")
    story.told()
    message = in_slack(story, "packer")
    printed(story, message.shown())
    to_owner = story.organization.slack.direct(OWNER)
    for direct in to_owner:
        story.note(f"and {OWNER}, whom a tag of the user names, gets a direct message:")
        printed(story, direct.shown())
    story.expect("the key, in IAM", ["Inactive"], key_statuses(account, "packer"))
    story.expect("buttons", ["Acknowledge", "Release"], list(message.buttons()))
    story.expect("direct messages to the key's owner", 1, len(to_owner))
    kinds = {it["detail-type"] for it in published(story) if "packer" in json.dumps(it)}
    story.expect("on the bus keyward-out", {"keyward.finding", "keyward.action"}, kinds)


def refused(story: Story) -> None:
    """Presses that are none: by somebody who may not, forged, altered, or sent a second time."""
    account, message = story.organization.member(ACCOUNT), in_slack(story, "packer")
    ana, dana = phone(story, "ana"), phone(story, "dana")
    dana.press(message, "Release")
    story.note("dana presses Release, and alone sees:")
    printed(story, dana.told_last())
    request = story.organization.slack.pressing(message, "Acknowledge", by="ana")
    story.expect("in ana's name, forged", 401, ana.send(request.forged()))
    ben = MEMBERS["ben"][0]
    story.expect("ana's, altered to be ben's", 401, ana.send(request.altered(ana.id, ben)))
    story.expect("the thread so far", "", below(story, message))
    story.expect("ana acknowledges", 200, ana.send(request))
    thread = below(story, message)
    story.note("ana presses Acknowledge, and everybody sees in the thread:")
    printed(story, thread)
    ana.send(request)
    story.note("the same request is sent again:")
    printed(story, ana.told_last())
    story.expect("the thread is as it was", "yes", yes(below(story, message) == thread))
    story.expect("the first message says it", "yes", yes("cknowledged" in message.shown()))
    story.expect("the key, in IAM", ["Inactive"], key_statuses(account, "packer"))


def released(story: Story) -> None:
    """A critical finding takes two people to release, and one person pressing twice isn't two."""
    account = story.organization.member(ACCOUNT)
    account.iam.create_user(UserName="nora")
    account.iam.create_access_key(UserName="nora")
    story.call(account, "AttachUserPolicy", UserName="nora", PolicyArn=ADMINISTRATOR)
    story.told()
    message = in_slack(story, "nora", "CRITICAL")
    ana, ben = phone(story, "ana"), phone(story, "ben")
    story.expect("the key, contained", ["Inactive"], key_statuses(account, "nora"))
    form = ana.fill_in(message, "Release", why="leads the migration, OPS-12")
    story.note("ana presses Release, and is asked:")
    printed(story, form.shown())
    ana.press(message, "Approve")
    story.note("ana presses Approve as well:")
    printed(story, ana.told_last())
    story.expect("the key after ana", ["Inactive"], key_statuses(account, "nora"))
    ben.press(message, "Approve")
    story.expect("the key after ben", ["Active"], key_statuses(account, "nora"))
    story.expect("its policies", {"AdministratorAccess"}, policies(account, "nora"))
    story.note("the thread, after ben pressed Approve:")
    printed(story, below(story, message))
    said = [first_line(it) for it in (message.before[0], message.shown())]
    story.expect(
        "the first message, at first and now", ["Contained", "Released"], [*map(state, said)]
    )
    story.told()


def ordered(story: Story) -> None:
    """A rule only reports that guest got a password: chris presses Quarantine now."""
    account = story.organization.member(ACCOUNT)
    account.iam.create_user(UserName="guest")
    story.call(account, "CreateLoginProfile", UserName="guest", Password="Correct-horse-1")
    story.told()
    message = in_slack(story, "guest")
    story.expect("policies of guest, before", set(), policies(account, "guest"))
    phone(story, "chris").fill_in(message, "Quarantine", why="nobody knows this person")
    story.expect("policies of guest", {"AWSDenyAll"}, policies(account, "guest"))
    printed(story, below(story, message))
    story.told()


def exempted(story: Story) -> None:
    """Another password is meant to be, for a while: ana exempts its user for 30 days."""
    account = story.organization.member(ACCOUNT)
    account.iam.create_user(UserName="kiosk")
    story.call(account, "CreateLoginProfile", UserName="kiosk", Password="Correct-horse-1")
    story.told()
    message = in_slack(story, "kiosk")
    why = "the screen in the lobby, until it signs in otherwise"
    ana = phone(story, "ana")
    form = ana.fill_in(message, "Exempt", why=why, ticket="OPS-31", long="30 days")
    printed(story, form.shown())
    story.told()
    found = story.organization.hub.ssm.get_parameters_by_path(Path="/keyward/exemptions")
    written = [json.loads(it["Value"]) for it in found["Parameters"] if "OPS-31" in it["Value"]]
    ends = (datetime.fromisoformat(it["until"]) - datetime.now(UTC) for it in written)
    story.expect(
        "days that the exemption lasts", [30], [round(it.total_seconds() / DAY) for it in ends]
    )
    story.expect("who answers for it", ["Ana"], [it["owner"].split()[0] for it in written])
    printed(story, below(story, message))
    story.expect("buttons that are left", [], list(message.buttons()))


def kept(story: Story) -> None:
    """Every press is in the ledger, with who and why; and other programs heard of it all."""
    printed(story, story.keyward("acts"))
    acts = json.loads(story.keyward("acts", "--json", silent=True))
    outcomes = {it["outcome"] for it in acts if it["via"] == "slack"}
    story.expect("what came of presses", {"done", "refused", "waiting"}, outcomes)
    events = [it for it in published(story) if it["detail-type"] == "keyward.finding"]
    states = {it["detail"]["state"] for it in events} - UNDER_WAY
    ended = {"acted", "exempt", "open", "released"}
    story.expect("states of findings on keyward-out", ended, states)


def reported(story: Story) -> None:
    """The report: where the organization stands, in one page that needs no network."""
    shown = story.keyward("report", "--output", str(REPORTS), "--json")
    files = {kind: Path(path) for kind, path in json.loads(shown)["files"].items()}
    page = Page()
    page.feed(files["html"].read_text(encoding="utf-8"))
    story.note(f"the page is kept: {files['html'].relative_to(PROJECT)}")
    printed(story, page.title)
    for number, words in page.figures:
        printed(story, f"{number:>6}  {words}")
    story.expect("files", set(FILES), set(files))
    findings = json.loads(story.keyward("findings", "list", "--json", silent=True))
    open_ones = [it for it in findings if it["state"] in {"open", "failed"}]
    counted = (int(number) for number, words in page.figures if words.endswith("findings open"))
    story.expect("findings open", len(open_ones), sum(counted))
    (contained,) = (number for number, words in page.figures if words == "contained now")
    acted = [it for it in findings if it["state"] == "acted"]
    story.expect("contained now", str(len(acted)), contained)
    story.expect("what the page loads from elsewhere", [], page.loaded)


STEPS = (told, refused, released, ordered, exempted, kept)
