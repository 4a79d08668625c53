"""The report of detections: self-contained HTML with the views inside, or Markdown."""

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.detection.detection import Detection
from agent.detection.records import Claim
from tools.errors import InputError, StorageError

FOLDER = Path(__file__).parent / "templates"
FORMATS = (".html", ".md")


def report_text(detections: Sequence[Detection], suffix: str = ".html") -> str:
    """Return a report; in HTML every value is escaped and nothing is loaded from elsewhere.

    Raises:
        InputError: The format is neither .html nor .md.
    """
    if suffix not in FORMATS:
        raise InputError(f"a report is written as .html or .md, got {suffix or 'no ending'!r}")
    template = _environment(suffix == ".html").get_template(f"report{suffix}")
    return template.render(detections=detections)


def write_report(detections: Sequence[Detection], file: Path) -> None:
    """Write a report; its format follows from the file's ending."""
    text = report_text(detections, file.suffix.lower())
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} cannot be written ({error.strerror}); name another") from error


def data_uri(file: Path) -> str:
    """Return a JPEG file as a data URI; "" if it was deleted with its video."""
    if not Path(file).is_file():
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(Path(file).read_bytes()).decode()}"


def place(claim: Claim) -> str:
    """Return where a claim points to, in words."""
    if claim.frame is not None:
        return f"frame {claim.frame}"
    start_s = claim.start_s if claim.start_s is not None else claim.end_s
    end_s = claim.end_s if claim.end_s is not None else claim.start_s
    return f"{start_s:.2f}-{end_s:.2f} s"


def cost_of(detection: Detection) -> str:
    """Return the cost in words: only what there was."""
    cost = detection.cost()
    counts = {
        "model calls": cost["model_calls"],
        "input tokens": cost["input_tokens"],
        "output tokens": cost["output_tokens"],
        "tools run": cost["tool_runs"],
        "decoding passes": cost["decodes"],
    }
    price = [f"price {cost['cost']:g}"] if cost["cost"] else []
    said = [f"{count:.0f} {name}" for name, count in counts.items() if count]
    return ", ".join([f"{cost['seconds']:.1f} s", *said, *price])


def percentiles_of(detection: Detection, tool: str) -> str:
    """Return the percentiles of a tool's values in words; "" without any."""
    placed = [p for p in detection.percentiles if p.tool == tool and p.value != "count"]
    return "; ".join(
        f"{p.value} {p.measured:.4g}: percentile {p.percentile:.0f} of {p.clips} own clips"
        for p in placed
    )


@cache
def _environment(html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": data_uri, "place": place, "one_line": _one_line}
    environment.globals |= {"percentiles_of": percentiles_of, "cost_of": cost_of}
    return environment


def _one_line(text: object) -> str:
    """Return a text on one line that cannot break a Markdown table or open a tag."""
    flat = " ".join(str(text).split())
    return flat.replace("|", "\\|").replace("<", "&lt;")
