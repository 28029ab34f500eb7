"""How the demo is told: numbered steps, each with what was expected beside what was observed."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError
from rich.markup import escape
from rich.table import Table

from local.center import center_of
from local.inbox import Inbox
from local.organization import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from local.caller import Caller
    from local.center import Center
    from local.cloudtrail import Record
    from local.inbox import Heard
    from local.organization import Organization, Role

CLI = Path(sys.executable)
# A warm function reads the settings in force again after this long.
SETTINGS_SECONDS = 31
# How the rules, and the kinds of notices, begin that are about Identity Center.
IN_IDENTITY_CENTER = ("idc-", "baseline-", "account-", "rollout")


class Step(Protocol):
    """One step of the story: its docstring is its title."""

    def __call__(self, story: Story) -> None:
        """Do something, and say what was expected and what is observed."""


@dataclass(slots=True)
class Story:
    """What the steps share: the organization, what people hear, and the count of surprises."""

    organization: Organization
    console: Console
    started: float
    inbox: Inbox = field(init=False)
    center: Center = field(init=False)
    settings_read: float = 0.0
    checks: int = 0
    failed: int = 0
    number: int = 0
    kept: dict[str, Record] = field(default_factory=dict)
    people: dict[str, Caller] = field(default_factory=dict)
    """Who was there before Keyward, by name, with a key."""
    roles: dict[str, Role] = field(default_factory=dict)
    """Roles that are gone for a while, by the account's name."""
    table: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        """Subscribe to the alerts, and sign in to Identity Center, before anything happens."""
        self.inbox = Inbox(self.organization)
        self.center = center_of(self.organization)

    def tell(self, step: Step) -> None:
        """Run one step, and print what was expected beside what was observed."""
        self.number += 1
        title = (step.__doc__ or "").removesuffix(".")
        seconds = time.monotonic() - self.started
        self.console.print(f"\n[bold]{self.number}. {title}[/] [dim]({seconds:.0f} s)[/]")
        self.table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
        for column, width in (("", 2), ("what", 44), ("expected", 30), ("observed", 30)):
            self.table.add_column(column, min_width=width, overflow="fold", header_style="dim")
        try:
            step(self)
        except (TimeoutError, ClientError, RuntimeError) as error:
            self.expect("the step itself", "goes through", str(error))
        except KeyError as lacking:
            self.expect("the step itself", "goes through", f"no {lacking}: a step before failed")
        self.console.print(self.table)

    def expect(self, what: str, expected: object, observed: object) -> None:
        """Put one observation beside its expectation."""
        self.checks += 1
        as_expected = expected == observed
        self.failed += not as_expected
        mark = "[green]ok[/]" if as_expected else "[bold red]NO[/]"
        self.table.add_row(mark, what, as_text(expected), as_text(observed))

    def note(self, text: str) -> None:
        """Print a remark above the table."""
        self.console.print(f"   [dim]{text}[/]")

    def call(self, caller: Caller, operation: str, **parameters: object) -> Record:
        """Make a real call in IAM and deliver the event of it."""
        return self.organization.driver.call(caller, caller.iam, operation, **parameters)

    def told(self) -> list[Heard]:
        """Return what people heard since the last look, once Keyward is done.

        But for Identity Center, which takes its time: what is done there is waited for by name.
        """
        self.inbox.wait_until_quiet()
        return self.inbox.take(lambda heard: not is_of_identity_center(heard))

    def asked(self, act: str) -> Any:  # noqa: ANN401  JSON
        """Ask the function behind the command line, and return its answer."""
        request = {"act": act, "by": "arn:aws:iam::111122223333:user/operator"}
        reply = self.organization.hub.lambda_.invoke(
            FunctionName="keyward-operator", Payload=json.dumps(request).encode()
        )
        return json.loads(reply["Payload"].read())

    def keyward(self, *arguments: str, silent: bool = False) -> str:
        """Run the command line as an operator would, and return what it printed.

        The command itself is shown unless it is `silent`.

        Raises:
            RuntimeError: it failed; the message is what it said.

        """
        endpoint = self.organization.emulator.endpoint
        done = run(CLI, "-m", "keyward_cli", *arguments, endpoint=endpoint)
        if not silent:
            shown = " ".join(f"'{a}'" if " " in a else a for a in arguments)
            self.note(f"$ keyward {shown}")
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or done.stdout.strip())
        return done.stdout


def as_text(value: object) -> str:
    """Return a value as a reader of the table wants it."""
    match value:
        case set() | frozenset():
            return as_text(sorted(map(str, value)))
        case list() | tuple():
            return ", ".join(str(v) for v in value) or "none"
        case _:
            return str(value)


def is_of_identity_center(heard: Heard) -> bool:
    """Return whether an alert is about permission sets, assignments or people's sign-in."""
    about = (heard.attributes.get("rule", ""), heard.attributes.get("kind", ""))
    return any(it.startswith(IN_IDENTITY_CENTER) for it in about)


def verb(alert: Heard) -> str:
    """Return what an alert's subject says was done: the words after the severity."""
    return alert.subject.split("] ", 1)[-1].split(":", 1)[0]


def show(story: Story, alert: Heard) -> None:
    """Print an alert as its subscribers read it."""
    for line in (alert.subject, "", *alert.body.splitlines()):
        story.console.print(f"   [dim]|[/] {escape(line)}")
    story.console.print()


def printed(story: Story, text: str) -> None:
    """Print what a command printed, as its reader sees it."""
    for line in text.splitlines():
        story.console.print(f"   [dim]|[/] {escape(line)}")


def key_statuses(account: Caller, user: str) -> list[str]:
    """Return the statuses of a user's keys, as IAM has them now."""
    found = account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    return sorted(key["Status"] for key in found)


def answer(call: Callable[[], object]) -> str:
    """Return 'allowed', or the code with which AWS refused."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"


def wait_for_settings(story: Story, seconds: float) -> None:
    """Return when warm functions have read the settings again."""
    wait = seconds - (time.monotonic() - story.settings_read)
    if wait > 0:
        story.note(f"warm functions read the settings again in {wait:.0f} s")
        time.sleep(wait)
