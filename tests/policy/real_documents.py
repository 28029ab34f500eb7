"""Policy documents as they are found in the wild, and how far a careful reader says they reach.

Every verdict was given by reading the document, not by asking the engine. Where the two differ,
read again: the engine is wrong until the reason here is.

AWS's own documents come from moto's copy of them. The others stand in `documents/`: what their
source publishes, with sample accounts, names and buckets, and long lists of reading actions cut.

How the reader judges what the words of `Reach` leave open:
- A role, group, policy or user within a path or a prefix may or may not exist and be powerful:
  INDIRECT. On all of them: ESCALATION. What the document can create there itself: ESCALATION.
- A role passed to a service that runs no code of the caller's and calls nothing at its wish (logs,
  monitoring, scaling, file transfer) leads nowhere.
- Conditions that nobody can decide by reading (tags, dates, addresses) are taken to hold.
- Identity Center and Organizations work from one account only. A document that names their calls is
  read as held there. One that grants everything but something is mostly held elsewhere: INDIRECT.
- Roles under `aws-reserved/` and `aws-service-role/` are AWS's, whatever a document grants on them.
"""

from dataclasses import dataclass
from pathlib import Path

from keyward.model import PolicyDocument
from keyward.policy import Reach
from local import managed_policies

DOCUMENTS = Path(__file__).with_name("documents")

