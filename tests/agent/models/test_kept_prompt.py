"""What a model has read is kept for the next program: a small real model in a GGUF file."""

from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agent.models.chat import LlamaCppChat, make_chat
from agent.settings import ChatSettings

SAID = "The ferry to the island leaves at nine. The bus to the town leaves at ten. " * 8


def load(models: Path, kept: Path | None) -> LlamaCppChat:
    settings = ChatSettings(model="smollm2-135m", max_new_tokens=6, context_tokens=512)
    made = make_chat(settings, "cpu", models, offline=True, kept=kept)
    assert isinstance(made, LlamaCppChat)
    return made


def tokens_known(reply: AIMessage) -> int:
    assert reply.usage_metadata is not None
    return reply.usage_metadata.get("input_token_details", {}).get("cache_read", 0)


def test_the_next_program_reads_only_what_is_new(models_folder: Path, tmp_path: Path) -> None:
    before = load(models_folder, tmp_path).invoke([HumanMessage(f"{SAID} And the bus?")])
    (file,) = tmp_path.iterdir()
    after = load(models_folder, tmp_path).invoke([HumanMessage(f"{SAID} And the ferry?")])
    alone = load(models_folder, None).invoke([HumanMessage(f"{SAID} And the ferry?")])
    assert after.text == alone.text
    assert tokens_known(before) == tokens_known(alone) == 0
    assert after.usage_metadata is not None
    assert tokens_known(after) > 0.8 * after.usage_metadata["input_tokens"]
    assert list(tmp_path.iterdir()) == [file]


def test_only_a_prompt_that_is_mostly_new_is_kept(models_folder: Path, tmp_path: Path) -> None:
    chat = load(models_folder, tmp_path)
    chat.invoke([HumanMessage(f"{SAID} And the bus?")])
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    list(chat.stream([HumanMessage(f"{SAID} And the ferry?")]))
    assert file.stat().st_mtime_ns == written
    list(chat.stream([HumanMessage("Tell me of the sea, its ships and its fish. " * 9)]))
    assert file.stat().st_mtime_ns > written


def test_a_damaged_file_is_removed_and_told_of(
    models_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    question = [HumanMessage(f"{SAID} And the bus?")]
    right = load(models_folder, tmp_path).invoke(question)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    chat = load(models_folder, tmp_path)
    assert "cannot be read by llama.cpp" in caplog.text
    assert not file.exists()
    assert chat.invoke(question).text == right.text
