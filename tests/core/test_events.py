"""Whatever arrives: a hint or an EventError, and nothing else."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyward import events, facts
from keyward.errors import EventError
from keyward.facts.iam import LOOKS, USER_CHECK
from keyward.model import AccessKey, ConsolePassword, Hint, UserPolicy
from keyward.rule import judge
from keyward.rules import every
from tests.builders import MEMBER, OTHER_MEMBER, a_sample, findings_of, settings_in_force

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Lo"]), max_size=5)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
SAMPLES = [
    "iam-access-key-created/violating-for-another-user.json",
    "iam-access-key-created/violating-activated-again.json",
    "iam-user-created/violating-by-identity-center-role.json",
    "iam-quarantine-undone/violating-marker-changed.json",
    "iam-static-credential-created/violating-bedrock-api-key.json",
    "keyward-tampered/violating-settings-deleted.json",
    "keyward-tampered/violating-queue-disconnected.json",
]


def an_envelope() -> dict[str, Json]:
    value = a_sample(SAMPLES[0])
    assert isinstance(value, dict)
    return copy.deepcopy(value)


def detail_of(envelope: dict[str, Json]) -> dict[str, Json]:
    detail = envelope["detail"]
    assert isinstance(detail, dict)
    return detail


def places(value: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything within a JSON value."""
    children: list[tuple[str | int, Json]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [path, *(p for name, child in children for p in places(child, (*path, name)))]


def with_replaced(value: Json, path: tuple[str | int, ...], new: Json) -> Json:
    if not path:
        return new
    changed = copy.deepcopy(value)
    at: Json = changed
    for name in path[:-1]:
        at = at[name]  # type: ignore[index]  # the path was read from the value
    at[path[-1]] = new  # type: ignore[index]  # the same
    return changed


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """Let pass EventError alone, and only with a text of one line."""
    try:
        yield
    except EventError as error:
        if len(str(error).splitlines()) != 1:
            raise


MUTATIONS = [
    (name, path) for name in SAMPLES for path in places(json.loads(json.dumps(a_sample(name))))
]


# ------------------------------------------------------------------ what is read


def test_an_envelope_becomes_a_hint() -> None:
    hint = events.parse(an_envelope())
    assert hint.account == MEMBER
    assert hint.event_name == "CreateAccessKey"
    assert hint.time == datetime(2026, 11, 20, 9, 14, 5, tzinfo=UTC)
    assert hint.parameters == {"userName": "bob"}
    assert hint.actor.type == "AssumedRole"
    assert hint.actor.issuer_arn == f"arn:aws:iam::{MEMBER}:role/ci/deployer"
    assert hint.actor.source_ip == "192.0.2.44"
    assert hint.origin == "event"


def test_a_bare_record_becomes_the_same_hint() -> None:
    envelope = an_envelope()
    assert events.parse_record(envelope["detail"]) == events.parse(envelope)


def test_unknown_fields_are_ignored() -> None:
    envelope = an_envelope()
    detail_of(envelope)["inScopeOf"] = {"new": [1, 2]}
    assert events.parse(envelope) == events.parse(an_envelope())


def test_null_parameters_are_none() -> None:
    envelope = an_envelope()
    detail_of(envelope).update(requestParameters=None, responseElements=None)
    hint = events.parse(envelope)
    assert (hint.parameters, hint.response) == ({}, {})


def test_an_error_code_is_kept() -> None:
    hint = events.parse(a_sample("iam-access-key-created/failed-quota.json"))
    assert hint.error_code == "LimitExceededException"


def test_a_service_event_without_a_type_is_by_a_service() -> None:
    envelope = an_envelope()
    detail_of(envelope)["userIdentity"] = {"accountId": MEMBER, "invokedBy": "AWS Internal"}
    actor = events.parse(envelope).actor
    assert (actor.type, actor.label) == ("AWSService", "AWS Internal")


def test_an_empty_session_issuer_is_none() -> None:
    hint = events.parse(a_sample("iam-user-created/violating-in-management-account.json"))
    assert hint.actor.type == "IAMUser"
    assert hint.actor.issuer_arn is None


def test_times_are_in_utc() -> None:
    envelope = an_envelope()
    detail_of(envelope)["eventTime"] = "2026-11-20T11:14:05+02:00"
    assert events.parse(envelope).time.isoformat() == "2026-11-20T09:14:05+00:00"


# ------------------------------------------------------------------ what is refused


def test_an_envelope_that_names_another_account_than_the_record_is_refused() -> None:
    envelope = an_envelope() | {"account": OTHER_MEMBER}
    with pytest.raises(EventError, match=f"{OTHER_MEMBER}.*{MEMBER}"):
        events.parse(envelope)


def test_the_envelope_decides_where_the_record_names_no_account() -> None:
    envelope = an_envelope()
    detail_of(envelope)["recipientAccountId"] = None
    assert events.parse(envelope).account == MEMBER


def test_an_old_bare_record_is_the_callers_accounts() -> None:
    record = detail_of(an_envelope())
    del record["recipientAccountId"]
    assert events.parse_record(record).account == MEMBER


@pytest.mark.parametrize(
    "account",
    [
        *("", "1", "4444555566667", "44445555666x", "444455556666\n", " 44445555666"),
        "\u0664\u0664\u0664\u0664\u0665\u0665\u0665\u0665\u0666\u0666\u0666\u0666",
        *(444455556666, None, ["444455556666"], {}),
    ],
)
def test_what_is_no_account_id_is_refused(account: Json) -> None:
    envelope = an_envelope() | {"account": account}
    detail_of(envelope)["recipientAccountId"] = account
    with pytest.raises(EventError):
        events.parse(envelope)
    record = detail_of(envelope) | {"userIdentity": {}}
    with pytest.raises(EventError):
        events.parse_record(record)


@pytest.mark.parametrize("field", ["eventID", "eventSource", "eventName", "eventTime", "awsRegion"])
@pytest.mark.parametrize("value", [None, "", [], {}, True])
def test_a_record_without_what_it_must_have_is_refused(field: str, value: Json) -> None:
    envelope = an_envelope()
    detail_of(envelope)[field] = value
    with pytest.raises(EventError, match=field):
        events.parse(envelope)


@pytest.mark.parametrize("field", ["eventID", "eventSource", "eventName", "awsRegion"])
@pytest.mark.parametrize("value", ["two\nlines", "\x1b[31mred", "\u202eleft", "tab\t", "\ud800"])
def test_a_name_that_would_spoil_a_line_of_text_is_refused(field: str, value: str) -> None:
    envelope = an_envelope()
    detail_of(envelope)[field] = value
    with pytest.raises(EventError, match=field):
        events.parse(envelope)


@pytest.mark.parametrize(
    "time",
    ["yesterday", "2026-11-20T09:14:05", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"],
)
def test_what_is_no_time_is_refused(time: str) -> None:
    envelope = an_envelope()
    detail_of(envelope)["eventTime"] = time
    with pytest.raises(EventError):
        events.parse(envelope)


@pytest.mark.parametrize("raw", [None, 7, "x", [], {}, {"detail": {}}, {"account": MEMBER}, [{}]])
def test_what_is_no_envelope_is_refused(raw: Json) -> None:
    with pytest.raises(EventError):
        events.parse(raw)
    with pytest.raises(EventError):
        events.parse_record(raw)


def test_an_envelope_without_detail_is_refused_by_that_name() -> None:
    envelope = an_envelope()
    del envelope["detail"]
    with pytest.raises(EventError, match="detail"):
        events.parse(envelope)


# ------------------------------------------------------------------ text


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "nothing", "NaN", '{"a": Infinity}', "-Infinity", "{} {}", "\ufeff{}"),
        *("[" * 5_000, "[" * 5_000 + "]" * 5_000, '{"a":' * 5_000 + "1" + "}" * 5_000),
        *("[" * 102 + "]" * 102, "9" * 5_000, " " * (events.MAX_BYTES + 1), b"\xff\xfe{", b"\xc3"),
    ],
    ids=lambda text: f"{len(text)} of {text[:12]!r}",
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(EventError):
        events.loads(text)


