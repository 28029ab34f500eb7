import subprocess
import sys

import pytest

from keyward.policy import Reach, analyse, aws_managed, contributes
from local import managed_policies
from tests.policy.real_documents import AWS_MANAGED, document


def arn(name: str, partition: str = "aws") -> str:
    return f"arn:{partition}:iam::aws:policy/{name}"


def test_the_table_is_what_its_generator_makes_of_the_present_engine() -> None:
    assert not managed_policies.stale(), "run make docs"


def test_the_names_are_those_of_awss_policies_with_their_paths() -> None:
    names = aws_managed.names()

    assert names == frozenset(managed_policies.documents())
    assert {"AdministratorAccess", "job-function/Billing", "root-task/S3UnlockBucketPolicy"} < names
    assert not any(name.startswith(("!", "/", "arn:")) for name in names)


@pytest.mark.parametrize(("name", "reach"), [(name, reach) for name, reach, _ in AWS_MANAGED])
def test_harmless_is_what_contributes_to_nothing(name: str, reach: Reach) -> None:
    policy = managed_policies.documents()[name]

    assert aws_managed.harmless(arn(name)) is not contributes(policy)
    if reach is not Reach.NONE:
        assert not aws_managed.harmless(arn(name))


@pytest.mark.parametrize("short", [None, "fn1-pass-role", "fn1-run-instances"])
def test_all_that_is_harmless_together_opens_no_path(short: str | None) -> None:
    everything = managed_policies.documents()
    held = [everything[name] for name in everything if aws_managed.harmless(arn(name))]
    one_step_short = [document(f"iam-vulnerable-{short}")] if short else []

    assert len(held) > len(everything) / 2
    assert analyse([*held, *one_step_short]).grants == ()


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc"])
def test_every_partition_of_awss_has_them(partition: str) -> None:
    assert aws_managed.harmless(arn("ReadOnlyAccess", partition))
    assert aws_managed.harmless(arn("job-function/ViewOnlyAccess", partition))
    assert not aws_managed.harmless(arn("AdministratorAccess", partition))


@pytest.mark.parametrize(
    "look_alike",
    [
        "arn:aws:iam::111122223333:policy/ReadOnlyAccess",
        "arn:aws:iam::111122223333:policy/job-function/ViewOnlyAccess",
        "arn:aws:iam:::policy/ReadOnlyAccess",
        "arn:aws:iam::aws111122223333:policy/ReadOnlyAccess",
        "arn:aws:iam::AWS:policy/ReadOnlyAccess",
        "arn:aws:iam::partner:policy/ReadOnlyAccess",
        "arn:aws:iam:us-east-1:aws:policy/ReadOnlyAccess",
        "arn:aws:sts::aws:policy/ReadOnlyAccess",
        "arn:evil:iam::aws:policy/ReadOnlyAccess",
        "arn:aws-evil:iam::aws:policy/ReadOnlyAccess",
        "arn:awscn:iam::aws:policy/ReadOnlyAccess",
        "arn:AWS:iam::aws:policy/ReadOnlyAccess",
        "ARN:aws:iam::aws:policy/ReadOnlyAccess",
        "arn:aws:iam::aws:policy/readonlyaccess",
        "arn:aws:iam::aws:policy/READONLYACCESS",
        "arn:aws:iam::aws:Policy/ReadOnlyAccess",
        "arn:aws:iam::aws:role/ReadOnlyAccess",
        "arn:aws:iam::aws:policy/job-function/ReadOnlyAccess",
        "arn:aws:iam::aws:policy/ViewOnlyAccess",
        "arn:aws:iam::aws:policy//ReadOnlyAccess",
        "arn:aws:iam::aws:policy/ReadOnlyAccess/",
        "arn:aws:iam::aws:policy/./ReadOnlyAccess",
        "arn:aws:iam::aws:policy/job-function/../ReadOnlyAccess",
        "arn:aws:iam::aws:policy/ReadOnlyAccess/../AdministratorAccess",
        "arn:aws:iam::aws:policy/ReadOnlyAccess*",
        "arn:aws:iam::aws:policy/*",
        "arn:aws:iam::aws:policy/ReadOnlyAccess\n",
        "arn:aws:iam::aws:policy/ReadOnlyAccess ",
        " arn:aws:iam::aws:policy/ReadOnlyAccess",
        "arn:aws:iam::aws:policy/ReadOnlyAccess\nSecurityAudit",
        "arn:aws:iam::aws:policy/!AdministratorAccess",
        "arn:aws:iam::aws:policy/\u0052eadOnlyAccess\u200b",
        "arn:aws:iam::aws:policy/Re\u0430dOnlyAccess",
        "arn:aws:iam::aws:policy/",
        "ReadOnlyAccess",
        "",
    ],
)
def test_what_only_looks_like_a_harmless_policy_is_not(look_alike: str) -> None:
    assert not aws_managed.harmless(look_alike)


def test_unknown_policies_are_not_harmless() -> None:
    assert not aws_managed.harmless(arn("AmazonSomethingOfTomorrow"))


def test_nobody_pays_for_the_table_who_does_not_ask() -> None:
    loaded = "import sys, keyward.policy; sys.exit('keyward.policy.aws_managed' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0  # noqa: S603 - our own
