"""The gateways that one event may need. Nothing is built, and no account entered, before it is."""

from collections.abc import Callable
from dataclasses import dataclass

from keyward.gateways.access_analyzer import AccessAnalyzerGateway
from keyward.gateways.iam import IamGateway
from keyward.gateways.identity_center import IdentityCenterGateway
from keyward.gateways.organization import OrganizationGateway
from keyward.gateways.trail import TrailGateway
from keyward.model import AccountId
from keyward.settings import Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far one event reaches: IAM of its account; and of the hub what Identity Center needs.

    `parents` are the ids of an account's OUs and root, from the nearest up. `access_analyzer` is
    None where settings don't allow it. `accepted` are the settings in force. Each raises
    GatewayError where the account can't be entered.
    """

    iam: Callable[[], IamGateway]
    hub_iam: Callable[[], IamGateway]
    identity_center: Callable[[], IdentityCenterGateway]
    trail: Callable[[], TrailGateway]
    access_analyzer: Callable[[], AccessAnalyzerGateway | None]
    parents: Callable[[AccountId], tuple[str, ...]]
    organization: Callable[[], OrganizationGateway]
    accepted: Callable[[], Accepted]
