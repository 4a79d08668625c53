"""The reply cache: replies of a chat model, stored in the library with a video.

A killed run resumes where it was: only the call in flight is repeated. The key is the prompt, the
identity of the model and the decoding parameters; any change is a cache miss.
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
    """A LangChain cache that stores replies in the library.

    A cached reply costs nothing and is marked by `response_metadata["kept"]`.
    """

    def __init__(self, video: Video, library: Library, chat: Mapping[str, Any]) -> None:
        """Cache replies with a video, keyed by the chat model's `reply_identity`."""
        self._video, self._library, self._chat = video, library, chat
        self._asked_at: dict[str, float] = {}

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the cached reply; None on a cache miss."""
        key = digest(self._settings(prompt, llm_string))
        text = self._library.reply(self._video, key)
        if text is None:
            self._asked_at[key] = perf_counter()
            return None
        message = AIMessage(text, response_metadata={"kept": True})
        return [ChatGeneration(message=message)]

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Cache a reply, even an empty one."""
        settings = self._settings(prompt, llm_string)
        key = digest(settings)
        seconds = perf_counter() - self._asked_at[key]
        self._library.save_reply(self._video, key, settings, return_val[0].text, seconds)

    def clear(self, **kwargs: Any) -> None:
        """Refuse, though LangChain requires this method: replies are deleted with their video."""
        raise NotImplementedError("replies are forgotten with their video: use Library.delete")

    def _settings(self, prompt: str, llm_string: str) -> dict[str, Any]:
        asked = digest({"messages": prompt, "call": llm_string})
        return {"asked": asked, "chat": dict(self._chat)}
