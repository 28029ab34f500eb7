"""An organization with Keyward in it: accounts in OUs, hub and members from the templates.

The hub is the project's own template.yaml, and each member gets the project's own
member/template.yaml, as the StackSet would give it. What no emulator takes stands in the hub's
template under a condition that `Local=true` makes false.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.driver import Driver
from local.emulator import MANAGEMENT_ACCOUNT, PROJECT, REGION, STATE, running_emulator
from local.slack import SIGNING_SECRET, Slack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_organizations.type_defs import TagTypeDef

    from local.caller import Caller
    from local.emulator import Emulator

STACK = "keyward"
ACCOUNTS = {
    "Security": ("log-archive", "audit"),
    "Infrastructure": ("network", "shared-services"),
    "Workloads/Production": ("shop-prod", "payments-prod", "data-prod"),
    "Workloads/Staging": ("shop-staging", "payments-staging"),
    "Sandbox": ("sandbox-ana", "sandbox-ben", "sandbox-chris"),
    "Suspended": ("retired",),
}
# Who works here, and in which groups of Identity Center's own directory.
PEOPLE = {
    "ana": ("Administrators", "Developers"),
    "ben": ("Developers",),
    "chris": ("Developers", "Operators"),
    "dana": ("Auditors",),
    "emil": ("Billing",),
}
GROUPS = ("Administrators", "Operators", "Developers", "Viewers", "Auditors", "Billing")
# A webhook of Slack's, by its name in the secret.
WEBHOOK = "security"
IN_PARALLEL = 4
ACCOUNT_SECONDS = 30
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Directory:
    """The instance of Identity Center, and the ids of who is in its identity store."""

    instance_arn: str
    store_id: str
    groups: dict[str, str]
    people: dict[str, str]
    """By the name before the @ of their user name."""


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization that runs: its emulator, its ids, and who delivers its events."""

    emulator: Emulator
    driver: Driver
    organization_id: str
    root_id: str
    accounts: dict[str, str]
    """Account ids by name, the management account's left out."""
    units: dict[str, str]
    """Ids of OUs by their path of names, such as Workloads/Staging; the root's is empty."""
    directory: Directory
    slack: Slack
    """The workspace that the hub speaks to; nobody can reach it before the hub is deployed."""

    @property
    def hub(self) -> Caller:
        """The management account's root user."""
        return self.emulator.root(MANAGEMENT_ACCOUNT)

    def member(self, name: str) -> Caller:
        """Return the root user of a member account."""
        return self.emulator.root(self.accounts[name])

    def outputs(self) -> dict[str, str]:
        """Return what the hub's stack says about itself."""
        stack = self.hub.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}


@contextlib.contextmanager
def running_organization(
    tell: Callable[[str], None] = lambda _: None, **parameters: str
) -> Iterator[Organization]:
    """Run an organization with the hub and the member template deployed, until the block ends.

    `tell` hears of each step; `parameters` are given to the hub's stack.

    Raises:
        RuntimeError: the emulator did not start, or a deployment failed; the message says why.

    """
    built = STATE / f"build-{os.getpid()}"
    with ThreadPoolExecutor(IN_PARALLEL) as pool, contextlib.ExitStack() as after:
        after.callback(shutil.rmtree, built, ignore_errors=True)
        building = pool.submit(build, built)
        emulator = after.enter_context(running_emulator())
        tell("the emulator serves, with IAM enforced")
        organization = seed(emulator)
        after.enter_context(organization.slack.serving())
        tell(
            f"an organization of {len(organization.accounts) + 1} accounts, "
            f"and {len(organization.directory.people)} people in Identity Center"
        )
        joining = [pool.submit(join, organization, name) for name in organization.accounts]
        building.result()
        tell("functions and layers are built: sam build")
        deploy(organization, built, {**introduce_slack(organization), **parameters})
        tell("the hub is deployed: sam deploy")
        for joined in joining:
            joined.result()
        tell("every member account has forwarding rules, role and quarantine group")
        yield organization


def seed(emulator: Emulator) -> Organization:
    """Make the accounts and their OUs, and return the organization, with no Keyward in it yet."""
    client = emulator.root(MANAGEMENT_ACCOUNT).organizations
    organization_id = client.describe_organization()["Organization"]["Id"]
    root_id = client.list_roots()["Roots"][0]["Id"]
    units = {"": root_id}
    accounts: dict[str, str] = {}
    for path, names in ACCOUNTS.items():
        parent = ""
        for part in path.split("/"):
            unit = f"{parent}/{part}".removeprefix("/")
            if unit not in units:
                made = client.create_organizational_unit(ParentId=units[parent], Name=part)
                units[unit] = made["OrganizationalUnit"]["Id"]
            parent = unit
        for name in names:
            accounts[name] = create_account(client, name)
            client.move_account(
                AccountId=accounts[name], SourceParentId=root_id, DestinationParentId=units[path]
            )
    directory = seed_directory(emulator.root(MANAGEMENT_ACCOUNT))
    return Organization(
        *(emulator, Driver(emulator), organization_id, root_id, accounts, units, directory),
        slack=Slack(),
    )


def create_account(client: OrganizationsClient, name: str, **tags: str) -> str:
    """Make an account, wait until it is there, and return its id; it is right in the root then.

    Raises:
        TimeoutError: it is still not there; the message names it.

    """
    given: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
    request = client.create_account(Email=f"{name}@example.com", AccountName=name, Tags=given)[
        "CreateAccountStatus"
    ]["Id"]
    deadline = time.monotonic() + ACCOUNT_SECONDS
    while time.monotonic() < deadline:
        status = client.describe_create_account_status(CreateAccountRequestId=request)
        if account := status["CreateAccountStatus"].get("AccountId"):
            return account
        time.sleep(0.1)
    message = f"account {name} was not made within {ACCOUNT_SECONDS} s"
    raise TimeoutError(message)


