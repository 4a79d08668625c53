"""Export of chats as Markdown: questions, answers and their evidence."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.answer import how_sure
from agent.library.exchange import Exchange
from agent.text import clock

MARKUP = re.compile(r"([\\`*_\[\]<>])")


def as_markdown(exchanges: Sequence[Exchange]) -> str:
    """Return a chat as Markdown; text from videos and models is escaped."""
    return "\n\n".join(["# Chat", *(_section(exchange) for exchange in exchanges)]) + "\n"


def _section(exchange: Exchange) -> str:
    answer = exchange["answer"]
    parts = [f"## {_plain(exchange['asked'])}"]
    if exchange["understood"] != exchange["asked"]:
        parts.append(f"*Understood as: {_plain(exchange['understood'])} ({exchange['how']})*")
    if exchange["options"]:
        parts.append("\n".join(f"- {_plain(option)}" for option in exchange["options"]))
    said = "No answer" if answer["abstained"] else _plain(answer["answer"])
    parts.append(f"**{said}**" + (f" ({_plain(answer['reason'])})" if answer["reason"] else ""))
    parts.append("\n".join(_cited(item) for item in answer["evidence"]) or "Nothing was cited.")
    sure = how_sure(answer["confidence"], answer["measured_by"])
    about = (exchange["video"], exchange["when"], answer["method"], answer["profile"], sure)
    parts.append(f"*{_plain(', '.join(filter(None, about)))}*")
    return "\n\n".join(parts)


def _cited(item: Mapping[str, Any]) -> str:
    span = f"{clock(item['start_s'])}-{clock(item['end_s'])}"
    return f"- {span} {item['tool']}: {_plain(item['text'])}"


def _plain(text: str) -> str:
    return MARKUP.sub(r"\\\1", " ".join(text.split()))
