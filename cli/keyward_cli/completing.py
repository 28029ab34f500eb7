"""What a shell completes beside what typer knows by itself. AWS is never asked for it."""


def rule_ids(incomplete: str) -> list[tuple[str, str]]:
    """The rules whose id begins so, with what each finds."""
    # Whoever completes something else shall not wait for all rules to be read.
    from keyward.rules import every  # noqa: PLC0415
    from keyward_cli.docs import rule_doc  # noqa: PLC0415

    return [
        (rule.id, rule_doc(rule).partition("\n")[0])
        for rule in every()
        if rule.id.startswith(incomplete)
    ]
