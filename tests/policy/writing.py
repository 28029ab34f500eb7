"""Writes policy documents for tests."""

import json
from collections.abc import Mapping

from keyward.model import PolicyDocument
from keyward.policy import Analysis, Grant, analyse

type Json = Mapping[str, object]


def allow(actions: object, on: object = "*", *, when: Json | None = None, sid: str = "") -> Json:
    """An Allow; `when` is its Condition."""
    return _statement("Allow", {"Action": actions, "Resource": on}, when, sid)


def deny(actions: object, on: object = "*", *, when: Json | None = None, sid: str = "") -> Json:
    """A Deny; `when` is its Condition."""
    return _statement("Deny", {"Action": actions, "Resource": on}, when, sid)


def a_document(*statements: object, name: str = "policy") -> PolicyDocument:
    """A policy of these statements."""
    return PolicyDocument(
        name=name, text=json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    )


def of(*statements: object) -> Analysis:
    """What one policy of these statements grants."""
    return analyse([a_document(*statements)])


def grant(analysis: Analysis, path: str) -> Grant | None:
    """What the analysis says of one path."""
    return next((it for it in analysis.grants if it.path == path), None)


def _statement(effect: str, what: Json, when: Json | None, sid: str) -> Json:
    return {
        **({"Sid": sid} if sid else {}),
        "Effect": effect,
        **what,
        **({"Condition": when} if when is not None else {}),
    }
