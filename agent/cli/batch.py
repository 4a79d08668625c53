"""The command of batches: `reelgraph batch FOLDER --questions FILE --out FILE`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import AsJson, Pairs, Plugins, Profile, print_json
from tools.errors import InputError

if TYPE_CHECKING:
    from agent.batch.engine import Engine
    from agent.batch.work import WorkSettings

Limit = Annotated[float | None, typer.Option(min=0, help="Stop cleanly there; resume later.")]


def add_commands(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(batch)


def batch(
    videos: Annotated[
        list[Path],
        typer.Argument(help="Videos, or folders of them with all below.", show_default=False),
    ],
    questions: Annotated[
        Path, typer.Option("--questions", help="Questions: FILE.jsonl, .csv or .parquet.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Results, one JSON line a question; continued if there.")
    ] = Path("results.jsonl"),
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Videos at work at the same time.")
    ] = 1,
    engine: Annotated[
        str, typer.Option("--engine", help="Where: local, or ray for a cluster.")
    ] = "local",
    address: Annotated[
        str, typer.Option("--address", help="Ray cluster: auto, HOST:PORT; empty: this machine.")
    ] = "",
    deadline: Annotated[
        float,
        typer.Option(
            min=1, max=1e6, help="Seconds a question may take, the look at its video included."
        ),
    ] = 3600.0,
    max_cost: Limit = None,
    max_seconds: Limit = None,
    max_tokens: Limit = None,
    retry: Annotated[
        list[str] | None,
        typer.Option("--retry", help="Ask again: failed, abstained, changed; may be repeated."),
    ] = None,
    fork: Annotated[
        bool, typer.Option("--fork", help="Results of other settings: go on in OUT-2, OUT-3, ...")
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it will take; ask nothing.")
    ] = False,
    method: Annotated[str | None, typer.Option("--method", help="How to answer.")] = None,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Answer many questions of many videos, each once; stop it at any time, it goes on from there.

    Exit codes: 0 every question has an answer or was abstained from, 1 some failed, 2 bad input,
    130 stopped before the end.
    """
    from agent.batch.estimate import estimate_batch
    from agent.batch.questions import read_questions
    from agent.batch.runner import Limits, run_batch
    from agent.cli.batch_progress import print_estimate, print_summary, watch_batch
    from tools.media.folders import find_videos

    work = _work(profile, pairs, plugins, method, deadline)
    again = _retries(retry or [])
    chosen = _engine(engine, workers, address)
    rows = read_questions(questions, find_videos(videos))
    if estimate:
        expected = estimate_batch(rows, out, work, again)
        print_json(expected.to_json()) if as_json else print_estimate(expected)
        return
    given = {"cost": max_cost, "seconds": max_seconds, "tokens": max_tokens}
    limits = Limits(**{name: limit for name, limit in given.items() if limit is not None})
    summary = watch_batch(
        lambda show: run_batch(
            rows,
            out,
            work,
            engine=chosen,
            limits=limits,
            retry=again,
            fork=fork,
            on_begin=show.begin,
            on_event=show.event,
            stop=show.stop,
        ),
    )
    if as_json:
        print_json(summary.to_json())
    else:
        print_summary(summary)
    raise typer.Exit(summary.exit_code)


def _work(
    profile: str | None,
    pairs: list[str] | None,
    plugins: list[str] | None,
    method: str | None,
    deadline_s: float,
) -> "WorkSettings":
    from agent.batch.work import WorkSettings
    from agent.settings import parse_pairs

    overrides: dict[str, Any] = dict(parse_pairs(pairs or []))
    overrides |= {"method": method} if method else {}
    overrides |= {"plugins": plugins} if plugins else {}
    return WorkSettings(profile, overrides, deadline_s)


def _engine(name: str, workers: int, address: str) -> "Engine":
    if name == "ray":
        from agent.batch.cluster import require_ray
        from agent.batch.engine_ray import RayEngine

        require_ray()
        return RayEngine(workers, address)
    from agent.batch.engine import LocalEngine

    if name != "local":
        raise InputError(f"there is no engine {name!r}; take --engine local or --engine ray")
    if address:
        raise InputError("--address names a Ray cluster; add --engine ray, or leave it out")
    return LocalEngine(workers)


def _retries(given: list[str]) -> Any:
    from agent.batch.runner import RETRIES

    for one in given:
        if one not in RETRIES:
            raise InputError(f"--retry {one!r}: expected one of {', '.join(RETRIES)}")
    return given