def test_nesting_within_reason_is_read() -> None:
    assert events.loads("[" * 100 + "]" * 100)


def test_an_event_of_256_kilobytes_is_read() -> None:
    envelope = an_envelope()
    detail_of(envelope)["userAgent"] = "x" * (256 * 1024)
    assert events.parse(events.loads(json.dumps(envelope))).account == MEMBER


def test_lone_surrogates_become_replacement_characters() -> None:
    value = events.loads(r'{"a\ud800": ["b\udc00", "\ud83d\ude00"]}')
    assert value == {"a\ufffd": ["b\ufffd", "\U0001f600"]}


@given(text=st.text() | st.binary() | JSON.map(json.dumps))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    with refusals_in_one_line():
        json.dumps(events.loads(text), ensure_ascii=False).encode()


# ------------------------------------------------------------------ anything at all


def judged_or_refused(raw: Json) -> None:
    """Parse, claim and judge as a guard does; only EventError may come out of it."""
    with refusals_in_one_line():
        findings_of(events.loads(json.dumps(raw)))


@given(raw=JSON)
@settings(deadline=None, max_examples=300)
def test_arbitrary_json_is_judged_or_refused(raw: Json) -> None:
    judged_or_refused(raw)


@given(mutation=st.sampled_from(MUTATIONS), value=JSON)
@settings(deadline=None, max_examples=1_000)
def test_a_sample_with_anything_in_any_place_is_judged_or_refused(
    mutation: tuple[str, tuple[str | int, ...]], value: Json
) -> None:
    name, path = mutation
    judged_or_refused(with_replaced(json.loads(json.dumps(a_sample(name))), path, value))


