"""The story of Keyward, told step by step on a local organization: expected and observed.

Everything that happens is real in the emulator: `sam deploy` put the functions there, people make
real calls with real credentials, and what is observed is read back from IAM. Ends with status 1 if
anything observed is not what was expected.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table

from local import cloudtrail
from local.inbox import Heard, Inbox
from local.organization import run, running_organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.caller import Caller
    from local.cloudtrail import Record
    from local.organization import Organization

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
# A warm function reads the settings in force again after this long.
SETTINGS_SECONDS = 31
CLI = Path(sys.executable)
ENFORCED = ("iam-access-key-created", "iam-user-created", "iam-quarantine-undone")


def main() -> int:
    """Tell the story and return the exit status."""
    started = time.monotonic()
    console = Console(width=118, highlight=False, soft_wrap=True)
    console.print("[bold]Keyward on a local AWS organization[/]\n")

    def tell(what: str) -> None:
        console.print(f"  {time.monotonic() - started:5.1f} s  {what}")

    with running_organization(tell) as organization:
        story = Story(organization, console)
        for step in STEPS:
            story.tell(step)
    seconds = time.monotonic() - started
    verdict = (
        f"[bold green]All {story.checks} observations are as expected[/]"
        if not story.failed
        else f"[bold red]{story.failed} of {story.checks} observations are NOT as expected[/]"
    )
    console.print(f"\n{verdict}, in {seconds:.0f} s. Everything started here was stopped.")
    return 1 if story.failed else 0


@dataclass(slots=True)
class Story:
    """What the steps share: the organization, what people hear, and the count of surprises."""

    organization: Organization
    console: Console
    inbox: Inbox = field(init=False)
    settings_read: float = 0.0
    checks: int = 0
    failed: int = 0
    number: int = 0
    kept: dict[str, Record] = field(default_factory=dict)
    table: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        """Subscribe to the alerts before anything happens."""
        self.inbox = Inbox(self.organization)

    def tell(self, step: Callable[[Story], None]) -> None:
        """Run one step, and print what was expected beside what was observed."""
        self.number += 1
        title = (step.__doc__ or "").removesuffix(".")
        self.console.print(f"\n[bold]{self.number}. {title}[/]")
        self.table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
        for column, width in (("", 2), ("what", 44), ("expected", 30), ("observed", 30)):
            self.table.add_column(column, min_width=width, overflow="fold", header_style="dim")
        try:
            step(self)
        except (TimeoutError, ClientError, RuntimeError) as error:
            self.expect("the step itself", "goes through", str(error))
        self.console.print(self.table)

    def expect(self, what: str, expected: object, observed: object) -> None:
        """Put one observation beside its expectation."""
        self.checks += 1
        as_expected = expected == observed
        self.failed += not as_expected
        mark = "[green]ok[/]" if as_expected else "[bold red]NO[/]"
        self.table.add_row(mark, what, as_text(expected), as_text(observed))

    def call(self, caller: Caller, operation: str, **parameters: object) -> Record:
        """Make a real call in IAM and deliver the event of it."""
        return self.organization.driver.call(caller, caller.iam, operation, **parameters)

    def told(self) -> list[Heard]:
        """Return what people heard since the last look, once Keyward is done."""
        return self.inbox.read_when_quiet()

    def keyward(self, *arguments: str) -> str:
        """Run the command line as an operator would, and return what it printed.

        Raises:
            RuntimeError: it failed; the message is what it said.

        """
        endpoint = self.organization.emulator.endpoint
        done = run(CLI, "-m", "keyward_cli", *arguments, endpoint=endpoint)
        shown = " ".join(f"'{a}'" if " " in a else a for a in arguments)
        self.console.print(f"   [dim]$ keyward {shown}[/]")
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or done.stdout.strip())
        return done.stdout


def as_text(value: object) -> str:
    """Return a value as a reader of the table wants it."""
    match value:
        case list() | tuple() | set():
            return ", ".join(str(v) for v in value) or "none"
        case _:
            return str(value)


def answer(call: Callable[[], object]) -> str:
    """Return 'allowed', or the code with which AWS refused."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"


def key_statuses(account: Caller, user: str) -> list[str]:
    """Return the statuses of a user's keys, as IAM has them now."""
    found = account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    return sorted(key["Status"] for key in found)


def policies(account: Caller, user: str) -> set[str]:
    """Return the names of the managed policies on a user, as IAM has them now."""
    found = account.iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
    return {policy["PolicyName"] for policy in found}


def person(account: Caller, name: str) -> Caller:
    """Return an administrator of the account who was there before Keyward, with a key."""
    account.iam.create_user(UserName=name)
    account.iam.attach_user_policy(UserName=name, PolicyArn=ADMINISTRATOR)
    key = account.iam.create_access_key(UserName=name)["AccessKey"]
    return account.using(key["AccessKeyId"], key["SecretAccessKey"])


