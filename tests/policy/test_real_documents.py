import re
from itertools import pairwise

import pytest

from keyward.policy import Reach, analyse, contributes
from tests.policy.real_documents import DOCUMENTS, Judged, document, every

TABLE = every()
ALL = pytest.mark.parametrize("judged", TABLE, ids=lambda judged: judged.name)


@ALL
def test_the_engine_sees_what_a_careful_reader_sees(judged: Judged) -> None:
    analysis = analyse(judged.documents, boundary=judged.boundary)

    found = [(grant.reach.value, grant.path) for grant in analysis.grants]
    assert analysis.reach is judged.reach, f"{judged.why}; the engine: {found}"
    assert analysis.unreadable == ()


@ALL
def test_a_verdict_says_which_policy_and_statement_and_the_gravest_first(judged: Judged) -> None:
    analysis = analyse(judged.documents, boundary=judged.boundary)

    held = {held.name for held in judged.documents}
    assert (analysis.reach is Reach.NONE) is (analysis.grants == ())
    for grant in analysis.grants:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", grant.path)
        assert grant.text.strip()
        assert grant.policies
        assert set(grant.policies) <= held
        assert grant.statements
    assert all(one.reach.rank >= next_.reach.rank for one, next_ in pairwise(analysis.grants))


@ALL
def test_what_reaches_something_contributes(judged: Judged) -> None:
    if judged.reach is not Reach.NONE:
        assert any(contributes(held) for held in judged.documents)


@ALL
def test_what_does_not_contribute_adds_nothing_to_what_is_one_step_short(judged: Judged) -> None:
    short = (
        "iam-vulnerable-fn1-pass-role",
        "iam-vulnerable-fn1-run-instances",
        "iam-guide-pass-roles-for-xyz",
    )
    for held in judged.documents:
        if not contributes(held):
            for name in short:
                assert analyse((held, document(name))).reach is Reach.NONE, name


def test_the_table_is_as_wide_as_it_claims() -> None:
    assert len(TABLE) >= 150
    assert len({judged.name for judged in TABLE}) == len(TABLE)
    assert {judged.reach for judged in TABLE} == set(Reach)
    assert all(judged.why and judged.source.startswith("https://") for judged in TABLE)


def test_every_published_document_is_in_the_table() -> None:
    held = {name for judged in TABLE for name in judged.held if not name.startswith("aws:")}

    assert held == {file.stem for file in DOCUMENTS.glob("*.json")}
