"""The commands of evaluation: `reelgraph eval|benchmarks|compare-runs|report`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from agent.cli.options import AsJson, Pairs, Plugins, Profile, print_json, say
from tools.errors import InputError

if TYPE_CHECKING:
    from agent.batch.records import Row
    from agent.batch.runner import Summary
    from agent.batch.work import WorkSettings
    from agent.evaluation.key import Key
    from agent.evaluation.scores import RunScores
    from agent.evaluation.table import Table
    from agent.evaluation.task import Benchmark, Item

Results = Annotated[list[Path], typer.Argument(help="Results files.", show_default=False)]
KeyFolder = Annotated[
    Path | None, typer.Option("--key", help="Folder of key.json; by default that of the results.")
]


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("eval")(evaluate)
    app.command("benchmarks")(list_benchmarks)
    app.command("compare-runs")(compare)
    app.command("report")(report)


def evaluate(
    benchmark: Annotated[
        str, typer.Argument(help="Its name; see `reelgraph benchmarks`.", show_default=False)
    ],
    path: Annotated[
        Path, typer.Argument(help="Its question file, or their folder.", show_default=False)
    ],
    videos: Annotated[
        Path | None, typer.Option("--videos", help="Folder of the videos; by default beside.")
    ] = None,
    methods: Annotated[
        str, typer.Option("--methods", help="Names with commas; by default auto and baselines.")
    ] = "",
    with_subtitles: Annotated[
        bool, typer.Option("--with-subtitles", help="Give the benchmark's subtitles to them.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Questions, of videos spread evenly.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; continued if there.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Videos at work at the same time.")
    ] = 1,
    submission: Annotated[
        Path | None,
        typer.Option("--submission", help="Write the first method's choices for the organisers."),
    ] = None,
    retry: Annotated[
        Literal["failed", "abstained", "changed"] | None,
        typer.Option("--retry", help="Ask again what came to this."),
    ] = None,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Answer a benchmark's questions by several methods and score them, side by side.

    Stop it at any time, it goes on from there. Exit codes: 0 every question has an answer or was
    abstained from, 1 some failed, 2 bad input, 130 stopped before the end.
    """
    from agent.batch.work import WorkSettings
    from agent.evaluation.run import usable_methods
    from agent.methods import BASELINES
    from agent.settings import parse_pairs
    from agent.tasks import find_benchmark

    chosen = find_benchmark(benchmark)
    if submission and not chosen.submit:
        raise InputError(f"{chosen.name} takes no submissions: its answers are public")
    folder = out or Path("eval") / f"{chosen.name}{'-subtitles' * with_subtitles}"
    given = {"plugins": plugins} if plugins else {}
    work = WorkSettings(profile, {**parse_pairs(pairs or []), **given})
    named = [name.strip() for name in methods.split(",") if name.strip()]
    usable = usable_methods(named or ["auto", *BASELINES], work)
    asked = _read(chosen, path, videos, folder, with_subtitles, limit)
    run = _Run(chosen, asked, folder, with_subtitles)
    able = [name for name, why in usable.items() if not why]
    code = run.answer(able, work, workers, [retry] if retry else [])
    _print_scores(run, able, {name: why for name, why in usable.items() if why}, as_json)
    if submission:
        run.submit(able[0], submission)
    raise typer.Exit(code)


def list_benchmarks() -> None:
    """List the benchmarks and the files that each is read from."""
    from agent.tasks import benchmarks

    table = RichTable("benchmark", "what it asks", "files", box=None)
    for one in benchmarks():
        table.add_row(one.name, escape(one.about), escape(one.files))
    Console(highlight=False).print(table)


