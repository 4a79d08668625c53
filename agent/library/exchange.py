"""A question and its answer as a chat keeps them: plain values, which any version can read."""

from typing import Any, TypedDict


class ModelCall(TypedDict):
    """One call of a chat model: what went in, and what came back.

    `messages` hold role, text and number of pictures, before the model's own template is applied.
    """

    node: str
    messages: list[dict[str, Any]]
    reply: str
    input_tokens: int
    output_tokens: int
    seconds: float


class Seen(TypedDict):
    """A picture that the model was shown: its file in the library's folder, kind and times."""

    file: str
    kind: str
    times_s: list[float]


class Exchange(TypedDict):
    """A question and its answer.

    Keys:
        asked: The question as it was put.
        options: Of a multiple-choice question.
        understood: The question as it stands alone; differs where it followed from the one before.
        how: What made it stand alone; empty if it did so by itself.
        sha256: Identity of the video.
        video: Its file name.
        when: Time of the answer, UTC, ISO 8601.
        answer: `Answer.to_json()`.
        calls: What the chat model was sent, in order.
        seen: The pictures that the last of these calls showed it.
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
