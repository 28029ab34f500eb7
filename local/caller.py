"""Somebody with credentials, and the AWS clients that these credentials make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_identitystore import IdentityStoreClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sso_admin import SSOAdminClient
    from mypy_boto3_sts import STSClient
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef

# The emulator answers at once or never, and a refusal is what a test often wants to see.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)


@dataclass(frozen=True)
class Caller:
    """Credentials and a region at the emulator; each client is made on first use."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def using(
        self, access_key_id: str, secret_access_key: str, session_token: str | None = None
    ) -> Caller:
        """Return another caller at the same emulator and in the same region."""
        return replace(
            self,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
        )

    def assuming(self, role_arn: str, session_name: str, external_id: str | None = None) -> Caller:
        """Return a session of a role.

        Raises:
            botocore.exceptions.ClientError: AccessDenied, where the trust policy or the caller's
                own policies refuse.

        """
        asked: AssumeRoleRequestTypeDef = {"RoleArn": role_arn, "RoleSessionName": session_name}
        if external_id:
            asked["ExternalId"] = external_id
        credentials = self.sts.assume_role(**asked)["Credentials"]
        return self.using(
            credentials["AccessKeyId"],
            credentials["SecretAccessKey"],
            credentials["SessionToken"],
        )

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            aws_session_token=self.session_token,
            region_name=self.region,
        )

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation."""
        return self._session.client("cloudformation", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def events(self) -> EventBridgeClient:
        """EventBridge."""
        return self._session.client("events", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def iam(self) -> IAMClient:
        """IAM."""
        return self._session.client("iam", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def identitystore(self) -> IdentityStoreClient:
        """The identity store of Identity Center."""
        return self._session.client("identitystore", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def lambda_(self) -> LambdaClient:
        """Lambda."""
        return self._session.client("lambda", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def organizations(self) -> OrganizationsClient:
        """Organizations."""
        return self._session.client("organizations", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def s3(self) -> S3Client:
        """S3."""
        return self._session.client("s3", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def scheduler(self) -> Any:  # noqa: ANN401  there are no stubs of it here
        """EventBridge Scheduler."""
        return self._session.client("scheduler", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def secretsmanager(self) -> SecretsManagerClient:
        """Secrets Manager."""
        return self._session.client("secretsmanager", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def sns(self) -> SNSClient:
        """SNS."""
        return self._session.client("sns", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def sqs(self) -> SQSClient:
        """SQS."""
        return self._session.client("sqs", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def ssm(self) -> SSMClient:
        """SSM."""
        return self._session.client("ssm", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def sso_admin(self) -> SSOAdminClient:
        """Identity Center."""
        return self._session.client("sso-admin", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def sts(self) -> STSClient:
        """STS."""
        return self._session.client("sts", endpoint_url=self.endpoint, config=CONFIG)

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """DynamoDB."""
        return self._session.client("dynamodb", endpoint_url=self.endpoint, config=CONFIG)
