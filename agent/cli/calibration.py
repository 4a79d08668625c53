"""The commands `reelgraph calibrate` and `reelgraph prompts log|replay|use|rewrite`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.detection import AI_GENERATED, TaskFile, open_detector
from agent.cli.options import AsJson, Pairs, Profile, print_json, say
from tools.errors import InputError

if TYPE_CHECKING:
    from agent.detection.detector import Detector

prompts_app = typer.Typer(help="The versions of a task's prompt.", no_args_is_help=True)


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(calibrate)
    for command in (log, replay, use, rewrite):
        prompts_app.command()(command)
    app.add_typer(prompts_app, name="prompts")


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