def ground(story: Story) -> None:
    """The ground: this emulator refuses what AWS would refuse."""
    account = story.organization.member("sandbox-ana")
    other = story.organization.member("sandbox-ben")
    account.iam.create_user(UserName="nobody")
    key = account.iam.create_access_key(UserName="nobody")["AccessKey"]
    nobody = account.using(key["AccessKeyId"], key["SecretAccessKey"])
    story.expect(
        "a user without policies lists users", "AccessDenied", answer(nobody.iam.list_users)
    )
    story.expect(
        "another account looks that user up",
        "NoSuchEntity",
        answer(lambda: other.iam.get_user(UserName="nobody")),
    )


def report(story: Story) -> None:
    """A fresh deployment observes: a key is created in sandbox-ana, and told of."""
    account = story.organization.member("sandbox-ana")
    account.iam.create_user(UserName="ana")
    story.kept["report"] = story.call(account, "CreateAccessKey", UserName="ana")
    told = story.told()
    story.settings_read = time.monotonic()
    story.expect("alerts", 1, len(told))
    story.expect("what the alert says", ["Reported"], [verb(alert) for alert in told])
    story.expect("the key, in IAM", ["Active"], key_statuses(account, "ana"))


def bad_setting(story: Story) -> None:
    """Somebody writes a bad setting by hand: it is refused and told, and nothing changes."""
    hub = story.organization.hub
    name = "/keyward/rules/iam-access-key-created"
    hub.ssm.put_parameter(Name=name, Value='{"mode": "enforec"}', Type="String")
    story.organization.driver.parameter_changed(hub, name, "Create")
    told = story.told()
    story.expect("alerts", ["setting-refused"], [alert.attributes["kind"] for alert in told])
    wanted = (name, "version 1", "mode", "'enforce'")
    text = told[0].subject + told[0].body if told else ""
    story.expect("the alert names", wanted, tuple(part for part in wanted if part in text))


def enforce(story: Story) -> None:
    """The owners switch three rules to enforce, and exempt the build users of shop-staging."""
    exemption = {
        "owner": "build-team@example.com",
        "reason": "The build server's vendor supports access keys only",
        "ticket": "SEC-1234",
        "until": "2099-12-31T23:59:59Z",
        "account": story.organization.accounts["shop-staging"],
        "user_pattern": "ci-*",
        "signed_by": "security@example.com",
        "rules": ["iam-user-created", "iam-access-key-created", "iam-access-key-for-other-user"],
    }
    files = {
        "settings.json": {"ceiling": "enforce", "alerts": {"single_per_window": 50}},
        "exemptions/build-users.json": exemption,
        **{f"rules/{rule}.json": {"mode": "enforce"} for rule in ENFORCED},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, value in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(value))
        story.keyward("settings", "push", folder, "--yes")
    story.organization.driver.parameter_changed(story.organization.hub, "/keyward/settings")
    story.expect("settings refused", 0, len(story.told()))
    status = json.loads(story.keyward("status", "--json"))
    story.expect("the ceiling in force", "enforce", status["ceiling"])
    wait = SETTINGS_SECONDS - (time.monotonic() - story.settings_read)
    if wait > 0:
        story.console.print(f"   [dim]warm functions read the settings again in {wait:.0f} s[/]")
        time.sleep(wait)


def before(story: Story) -> None:
    """What existed before a rule began to enforce is left to its owners."""
    account = story.organization.member("sandbox-ana")
    story.organization.driver.deliver(story.kept["report"])
    story.expect("further alerts", 0, len(story.told()))
    story.expect("ana's key, in IAM", ["Active"], key_statuses(account, "ana"))


def deactivate(story: Story) -> None:
    """Enforced: a key is created in payments-prod, and is dead a moment later."""
    account = story.organization.member("payments-prod")
    account.iam.create_user(UserName="pay")
    account.iam.attach_user_policy(UserName="pay", PolicyArn=ADMINISTRATOR)
    started = time.monotonic()
    story.kept["key"] = story.call(account, "CreateAccessKey", UserName="pay")
    told = story.told()
    seconds = time.monotonic() - started
    story.console.print(f"   [dim]from the call to the alert: {seconds:.1f} s[/]")
    story.expect("alerts", 1, len(told))
    story.expect("what the alert says", ["Contained"], [verb(alert) for alert in told])
    story.expect("the key, in IAM", ["Inactive"], key_statuses(account, "pay"))
    if told:
        story.console.print(indented(told[0]))


def again(story: Story) -> None:
    """The same event comes three times more: nothing changes, nobody is bothered."""
    account = story.organization.member("payments-prod")
    for _ in range(3):
        story.organization.driver.deliver(story.kept["key"])
    story.expect("further alerts", 0, len(story.told()))
    story.expect("the key, in IAM", ["Inactive"], key_statuses(account, "pay"))


