"""Replies are kept with their video by everything that they depend on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from agent.answering.conversation import kept_chat
from agent.session import Session
from tools.media.video import probe

Ask = Callable[..., AIMessage]


@pytest.fixture
def ask(open_session: Callable[..., Session], harbour: Path, scripted: Any) -> Ask:
    """`ask(settings, text="Hi", **how)`: a reply of a model that says "1", "2", ..."""
    chat = scripted(replies=["1", "2", "3"])
    video = probe(harbour)

    def asked(settings: dict[str, str], text: str = "Hi", **how: Any) -> AIMessage:
        session = open_session(chat, **{"chat.model": "some-folder", **settings})
        session.library.add_video(video)
        return kept_chat(video, session.context).invoke(text, **how)

    return asked


@pytest.mark.parametrize(
    "settings",
    [
        {"chat.model": "other"},
        {"chat.dtype": "float16"},
        {"chat.quantization": "4bit"},
        {"chat.temperature": "0.5"},
        {"chat.seed": "7"},
        {"chat.max_new_tokens": "5"},
        {"chat.engine": "endpoint", "chat.base_url": "http://127.0.0.1:1/v1"},
        {"chat.rope_factor": "2"},
        {"chat.attention": "eager"},
        {"chat.context_tokens": "99"},
        {"chat.deadline_s": "9"},
    ],
    ids=lambda settings: "".join(settings),
)
def test_a_reply_is_kept_for_one_way_of_asking(ask: Ask, settings: dict[str, str]) -> None:
    first = ask({})
    assert (ask({}).text, first.text) == ("1", "1")
    assert (ask({}).response_metadata, first.response_metadata) == ({"kept": True}, {})
    assert ask(settings).text == "2"
    assert ask(settings).response_metadata == {"kept": True}


@pytest.mark.parametrize(
    "settings",
    [
        {"chat.input_price": "1", "chat.output_price": "2"},
        {"chat.timeout_s": "9", "chat.max_retries": "0"},
        {"chat.key_variable": "MY_KEY"},
        {"chat.batch": "1"},
        {"chat.base_url": "http://127.0.0.1:1/v1"},
        {"memory_gb": "9", "device": "cpu"},
    ],
    ids=lambda settings: "".join(settings),
)
def test_what_changes_no_reply_asks_nothing_anew(ask: Ask, settings: dict[str, str]) -> None:
    assert (ask({}).text, ask(settings).text) == ("1", "1")


@pytest.mark.parametrize("how", [{"text": "Ho"}, {"seed": 1}, {"max_new_tokens": 5}, {"stop": "."}])
def test_what_is_said_and_how_it_is_drawn_belong_to_the_key(ask: Ask, how: dict[str, Any]) -> None:
    assert [ask({}).text, ask({}, **how).text, ask({}).text] == ["1", "2", "1"]


def test_an_empty_reply_is_kept_too(
    open_session: Callable[..., Session], harbour: Path, scripted: Any
) -> None:
    chat = scripted(replies=["", "more"])
    session = open_session(chat)
    video = probe(harbour)
    session.library.add_video(video)
    asked = kept_chat(video, session.context)
    assert [asked.invoke("Hi").text, asked.invoke("Hi").text] == ["", ""]
    assert chat.seen == ["Hi"]