NONE, INDIRECT, ESCALATION, ADMIN = Reach.NONE, Reach.INDIRECT, Reach.ESCALATION, Reach.ADMIN


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Documents as one principal holds them, and the reader's verdict with its reason.

    Names that begin with "aws:" are AWS's managed policies, the others files in `documents/`.
    """

    held: tuple[str, ...]
    reach: Reach
    why: str
    source: str
    within: str | None = None

    @property
    def name(self) -> str:
        return " + ".join(self.held) + (f" within {self.within}" if self.within else "")

    @property
    def documents(self) -> tuple[PolicyDocument, ...]:
        return tuple(document(name) for name in self.held)

    @property
    def boundary(self) -> PolicyDocument | None:
        return document(self.within) if self.within else None


# Name with its path, verdict, why.
AWS_MANAGED: tuple[tuple[str, Reach, str], ...] = (
    ("AdministratorAccess", ADMIN, "everything on everything"),
    ("IAMFullAccess", ADMIN, "all of IAM: it grants itself the rest"),
    ("PowerUserAccess", INDIRECT, "what exists; of Identity Center where the account lets it"),
    ("ReadOnlyAccess", NONE, "reads; a read-only session of s3express is all that it creates"),
    ("SecurityAudit", NONE, "reads configurations"),
    ("job-function/ViewOnlyAccess", NONE, "lists"),
    ("job-function/SupportUser", NONE, "reads, and opens support cases"),
    (
        "job-function/Billing",
        NONE,
        "money, no rights: budget actions need a role, it can pass none",
    ),
    ("job-function/NetworkAdministrator", NONE, "flow-logs-* roles only write logs"),
    ("job-function/DatabaseAdministrator", INDIRECT, "new functions with lambda-dynamodb-* roles"),
    ("job-function/SystemAdministrator", INDIRECT, "any function's code; roles of three prefixes"),
    ("job-function/DataScientist", ESCALATION, "any role to SageMaker, which runs its notebooks"),
    (
        "job-function/AWSManagementConsoleAdministratorAccess",
        NONE,
        "the console's own conveniences",
    ),
    ("AWSManagementConsoleBasicUserAccess", NONE, "the console's own conveniences"),
    ("job-function/AmazonODBNetworkAdmin", NONE, "networks of Oracle databases"),
    # Services that run code
    ("AWSLambda_FullAccess", ESCALATION, "any role to a function of its own"),
    ("AWSLambda_ReadOnlyAccess", NONE, "reads"),
    ("service-role/AWSLambdaRole", NONE, "calls functions, changes none"),
    ("service-role/AWSLambdaBasicExecutionRole", NONE, "writes logs"),
    ("service-role/AWSLambdaVPCAccessExecutionRole", NONE, "writes logs, network interfaces"),
    ("AmazonEC2FullAccess", INDIRECT, "user data of instances that have a role; passes none"),
    ("AmazonEC2ReadOnlyAccess", NONE, "reads"),
    ("EC2InstanceConnect", INDIRECT, "a key for any instance, with the role it has"),
    ("EC2InstanceProfileForImageBuilder", NONE, "snapshots and logs of a build"),
    ("service-role/AmazonEC2SpotFleetTaggingRole", ESCALATION, "any role to instances it runs"),
    ("AWSMarketplaceFullAccess", ESCALATION, "any role to instances it runs"),
    ("AmazonVPCFullAccess", NONE, "networks"),
    ("AutoScalingFullAccess", NONE, "groups of instances, without a role to pass"),
    ("AWSGlueConsoleFullAccess", INDIRECT, "jobs with AWSGlueServiceRole* roles"),
    ("AWSGlueConsoleSageMakerNotebookFullAccess", INDIRECT, "jobs with AWSGlueService* roles"),
    ("service-role/AWSGlueServiceRole", INDIRECT, "changes and starts the jobs there are"),
    ("AmazonSageMakerFullAccess", ESCALATION, "any role to SageMaker"),
    ("AmazonBraketFullAccess", INDIRECT, "notebooks with AmazonBraketServiceSageMaker* roles"),
    ("AWSCodeBuildAdminAccess", INDIRECT, "builds with the roles that projects have"),
    ("AWSCodeBuildDeveloperAccess", INDIRECT, "a build takes its commands from whoever starts it"),
    ("AWSCodePipeline_FullAccess", ESCALATION, "any role to a pipeline, whose Commands run as it"),
    ("AWSCodeDeployFullAccess", INDIRECT, "deploys to instances that have roles"),
    ("service-role/AWSCodeStarServiceRole", ESCALATION, "makes a CodeStar_* policy, attaches it"),
    (
        "AmazonCodeCatalystFullAccess",
        ESCALATION,
        "any role to CodeCatalyst, whose workflows use it",
    ),
    ("AmazonECS_FullAccess", ESCALATION, "any role to a task"),
    ("AmazonEMRFullAccessPolicy_v2", INDIRECT, "steps on clusters there are; the default roles"),
    ("AmazonElasticMapReduceFullAccess", ESCALATION, "any role to anything: clusters, instances"),
    ("AWSDataPipeline_FullAccess", INDIRECT, "the two default roles of Data Pipeline"),
    ("AWSDataPipeline_PowerUser", INDIRECT, "the two default roles of Data Pipeline"),
    ("AmazonDynamoDBFullAccesswithDataPipeline", ESCALATION, "any role to anything, and Lambda"),
    ("AmazonDynamoDBFullAccess_v2", NONE, "tables"),
    ("AWSBatchFullAccess", INDIRECT, "jobs of definitions there are; the default roles"),
    ("AWSAppRunnerFullAccess", ESCALATION, "any role to a service of its own"),
    ("AWSCloudFormationFullAccess", INDIRECT, "stacks keep the role they were made with"),
    ("AmazonSSMFullAccess", INDIRECT, "commands and sessions on every instance"),
    ("AmazonSSMReadOnlyAccess", NONE, "reads"),
    ("AmazonSSMManagedInstanceCore", NONE, "what the agent needs to be managed"),
    ("service-role/AmazonSSMAutomationRole", INDIRECT, "commands, and stacks' templates"),
    ("service-role/AmazonSSMMaintenanceWindowRole", INDIRECT, "commands on every instance"),
    ("AWSStepFunctionsFullAccess", INDIRECT, "new steps for state machines that have a role"),
    ("AWSStepFunctionsConsoleFullAccess", INDIRECT, "roles of the console's prefix"),
    ("AmazonBedrockFullAccess", INDIRECT, "agents with *AmazonBedrock* roles"),
    ("BedrockAgentCoreFullAccess", INDIRECT, "interpreters with *BedrockAgentCore* roles"),
    ("AmazonKinesisAnalyticsFullAccess", INDIRECT, "applications with kinesis-analytics* roles"),
    (
        "CloudWatchSyntheticsFullAccess",
        INDIRECT,
        "canaries' code, with CloudWatchSynthetics* roles",
    ),
    ("AWSImageBuilderFullAccess", INDIRECT, "build instances with *imagebuilder* roles"),
    ("AWSCloud9Administrator", INDIRECT, "sessions on everybody's environments"),
    ("AWSCloudShellFullAccess", NONE, "a shell with the rights that one has"),
    ("AdministratorAccess-AWSElasticBeanstalk", ESCALATION, "any role to EC2 and CloudFormation"),
    ("AdministratorAccess-Amplify", ESCALATION, "puts and attaches policies on any role"),
    ("AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy", ESCALATION, "any role to EC2"),
    ("service-role/AWSElasticBeanstalkService", ESCALATION, "any role to anything, with builds"),
    ("AmazonEventBridgeSchedulerFullAccess", ESCALATION, "a schedule calls any API as any role"),
    ("AmazonEventBridgeFullAccess", ESCALATION, "a schedule calls any API as any role"),
    ("CloudWatchEventsFullAccess", ESCALATION, "a schedule calls any API as any role"),
    ("AWSBudgetsActionsWithAWSResourceControlAccess", ESCALATION, "a budget attaches policies"),
    ("AWSRolesAnywhereFullAccess", ESCALATION, "its own certificate authority, any role"),
    ("AWSServiceCatalogAdminFullAccess", ESCALATION, "any role launches a product of its own"),
    ("AWSServiceCatalogAdminReadOnlyAccess", NONE, "reads"),
    ("AWSServiceCatalogEndUserFullAccess", INDIRECT, "templates of SC-* stacks, which have roles"),
    ("AWSServiceCatalogEndUserReadOnlyAccess", NONE, "reads"),
    ("service-role/ROSAInstallerPolicy", INDIRECT, "instances with *-ROSA-Worker-Role"),
    ("SecretsManagerReadWrite", INDIRECT, "change sets on stacks that have a role"),
    ("AWSBackupFullAccess", NONE, "its one command is AWS's snapshot document"),
    # Identity Center, Organizations, accounts
    ("AWSSSOMasterAccountAdministrator", ESCALATION, "assigns any permission set to anybody"),
    ("AWSSSOMemberAccountAdministrator", ESCALATION, "assigns any permission set to anybody"),
    ("AWSSSODirectoryAdministrator", ESCALATION, "joins any group"),
    ("AWSSSODirectoryReadOnly", NONE, "reads"),
    ("AWSSSOReadOnly", NONE, "reads"),
    ("aws-service-role/AWSSSOServiceRolePolicy", INDIRECT, "SAML; the roles are AWS's own"),
    ("aws-service-role/AccountAccessManagerServiceRolePolicy", NONE, "reads"),
    ("AWSOrganizationsFullAccess", ESCALATION, "detaches every guardrail"),
    ("AWSOrganizationsReadOnlyAccess", NONE, "reads"),
    (
        "service-role/AWSControlTowerServiceRolePolicy",
        ESCALATION,
        "AWSControlTowerExecution is admin",
    ),
    ("service-role/AWSControlTowerIdentityCenterManagementPolicy", ESCALATION, "AssociateProfile"),
    ("service-role/AWSControlTowerCloudTrailRolePolicy", NONE, "writes logs"),
    (
        "aws-service-role/AWSControlTowerAccountServiceRolePolicy",
        NONE,
        "passes Config its own role",
    ),
    ("AWSAccountManagementFullAccess", INDIRECT, "a member's root address, hence its password"),
    ("AWSAccountManagementReadOnlyAccess", NONE, "reads"),
    (
        "AWSManagedAccountManagementAccess",
        ESCALATION,
        "makes roles under managed/, with any policy",
    ),
    ("AWSManagedAccountUserEntitlementAccess", ESCALATION, "entitlements, and joins groups"),
    ("AWSManagedControlPolicyManagementAccess", ESCALATION, "detaches every guardrail"),
    ("AWSManagedSettingsAdminAccess", ESCALATION, "joins any group of the identity store"),
    (
        "AccountManagementFromVercel",
        INDIRECT,
        "the sign-in of a tagged SAML provider; roles bounded",
    ),
    ("AmazonInspector2FullAccess", ESCALATION, "hands Identity Center to any account"),
    ("AmazonGuardDutyFullAccess_v2", NONE, "delegates GuardDuty alone"),
    ("AmazonInspector2FullAccess_v2", NONE, "delegates Inspector alone"),
    ("AWSFMAdminFullAccess", NONE, "delegates Firewall Manager alone"),
    ("AWSTrustedAdvisorPriorityFullAccess", NONE, "delegates Trusted Advisor alone"),
    ("AWSBackupOrganizationAdminAccess", NONE, "backup policies, which are no guardrails"),
    ("AWSSecurityHubOrganizationsAccess", NONE, "security policies, which are no guardrails"),
    ("AWSMcpServiceActionsFullAccess", NONE, "everything, if it is an action of MCP servers"),
    ("AWSQuickSetupDeploymentRolePolicy", INDIRECT, "QuickSetup stacks; listed policies only"),
    (
        "aws-service-role/CloudFormationStackSetsOrgMemberServiceRolePolicy",
        ESCALATION,
        "makes a role and attaches AdministratorAccess",
    ),
    (
        "aws-service-role/CloudFormationStackSetsOrgAdminServiceRolePolicy",
        INDIRECT,
        "assumes stacksets-exec-* wherever its trust allows",
    ),
    # What only takes away
    ("AWSDenyAll", NONE, "denies everything"),
    ("AWSCompromisedKeyQuarantine", NONE, "denies"),
    ("AWSCompromisedKeyQuarantineV2", NONE, "denies"),
    ("AWSCompromisedKeyQuarantineV3", NONE, "denies"),
    ("root-task/IAMAuditRootUserCredentials", NONE, "denies all but the task"),
    ("root-task/IAMCreateRootUserPassword", NONE, "denies all but the task"),
    ("root-task/IAMDeleteRootUserCredentials", NONE, "denies all but the task"),
    ("root-task/S3UnlockBucketPolicy", NONE, "denies all but the task"),
    ("root-task/SQSUnlockQueuePolicy", NONE, "denies all but the task"),
    # One's own credentials, and reading IAM
    ("IAMUserChangePassword", NONE, "one's own password"),
    ("IAMUserSSHKeys", NONE, "one's own keys"),
    ("IAMSelfManageServiceSpecificCredentials", NONE, "one's own credentials"),
    ("IAMReadOnlyAccess", NONE, "reads"),
    ("IAMAccessAdvisorReadOnly", NONE, "reads"),
    ("IAMAccessAnalyzerFullAccess", NONE, "analyzers; its service-linked role"),
    # Data and watching
    ("AmazonS3FullAccess", NONE, "data, not rights"),
    ("AmazonS3ReadOnlyAccess", NONE, "reads data"),
    ("AmazonRDSFullAccess", NONE, "databases"),
    ("AmazonRedshiftFullAccess", NONE, "databases"),
    ("AmazonSNSFullAccess", NONE, "messages"),
    ("AmazonSQSFullAccess", NONE, "messages"),
    ("AWSKeyManagementServicePowerUser", NONE, "creates keys"),
    ("AWSCertificateManagerFullAccess", NONE, "certificates"),
    ("AWSCloudTrail_FullAccess", NONE, "any role to CloudTrail, which only writes logs with it"),
    ("service-role/AWS_ConfigRole", NONE, "reads, and writes Config's records"),
    ("AWSConfigUserAccess", NONE, "reads"),
    ("CloudWatchFullAccess", NONE, "metrics and logs"),
    ("CloudWatchReadOnlyAccess", NONE, "reads"),
    ("AWSXrayFullAccess", NONE, "traces"),
    ("AWSWAFFullAccess", NONE, "web access lists"),
    ("AWSSecurityHubFullAccess", NONE, "findings"),
    ("AWSResourceAccessManagerFullAccess", NONE, "shares resources"),
    ("ResourceGroupsandTagEditorFullAccess", NONE, "tags and groups of resources"),
    ("ServiceQuotasFullAccess", NONE, "quotas; enables access of its own service alone"),
    ("AWSSupportAccess", NONE, "support cases"),
    ("AmazonQDeveloperAccess", NONE, "an assistant with the rights that one has"),
    ("AmazonEC2ContainerRegistryReadOnly", NONE, "reads images"),
)

MANAGED = "https://docs.aws.amazon.com/aws-managed-policy/latest/reference"
IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
SAM = "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide"
GITHUB = "https://github.com"
SSO = "https://docs.aws.amazon.com/singlesignon/latest/userguide/iam-auth-access-using-id-policies.html"
VULNERABLE = "https://github.com/BishopFox/iam-vulnerable/tree/main/modules/free-resources"
PATHS, TOOLS = f"{VULNERABLE}/privesc-paths", f"{VULNERABLE}/tool-testing"
GOAT = "https://github.com/RhinoSecurityLabs/cloudgoat/tree/master/cloudgoat/scenarios/aws"
LABS = (
    "https://github.com/DataDog/pathfinding-labs/tree/main/modules/scenarios/single-account"
    "/privesc-one-hop/to-admin"
)
CDK = (
    "https://github.com/aws/aws-cdk/blob/v2.100.0/packages/aws-cdk/lib/api/bootstrap"
    "/bootstrap-template.yaml"
)
EKSCTL = "https://docs.aws.amazon.com/eks/latest/eksctl/minimum-iam-policies.html"
LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/access-control-identity-based.html"
SESSIONS = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide"
    "/getting-started-restrict-access-quickstart.html"
)
ECS = "https://github.com/aws-actions/amazon-ecs-deploy-task-definition#permissions"
DELEGATION = f"{IAM}/access_policies_boundaries.html"
CONTROLLING = f"{IAM}/access_controlling.html"

# File without its suffix, verdict, why, source.
PUBLISHED: tuple[tuple[str, Reach, str, str], ...] = (
    # AWS's guide to IAM
    (
        "iam-guide-self-manage-with-mfa",
        NONE,
        "one's own credentials",
        f"{IAM}/reference_policies_examples_aws_my-sec-creds-self-manage.html",
    ),
    (
        "iam-guide-self-manage-password",
        NONE,
        "a login profile, but one's own",
        f"{IAM}/reference_policies_examples_aws_my-sec-creds-self-manage-password-only.html",
    ),
    (
        "iam-guide-rotate-own-credentials",
        NONE,
        "*AccessKey* holds CreateAccessKey, but for oneself",
        f"{IAM}/reference_policies_examples_iam_credentials_console.html",
    ),
    (
        "iam-guide-new-users-with-tags",
        NONE,
        "a user without key, password or policy",
        f"{IAM}/reference_policies_examples_iam-new-user-tag.html",
    ),
    (
        "iam-guide-limit-managed-policies",
        ESCALATION,
        "limits what is attached, and creates keys and passwords for everybody",
        f"{IAM}/reference_policies_examples_iam_limit-managed.html",
    ),
    ("iam-guide-all-policy-versions", ESCALATION, "rewrites every customer policy", CONTROLLING),
    (
        "iam-guide-default-version-of-a-team",
        INDIRECT,
        "an older version may grant more",
        CONTROLLING,
    ),
    ("iam-guide-attach-to-a-team", INDIRECT, "any policy, to what a path holds", CONTROLLING),
    (
        "iam-guide-attach-team-policies-to-a-team",
        INDIRECT,
        "policies of a path that others write, to what a path holds",
        CONTROLLING,
    ),
    (
        "iam-guide-attach-one-policy-to-a-team",
        INDIRECT,
        "a policy that the document only names, to what a path holds",
        CONTROLLING,
    ),
    (
        "iam-guide-pass-roles-for-xyz",
        NONE,
        "passes roles to nothing; only with another document does it reach",
        f"{IAM}/id_roles_use_passrole.html",
    ),
    (
        "iam-guide-create-service-role",
        ESCALATION,
        "makes the role, trusts itself in it, puts any policy in it",
        f"{IAM}/id_roles_create_for-service.html",
    ),
    (
        "iam-guide-users-manage-group",
        ESCALATION,
        "creates the group, puts a policy in it, joins it; the deny spares three names",
        f"{IAM}/reference_policies_examples_iam_users-manage-group.html",
    ),
    (
        "iam-guide-delegated-user-boundary",
        ESCALATION,
        "joins groups, creates keys for everybody",
        DELEGATION,
    ),
    (
        "iam-guide-create-users-with-boundary",
        NONE,
        "whom it creates or gives a policy stays within the boundary",
        DELEGATION,
    ),
    ("iam-guide-delegated-user-permissions", ADMIN, "all of IAM", DELEGATION),
    ("iam-guide-xcompany-boundaries", INDIRECT, "user data of all instances but one", DELEGATION),
    (
        "iam-guide-ec2-in-one-region",
        INDIRECT,
        "user data of a region's instances",
        f"{IAM}/reference_policies_examples_ec2_region.html",
    ),
    (
        "iam-guide-one-bucket-and-nothing-else",
        NONE,
        "data of one bucket",
        f"{IAM}/reference_policies_examples_s3_deny-except-bucket.html",
    ),
    (
        "iam-guide-deny-by-source-ip",
        NONE,
        "denies",
        f"{IAM}/reference_policies_examples_aws_deny-ip.html",
    ),
    (
        "iam-guide-deny-outside-regions",
        NONE,
        "denies",
        f"{IAM}/reference_policies_examples_aws_deny-requested-region.html",
    ),
    (
        "iam-guide-start-stop-own-instances",
        NONE,
        "starts and stops, changes nothing",
        f"{IAM}/reference_policies_examples_ec2-start-stop-match-tags.html",
    ),
    (
        "iam-guide-assume-one-role",
        INDIRECT,
        "whatever that role may",
        f"{IAM}/tutorial_cross-account-with-roles.html",
    ),
    (
        "ec2-guide-instance-with-role",
        INDIRECT,
        "instances with DevTeam* roles",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permission-to-pass-iam-roles.html",
    ),
    (
        "ec2-guide-spot-fleet",
        INDIRECT,
        "instances with the tagging role, which passes every role",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-fleet-prerequisites.html",
    ),
    (
        "coda-permissions-boundary",
        ADMIN,
        "everything but making principals without this boundary",
        f"{MANAGED}/AWSCODAPermissionsBoundary.html",
    ),
    # AWS's other guides
    ("sso-guide-view", NONE, "reads", SSO),
    ("sso-guide-manage-permission-sets", ESCALATION, "assigns any permission set", SSO),
    ("sso-guide-manage-applications", ESCALATION, "AssociateProfile assigns accounts, too", SSO),
    ("sso-guide-manage-directory", ESCALATION, "joins any group", SSO),
    (
        "organizations-guide-administer-member",
        ESCALATION,
        "the role is admin in the member by construction",
        "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html",
    ),
    ("ssm-guide-session-on-one-instance", INDIRECT, "the role of that instance", SESSIONS),
    ("ssm-guide-sessions-by-tag", INDIRECT, "the roles of instances with a tag", SESSIONS),
    ("ssm-guide-resume-own-sessions", NONE, "one's own sessions", SESSIONS),
    (
        "lambda-guide-interns",
        INDIRECT,
        "NotAction, but on functions: their code, with one role",
        LAMBDA,
    ),
    ("lambda-guide-layers", NONE, "functions name a layer by its version", LAMBDA),
    (
        "lambda-guide-layers-of-one-account",
        INDIRECT,
        "a layer of that account in every function",
        LAMBDA,
    ),
    (
        "sam-guide-deploy",
        ESCALATION,
        "makes a role and attaches any policy",
        f"{SAM}/sam-permissions-cloudformation.html",
    ),
    # Tools that deploy
    ("cdk-bootstrap-deploy-role", INDIRECT, "stacks with one role, which mostly is admin", CDK),
    ("cdk-bootstrap-lookup-role", NONE, "reads", CDK),
    ("cdk-bootstrap-file-publishing-role", NONE, "assets of one bucket", CDK),
    (
        "cdk-deploy-through-cloudformation",
        ADMIN,
        "everything, if CloudFormation calls it: it writes the template",
        "https://alexanderzeitler.com/articles/minimal-iam-permission-for-aws-cdk-deployment",
    ),
    (
        "cdk-pipelines-lookup",
        INDIRECT,
        "roles by a tag",
        "https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.pipelines-readme.html",
    ),
    (
        "eksctl-all-access",
        INDIRECT,
        "makes itself admin of clusters, whose pods have roles",
        EKSCTL,
    ),
    ("eksctl-iam-limited-access", ESCALATION, "makes eksctl-* roles with any policy", EKSCTL),
    (
        "karpenter-controller",
        INDIRECT,
        "instances with the nodes' role",
        "https://karpenter.sh/docs/reference/cloudformation/",
    ),
    (
        "aws-load-balancer-controller",
        NONE,
        "load balancers and their security groups",
        f"{GITHUB}/kubernetes-sigs/aws-load-balancer-controller/blob/main/docs/install/iam_policy.json",
    ),
    (
        "terraform-s3-backend",
        NONE,
        "one object",
        "https://developer.hashicorp.com/terraform/language/backend/s3",
    ),
    (
        "zappa-deploy",
        ESCALATION,
        "puts and attaches policies on any role",
        "https://github.com/zappa/Zappa/blob/master/example/policy/deploy.json",
    ),
    ("github-action-ecs-deploy-service", INDIRECT, "one service, with two roles", ECS),
    ("github-action-ecs-run-task", INDIRECT, "any task, with two roles", ECS),
    # Tools that watch or lend access
    (
        "prowler-additions",
        NONE,
        "reads",
        f"{GITHUB}/prowler-cloud/prowler/blob/master/permissions/prowler-additions-policy.json",
    ),
    (
        "datadog-integration",
        NONE,
        "reads",
        "https://gist.github.com/mcalhoun/bb60671b2a0112e250ef1129cca81640",
    ),
    (
        "vault-aws-secrets-engine",
        ESCALATION,
        "makes a vault-* user, attaches any policy, takes a key",
        "https://developer.hashicorp.com/vault/docs/secrets/aws",
    ),
    (
        "vault-aws-auth-method",
        INDIRECT,
        "keys of a user by its name, whoever holds the document",
        "https://gist.github.com/devops-adeel/fdc0685a51e58bd89476118daa319c01",
    ),
    (
        "sso-elevator-requester",
        ESCALATION,
        "assigns any permission set to anybody, as it is meant to",
        "https://github.com/fivexl/terraform-aws-sso-elevator/blob/main/slack_handler_lambda.tf",
    ),
    # Labs of escalation
    ("iam-vulnerable-create-policy-version", ESCALATION, "rewrites its own policy", PATHS),
    (
        "iam-vulnerable-set-default-policy-version",
        INDIRECT,
        "an older version may grant more",
        PATHS,
    ),
    ("iam-vulnerable-run-instances-pass-role", ESCALATION, "any role to an instance", PATHS),
    ("iam-vulnerable-create-access-key", ESCALATION, "a key of anybody", PATHS),
    ("iam-vulnerable-create-login-profile", ESCALATION, "a password of anybody", PATHS),
    ("iam-vulnerable-update-login-profile", ESCALATION, "a password of anybody", PATHS),
    ("iam-vulnerable-attach-user-policy", ESCALATION, "any policy to itself", PATHS),
    ("iam-vulnerable-attach-group-policy", ESCALATION, "any policy to any group", PATHS),
    ("iam-vulnerable-attach-role-policy", ESCALATION, "any policy to any role", PATHS),
    ("iam-vulnerable-put-user-policy", ESCALATION, "any policy in itself", PATHS),
    ("iam-vulnerable-put-group-policy", ESCALATION, "any policy in any group", PATHS),
    ("iam-vulnerable-put-role-policy", ESCALATION, "any policy in any role", PATHS),
    ("iam-vulnerable-add-user-to-group", ESCALATION, "joins any group", PATHS),
    ("iam-vulnerable-update-assume-role-policy", ESCALATION, "trusts itself in any role", PATHS),
    ("iam-vulnerable-lambda-invoke", ESCALATION, "any role to a function", PATHS),
    ("iam-vulnerable-lambda-by-dynamodb", ESCALATION, "any role to a function", PATHS),
    ("iam-vulnerable-lambda-update-code", INDIRECT, "the roles that functions have", PATHS),
    ("iam-vulnerable-glue-create-dev-endpoint", ESCALATION, "any role to an endpoint", PATHS),
    ("iam-vulnerable-glue-update-dev-endpoint", INDIRECT, "the roles that endpoints have", PATHS),
    ("iam-vulnerable-cloudformation-create-stack", ESCALATION, "any role to a stack", PATHS),
    ("iam-vulnerable-cloudformation-update-stack", INDIRECT, "the roles that stacks have", PATHS),
    ("iam-vulnerable-data-pipeline", ESCALATION, "any role to a pipeline", PATHS),
    ("iam-vulnerable-codebuild-create-project", ESCALATION, "any role to a build", PATHS),
    ("iam-vulnerable-ec2-instance-connect", INDIRECT, "the roles that instances have", PATHS),
    ("iam-vulnerable-sagemaker-create-notebook", ESCALATION, "any role to a notebook", PATHS),
    ("iam-vulnerable-sagemaker-presigned-url", INDIRECT, "the roles that notebooks have", PATHS),
    ("iam-vulnerable-sagemaker-processing-job", ESCALATION, "any role to a job", PATHS),
    ("iam-vulnerable-sagemaker-training-job", ESCALATION, "any role to a job", PATHS),
    ("iam-vulnerable-ssm-send-command", INDIRECT, "the roles that instances have", PATHS),
    ("iam-vulnerable-ssm-start-session", INDIRECT, "the roles that instances have", PATHS),
    ("iam-vulnerable-sre-admin", ADMIN, "all of IAM", PATHS),
    ("iam-vulnerable-fn1-run-instances", NONE, "instances without a role", TOOLS),
    ("iam-vulnerable-fn1-pass-role", NONE, "passes roles to nothing", TOOLS),
    ("iam-vulnerable-fn2-resource-constraint", INDIRECT, "policies of a prefix", TOOLS),
    ("iam-vulnerable-fn3-condition-that-holds", ESCALATION, "the condition is true today", TOOLS),
    ("iam-vulnerable-fn4-not-action", ESCALATION, "PutUserPolicy and AddUserToGroup stay", TOOLS),
    ("iam-vulnerable-fp1-allow-and-deny", NONE, "denies what it allows", TOOLS),
    ("iam-vulnerable-fp2-allow-all", ADMIN, "everything on everything", TOOLS),
    ("iam-vulnerable-fp2-deny-all", NONE, "denies", TOOLS),
    ("iam-vulnerable-fp4-aws-managed-only", NONE, "nobody edits AWS's policies", TOOLS),
    (
        "iam-vulnerable-fp5-condition-that-never-holds",
        ESCALATION,
        "false since 2020, but a reader without a clock cannot know",
        TOOLS,
    ),
    (
        "cloudgoat-ec2-management",
        INDIRECT,
        "user data of instances, but for a tag that it can dodge",
        f"{GOAT}/iam_privesc_by_ec2",
    ),
    ("cloudgoat-ec2-developer", NONE, "addresses and tags", f"{GOAT}/iam_privesc_by_ec2"),
    (
        "pathfinding-code-interpreter-pass-role",
        INDIRECT,
        "an interpreter with one role",
        f"{LABS}/bedrock-001-iam-passrole+bedrockagentcore-codeinterpreter",
    ),
    (
        "pathfinding-code-interpreter-existing",
        INDIRECT,
        "the roles that interpreters have",
        f"{LABS}/bedrock-002-bedrockagentcore-startsession+invoke",
    ),
    (
        "pathfinding-batch-submit-job",
        INDIRECT,
        "a job's command is the submitter's, its role the definition's",
        f"{LABS}/batch-002-batch-submitjob",
    ),
    (
        "pathfinding-amplify-pass-role",
        INDIRECT,
        "a build with one role",
        f"{LABS}/amplify-001-iam-passrole+amplify-createapp+amplify-createbranch+amplify-startjob",
    ),
)

# Held together, the boundary, verdict, why, source.
TOGETHER: tuple[tuple[tuple[str, ...], str | None, Reach, str, str], ...] = (
    (
        ("iam-vulnerable-fn1-run-instances", "iam-vulnerable-fn1-pass-role"),
        None,
        ESCALATION,
        "neither reaches alone; together, any role to an instance",
        TOOLS,
    ),
    (
        ("iam-vulnerable-fp2-allow-all", "iam-vulnerable-fp2-deny-all"),
        None,
        NONE,
        "a deny in any document wins",
        TOOLS,
    ),
    (
        ("aws:AdministratorAccess", "aws:AWSDenyAll"),
        None,
        NONE,
        "how Keyward contains an administrator",
        f"{IAM}/reference_policies_evaluation-logic.html",
    ),
    (
        ("aws:AdministratorAccess", "aws:AWSCompromisedKeyQuarantineV3"),
        None,
        INDIRECT,
        "a partial deny: what exists stays open",
        f"{MANAGED}/AWSCompromisedKeyQuarantineV3.html",
    ),
    (
        ("iam-guide-delegated-user-permissions",),
        "iam-guide-delegated-user-boundary",
        ESCALATION,
        "the boundary leaves PutUserPolicy and groups open, not all of IAM",
        DELEGATION,
    ),
    (
        ("aws:AdministratorAccess",),
        "iam-guide-xcompany-boundaries",
        INDIRECT,
        "of everything, EC2 stays",
        DELEGATION,
    ),
    (
        ("aws:AdministratorAccess",),
        "aws:PowerUserAccess",
        INDIRECT,
        "what the boundary alone would reach",
        f"{IAM}/access_policies_boundaries.html",
    ),
    (
        ("aws:AdministratorAccess",),
        "aws:ReadOnlyAccess",
        NONE,
        "of everything, reading stays",
        f"{IAM}/access_policies_boundaries.html",
    ),
    (
        ("aws:AWSLambda_FullAccess",),
        "aws:job-function/ViewOnlyAccess",
        NONE,
        "lists functions",
        f"{IAM}/access_policies_boundaries.html",
    ),
    (
        ("aws:job-function/SystemAdministrator", "iam-vulnerable-fn1-pass-role"),
        None,
        ESCALATION,
        "three prefixes become every role",
        f"{IAM}/access_policies_job-functions.html",
    ),
    (
        ("aws:AWSStepFunctionsFullAccess", "iam-guide-pass-roles-for-xyz"),
        None,
        INDIRECT,
        "state machines with roles of a prefix",
        f"{IAM}/id_roles_use_passrole.html",
    ),
    (
        ("aws:job-function/ViewOnlyAccess", "aws:job-function/Billing", "aws:SecurityAudit"),
        None,
        NONE,
        "reading and money",
        f"{IAM}/access_policies_job-functions.html",
    ),
)


def document(name: str) -> PolicyDocument:
    """A published document, or an AWS managed one where the name begins with "aws:"."""
    if name.startswith("aws:"):
        return managed_policies.documents()[name.removeprefix("aws:")]
    return PolicyDocument(name=name, text=(DOCUMENTS / f"{name}.json").read_text(encoding="utf-8"))


def every() -> tuple[Judged, ...]:
    """All of the table; no document is read for it."""
    return (
        *(
            Judged(
                held=(f"aws:{name}",),
                reach=reach,
                why=why,
                source=f"{MANAGED}/{name.rpartition('/')[2]}.html",
            )
            for name, reach, why in AWS_MANAGED
        ),
        *(
            Judged(held=(name,), reach=reach, why=why, source=source)
            for name, reach, why, source in PUBLISHED
        ),
        *(
            Judged(held=held, within=within, reach=reach, why=why, source=source)
            for held, within, reach, why, source in TOGETHER
        ),
    )
