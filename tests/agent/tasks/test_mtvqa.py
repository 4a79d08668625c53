from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from agent.evaluation.prepare import prepare_rows
from agent.evaluation.scores import score_run
from tools.media.video import probe


def picture() -> bytes:
    return cv2.imencode(".png", np.full((41, 63, 3), 200, np.uint8))[1].tobytes()


def test_pictures_are_unpacked_and_questions_flattened(
    save: Callable[..., Path], read, tmp_path: Path, answered
) -> None:
    pairs = (
        "[{'question': '駅名は', 'answer': '東京'}, {'question': 'Wie alt?', 'answer': 'Über 5'}]"
    )
    save(
        "test-00000-of-00001.parquet",
        [{"image": {"bytes": picture(), "path": "0.png"}, "id": "img_0", "qa_pairs": pairs,
          "lang": "JA", "unknown": 1}],
    )  # fmt: skip

    first, second = read("mtvqa")

    assert [first.id, second.id] == ["img_0-0", "img_0-1"]
    assert first.categories == {"language": ("JA",)}
    ready, again = prepare_rows([first, second], tmp_path / "media")
    assert ready.video == again.video
    assert (probe(ready.video).width, probe(ready.video).height) == (63, 41)  # odd sizes stay
    said = {
        first.id: answered(first, text="東京駅です。"),
        second.id: answered(second, text="uber 5"),
    }
    assert score_run([first, second], said, "substring").overall.strict.mean == 0.5


def test_a_missing_picture_costs_its_own_questions(save, read) -> None:
    path = save(
        "mtvqa.json",
        [{"image": "a.png", "id": "a", "qa_pairs": [{"question": "Q?", "answer": "x"}]}],
    )

    (item,) = read("mtvqa", path)

    assert "there is no picture" in item.media.why