def attack(story: Story) -> None:
    """An attacker with administrator's rights there makes the key active again, and loses again."""
    account = story.organization.member("payments-prod")
    mallory = person(account, "mallory")
    key = account.iam.list_access_keys(UserName="pay")["AccessKeyMetadata"][0]["AccessKeyId"]
    for attempt in ("first", "second"):
        story.call(mallory, "UpdateAccessKey", UserName="pay", AccessKeyId=key, Status="Active")
        told = story.told()
        story.expect(
            f"severity of the alerts, {attempt} attempt",
            ["critical"],
            [alert.attributes["severity"] for alert in told],
        )
        story.expect(
            f"the key in IAM, {attempt} attempt", ["Inactive"], key_statuses(account, "pay")
        )


def quarantine(story: Story) -> None:
    """A user is created in shop-prod; its event comes late, when it has rights and two keys."""
    account = story.organization.member("shop-prod")
    event = cloudtrail.envelope(
        cloudtrail.recorded(account, account.iam, "CreateUser", UserName="intern")
    )
    account.iam.attach_user_policy(UserName="intern", PolicyArn=ADMINISTRATOR)
    key = account.iam.create_access_key(UserName="intern")["AccessKey"]
    spare = account.iam.create_access_key(UserName="intern")["AccessKey"]
    account.iam.update_access_key(
        UserName="intern", AccessKeyId=spare["AccessKeyId"], Status="Inactive"
    )
    intern = account.using(key["AccessKeyId"], key["SecretAccessKey"])
    story.expect("the user lists users, before", "allowed", answer(intern.iam.list_users))
    story.organization.driver.deliver(event)
    story.kept["user"] = event
    told = story.told()
    story.expect("what the alert says", ["Contained"], [verb(alert) for alert in told])
    story.kept["finding"] = {"key": told[0].attributes["finding"] if told else ""}
    story.expect("its policies", {"AWSDenyAll", "AdministratorAccess"}, policies(account, "intern"))
    story.expect("its keys", ["Inactive", "Inactive"], key_statuses(account, "intern"))
    story.expect(
        "the user lists users, after", "InvalidClientTokenId", answer(intern.iam.list_users)
    )


def release(story: Story) -> None:
    """It was meant to be: a release restores exactly what was there, and holds."""
    account = story.organization.member("shop-prod")
    finding = str(story.kept["finding"]["key"])
    story.keyward("release", finding, "--reason", "hired on Monday, HR-7")
    story.told()
    story.expect("its policies", {"AdministratorAccess"}, policies(account, "intern"))
    story.expect(
        "its keys (one was inactive)", ["Active", "Inactive"], key_statuses(account, "intern")
    )
    story.organization.driver.deliver(story.kept["user"])
    story.expect("alerts when the event comes again", 0, len(story.told()))
    story.expect("its policies, still", {"AdministratorAccess"}, policies(account, "intern"))


def exempt(story: Story) -> None:
    """An exempted user is left alone: a build server of shop-staging gets its key."""
    account = story.organization.member("shop-staging")
    story.call(account, "CreateUser", UserName="ci-deploy")
    story.call(account, "CreateAccessKey", UserName="ci-deploy")
    story.expect("alerts", 0, len(story.told()))
    story.expect("its key", ["Active"], key_statuses(account, "ci-deploy"))


def ledger(story: Story) -> None:
    """What the ledger says at the end, and that nothing was lost on the way."""
    found = json.loads(story.keyward("findings", "list", "--json"))
    states: dict[str, int] = {}
    for finding in found:
        states[finding["state"]] = states.get(finding["state"], 0) + 1
    story.expect("findings contained", 2, states.get("acted", 0))
    story.expect("findings released", 1, states.get("released", 0))
    story.expect("findings failed", 0, states.get("failed", 0))
    story.expect("dead letters", 0, dead_letters(story.organization))


def verb(alert: Heard) -> str:
    """Return what an alert's subject says was done: the words after the severity."""
    return alert.subject.split("] ", 1)[-1].split(":", 1)[0]


def indented(alert: Heard) -> str:
    """Return an alert as the demo shows it."""
    lines = [alert.subject, "", *alert.body.splitlines()]
    return "\n".join(f"   [dim]|[/] {line}".replace("[H", r"\[H") for line in lines) + "\n"


def dead_letters(organization: Organization) -> int:
    """Return how many messages lie in all dead-letter queues together."""
    sqs = organization.hub.sqs
    total = 0
    for queue in sqs.list_queues(QueueNamePrefix="keyward-")["QueueUrls"]:
        if queue.endswith("dead-letters"):
            found = sqs.get_queue_attributes(
                QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
            )
            total += int(found["Attributes"]["ApproximateNumberOfMessages"])
    return total


STEPS = (
    *(ground, report, bad_setting, enforce, before, deactivate),
    *(again, attack, quarantine, release, exempt, ledger),
)

if __name__ == "__main__":
    sys.exit(main())