def seed_directory(owner: Caller) -> Directory:
    """Put groups and people into the identity store; permission sets there are none yet."""
    (instance,) = owner.sso_admin.list_instances()["Instances"]
    store_id, client = instance["IdentityStoreId"], owner.identitystore
    groups = {
        name: client.create_group(IdentityStoreId=store_id, DisplayName=name)["GroupId"]
        for name in GROUPS
    }
    people: dict[str, str] = {}
    for name, joined in PEOPLE.items():
        people[name] = client.create_user(
            IdentityStoreId=store_id,
            UserName=f"{name}@example.com",
            DisplayName=name.capitalize(),
            Name={"GivenName": name.capitalize(), "FamilyName": "Example"},
            Emails=[{"Value": f"{name}@example.com", "Type": "work", "Primary": True}],
        )["UserId"]
        for group in joined:
            client.create_group_membership(
                IdentityStoreId=store_id,
                GroupId=groups[group],
                MemberId={"UserId": people[name]},
            )
    return Directory(instance["InstanceArn"], store_id, groups, people)


def introduce_slack(organization: Organization) -> dict[str, str]:
    """Put what Slack gives an app into secrets, and return the hub's parameters that name them."""
    slack, client = organization.slack, organization.hub.secretsmanager
    secrets = {
        "SlackSecretArn": ("keyward/slack", slack.secret(WEBHOOK)),
        "SlackSigningSecretArn": ("keyward/slack-signing", {"signing_secret": SIGNING_SECRET}),
    }
    arns = {
        parameter: client.create_secret(Name=name, SecretString=json.dumps(members))["ARN"]
        for parameter, (name, members) in secrets.items()
    }
    return {**arns, "LocalSlackUrl": slack.url}


def build(folder: Path) -> None:
    """Build functions and layers for this machine, one run at a time: they share the cache.

    Raises:
        RuntimeError: sam refused; the message holds what it printed.

    """
    STATE.mkdir(exist_ok=True)
    with (STATE / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sam(
            *("build", "--cached", "--parallel", "--build-dir", str(folder)),
            *("--cache-dir", str(STATE / "cache")),
            *("--parameter-overrides", f"Architecture={architecture()}"),
        )


def deploy(organization: Organization, built: Path, parameters: dict[str, str]) -> None:
    """Deploy the hub, as it was built, into the management account.

    Raises:
        RuntimeError: sam or CloudFormation refused; the message holds what it printed.

    """
    chosen = {
        "Local": "true",
        "Architecture": architecture(),
        "OrganizationId": organization.organization_id,
        "OrganizationRootId": organization.root_id,
        **parameters,
    }
    sam(
        *("deploy", "--template-file", str(built / "template.yaml")),
        *("--stack-name", STACK, "--region", REGION, "--resolve-s3"),
        *("--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--no-confirm-changeset", "--no-progressbar", "--no-fail-on-empty-changeset"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in chosen.items())),
        endpoint=organization.emulator.endpoint,
    )


def join(organization: Organization, name: str) -> None:
    """Give one member account what the StackSet gives it.

    Raises:
        RuntimeError: the stack failed; the message holds CloudFormation's reasons.

    """
    client = organization.member(name).cloudformation
    given = {
        "HubAccountId": MANAGEMENT_ACCOUNT,
        "HubRegion": REGION,
        "OrganizationId": organization.organization_id,
    }
    client.create_stack(
        StackName="keyward-member",
        TemplateBody=(PROJECT / "member/template.yaml").read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
    )
    waiter = client.get_waiter("stack_create_complete")
    waiter.wait(StackName="keyward-member", WaiterConfig={"Delay": 1, "MaxAttempts": 30})


@dataclass(frozen=True, slots=True)
class Role:
    """What a role was made of, to make it again."""

    name: str
    path: str
    trust: str
    policies: dict[str, str]
    """Its inline policies; it has no others."""


def take_away(account: Caller, name: str) -> Role:
    """Delete a role, and return what it was made of."""
    iam = account.iam
    found = iam.get_role(RoleName=name)["Role"]
    policies = {}
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        policies[policy] = json.dumps(document)
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    return Role(name, found["Path"], json.dumps(found["AssumeRolePolicyDocument"]), policies)


def give_back(account: Caller, role: Role) -> None:
    """Make a role again, as it was."""
    account.iam.create_role(RoleName=role.name, Path=role.path, AssumeRolePolicyDocument=role.trust)
    for policy, document in role.policies.items():
        account.iam.put_role_policy(RoleName=role.name, PolicyName=policy, PolicyDocument=document)


def architecture() -> str:
    """Return Lambda's word for this machine's processor."""
    return ARCHITECTURES[platform.machine().lower()]


def sam(*arguments: str, endpoint: str = "") -> None:
    """Run one SAM command quietly, as the management account's root user.

    Raises:
        RuntimeError: it failed; the message holds what it printed.

    """
    done = run(Path(sys.executable).with_name("sam"), *arguments, endpoint=endpoint)
    if done.returncode:
        message = f"sam {arguments[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        raise RuntimeError(message)


def run(program: Path, *arguments: str, endpoint: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program as the management account's root user at the emulator, and keep its output."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        # sam build takes the first interpreter on PATH, and it has to be the runtime's version.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
        "AWS_ACCESS_KEY_ID": MANAGEMENT_ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        **({"AWS_ENDPOINT_URL": endpoint} if endpoint else {}),
    }
    return subprocess.run(  # noqa: S603  programs of our own environment
        [program, *arguments],
        env=environment,
        cwd=PROJECT,
        # What would ask on a terminal must say so, and not wait for an answer.
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
