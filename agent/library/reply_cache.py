"""Replies of a chat model that the library keeps with a video.

A run that was killed goes on where it was: it repeats the call in flight and no other. What was
asked, of which model and how it was drawn are the key, so anything else is asked anew.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from agent.library.keys import digest
from agent.library.store import Library
from tools.media.video import Video


class ReplyCache(BaseCache):
    """LangChain's cache of replies, in the library.

    A kept reply costs nothing; it says so by `response_metadata["kept"]`.
    """

    def __init__(self, video: Video, library: Library, chat: Mapping[str, Any]) -> None:
        """Keep replies with a video, by the `reply_identity` of the chat model that gives them."""
        self._video, self._library, self._chat = video, library, chat
        self._asked_at: dict[str, float] = {}

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the kept reply; None when the model has to be asked."""
        key = digest(self._settings(prompt, llm_string))
        text = self._library.reply(self._video, key)
        if text is None:
            self._asked_at[key] = perf_counter()
            return None
        message = AIMessage(text, response_metadata={"kept": True})
        return [ChatGeneration(message=message)]

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Keep a reply, also an empty one."""
        settings = self._settings(prompt, llm_string)
        key = digest(settings)
        seconds = perf_counter() - self._asked_at[key]
        self._library.save_reply(self._video, key, settings, return_val[0].text, seconds)

    def clear(self, **kwargs: Any) -> None:
        """Refuse, though LangChain wants this method: replies are forgotten with their video."""
        raise NotImplementedError("replies are forgotten with their video: use Library.delete")

    def _settings(self, prompt: str, llm_string: str) -> dict[str, Any]:
        asked = digest({"messages": prompt, "call": llm_string})
        return {"asked": asked, "chat": dict(self._chat)}
