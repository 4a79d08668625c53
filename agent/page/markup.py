"""Render the page's own HTML from the templates beside this file; every value is escaped."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.page.cited import KINDS, in_words, pieces
from agent.text import clock

FOLDER = Path(__file__).parent / "templates"

# What is going on, in words for people who do not know the tools; others keep their name.
STAGES = {
    "frames": "Taking pictures",
    "subtitles": "Reading subtitles",
    "transcribe": "Listening",
    "ocr": "Reading the screen",
    "detect": "Looking for things",
    "shots": "Finding cuts",
    "caption": "Describing scenes",
    "index": "Learning it by heart",
}


def render(name: str, **values: Any) -> str:
    """Render a template as HTML; values are escaped and cannot inject markup or script."""
    html = _environment().get_template(f"{name}.html").render(values)
    # Gradio's HTML component has its own templates, so text must not look like one.
    return html.replace("${", "&#36;{").replace("{{", "&#123;&#123;")


def style() -> str:
    """Return the page's style sheet."""
    return (FOLDER / "page.css").read_text(encoding="utf-8")


def head() -> str:
    """Return the content of the page's head: its own script, nothing external."""
    return f"<script>{(FOLDER / 'page.js').read_text(encoding='utf-8')}</script>"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    environment.filters["pieces"] = pieces
    environment.filters["in_words"] = in_words
    environment.filters["kind"] = lambda kind: KINDS.get(kind, kind)
    environment.filters["stage"] = lambda stage: STAGES.get(stage, stage)
    return environment
