"""The commands of detection: `reelgraph detect|calibrate|prompts`."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.options import AsJson, Pairs, Profile, open_session, print_json, say
from tools.errors import InputError, ReelgraphError, StoppedError

if TYPE_CHECKING:
    from agent.detection.detection import Detection
    from agent.detection.detector import Detector

TaskFile = Annotated[str, typer.Option("--task", help="A shipped task's name or a YAML file.")]
AI_GENERATED = "ai_generated"


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(detect)
    app.command()(calibrate)
    prompts = typer.Typer(help="The versions of a task's prompt.", no_args_is_help=True)
    for command in (log, replay, use, rewrite):
        prompts.command()(command)
    app.add_typer(prompts, name="prompts")


def detect(
    videos: Annotated[
        list[Path], typer.Argument(help="Clips, or folders of clips.", show_default=False)
    ],
    task: TaskFile = AI_GENERATED,
    tool: Annotated[
        list[str] | None, typer.Option("--tool", help="A kit of your own; may be repeated.")
    ] = None,
    check_motion: Annotated[
        bool, typer.Option("--check-motion", help="Judge once more with shuffled frames.")
    ] = False,
    start: Annotated[
        float, typer.Option("--start", min=0, help="Second from which clips are measured.")
    ] = 0.0,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Judge seven changed copies of each clip too.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a report: FILE.html or FILE.md.")
    ] = None,
    profile: Profile = None,
    pairs: Pairs = None,
    as_json: AsJson = False,
) -> None:
    """Judge whether clips show signs of generation, or what another task asks, with evidence."""
    from agent.cli.report import watch_detection
    from agent.detection.report import FORMATS, write_report

    if report and report.suffix.lower() not in FORMATS:
        raise InputError(f"--report takes FILE.html or FILE.md, got {report.name}")
    clips = clips_of(videos)
    detector = open_detector(profile, [*_starting(start), *(pairs or [])], task)
    job = detector.job(tool or (), check_motion=check_motion)
    found: list[Detection] = []
    failed = 0
    for clip in clips:
        try:
            judged = watch_detection(partial(_stream, detector, clip, job))
            found.append(_survived(detector, clip, job, judged) if robustness else judged)
        except (StoppedError, KeyboardInterrupt):
            raise
        except ReelgraphError as error:
            if len(clips) == 1:
                raise
            failed = error.exit_code
            say(f"[bold red]error:[/] {escape(clip.name)}: {escape(str(error))}")
            continue
        if not as_json:
            print_detection(clip, found[-1])
    if as_json:
        plain = [one.to_json() for one in found]
        print_json(plain[0] if len(clips) == 1 and plain else plain)
    if report and found:
        write_report(found, report)
        say(f"report: {escape(str(report))}")
    raise typer.Exit(failed or (3 if all(d.positive is None for d in found) else 0))


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


def open_detector(profile: str | None, pairs: list[str] | None, task: str) -> "Detector":
    """Return a detector of a session with these settings."""
    from agent.detection.detector import Detector
    from agent.detection.task import load_task

    return Detector(open_session(profile, pairs).context, load_task(task))


def clips_of(paths: Sequence[Path]) -> list[Path]:
    """Return the clips named, and those in folders named. `InputError` for an empty folder."""
    from agent.detection.clips import clips_in

    return [clip for path in paths for clip in (clips_in(path) if path.is_dir() else [path])]


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


def calibrate(
    real: Annotated[
        Path | None, typer.Argument(help="Folder of clips with the negative label.")
    ] = None,
    fake: Annotated[
        Path | None, typer.Argument(help="Folder of clips with the positive label.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="CSV or JSONL: path, label, source, generator, split."),
    ] = None,
    task: TaskFile = AI_GENERATED,
    profile: Profile = None,
    pairs: Pairs = None,
    as_json: AsJson = False,
) -> None:
    """Select the tools for a model, and learn percentiles and error rates, on your own clips.

    Stop it at any time: the same command goes on.
    """
    from agent.detection.calibrate import Calibrator

    detector = open_detector(profile, pairs, task)
    clips = _labelled(real, fake, manifest, detector)
    found = Calibrator(detector, clips, _progress).run()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{found.why}\nkit: {', '.join(found.kit) or 'none'} (calibration {found.id})")
    for score in found.scores:
        if score.score is not None:
            console.print(
                f"  {score.tool}: S {score.score:.2f}, change {score.delta:+.3f}, adjusted p "
                f"{score.p_holm:.3g} [dim]{escape(score.why)}[/]"
            )
    for name, value in found.metrics.items():
        console.print(f"  {name}: {escape(str(value))}")
    if found.probability is None:
        console.print("[dim]no probability: it needs 100 held-out clips of each label[/]")


def _labelled(
    real: Path | None, fake: Path | None, manifest: Path | None, detector: "Detector"
) -> list[Any]:
    from agent.detection.clips import from_folders, from_manifest

    if manifest and not (real or fake):
        return from_manifest(
            manifest, {detector.task.positive: True, detector.task.negative: False}
        )
    if real and fake and not manifest:
        return from_folders(real, fake)
    raise InputError("give two folders, REAL_DIR FAKE_DIR, or --manifest FILE")


def _progress(stage: str, done: int, total: int) -> None:
    """Print each stage once, and every tenth clip."""
    if done % 10 == 0:
        say(f"[dim]{escape(stage)}: {done} of {total}[/]")


def log(
    task: TaskFile = AI_GENERATED,
    profile: Profile = None,
    pairs: Pairs = None,
    as_json: AsJson = False,
) -> None:
    """Show the rounds of rewriting, after checking the chain of hashes."""
    entries = _log(profile, pairs, task).entries()
    if as_json:
        print_json(entries)
        return
    console = Console(highlight=False, soft_wrap=True)
    if not entries:
        console.print("version 0, the prompt of the task file; it was never rewritten")
    for entry in entries:
        console.print(
            f"{entry['time']} {entry['decision']} version {entry['version']} "
            f"({entry['sha256'][:12]}): {escape(entry['reason'])}"
        )


def replay(task: TaskFile = AI_GENERATED, profile: Profile = None, pairs: Pairs = None) -> None:
    """Rebuild the active prompt from the log, byte for byte, and print it."""
    version, document = _log(profile, pairs, task).active()
    say(f"version {version}, sha256 {document.sha256}")
    typer.echo(document.canonical().decode())


def use(
    version: Annotated[int, typer.Argument(help="A version that `prompts log` shows.")],
    task: TaskFile = AI_GENERATED,
    profile: Profile = None,
    pairs: Pairs = None,
) -> None:
    """Make a version of the prompt the active one."""
    _log(profile, pairs, task).use(version)
    say(f"version {version} is in use")


def rewrite(
    clips: Annotated[
        Path | None, typer.Argument(help="Folder of clips; no label is needed.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="Labelled clips, which also guard the gate.")
    ] = None,
    task: TaskFile = AI_GENERATED,
    profile: Profile = None,
    pairs: Pairs = None,
) -> None:
    """Let the prompt rewrite itself on your clips; each change is gated and logged."""
    from agent.detection.clips import LabelledClip, clips_in
    from agent.detection.rewrite import Rewriter

    detector = open_detector(profile, pairs, task)
    if bool(clips) == bool(manifest):
        raise InputError("give a folder of clips, or --manifest FILE with labels")
    if clips:
        given = [LabelledClip(clip, positive=False) for clip in clips_in(clips)]
    else:
        given = _labelled(None, None, manifest, detector)
    done = Rewriter(
        detector, given, bool(manifest), progress=lambda text: say(f"[dim]{text}[/]")
    ).run()
    say(
        f"version {done.version} is in use after {done.rounds} rounds: {done.why}; loss on the "
        f"untouched split {done.final['loss']:.3f}"
    )


def _log(profile: str | None, pairs: list[str] | None, task: str) -> Any:
    from agent.detection.jobs import audit_log

    detector = open_detector(profile, pairs, task)
    return audit_log(detector.context, detector.task)
