"""The story of Keyward, told step by step on a local organization: expected and observed.

Everything that happens is real in the emulator: `sam deploy` put the functions there, people make
real calls with real credentials, and what is observed is read back from IAM and Identity Center.
Ends with status 1 if anything observed is not what was expected.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from local import cloudtrail
from local import demo_accounts as accounts
from local import demo_identity_center as identity_center
from local import demo_operators as operators
from local import demo_sweep as sweep
from local.center import ADMINISTRATOR
from local.inbox import ACCOUNT_BASELINE, IDENTITY_CENTER_GUARD, dead_letters
from local.organization import running_organization
from local.story import SETTINGS_SECONDS, Story, answer, key_statuses, show, verb, wait_for_settings

if TYPE_CHECKING:
    from local.caller import Caller

ENFORCED = (
    *("iam-access-key-created", "iam-admin-granted", "iam-user-created", "iam-quarantine-undone"),
    *identity_center.ENFORCED,
    *accounts.ENFORCED,
    *sweep.ENFORCED,
)


def main() -> int:
    """Tell the story and return the exit status."""
    started = time.monotonic()
    console = Console(width=118, highlight=False, soft_wrap=True)
    console.print("[bold]Keyward on a local AWS organization[/]\n")

    def tell(what: str) -> None:
        console.print(f"  {time.monotonic() - started:5.1f} s  {what}")

    with running_organization(tell) as organization:
        story = Story(organization, console, started)
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


def policies(account: Caller, user: str) -> set[str]:
    """Return the names of the managed policies on a user, as IAM has them now."""
    found = account.iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
    return {policy["PolicyName"] for policy in found}


def ground(story: Story) -> None:
    """The ground: this emulator refuses what AWS would refuse."""
    account = story.organization.member("sandbox-ana")
    other = story.organization.member("sandbox-ben")
    sweep.settle(story)
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
    """The owners let twelve rules enforce, write down permission sets, and who has them where."""
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
        "settings.json": {
            "ceiling": "enforce",
            "alerts": sweep.ALERTS | operators.ALERTS,
            **operators.SETTINGS,
            # Nobody else calls Identity Center here.
            "identity_center": {"calls_per_second": 20},
            "account_baselines": {"changes_without_apply": accounts.CHANGES_WITHOUT_APPLY},
        },
        "exemptions/build-users.json": exemption,
        **{f"rules/{rule}.json": {"mode": "enforce"} for rule in ENFORCED},
        **accounts.rules(),
        **accounts.written(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, value in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(value))
        shutil.copytree(identity_center.CATALOGUE, Path(folder, "permission-sets"))
        story.keyward("settings", "push", folder, "--yes")
    story.organization.driver.parameter_changed(story.organization.hub, "/keyward/settings")
    story.expect("settings refused", 0, len(story.told()))
    status = json.loads(story.keyward("status", "--json"))
    story.expect("the ceiling in force", "enforce", status["ceiling"])
    story.expect("rules that enforce", set(ENFORCED), enforcing(status["rules"]))


def enforcing(modes: dict[str, str]) -> set[str]:
    """Return the rules in mode enforce."""
    return {rule for rule, mode in modes.items() if mode == "enforce"}


def before(story: Story) -> None:
    """What existed before a rule began to enforce is left to its owners."""
    account = story.organization.member("sandbox-ana")
    wait_for_settings(story, SETTINGS_SECONDS)
    story.organization.driver.deliver(story.kept["report"])
    story.expect("further alerts", 0, len(story.told()))
    story.expect("ana's key, in IAM", ["Active"], key_statuses(account, "ana"))


def deactivate(story: Story) -> None:
    """Enforced: a key is created in payments-prod, and is dead a moment later."""
    account = story.organization.member("payments-prod")
    started = time.monotonic()
    story.kept["key"] = story.call(account, "CreateAccessKey", UserName="pay")
    told = story.told()
    seconds = time.monotonic() - started
    story.note(f"from the call to the alert: {seconds:.1f} s")
    story.expect("alerts", 1, len(told))
    story.expect("what the alert says", ["Contained"], [verb(alert) for alert in told])
    story.expect("the key, in IAM", ["Inactive"], key_statuses(account, "pay"))
    if told:
        show(story, told[0])


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
    mallory = story.people["mallory"]
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
    story.keyward("release", finding, "--reason", "hired on Monday, HR-7", "--yes")
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


def granted(story: Story) -> None:
    """AdministratorAccess is attached to a user and a role of data-prod."""
    account = story.organization.member("data-prod")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    account.iam.create_role(
        RoleName="deployer",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    story.call(account, "AttachUserPolicy", UserName="olga", PolicyArn=ADMINISTRATOR)
    story.call(account, "AttachRolePolicy", RoleName="deployer", PolicyArn=ADMINISTRATOR)
    told = {verb(alert) for alert in story.told()}
    story.expect("what the alerts say", {"Contained", "Reported"}, told)
    story.expect(
        "policies of the user", {"AWSDenyAll", "AdministratorAccess"}, policies(account, "olga")
    )
    attached = account.iam.list_attached_role_policies(RoleName="deployer")["AttachedPolicies"]
    story.expect(
        "policies of the role", ["AdministratorAccess"], [it["PolicyName"] for it in attached]
    )


def ledger(story: Story) -> None:
    """What the ledger says at the end, and that nothing was lost on the way."""
    # An event that two workers looked at in the same moment is looked at again much later.
    story.inbox.wait_until_few(IDENTITY_CENTER_GUARD, in_hand=False)
    # Whether a crash left the removal of chris's access is looked at when nobody can be at it.
    story.inbox.wait_until_few(ACCOUNT_BASELINE, 1, in_hand=False)
    story.inbox.wait_until_quiet()
    found = json.loads(story.keyward("findings", "list", "--json"))
    states: dict[str, int] = {}
    for finding in found:
        states[finding["state"]] = states.get(finding["state"], 0) + 1
    story.expect("findings acted on", 23, states.get("acted", 0))
    story.expect("findings released", 3, states.get("released", 0))
    story.expect("findings failed", 0, states.get("failed", 0))
    story.expect("alerts that no step waited for", [], [it.subject for it in story.inbox.read()])
    story.expect("dead letters", 0, dead_letters(story.organization))


STEPS = (
    *(ground, report, sweep.looked, bad_setting, enforce),
    *identity_center.GIVEN,
    sweep.alive,
    *(before, deactivate, again, attack, quarantine, release, exempt, granted),
    *identity_center.CHANGED,
    sweep.planned,
    *accounts.STEPS,
    *sweep.STEPS,
    *operators.STEPS,
    ledger,
    operators.reported,
)

if __name__ == "__main__":
    sys.exit(main())
