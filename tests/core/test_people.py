"""Who is who, and what proves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import ValidationError

from keyward import proving
from keyward.errors import RequestError
from keyward.people import by_arn, by_slack, same_person
from keyward.settings import OperatorPerson, Operators

ANA = OperatorPerson(name="Ana", slack_user="U0ANA0000", session="ana@example.com")
BEN = OperatorPerson(name="Ben", slack_user="U0BEN0000", session="ben")
LISTED = (ANA, BEN)
HUB = "123456789012"
ENDPOINT = "https://sts.eu-west-1.amazonaws.com"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def session(name: str, role: str = "AWSReservedSSO_Admin_0123") -> str:
    return f"arn:aws:sts::{HUB}:assumed-role/{role}/{name}"


def test_a_member_of_slack_is_found_by_id() -> None:
    assert by_slack("U0BEN0000", LISTED) == BEN
    assert by_slack("U0BEN000", LISTED) is None


@pytest.mark.parametrize(
    "arn",
    [
        session("ana@example.com"),
        session("Ana@Example.com", "Other"),
        f"arn:aws:iam::{HUB}:user/people/ana@example.com",
    ],
)
def test_an_arn_is_found_by_what_stands_last(arn: str) -> None:
    assert by_arn(arn, LISTED) == ANA


@pytest.mark.parametrize(
    "arn", [session("ana"), f"arn:aws:iam::{HUB}:root", session("xana@example.com")]
)
def test_another_arn_is_nobody_listed(arn: str) -> None:
    assert by_arn(arn, LISTED) is None


def test_a_federated_user_is_nobody_listed() -> None:
    assert by_arn(f"arn:aws:sts::{HUB}:federated-user/ben", LISTED) is None


TWO = [
    ("U0ANA0000", "U0BEN0000"),
    ("U0ANA0000", session("ben")),
    (session("ana@example.com"), session("ben")),
    (session("chris"), session("dana")),
]
ONE = [
    ("U0ANA0000", "U0ANA0000"),
    ("U0ANA0000", session("ana@example.com")),
    (session("ben", "One"), session("ben", "Another")),
    (session("chris", "One"), session("chris", "Another")),
    (session("chris"), session("Chris")),
    (session("chris"), f"arn:aws:iam::{HUB}:user/chris"),
    # Nobody can tell.
    ("U0ANA0000", session("chris")),
    (session("ben"), session("chris")),
    ("U0CHRIS00", "U0DANA000"),
    ("U0CHRIS00", session("dana")),
    ("chris", "dana"),
    (session("chris"), f"arn:aws:sts::{HUB}:federated-user/dana"),
    (session("ana@example.com"), f"arn:aws:sts::{HUB}:federated-user/ben"),
]


@pytest.mark.parametrize(("first", "second"), TWO)
def test_two_people_are_two(first: str, second: str) -> None:
    assert same_person(first, second, LISTED) is None
    assert same_person(second, first, LISTED) is None


@pytest.mark.parametrize(("first", "second"), ONE)
def test_one_person_is_one_whatever_they_hold(first: str, second: str) -> None:
    assert same_person(first, second, LISTED)
    assert same_person(second, first, LISTED)


def test_who_is_not_listed_is_told_to_be() -> None:
    assert "operators.people" in str(same_person("U0ANA0000", session("chris"), LISTED))


# ---------------------------------------------------------------- proof


def a_proof(
    *, header: str = proving.HEADER, service: str = "sts", token: str | None = None, **more: str
) -> str:
    """As the command line makes it, but for `more` of the query."""
    asked = AWSRequest(
        method="GET",
        url=f"{ENDPOINT}/",
        params={**proving.ASKED, **more},
        headers={header: "0" * 64},
    )
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "secret", token)
    SigV4QueryAuth(credentials, service, "eu-west-1", expires=60).add_auth(asked)
    return str(asked.url)


def signed_at(proof: str) -> datetime:
    date = dict(parse_qsl(proof.partition("?")[2]))["X-Amz-Date"]
    return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def path_of(proof: str, later: timedelta = timedelta(0)) -> str:
    return proving.path_of(proof, endpoint=ENDPOINT, now=signed_at(proof) + later)


@pytest.mark.parametrize("token", [None, "IQoJb3JpZ2lu/+=="])
def test_a_proof_is_asked_as_it_was_signed(token: str | None) -> None:
    proof = a_proof(token=token)
    path = path_of(proof)
    assert path.startswith("/?")
    assert parse_qsl(path[2:]) == parse_qsl(proof.partition("?")[2])


def replaced(old: str, new: str) -> str:
    proof = a_proof()
    assert old in proof
    return proof.replace(old, new)


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "nonsense",
        "https://[",
        replaced("https://", "http://"),
        replaced("sts.eu-west-1.amazonaws.com", "sts.amazonaws.com"),
        replaced("sts.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com.example.com"),
        replaced("sts.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com:8443"),
        replaced("sts.eu-west-1.amazonaws.com", "169.254.169.254"),
        replaced("https://sts", "https://x@sts"),
        replaced("com/?", "com/x?"),
        replaced("Action=GetCallerIdentity", "Action=GetSessionToken"),
        replaced("Version=2011-06-15", "Version=2011-06-16"),
        a_proof() + "&Action=GetCallerIdentity",
        a_proof() + "&Extra=1",
        a_proof() + "#x",
        a_proof(header="x-k8s-aws-id"),
        replaced("X-Amz-SignedHeaders=host%3Bx-keyward-request", "X-Amz-SignedHeaders=host"),
        replaced("X-Amz-Signature=", "X-Amz-Signatur="),
        replaced("X-Amz-Date=2", "X-Amz-Date=x"),
    ],
)
def test_what_is_no_proof_is_refused_without_being_quoted(proof: str) -> None:
    with pytest.raises(RequestError, match="refused") as caught:
        proving.path_of(proof, endpoint=ENDPOINT, now=datetime.now(UTC))
    assert "X-Amz" not in str(caught.value)
    assert "AKIA" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("seconds", [-60, 0, 120])
def test_a_new_proof_is_believed(seconds: int) -> None:
    assert path_of(a_proof(), timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-61, 121, 899])
def test_an_old_proof_is_refused_though_sts_would_take_it(seconds: int) -> None:
    with pytest.raises(RequestError, match="too old"):
        path_of(a_proof(), timedelta(seconds=seconds))


def test_a_proof_is_bound_to_all_of_its_request_but_itself() -> None:
    request = {"act": "release", "by": "ana", "finding": "f", "days": None}
    bound = proving.bound_to(request)
    assert proving.bound_to(dict(reversed(request.items())) | {"proof": "x"}) == bound
    for name in request:
        assert proving.bound_to(request | {name: "other"}) != bound


def answer(*arns: str) -> str:
    named = "".join(f"<Arn>{arn}</Arn>" for arn in arns)
    return f"<GetCallerIdentityResult>{named}<UserId>AIDA</UserId></GetCallerIdentityResult>"


def test_the_arn_is_what_sts_says() -> None:
    assert proving.arn_in(answer(session("ana")), account=HUB) == session("ana")


@pytest.mark.parametrize(
    "said",
    [
        "",
        answer(),
        answer(session("ana"), session("ben")),
        answer("arn:aws:iam::999999999999:user/ana"),
        answer("arn:aws:iam::999999999999:user/123456789012"),
        answer("nothing"),
    ],
)
def test_an_answer_that_names_nobody_of_the_account_proves_nothing(said: str) -> None:
    with pytest.raises(RequestError, match="refused"):
        proving.arn_in(said, account=HUB)


@pytest.mark.parametrize(
    ("client", "there"),
    [
        ("https://sts.amazonaws.com", "https://sts.eu-west-1.amazonaws.com"),
        ("https://sts.us-east-1.amazonaws.com", "https://sts.eu-west-1.amazonaws.com"),
        ("https://sts.cn-north-1.amazonaws.com.cn", "https://sts.eu-west-1.amazonaws.com.cn"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("https://sts.amazonaws.com.evil.example", "https://sts.amazonaws.com.evil.example"),
    ],
)
def test_sts_is_asked_in_the_region_itself(client: str, there: str) -> None:
    assert proving.endpoint(client=client, region="eu-west-1") == there


def test_queries_are_put_together_anew() -> None:
    proof = a_proof()
    odd = f"{ENDPOINT}?{urlencode(parse_qsl(proof.partition('?')[2]))}"
    assert path_of(odd) == path_of(proof)


@pytest.mark.parametrize(
    ("slack_user", "session"),
    [("U0ANA0000", None), (None, "ana@example.com"), (None, "Ana@Example.com")],
)
def test_a_name_stands_once_in_the_list(slack_user: str | None, session: str | None) -> None:
    again = OperatorPerson(name="Another", slack_user=slack_user, session=session)
    with pytest.raises(ValidationError, match="twice"):
        Operators(people=(ANA, again))
