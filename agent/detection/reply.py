"""Read a reply: direct JSON, else the first balanced object; name what is wrong with any other.

A reply is never turned into a default label.
"""

import re
from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import AIMessage
from pydantic import ValidationError

from agent.detection.schema import StrictReply, parse_reply

Code = Literal["", "refused", "invalid", "empty", "truncated", "tool_call", "timeout", "too_long"]
_REFUSAL = re.compile(
    r"\b(?:i(?: am|'m)? (?:cannot|can't|can not|unable|not able|won't|will not|must decline)"
    r"|i'?m sorry|i apologi[sz]e|against my (?:guidelines|polic)|as an ai)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A reply after parsing: the object, or a code and what is wrong."""

    reply: StrictReply | None
    code: Code = ""
    error: str = ""


def read_reply(message: AIMessage, schema: type[StrictReply]) -> Reading:
    """Parse a reply, first as a whole, then its first balanced object."""
    text = message.text.strip()
    reason = message.response_metadata.get("finish_reason", "")
    if not text and message.tool_calls:
        return Reading(None, "tool_call", "it calls a tool in place of a reply")
    if reason in ("content_filter", "refusal"):
        return Reading(None, "refused", "the model refused")
    if not text:
        codes: dict[str, Code] = {
            "deadline": "timeout",
            "context": "too_long",
            "length": "truncated",
        }
        return Reading(None, codes.get(reason, "empty"), "the reply is empty")
    errors = []
    for candidate in filter(None, (text, first_object(text))):
        try:
            return Reading(parse_reply(schema, candidate))
        except ValidationError as error:
            errors.append(explain_error(error))
    if reason in ("length", "deadline"):
        return Reading(
            None, "truncated" if reason == "length" else "timeout", "the reply was cut off"
        )
    if "{" not in text and _REFUSAL.search(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        return Reading(None, "refused", "the model refused")
    return Reading(None, "invalid", errors[-1])


def first_object(text: str) -> str:
    """Return the first balanced JSON object of a text, "" if there is none.

    Braces inside JSON strings do not count.
    """
    start = text.find("{")
    depth, quoted, escaped = 0, False, False
    for end in range(max(start, 0), len(text) if start >= 0 else 0):
        sign = text[end]
        if quoted:
            quoted = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
            continue
        quoted = sign == '"'
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return text[start : end + 1]
    return ""


def explain_error(error: ValidationError) -> str:
    """Return the first errors of a validation in one line, without the model's own text."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'reply'}: {one['msg']}" for one in found[:3]
    )
