"""What is in force in the tests of IAM's paths: the same in all, for warm functions keep it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.inbox import Inbox
from local.slack import MEMBERS

if TYPE_CHECKING:
    from local.organization import Organization

CHANNEL = "C0ALERTS"
# Who may answer alerts in Slack: one may only say that they have seen them.
OPERATORS = {
    "ana": ["acknowledge", "exempt", "quarantine", "release"],
    "ben": ["acknowledge", "exempt", "quarantine", "release"],
    "chris": ["acknowledge"],
}
BASE: dict[str, Any] = {
    "ceiling": "enforce",
    "budgets": {"organization": 500, "account": 500},
    "alerts": {"single_per_window": 100, "slack": f"slack:{CHANNEL}", "daily_digest": None},
    "operators": {
        "people": [
            {"name": name.capitalize(), "slack_user": MEMBERS[name][0], "session": name, "may": may}
            for name, may in OPERATORS.items()
        ]
    },
}
SETTINGS = {
    "/keyward/settings": BASE,
    "/keyward/rules/iam-access-key-created": {"mode": "enforce"},
    "/keyward/rules/iam-quarantine-undone": {"mode": "enforce"},
    "/keyward/rules/iam-user-created": {"mode": "enforce"},
}
EXEMPT = {
    "owner": "platform@example.com",
    "reason": "a build system that knows no roles yet",
    "ticket": "OPS-1",
    "until": "2099-01-01T00:00:00Z",
    "user_pattern": "ci-*",
    "signed_by": "security@example.com",
    "rules": ["iam-user-created", "iam-access-key-created", "iam-access-key-for-other-user"],
}


def enforcing(organization: Organization) -> Inbox:
    """Put it in force, and return what people hear from then on."""
    hub = organization.hub
    inbox = Inbox(organization)
    exempt = {**EXEMPT, "account": organization.accounts["shop-staging"]}
    for name, value in {**SETTINGS, "/keyward/exemptions/ci": exempt}.items():
        hub.ssm.put_parameter(Name=name, Value=json.dumps(value), Type="String", Overwrite=True)
    organization.driver.parameter_changed(hub, "/keyward/settings")
    refused = inbox.read_when_quiet()
    assert refused == []
    return inbox