@pytest.mark.parametrize("value", [None, [], {}, 0, True, "", "x", [None], {"key": None}])
def test_a_sample_with_a_wrong_type_in_any_place_is_judged_or_refused(value: Json) -> None:
    for name, path in MUTATIONS:
        judged_or_refused(with_replaced(json.loads(json.dumps(a_sample(name))), path, value))


@given(
    values=st.dictionaries(st.sampled_from(["a", "b"]), JSON, max_size=2),
    path=st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3),
)
@settings(deadline=None)
def test_text_of_gives_text_or_none_or_refuses(values: dict[str, Json], path: list[str]) -> None:
    try:
        found = events.text_of(values, *path)
    except EventError:
        return
    assert found is None or isinstance(found, str)


# ------------------------------------------------------------------ IAM Access Analyzer

ANALYZER = "123456789012"


def an_unused(**detail: Json) -> dict[str, Json]:
    """What Access Analyzer says of an unused credential; its analyzer is in another account.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-eventbridge.html
    """
    known: dict[str, Json] = {
        "findingId": "b8ae0460-5d29-4922-b92a-ba956c986277",
        "resource": f"arn:aws:iam::{MEMBER}:user/people/bob",
        "resourceType": "AWS::IAM::User",
        "accountId": MEMBER,
        "createdAt": "2026-11-20T09:14:05.758Z",
        "updatedAt": "2026-11-20T09:14:05.758Z",
        "analyzedAt": "2026-11-20T09:14:05.758Z",
        "previousStatus": "",
        "status": "ACTIVE",
        "version": "62160bda-8e94-46d6-ac97-9670930d8ffb",
        "isDeleted": False,
        "findingType": "UnusedIAMUserAccessKey",
    }
    return {
        "version": "0",
        "id": "dc7ce3ee-114b-3243-e249-7f10f9054b21",
        "detail-type": "Unused Access Finding for IAM entities",
        "source": "aws.access-analyzer",
        "account": ANALYZER,
        "time": "2026-11-20T09:31:40Z",
        "region": "us-west-2",
        "resources": [f"arn:aws:access-analyzer:us-west-2:{ANALYZER}:analyzer/unused"],
        "detail": known | detail,
    }


def a_look(raw: Json) -> Hint:
    hint = events.message(raw)
    assert isinstance(hint, Hint)
    return hint


@pytest.mark.parametrize("finding", ["UnusedIAMUserAccessKey", "UnusedIAMUserPassword"])
def test_an_unused_credential_has_its_user_looked_at(finding: str) -> None:
    hint = a_look(an_unused(findingType=finding))
    told = events.message(
        json.loads(
            events.check_message(
                id_=hint.event_id,
                account=MEMBER,
                region="us-west-2",
                time=datetime(2026, 11, 20, 9, 31, 40, tzinfo=UTC),
                why=USER_CHECK,
                parameters={"userName": "bob", "looks": "keys,password"},
            )
        )
    )
    assert hint == told
    assert [type(subject) for subject in facts.claimed(hint)] == [AccessKey, ConsolePassword]


@pytest.mark.parametrize(
    "detail",
    [
        *({"findingType": other} for other in ("UnusedIAMRole", "UnusedPermission", "New", None)),
        *({"status": other} for other in ("RESOLVED", "ARCHIVED", "", None)),
        {"isDeleted": True},
        {"error": "INTERNAL_ERROR"},
        {"findingType": "UnusedPermission", "resource": f"arn:aws:iam::{MEMBER}:role/x"},
    ],
)
def test_what_else_the_analyzer_says_claims_nothing(detail: dict[str, Json]) -> None:
    hint = a_look(an_unused(**detail))
    assert facts.claimed(hint) == ()
    assert hint.account == MEMBER


@pytest.mark.parametrize("kind", ["Access Analyzer Finding", "Internal Access Finding", None])
def test_other_events_of_the_analyzer_claim_nothing(kind: str | None) -> None:
    preview = an_unused() | {"detail-type": kind, "detail": {"accessPreviewId": "aaaabbbb"}}
    hint = a_look(preview)
    assert (hint.account, facts.claimed(hint)) == (ANALYZER, ())


