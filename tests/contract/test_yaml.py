"""What the templates may use of YAML, by who reads them."""

from __future__ import annotations

from pathlib import Path

import yaml  # type: ignore[import-untyped]  # it ships no types

ROOT = Path(__file__).parents[2]


def aliases(path: Path) -> list[int]:
    """The lines that stand for another place of the file."""
    return [
        token.start_mark.line + 1
        for token in yaml.scan(path.read_text())
        if isinstance(token, yaml.AliasToken)
    ]


def test_member_template_holds_no_alias_since_the_stackset_gets_the_file_as_it_is() -> None:
    """CloudFormation knows no aliases; `sam build` writes them out, in the hub's template only.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    """
    assert aliases(ROOT / "member" / "template.yaml") == []
    assert aliases(ROOT / "template.yaml"), "the reader of this test sees one at work"