def compare(
    first: Annotated[Path, typer.Argument(help="A results file.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another of the same.", show_default=False)],
    key: KeyFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs question by question: the difference with its interval."""
    from agent.evaluation.compare import compare_runs
    from agent.evaluation.key import read_key, same_questions
    from agent.evaluation.run import score_files
    from agent.evaluation.table import percent

    folders = [key] if key else [first.parent, second.parent]
    known = same_questions([read_key(folder) for folder in folders])
    runs = score_files([first, second], known)
    found = compare_runs(*(run.outcomes for run in runs.values()))
    if as_json:
        print_json(found.to_json())
        return
    gain = found.difference
    print_ = Console(highlight=False, soft_wrap=True).print
    for name, score in zip(runs, (found.first, found.second), strict=True):
        print_(f"{escape(name)}: {percent(score)}")
    print_(
        f"difference: {100 * gain.mean:+.1f} points ({100 * gain.low:+.1f} to "
        f"{100 * gain.high:+.1f}), {gain.count} questions (videos: {gain.clusters}); better on "
        f"{found.better}, worse on {found.worse}"
    )
    if found.unpaired:
        say(f"{found.unpaired} questions have a result in one run alone and are left out")


def report(
    results: Results,
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("report.html"),
    key: KeyFolder = None,
) -> None:
    """Write one HTML page of results: scores, plots, every answer with links to its evidence."""
    from agent.evaluation.key import read_key
    from agent.evaluation.report import key_beside, write_report

    known = read_key(key) if key else key_beside(results)
    write_report(results, known, out)
    if known is None:
        say("no key.json beside the results: the page has no scores")
    say(f"report: {escape(str(out))}")


def _read(
    benchmark: "Benchmark",
    path: Path,
    videos: Path | None,
    folder: Path,
    with_subtitles: bool,
    limit: int | None,
) -> "list[Item]":
    """Read the questions and say what is wrong with them."""
    from agent.evaluation.run import spread
    from agent.evaluation.task import Sources

    place = videos or (path if path.is_dir() else path.parent)
    items = benchmark.read(Sources(path, place, folder / "unpacked", with_subtitles))
    asked = spread([item for item in items if not item.left_out], limit)
    if not asked:
        raise InputError(f"{path} has no question that can be asked")
    _say_each("left out", [item.left_out for item in items])
    _say_each("note", [note for item in asked for note in item.note.split("; ")])
    return asked


def _say_each(what: str, reasons: Sequence[str]) -> None:
    for reason in dict.fromkeys(filter(None, reasons)):
        say(f"{what}, {reasons.count(reason)} questions: {escape(reason)}")


@dataclass
class _Run:
    """The questions of a benchmark on their way through several methods."""

    benchmark: "Benchmark"
    items: "list[Item]"
    folder: Path
    subtitles: bool

    def answer(self, methods: Sequence[str], work: "WorkSettings", workers: int, retry: Any) -> int:
        """Answer the questions; return the exit code."""
        from agent.batch.engine import LocalEngine
        from agent.batch.runner import run_batch
        from agent.cli.batch_progress import watch_batch
        from agent.evaluation.key import write_key
        from agent.evaluation.prepare import prepare_rows
        from agent.evaluation.run import run_methods

        write_key(self.folder, self.key)
        rows = prepare_rows(self.items, self.folder / "media")

        def once(rows: "Sequence[Row]", file: Path, own: "WorkSettings") -> "Summary":
            engine = LocalEngine(workers)
            say(f"[bold]{file.stem}[/]")
            return watch_batch(
                lambda show: run_batch(
                    rows,
                    file,
                    own,
                    engine=engine,
                    retry=retry,
                    on_begin=show.begin,
                    on_event=show.event,
                    stop=show.stop,
                )
            )

        return max(s.exit_code for _, s in run_methods(rows, methods, self.folder, work, once))

    @property
    def key(self) -> "Key":
        """The key of these questions."""
        from agent.evaluation.key import Key

        about = self.benchmark
        return Key(about.name, about.metric, about.mean, self.subtitles, tuple(self.items))

    def scores(self, methods: Sequence[str]) -> "dict[str, RunScores]":
        """Return the scores of each method that has results."""
        from agent.evaluation.run import score_files

        files = [self.folder / f"{method}.jsonl" for method in methods]
        return score_files([file for file in files if file.is_file()], self.key)

    def submit(self, method: str, file: Path) -> None:
        """Write the submission file of a method."""
        assert self.benchmark.submit is not None
        run = self.scores([method])[method]
        chosen = {outcome.item.id: outcome.choice for outcome in run.outcomes}
        content = self.benchmark.submit(self.items, chosen)
        file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        say(f"submission of {method}: {escape(str(file))}")


def _print_scores(
    run: _Run, methods: Sequence[str], not_run: Mapping[str, str], as_json: bool
) -> None:
    """Print the scores, and keep them beside the results."""
    from agent.evaluation.table import category_table, results_table

    scores = run.scores(methods)
    table, categories = results_table(scores, not_run), category_table(scores)
    kept = {name: one.overall and one.overall.to_json() for name, one in scores.items()}
    by_category = {name: [s.to_json() for s in one.categories] for name, one in scores.items()}
    values = {"overall": kept, "categories": by_category, "not run": dict(not_run)}
    text = json.dumps(values, ensure_ascii=False, indent=1)
    (run.folder / "scores.json").write_text(text, encoding="utf-8")
    pages = table.markdown() + (f"\n{categories.markdown()}" if categories.rows else "")
    (run.folder / "scores.md").write_text(pages, encoding="utf-8")
    if as_json:
        print_json(values)
        return
    _print_table(table)
    if categories.rows:
        _print_table(categories)
    say(f"results, scores and key: {escape(str(run.folder))}")


def _print_table(table: "Table") -> None:
    console = Console(highlight=False)
    shown = RichTable(*map(escape, table.head), box=None)
    for row in table.rows:
        shown.add_row(*map(escape, row))
    console.print(shown)
    for note in table.notes:
        console.print(escape(note), style="dim")