def test_what_the_analyzers_api_does_comes_by_cloudtrail() -> None:
    envelope = an_envelope() | {"source": "aws.access-analyzer"}
    envelope["detail-type"] = "AWS API Call via CloudTrail"
    assert a_look(envelope) == events.parse(envelope)


@pytest.mark.parametrize(
    "resource",
    [
        None,
        "",
        f"arn:aws:iam::{OTHER_MEMBER}:user/bob",
        f"arn:aws:iam::{MEMBER}:role/bob",
        f"arn:aws:iam::{MEMBER}:user/",
        f"arn:aws:iam::{MEMBER}:user/bob\n",
        f"arn:aws:iam::{MEMBER}:user/bob cat",
        f"arn:aws:iam::{MEMBER}:user/{'b' * 65}",
    ],
)
def test_an_unused_credential_of_nobody_is_refused(resource: str | None) -> None:
    with pytest.raises(EventError, match="names no IAM user"):
        events.message(an_unused(resource=resource))


@pytest.mark.parametrize("name", ["id", "account", "time", "region", "detail"])
@pytest.mark.parametrize("value", [None, "", "two\nlines", [], {"accountId": 1}])
def test_an_analyzers_event_without_what_it_must_have_is_refused(name: str, value: Json) -> None:
    with pytest.raises(EventError, match=name):
        events.message(an_unused() | {name: value})


@given(path=st.sampled_from(places(an_unused())), value=JSON)
@settings(deadline=None, max_examples=500)
def test_anything_in_an_analyzers_event_is_a_hint_or_refused(
    path: tuple[str | int, ...], value: Json
) -> None:
    with refusals_in_one_line():
        hint = events.message(events.loads(json.dumps(with_replaced(an_unused(), path, value))))
        if isinstance(hint, Hint):
            facts.claimed(hint)


# ------------------------------------------------------------------ a user to be looked at


def a_user_check(**parameters: Json) -> dict[str, Json]:
    return {
        "keyward": "check",
        "id": "sweep-1",
        "account": MEMBER,
        "region": "us-east-1",
        "time": "2026-11-20T09:31:40Z",
        "why": USER_CHECK,
        "parameters": {
            "userName": "bob",
            "userId": "AIDAJQABLZS4A3EXAMPLE",
            "createdAt": "2026-11-20T09:14:05+00:00",
            "since": "2026-11-20T03:14:05+00:00",
            "looks": "user,keys",
            "keys": "AKIAIOSFODNN7EXAMPLE",
            "credentials": "ssh-public-key:APKAIOSFODNN7EXAMPLE",
            "policies": "one%2Ctwo,arn:aws:iam::aws:policy/ReadOnlyAccess",
            **parameters,
        },
    }


def test_a_check_names_what_is_to_be_looked_at() -> None:
    claimed = facts.claimed(a_look(a_user_check()))
    assert [subject.unique_id for subject in claimed] == [
        "AKIAIOSFODNN7EXAMPLE",
        "APKAIOSFODNN7EXAMPLE",
        "AIDAJQABLZS4A3EXAMPLE/arn:aws:iam::aws:policy/ReadOnlyAccess",
        "AIDAJQABLZS4A3EXAMPLE/one,two",
        "AIDAJQABLZS4A3EXAMPLE",
        "*",
    ]
    assert {subject.since for subject in claimed if isinstance(subject, UserPolicy)} == {
        datetime(2026, 11, 20, 3, 14, 5, tzinfo=UTC)
    }


@pytest.mark.parametrize("looks", [sorted(LOOKS), *([look] for look in sorted(LOOKS))])
def test_each_look_claims_something_that_a_rule_objects_to(looks: list[str]) -> None:
    hint = a_look(a_user_check(looks=",".join(looks), keys="", credentials="", policies=""))
    claimed = facts.claimed(hint)
    assert claimed
    found = judge(every(), claimed, hint=hint, settings=settings_in_force())
    assert all(any(it.subject == subject for it in found) for subject in claimed)


def test_a_check_of_a_leaked_key_is_claimed_though_policies_are_let_be() -> None:
    hint = a_look(a_user_check(looks="policies", keys="", credentials="", policies=""))
    rules = [rule for rule in every() if rule.id == "iam-key-quarantined-by-aws"]
    assert judge(rules, facts.claimed(hint), hint=hint, settings=settings_in_force())


@given(path=st.sampled_from(places(a_user_check())), value=JSON | st.text("*,:%,AZ", max_size=12))
@settings(deadline=None, max_examples=500)
def test_anything_in_a_check_is_a_hint_or_refused(path: tuple[str | int, ...], value: Json) -> None:
    with refusals_in_one_line():
        told = events.message(events.loads(json.dumps(with_replaced(a_user_check(), path, value))))
        if isinstance(told, Hint):
            facts.claimed(told)
