"""The page: ask a question of a video in the browser (`make ui`, or `python app.py`).

Widgets and what they do are in `agent.page`; this puts the tabs together and serves them.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import tools  # noqa: F401 - before gradio: it turns telemetry off

# isort: split
import gradio as gr
import typer
from starlette.middleware import Middleware

from agent.page import markup
from agent.page.api import Endpoints
from agent.page.ask import AskTab
from agent.page.batch import BatchTab
from agent.page.batches import Batches
from agent.page.chats import chat_routes
from agent.page.compare import CompareTab
from agent.page.detect import DetectTab, Reports
from agent.page.ground import GroundTab
from agent.page.guard import OwnSite, SignIn
from agent.page.library import LibraryTab
from agent.page.page_context import PageContext
from agent.page.run_tab import run_name
from agent.page.search import SearchTab, opens
from agent.page.sessions import Sessions
from agent.page.theme import Quiet
from agent.page.tools import ToolsTab
from agent.page.uploads import MAX_UPLOAD, UploadLimit
from agent.page.users import Users
from agent.settings import parse_pairs
from tools.errors import ReelgraphError

DEMO = Path(__file__).parent / "examples" / "tour.mp4"


def build_page(
    context: PageContext, reports: Reports | None = None, batches: Batches | None = None
) -> gr.Blocks:
    """Return the page; it is served by `launch`."""
    with gr.Blocks(title="reelgraph", analytics_enabled=False) as page:
        gr.HTML(markup.render("header"))
        ask, library, tools = AskTab(context, DEMO), LibraryTab(context), ToolsTab(context)
        search, batch = SearchTab(context), BatchTab(context, batches or Batches())
        with gr.Tabs() as tabs:
            with gr.Tab("Ask", id="ask"):
                ask.lay_out()
            with gr.Tab("Search"):
                search.lay_out()
            with gr.Tab("Moments"):
                GroundTab(context).lay_out()
            with gr.Tab("Compare"):
                CompareTab(context).lay_out()
            with gr.Tab("Detect"):
                DetectTab(context, reports or Reports()).lay_out()
            with gr.Tab("Batch") as batch_tab:
                batch.lay_out()
            with gr.Tab("Library") as library_tab:
                library.lay_out()
            with gr.Tab("Tools") as tools_tab:
                tools.lay_out()
        opens(search.found, ask, tabs)
        opens(batch.table, ask, tabs)
        Endpoints(context).add()
        own: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        page.load(ask.own(ask.load), None, [ask.profile, ask.choices, *ask.view], **own)
        batch_tab.select(batch.own(batch.open), [batch.watched, batch.name], batch.view, **own)
        library_tab.select(library.own(library.show), None, [library.list, library.which], **own)
        tools_tab.select(tools.show, [tools.method], [tools.list, tools.graph], **own)

        def leave(request: gr.Request) -> None:
            context.running.drop(str(request.session_hash))
            context.running.stop(str(request.session_hash))
            for tab in (DetectTab, GroundTab, CompareTab):
                context.running.stop(run_name(request, tab.name))

        page.unload(leave)
    return page


def launch(
    context: PageContext,
    users: Users | None = None,
    host_names: tuple[str, ...] = (),
    **options: Any,
) -> gr.Blocks:
    """Serve the page on localhost only, without external resources; return it.

    Args:
        context: Sessions and files.
        users: Who has to sign in; None lets everybody in who reaches this machine.
        host_names: Names besides localhost under which a proxy or tunnel serves the page.
        options: As for `gradio.Blocks.launch`.
    """
    # Gradio puts uploads there, and reads the name when the page is built.
    os.environ["GRADIO_TEMP_DIR"] = str(context.uploads.folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    reports, batches = Reports(), Batches()
    page = build_page(context, reports, batches)
    page.launch(
        server_name="127.0.0.1",
        share=False,
        max_file_size=MAX_UPLOAD,
        theme=Quiet(),
        css=markup.style(),
        head=markup.head(),
        footer_links=["api"],
        app_kwargs={
            "routes": [
                *context.files.routes(),
                *chat_routes(context),
                reports.route(),
                batches.route(),
            ],
            "middleware": [
                Middleware(OwnSite, names=host_names),
                *([Middleware(SignIn, users=users)] if users else []),
                Middleware(UploadLimit, uploads=context.uploads),
            ],
        },
        **options,
    )
    return page


def main(
    profile: Annotated[str | None, typer.Option(help="Profile name or YAML file.")] = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, as in ocr.engine=paddleocr.")
    ] = None,
    plugins: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="A Python file, a folder, an installed tool."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; the first free one from 7860.")] = None,
    auth: Annotated[
        str | None,
        typer.Option(help="`token`, or a file of name:password lines: who has to sign in."),
    ] = None,
    host_names: Annotated[
        list[str] | None,
        typer.Option("--host-name", help="A name besides localhost, of a proxy or tunnel."),
    ] = None,
    mcp: Annotated[bool, typer.Option("--mcp", help="Also serve tools to MCP clients.")] = False,
) -> None:
    """Open the page in the browser."""
    named = {"plugins": plugins} if plugins else {}
    try:
        users = Users.read(auth) if auth else None
        sessions = Sessions(profile, parse_pairs(pairs or []) | named)
        context = PageContext(
            sessions,
            named=bool(users and users.passwords),
            open_to_all=frozenset({DEMO.resolve()}),
        )
        context.uploads.sweep()
    except ReelgraphError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(error.exit_code) from error
    page = launch(
        context,
        users,
        tuple(host_names or ()),
        server_port=port,
        mcp_server=mcp,
        prevent_thread_lock=True,
    )
    if users and users.token:
        sys.stdout.write(f"* Open it with: {page.local_url}?token={users.token}\n")
        sys.stdout.flush()
    page.block_thread()


if __name__ == "__main__":
    typer.run(main)
