"""CloudTrail's event history: what became of the assignments of a permission set that is gone."""

from typing import TYPE_CHECKING

from keyward.actions import AssignmentTarget, PermissionSetTarget

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient


class TrailGateway:
    """The last 90 days of management events of this account and region."""

    def __init__(self, client: "CloudTrailClient") -> None:
        self._client = client

    def groups_removed(
        self, former_arn: str, target: PermissionSetTarget
    ) -> tuple[AssignmentTarget, ...]:
        """The assignments to groups that were taken from the set within the hour before it went."""
        raise NotImplementedError(former_arn, target)
