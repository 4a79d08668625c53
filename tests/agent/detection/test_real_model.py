"""The real loading and generating code, on a vision model with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.detection.detector import Detector
from agent.session import Session


@pytest.mark.slow
def test_a_model_that_babbles_abstains(
    tiny_smolvlm: Path, meter: Callable[..., Any], clip: Callable[..., Path], task: Any
) -> None:
    """B13: pictures go through the processor; noise is never a verdict."""
    meter()
    settings = {"chat.model": str(tiny_smolvlm), "chat.calibration": None, "device": "cpu"}
    short = task.model_copy(update={"max_reply_tokens": 24})
    found = Detector(Session(settings=settings).context, short).detect(clip())
    assert found.label == "inconclusive"
    assert found.code in ("invalid", "truncated", "empty", "too_long")
    assert 1 <= found.total("model_calls") <= 3
    if found.code != "too_long":
        assert found.total("input_tokens") > 8 * 64  # eight frames of 64 tokens or more
