"""The timeline of a video: a lane per kind of evidence, with the cited moments marked."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from agent.text import clock
from tools.evidence import Evidence
from tools.media.video import Video

MAX_MARKS = 3000  # in one lane; more are indistinguishable and make the browser slow
LANE_PX, MARGIN_PX = 20, 32
MIN_SHARE = 0.003  # of the length: the minimum drawn, to be visible
LANES = ("shots", "speech", "text", "objects", "caption")  # from the top; others follow
COLOURS = ("#78716c", "#0f766e", "#b45309", "#4d7c0f", "#7c3aed", "#be185d", "#0369a1")
STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)  # between two ticks
MAX_TICKS = 10
CITED_COLOUR = "#dc2626"


def draw(video: Video, found: Sequence[Evidence], cited: Sequence[Evidence] = ()) -> Any:
    """Return a plotly figure; a mark has its start in seconds as `customdata`, for clicks."""
    import plotly.graph_objects as go

    lanes = _lanes(found)
    figure = go.Figure()
    for number, (kind, items) in enumerate(lanes.items()):
        colour = COLOURS[number % len(COLOURS)]
        figure.add_trace(_marks(kind, items, video.duration_s, colour))
    if cited:
        figure.add_trace(_citations(cited))
    names = [*lanes, *(["cited"] if cited else [])]
    ticks = _ticks(video.duration_s)
    figure.update_layout(
        height=MARGIN_PX + LANE_PX * max(1, len(names)),
        margin={"l": 60, "r": 8, "t": 4, "b": 28},
        barmode="overlay",
        bargap=0.3,
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(128,128,128,0.08)",
        font={"color": "#808080", "size": 11},  # legible on white and on black
        dragmode="zoom",
    )
    figure.update_xaxes(
        range=[0, video.duration_s],
        tickvals=ticks,
        ticktext=[clock(t) for t in ticks],
        gridcolor="rgba(128,128,128,0.2)",
        zeroline=False,
    )
    figure.update_yaxes(
        categoryorder="array", categoryarray=names[::-1], fixedrange=True, showgrid=False
    )
    return figure


def _ticks(duration_s: float) -> list[float]:
    """Return at most ten round times, from 0."""
    step_s = next((s for s in STEPS_S if duration_s / s < MAX_TICKS), STEPS_S[-1])
    return [float(time_s) for time_s in range(0, int(duration_s) + 1, step_s)]


def _lanes(found: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    ordered = sorted(found, key=lambda e: (e.kind not in LANES, _place(e.kind), e.kind))
    return {kind: list(items)[:MAX_MARKS] for kind, items in groupby(ordered, lambda e: e.kind)}


def _place(kind: str) -> int:
    return LANES.index(kind) if kind in LANES else len(LANES)


def _marks(kind: str, items: Sequence[Evidence], duration_s: float, colour: str) -> Any:
    import plotly.graph_objects as go

    least = duration_s * MIN_SHARE
    return go.Bar(
        orientation="h",
        base=[e.start_s for e in items],
        x=[max(least, e.end_s - e.start_s) for e in items],
        y=[kind] * len(items),
        customdata=[e.start_s for e in items],
        hovertext=[_words(e) for e in items],
        hoverinfo="text",
        marker={"color": colour, "opacity": 0.65, "line": {"width": 0.5, "color": "white"}},
    )


def _citations(cited: Sequence[Evidence]) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        mode="markers",
        x=[(e.start_s + e.end_s) / 2 for e in cited],
        y=["cited"] * len(cited),
        customdata=[e.start_s for e in cited],
        hovertext=[_words(e) for e in cited],
        hoverinfo="text",
        marker={"color": CITED_COLOUR, "size": 13, "symbol": "diamond"},
    )


def _words(evidence: Evidence) -> str:
    """Return a hover text; plotly renders some HTML, so its characters are removed."""
    text = " ".join(evidence.text.split()).replace("&", "+").replace("<", "(").replace(">", ")")
    return f"{clock(evidence.start_s)} {text[:120]}"
