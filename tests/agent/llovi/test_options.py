import pytest

from agent.llovi.options import PRESETS, LloviOptions
from tools.errors import InputError

LLOVI = {
    "captions": None,
    "caption_fps": 1.0,
    "caption_every": 1,
    "clip_s": 1.0,
    "stride_s": 1.0,
    "clip_frames": 1,
    "max_side": 768,
    "caption_tokens": 80,
    "retries": 2,
    "words": 500,
    "depth": 6,
    "reasoning": "direct",
    "reasoning_tokens": 400,
    "shots": 0,
    "exemplars": None,
    "samples": 1,
    "answer_temperature": 0.0,
    "grounding": False,
    "sufficiency": True,
    "parity": "llovi",
}
NEXT = LLOVI | {
    "caption_every": 2,
    "clip_s": 0.0,
    "stride_s": 2.0,
    "summary": "none",
    "summary_temperature": 0.0,
    "first_person": False,
}
GOLDEN = {
    "llovi-egoschema": LLOVI | {"summary": "cq", "summary_temperature": 1.0, "first_person": True},
    "llovi-nextqa": NEXT,
    "llovi-intentqa": NEXT,
    "llovi-nextgqa": NEXT | {"grounding": True, "sufficiency": False},
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_the_published_settings(name: str) -> None:
    options = LloviOptions.model_validate({"preset": name})
    assert options.model_dump() == {"preset": name, **GOLDEN[name]}


def test_without_a_preset_the_chat_model_s_temperature_counts_and_replies_are_read_right() -> None:
    options = LloviOptions()
    assert (options.summary, options.words) == ("cq", 500)
    assert options.summary_temperature is options.answer_temperature is None
    assert options.parity is None


@pytest.mark.parametrize(
    ("given", "parity", "temperature"),
    [(True, "llovi", 0.0), (False, None, None), ("ig-vlm", "ig-vlm", 0.0), (None, None, None)],
)
def test_parity_names_a_parser_and_is_greedy_as_published(
    given: object, parity: str | None, temperature: float | None
) -> None:
    options = LloviOptions.model_validate({"parity": given})
    assert options.parity == parity
    assert options.summary_temperature == options.answer_temperature == temperature


def test_what_the_user_sets_stands_above_the_preset() -> None:
    options = LloviOptions.model_validate(
        {"preset": "llovi-nextqa", "words": 50, "caption_every": 4}
    )
    assert options.words == 50
    assert (options.caption_every, options.stride_s) == (4, 2.0)
    assert options.parity == "llovi"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("llovi-egoshema", "did you mean 'llovi-egoschema'"), ("videotree", "llovi has no preset")],
)
def test_an_unknown_preset_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        LloviOptions.model_validate({"preset": name})


@pytest.mark.parametrize(
    ("values", "complaint"),
    [({"samples": 5}, "answer_temperature above 0"), ({"shots": 6}, "exemplars=FILE")],
)
def test_what_could_only_fail_later_is_refused(values: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LloviOptions.model_validate(values)


def test_unknown_options_are_refused_beside_a_preset_too() -> None:
    with pytest.raises(ValueError, match="word_count"):
        LloviOptions.model_validate({"preset": "llovi-nextqa", "word_count": 5})
