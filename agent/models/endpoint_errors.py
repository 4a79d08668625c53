"""Errors of a chat server, each as one line with its remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agent.models.chat_model import ContextOverflowError
from tools.errors import InputError, MissingError

OVERFLOW = re.compile(
    r"context.{0,20}(?:length|window|size)|(?:prompt|input).{0,30}too (?:long|large)"
    r"|maximum.{0,20}tokens|too many tokens|exceeds?.{0,40}(?:context|n_ctx|max_model_len)",
    re.IGNORECASE,
)


class ServerTimeoutError(MissingError):
    """The server sent nothing for longer than `chat.timeout_s`."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as named in errors; `key_name` is the environment variable with its key."""

    name: str
    address: str
    key_name: str | None
    timeout_s: float
    max_retries: int
    context_tokens: int | None

    @property
    def key_remedy(self) -> str:
        """The variable to export."""
        if self.key_name:
            return f"{self.key_name}=..."
        return "the key as a variable and name that with --set chat.key_variable=VARIABLE"


@contextmanager
def clear_errors(server: Server) -> Iterator[None]:
    """Translate errors of a server into one line with a remedy.

    Any other exception of the client within the block counts as an invalid reply of the server, so
    keep our own code out of it: build the request, and use the reply, outside.
    """
    import httpx2
    import openai

    try:
        yield
    except openai.OpenAIError as error:
        raise _explained(error, server) from None  # the cause may hold the key
    except httpx2.HTTPError as error:  # in the middle of a stream
        raise _lost(server, type(error).__name__) from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise no_completion(server, f"{type(error).__name__}: {_line(error)}") from error


def no_completion(server: Server, why: str) -> MissingError:
    """Return the error for an invalid reply."""
    return MissingError(
        f"what {server.address} sent is no chat completion ({why}); is chat.base_url right? It "
        f"mostly ends in /v1"
    )


def _explained(error: Any, server: Server) -> InputError | MissingError | ContextOverflowError:
    import openai
    from langchain_core.exceptions import ContextOverflowError as Overflow

    said = _line(error)
    if isinstance(error, Overflow) or _is_overflow(error, said):
        return _overflow(said, server)
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return MissingError(
            f"{server.address} refuses the key ({error.status_code}): export {server.key_remedy}"
        )
    if isinstance(error, openai.NotFoundError):
        return MissingError(
            f"{server.address} knows no {server.name!r} (404: {said}); check chat.model and "
            f"chat.base_url"
        )
    if isinstance(error, openai.RateLimitError):
        return MissingError(
            f"{server.address} is still busy after {server.max_retries} retries (429: {said}); try "
            f"later or raise chat.max_retries"
        )
    if isinstance(error, openai.APITimeoutError):
        return ServerTimeoutError(
            f"{server.address} sent nothing for {server.timeout_s:g} s; raise chat.timeout_s or "
            f"use a faster model"
        )
    if isinstance(error, openai.APIConnectionError):
        return _lost(server, said)
    if isinstance(error, openai.APIStatusError) and error.status_code < 500:
        return InputError(f"{server.address} refuses the request ({error.status_code}): {said}")
    code = getattr(error, "status_code", "in the stream")
    return MissingError(
        f"{server.address} fails after {server.max_retries} retries ({code}: {said}); look at its "
        f"log"
    )


def _is_overflow(error: Any, said: str) -> bool:
    import openai

    refused = isinstance(error, openai.BadRequestError) or (
        isinstance(error, openai.APIStatusError) and error.status_code in (413, 422)
    )
    return refused and bool(OVERFLOW.search(said))


def _overflow(said: str, server: Server) -> ContextOverflowError:
    """Parse both numbers from a server's message; the smaller one is its limit."""
    numbers = sorted(int(n) for n in re.findall(r"\b\d{3,7}\b", said) if n != "400")
    if len(numbers) < 2:
        return ContextOverflowError(
            server.name, None, numbers[0] if numbers else server.context_tokens
        )
    return ContextOverflowError(server.name, numbers[-1], numbers[0])


def _lost(server: Server, said: str) -> MissingError:
    return MissingError(
        f"the connection to {server.address} failed ({said}); is the server running? Its address "
        f"is set with --set chat.base_url=URL"
    )


def _line(error: BaseException) -> str:
    """Return an error's message as one short line, without anything that looks like a key."""
    text = " ".join(str(error).split())
    body = getattr(error, "response", None)
    if re.fullmatch(r"Error code: \d+", text) and body is not None:
        text = " ".join(body.text.split()) or "no reason given"  # in the server's own format
    text = re.sub(r"^Error code: \d+ - ", "", text)
    return re.sub(r"\b(?:sk|key)[-_][\w*.-]{4,}|(?<=Bearer )\S+", "***", text)[:300]
