"""The page: ask a question of a video in the browser (`make ui`, or `python app.py`).

Widgets on one side, `Session.stream` on the other; nothing is reasoned here.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from agent.lines import clock
from agent.session import Event, Session
from tools.errors import ReelgraphError

COLUMNS = ["time", "tool", "score", "text"]


def build_page(session: Session) -> gr.Blocks:
    """Return the page for a session; it is served by `launch`."""

    def ask(video: str | None, question: str, options: str) -> Iterator[tuple[str, str, Any]]:
        """Answer a question about a video: answer, channel reports, evidence."""
        told: list[str] = []
        try:
            for event in session.stream(video or "", question, options.splitlines()):
                if event.kind == "channel":
                    told.append(_channel(event))
                    yield "", "\n".join(told), []
                elif event.kind == "answer":
                    yield _answer(event), "\n".join(told), _rows(event)
        except ReelgraphError as error:
            raise gr.Error(str(error)) from error

    with gr.Blocks(title="reelgraph", analytics_enabled=False) as page:
        gr.Markdown("# reelgraph\nAsk a question of a long video and check the evidence.")
        with gr.Row():
            video = gr.Video(label="Video", sources=["upload"])
            with gr.Column():
                question = gr.Textbox(label="Question")
                options = gr.Textbox(label="Options, one a line (optional)", lines=3)
                button = gr.Button("Ask", variant="primary")
                answer = gr.Markdown(label="Answer")
        evidence = gr.Dataframe(headers=COLUMNS, label="Evidence", interactive=False, wrap=True)
        channels = gr.Textbox(label="Tools", interactive=False)
        button.click(ask, [video, question, options], [answer, channels, evidence])
    return page


def _answer(event: Event) -> str:
    answer = event.data
    if answer.abstained:
        return f"**No answer:** {answer.reason}"
    return f"**{answer.answer}** (confidence {answer.confidence:.2f}) {answer.reason}"


def _rows(event: Event) -> list[list[str]]:
    return [
        [f"{clock(e.start_s)}-{clock(e.end_s)}", e.tool, f"{e.score:.2f}", e.text]
        for e in event.data.evidence
    ]


def _channel(event: Event) -> str:
    report = event.data
    return f"{report.tool}: {report.status}, {report.count} {report.reason}".rstrip()


def main() -> None:
    """Open a session and serve the page on this machine only."""
    build_page(Session()).launch(server_name="127.0.0.1", share=False)


if __name__ == "__main__":
    main()
