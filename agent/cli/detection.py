"""The command `reelgraph detect`: judge clips, print or report the verdicts."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.options import AsJson, Pairs, Plugins, Profile, open_session, print_json, say
from tools.errors import InputError, ReelgraphError, StoppedError
from tools.media.folders import is_folder

if TYPE_CHECKING:
    from agent.detection.detection import Detection
    from agent.detection.detector import Detector

TaskFile = Annotated[str, typer.Option("--task", help="A shipped task's name or a YAML file.")]
CheckMotion = Annotated[
    bool, typer.Option("--check-motion", help="Judge once more with shuffled frames.")
]
Start = Annotated[
    float, typer.Option("--start", min=0, help="Second from which clips are measured.")
]
Robustness = Annotated[
    bool, typer.Option("--robustness", help="Judge seven changed copies of each clip too.")
]
Report = Annotated[
    Path | None, typer.Option("--report", help="Write a report: FILE.html or FILE.md.")
]
AI_GENERATED = "ai_generated"


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(detect)


def detect(
    videos: Annotated[
        list[Path], typer.Argument(help="Clips, or folders of clips.", show_default=False)
    ],
    task: TaskFile = AI_GENERATED,
    tool: Annotated[
        list[str] | None, typer.Option("--tool", help="A kit of your own; may be repeated.")
    ] = None,
    check_motion: CheckMotion = False,
    start: Start = 0.0,
    robustness: Robustness = False,
    report: Report = None,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Judge whether clips show signs of generation, or what another task asks, with evidence."""
    from agent.cli.report import watch_detection
    from agent.detection.report import FORMATS

    if report and report.suffix.lower() not in FORMATS:
        raise InputError(f"--report takes FILE.html or FILE.md, got {report.name}")
    clips = clips_of(videos)
    detector = open_detector(profile, [*_starting(start), *(pairs or [])], task, plugins)
    job = detector.job(tool or (), check_motion=check_motion)
    found, failed = [], 0
    for clip in clips:
        try:
            judged = watch_detection(partial(_stream, detector, clip, job))
        except StoppedError:
            raise
        except ReelgraphError as error:
            if len(clips) == 1:
                raise
            failed = error.exit_code
            say(f"[bold red]error:[/] {escape(clip.name)}: {escape(str(error))}")
            continue
        found.append(_survived(detector, clip, job, judged) if robustness else judged)
        if not as_json:
            print_detection(clip, found[-1])
    _hand_over(found, len(clips) == 1, as_json, report)
    raise typer.Exit(failed or (3 if all(d.positive is None for d in found) else 0))


def _hand_over(found: list["Detection"], single: bool, as_json: bool, report: Path | None) -> None:
    """Print JSON and write the report, where they are wanted."""
    from agent.detection.report import write_report

    if as_json:
        plain = [one.to_json() for one in found]
        print_json(plain[0] if single and plain else plain)
    if report and found:
        write_report(found, report)
        say(f"report: {escape(str(report))}")


def _stream(detector: "Detector", clip: Path, job: Any, control: Any) -> Iterator[Any]:
    return detector.stream(clip, job, control)


def _survived(detector: "Detector", clip: Path, job: Any, judged: "Detection") -> "Detection":
    """Return a detection with what became of its verdict on changed copies."""
    from dataclasses import replace

    from agent.detection.robustness import survive

    found = survive(detector, clip, job, judged)
    lines = [f"as {one.name}: {one.label}{', flipped' if one.flipped else ''}" for one in found]
    flips = sum(one.flipped for one in found)
    told = f"{flips} of {len(found)} changed copies flip the verdict ({'; '.join(lines)})"
    return replace(judged, flags=(*judged.flags, told))


def _starting(start_s: float) -> list[str]:
    """Return the settings that let every measurement begin at a time."""
    from tools.registry import tool_classes

    known = tool_classes().items() if start_s else ()
    return [f"{n}.start_s={start_s}" for n, t in known if "start_s" in t.Options.model_fields]


def open_detector(
    profile: str | None, pairs: list[str] | None, task: str, plugins: list[str] | None = None
) -> "Detector":
    """Return a detector of a session with these settings."""
    from agent.detection.detector import Detector
    from agent.detection.task import load_task

    return Detector(open_session(profile, pairs, plugins=plugins).context, load_task(task))


def clips_of(paths: Sequence[Path]) -> list[Path]:
    """Return the clips named, and those in folders named. `InputError` for an empty folder."""
    from agent.detection.clips import clips_in

    return [clip for path in paths for clip in (clips_in(path) if is_folder(path) else [path])]


def print_detection(clip: Path, found: "Detection") -> None:
    """Print a verdict, its evidence, what was not run, and the cost."""
    console = Console(highlight=False, soft_wrap=True)
    colour = "yellow" if found.positive is None else "bold"
    console.print(f"{escape(clip.name)}: [{colour}]{escape(found.outcome)}[/]")
    console.print(f"[dim]{escape(found.reason)}[/]")
    if found.probability is not None:
        console.print(f"calibrated probability {100 * found.probability:.0f} %")
    elif found.conviction:
        console.print(f"the model's own conviction: {found.conviction} (not a probability)")
    for flag in found.flags:
        console.print(f"[bold yellow]{escape(flag)}[/]")
    from agent.detection.report import place

    for claim in found.claims:
        console.print(f"  {place(claim)} {claim.tool}: {escape(claim.claim)} ({claim.strength})")
    for reading in found.readings:
        first = escape(" ".join(reading.card.split()))
        console.print(f"  [dim]{reading.tool} {reading.status}: {first}[/]")
    for note in (*found.notes, *found.caveats):
        console.print(f"[dim]- {escape(note)}[/]")
    cost = found.cost()
    console.print(
        f"[dim]prompt {found.prompt['version']} ({found.prompt['sha256'][:12]}), kit "
        f"{found.kit['from']}; {cost['model_calls']:.0f} model calls, {cost['tool_runs']:.0f} "
        f"tool runs, {cost['seconds']:.1f} s of work[/]"
    )
