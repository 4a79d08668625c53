"""A question and its answer as stored in a chat: plain values, readable by any version."""

from typing import Any, TypedDict


class ModelCall(TypedDict):
    """One call of a chat model: its messages and its reply.

    `messages` hold role, text and number of pictures, before the chat template is applied.
    """

    node: str
    messages: list[dict[str, Any]]
    reply: str
    input_tokens: int
    output_tokens: int
    seconds: float


class Seen(TypedDict):
    """A picture given to the model: its file in the library's folder, kind and times."""

    file: str
    kind: str
    times_s: list[float]


class Exchange(TypedDict):
    """A question and its answer.

    Keys:
        asked: The question as the user asked it.
        options: Options of a multiple-choice question.
        understood: The standalone question; differs for a follow-up.
        how: What rewrote it; empty if it was standalone.
        sha256: Identity of the video.
        video: Its file name.
        when: Time of the answer, UTC, ISO 8601.
        answer: `Answer.to_json()`.
        calls: The calls of the chat model, in order.
        seen: The pictures in the last of these calls.
    """

    asked: str
    options: list[str]
    understood: str
    how: str
    sha256: str
    video: str
    when: str
    answer: dict[str, Any]
    calls: list[ModelCall]
    seen: list[Seen]
