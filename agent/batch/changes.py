"""Find results that were made otherwise than they would be now: a file holds one kind only."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from agent.batch.records import Result, Row
from agent.batch.work import WorkSettings
from agent.records import Plan
from agent.session import Session
from tools.errors import InputError


@dataclass(frozen=True, slots=True)
class Change:
    """A result that does not belong to its row as it is now."""

    id: str
    what: str


def find_changes(
    rows: Sequence[Row], results: Mapping[str, Result], work: WorkSettings, retry: Collection[str]
) -> list[Change]:
    """Return the answered and abstained results whose fingerprint is another one now.

    No model is loaded, and an unchanged video is not read again. Results that will be retried are
    left out, and those of a video that is gone.

    Raises:
        InputError: The settings are wrong.
        StorageError: The library cannot be used.
    """
    session = work.open()
    done = [
        (row, result)
        for row in rows
        if (result := results.get(row.id))
        and result.status != "failed"
        and result.status not in retry
    ]
    found = ((row.id, _what(session, row, result)) for row, result in done)
    return [Change(id, what) for id, what in found if what]


class ChangedError(InputError):
    """A file holds results that would be made otherwise now; `found` says which, no remedy."""

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(
            f"{found}; give --fork to go on in a file beside it, --retry changed to ask these "
            f"again, another --out, or the settings of before"
        )


def refuse(path: Path, changes: Sequence[Change], count: int) -> NoReturn:
    """Raise `ChangedError` for a file with changed results."""
    kinds = ", ".join(dict.fromkeys(change.what for change in changes))
    raise ChangedError(
        f"{len(changes)} of {count} results in {path} were made otherwise than they would be now: "
        f"{kinds} (first: {changes[0].id})"
    )


def _what(session: Session, row: Row, result: Result) -> str:
    """Return what has changed since; "" for nothing."""
    question = row.question
    if row.error or (question.text, question.options) != (result.question, result.options):
        return "the question"
    try:
        plan = session.plan(row.video, question.text, question.options)
    except InputError:
        return "" if not row.video.exists() else "the video"
    if plan.id == result.fingerprint:
        return ""
    if plan.video != result.sha256:
        return "the video"
    return next(_differences(plan, result), "the settings")


def _differences(plan: Plan, result: Result) -> Iterator[str]:
    answer = result.answer
    if plan.method != answer.get("method"):
        yield f"the method ({answer.get('method')} before, {plan.method} now)"
    before = dict(answer.get("models", {}))
    for role, model in plan.models.items():
        if before.get(role) != model:
            yield f"the {role} model ({before.get(role)} before, {model} now)"
    if any(plan.prompts.get(k) != v for k, v in answer.get("prompts", {}).items()):
        yield "the prompts"
