"""The report of one or several runs: one HTML page that loads nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.batch.records import Result
from agent.batch.results import read_results
from agent.evaluation import plots
from agent.evaluation.key import NAME, Key, read_key
from agent.evaluation.outcomes import Outcome
from agent.evaluation.run import names_of, score_files
from agent.evaluation.scores import RunScores
from agent.evaluation.table import category_table, results_table
from agent.evaluation.task import Item, Media
from agent.records import Question
from agent.text import clock
from tools.errors import StorageError

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: what it shows, and its SVG element."""

    title: str
    svg: str


def report_text(files: Sequence[Path], key: Key | None) -> str:
    """Return the page of some results files.

    Args:
        files: Results files of one benchmark or batch.
        key: The true answers; without them there are no scores.

    Raises:
        InputError: A file cannot be read.
    """
    results = {name: read_results(file) for name, file in zip(names_of(files), files, strict=True)}
    runs = score_files(files, key or _without_truth(list(results.values())))
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=key.benchmark if key else "results",
            subtitles=key.subtitles if key else None,
            table=results_table(runs),
            categories=category_table(runs),
            plots=_plots(runs),
            about={name: _about(list(own.values())) for name, own in results.items()},
            runs=runs,
        )
    )


def write_report(files: Sequence[Path], key: Key | None, out: Path) -> None:
    """Write the page. Errors are those of `report_text`, and `StorageError`."""
    text = report_text(files, key)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{out} cannot be written ({error.strerror}); name another") from error


def key_beside(files: Sequence[Path]) -> Key | None:
    """Return the key in the folder of the first file, if there is one."""
    folder = files[0].parent
    return read_key(folder) if (folder / NAME).is_file() else None


def _without_truth(runs: Sequence[Mapping[str, Result]]) -> Key:
    """Return a key of all rows that occur, whose answers nobody knows."""
    rows = {result.id: result for run in runs for result in run.values()}
    items = tuple(
        Item(id, row.video, Media(None), Question(row.question, row.options))
        for id, row in rows.items()
    )
    return Key("results", "contains", "questions", subtitles=False, items=items)


def _plots(runs: Mapping[str, RunScores]) -> list[Plot]:
    drawn = (
        Plot("Score by category, with 95 % intervals", plots.accuracy_plot(runs)),
        Plot("What came of the questions", plots.outcome_plot(runs)),
        Plot("Score against coverage: the surest answers first", plots.risk_plot(runs)),
        Plot("Time by stage", plots.stage_plot(runs)),
        Plot("Tokens", plots.cost_plot(runs)),
    )
    return [plot for plot in drawn if plot.svg]


def _about(results: Sequence[Result]) -> dict[str, str]:
    """Return what made a run's results: method, profile, models; and what they cost."""
    answers = [result.answer for result in results if result.answer]
    models = sorted({f"{k}: {v}" for a in answers for k, v in a.get("models", {}).items()})
    cost = sum(result.number("cost") for result in results)
    values = {
        "method": ", ".join(sorted({str(a.get("method", "")) for a in answers})),
        "profile": ", ".join(sorted({str(a.get("profile", "")) for a in answers})),
        "models": "; ".join(models),
        "seconds": f"{sum(result.seconds for result in results):,.1f}",
        "cost": f"{cost:.4f}" if cost else "",
    }
    return {name: value for name, value in values.items() if value}


def truth_text(outcome: Outcome) -> str:
    """Return the true answer of an item in words."""
    truth, options = outcome.item.truth, outcome.item.question.options
    if truth.abstain:
        return "(the video does not say)"
    if truth.choice is not None:
        return options[truth.choice]
    if truth.texts:
        return " or ".join(" + ".join(parts) for parts in truth.texts)
    return ", ".join(f"{clock(span.start_s)}-{clock(span.end_s)}" for span in truth.spans)


def moment(video: str, start_s: Any) -> str:
    """Return a link to a moment of a video on this machine (W3C media fragment)."""
    return f"{Path(video).absolute().as_uri()}#t={float(start_s):.2f}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock, "truth": truth_text}
    environment.globals |= {"moment": moment}
    return environment
