"""The typed reply of the model: analysis fields first, then evidence, then the verdict.

The class is made for each task and kit, after the class-like schema in LAVID's overview figure, and
is strict: "yes", "1" or 0.0 are no truth values and "0.8" is no number.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from agent.detection.prompt_document import PromptDocument, analysis_fields
from agent.detection.task import INCONCLUSIVE, Task

STRENGTHS = ("weak", "moderate", "strong")
AFTER = ("evidence", "verdict", "confidence", "limitations")
"""Output keys behind the analysis fields; locked."""


class StrictReply(BaseModel):
    """Base of a reply: strict types, unknown keys rejected."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @property
    def analyses(self) -> dict[str, str]:
        """The analysis fields by name."""
        return {k: v for k, v in self.model_dump().items() if k not in AFTER}


def reply_schema(task: Task, document: PromptDocument, kit: Sequence[str]) -> type[StrictReply]:
    """Return the class of a valid reply.

    Its fields are the analyses (one of each tool of the kit, none of other tools), then
    `evidence`, `verdict`, `confidence` from 0 to 1 and `limitations`.
    """
    parts: dict[str, Any] = {
        "tool": (str, ...),
        "frame": (int | None, None),
        "start_s": (Annotated[float | None, Field(ge=0)], None),
        "end_s": (Annotated[float | None, Field(ge=0)], None),
        "claim": (Annotated[str, Field(min_length=1)], ...),
        "direction": (Literal[task.labels], ...),
        "strength": (Literal[STRENGTHS], ...),
    }
    item: Any = create_model("EvidenceItem", __base__=StrictReply, **parts)
    members: dict[str, Any] = {f.name: (str, ...) for f in analysis_fields(document, kit)}
    members |= {
        "evidence": (list[item], ...),
        "verdict": (Literal[task.labels], ...),
        "confidence": (Annotated[float, Field(ge=0, le=1)], ...),
        "limitations": (str, ...),
    }
    return create_model("Reply", __base__=StrictReply, **members)


def parse_reply(schema: type[StrictReply], text: str) -> StrictReply:
    """Parse a reply strictly. `ValidationError` says what is wrong."""
    return schema.model_validate_json(text, strict=True)


def describe(task: Task, document: PromptDocument, kit: Sequence[str]) -> str:
    """Return the shape of a reply as JSON whose values say what belongs there."""
    one_of = " | ".join(task.labels)
    shape: dict[str, Any] = {f.name: f.about for f in analysis_fields(document, kit)}
    shape["evidence"] = [
        {
            "tool": "name of a listed tool, or frames",
            "frame": "a listed frame number, or null",
            "start_s": "seconds, or null",
            "end_s": "seconds, or null",
            "claim": "one observation; a number only as it stands on that tool's card",
            "direction": one_of,
            "strength": " | ".join(STRENGTHS),
        }
    ]
    shape["verdict"] = one_of
    shape["confidence"] = "number from 0 to 1"
    shape["limitations"] = f"what the material does not show; if it decides nothing: {INCONCLUSIVE}"
    return json.dumps(shape, ensure_ascii=False, indent=1)


def is_positive(label: str, task: Task) -> bool | None:
    """Return LAVID's `is_ai_generated`, derived from the verdict; None if inconclusive."""
    return None if label == INCONCLUSIVE else label == task.positive
