"""Several methods over one benchmark, each into a results file of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agent.batch.records import Row
from agent.batch.results import read_results
from agent.batch.runner import Summary
from agent.batch.work import WorkSettings
from agent.evaluation.key import Key
from agent.evaluation.scores import RunScores, score_run
from agent.evaluation.task import Item
from agent.methods import find_method, has
from tools.errors import InputError

Answer = Callable[[Sequence[Row], Path, WorkSettings], Summary]


def run_methods(
    rows: Sequence[Row], methods: Sequence[str], folder: Path, work: WorkSettings, answer: Answer
) -> Iterator[tuple[str, Summary]]:
    """Answer the rows by each method; the results of one are in `FOLDER/METHOD.jsonl`.

    Args:
        rows: The rows.
        methods: Names of methods.
        folder: Where the results go.
        work: How rows are answered; the method is set for each.
        answer: Answers rows into a file, as `agent.batch.runner.run_batch`.

    Yields:
        Each method with its summary; none after one that was stopped.
    """
    for method in methods:
        own = replace(work, overrides={**work.overrides, "method": method})
        summary = answer(rows, folder / f"{method}.jsonl", own)
        yield method, summary
        if summary.stopped:
            return


def usable_methods(methods: Sequence[str], work: WorkSettings) -> dict[str, str]:
    """Return why each method cannot run with these settings, by name; "" if it can.

    Raises:
        InputError: One is unknown or named twice, or none can run.
    """
    if len(set(methods)) < len(methods):
        raise InputError(f"--methods names one twice: {', '.join(methods)}; name each once")
    wanted = [find_method(method) for method in methods if method != "auto"]
    why = dict.fromkeys(methods, "")
    session = work.open()
    for method in wanted:
        if method.needs:
            can = session.context.pool.capabilities()
            missing = [need for need in sorted(method.needs) if not has(can, need)]
            if missing:
                model = session.settings.chat.model
                why[method.name] = f"it needs a model with {' and '.join(missing)}, {model} has not"
    if all(why.values()):
        raise InputError(
            f"no method can run: {'; '.join(f'{name}: {one}' for name, one in why.items())}; take "
            f"another --profile or --set chat.model=NAME"
        )
    return why


def spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Return at most `limit` items: all those of videos spread evenly over the benchmark."""
    if limit is None or limit >= len(items):
        return list(items)
    videos: dict[str, list[Item]] = {}
    for item in items:
        videos.setdefault(item.video, []).append(item)
    groups = list(videos.values())
    wanted = min(len(groups), max(1, round(limit * len(groups) / len(items))))
    chosen: list[Item] = []
    while len(chosen) < limit and wanted <= len(groups):
        places = [number * len(groups) // wanted for number in range(wanted)]
        chosen = [item for place in places for item in groups[place]]
        wanted += 1
    return chosen[:limit]


def score_files(files: Sequence[Path], key: Key) -> dict[str, RunScores]:
    """Score results files, by name. `InputError` if one cannot be read."""
    return {
        name: score_run(key.items, read_results(file), key.metric, key.mean)
        for name, file in zip(names_of(files), files, strict=True)
    }


def names_of(files: Sequence[Path]) -> list[str]:
    """Return the names of results files: their stems, or their paths where those are alike."""
    stems = [file.stem for file in files]
    return stems if len(set(stems)) == len(stems) else [str(file) for file in files]
