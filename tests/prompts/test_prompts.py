import pytest

import prompts


@pytest.mark.parametrize("name", prompts.names())
def test_every_prompt_parses_and_has_a_version(name: str) -> None:
    assert len(prompts.version(name)) == 12
    assert prompts.source(name).strip()


def test_missing_and_unknown_variables_are_refused() -> None:
    with pytest.raises(TypeError, match="question"):
        prompts.render("decouple")
    with pytest.raises(TypeError, match="colour"):
        prompts.render("decouple", question="Who?", colour="red")


def test_unknown_prompt_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match="decouple"):
        prompts.render("decuple", question="Who?")


def test_variables_are_data_and_never_templates() -> None:
    rendered = prompts.render("decouple", question="What is {{ 1 + 1 }}?")
    assert "{{ 1 + 1 }}" in rendered
