"""The Library tab: known videos, their evidence and dates; deletion asks for confirmation."""

from typing import Any

import gradio as gr

from agent.page.markup import render
from agent.page.tab import OWN, Tab
from tools.errors import ReelgraphError


class LibraryTab(Tab):
    """The tab's widgets and event handlers."""

    def lay_out(self) -> None:
        """Place the widgets and attach the event handlers."""
        self.list = gr.HTML("", elem_id="library-list")
        self.told = gr.HTML("", elem_id="library-told")
        with gr.Row(equal_height=True):
            self.which = gr.Dropdown([], label="Video to forget", scale=3, elem_id="forget-which")
            self.forget = gr.Button("Delete what is known", variant="stop", elem_id="forget")
        with gr.Row(visible=False) as self.sure:
            self.yes = gr.Button("Yes, delete", variant="stop", elem_id="forget-yes")
            self.no = gr.Button("Keep it", elem_id="forget-no")
        self._wire()

    def _wire(self) -> None:
        ask = [self.told, self.sure]
        self.forget.click(self.own(self.confirm), [self.which], ask, **OWN)
        self.no.click(lambda: ("", gr.update(visible=False)), None, ask, **OWN)
        shown = [self.list, self.which, self.told, self.sure]
        self.yes.click(self.own(self.delete), [self.which], shown, **OWN)

    def show(self) -> tuple[str, Any]:
        """Return the list of videos and the choices for deleting."""
        library = self.context.library
        try:
            entries = library.entries()
        except ReelgraphError as error:
            return render("notice", kind="error", text=str(error)), gr.skip()
        disk = sum(f.stat().st_size for f in library.folder.glob("*.sqlite*"))
        disk += self.context.uploads.size + sum(e.frame_bytes for e in entries)
        shown = render("library", entries=entries[::-1], folder=library.folder, disk=disk)
        choices = [(f"{e.video.path.name} ({e.video.sha256[:8]})", e.video.sha256) for e in entries]
        return shown, gr.update(choices=choices[::-1], value=None)

    def confirm(self, sha256: str | None) -> tuple[str, Any]:
        """Ask for confirmation."""
        if not sha256:
            return render("notice", kind="info", text="Choose a video first."), gr.skip()
        try:
            path = self.context.library.find(sha256).video.path
        except ReelgraphError as error:
            return render("notice", kind="error", text=str(error)), gr.update(visible=False)
        uploaded = path in self.context.uploads
        fate = "The uploaded file goes" if uploaded else "The file itself stays"
        text = (
            f"Delete everything that is known about {path.name}, and the chats that quote it? "
            f"{fate}."
        )
        return render("notice", kind="info", text=text), gr.update(visible=True)

    def delete(self, sha256: str) -> tuple[Any, ...]:
        """Delete everything stored about a video, and the file if it was uploaded here."""
        library = self.context.library
        try:
            video = library.find(sha256).video
            library.delete(video)
        except ReelgraphError as error:
            text, kind = str(error), "error"
        else:
            self.context.files.remove(video)
            self.context.uploads.drop(video.path)
            text, kind = f"Deleted: {video.path.name}", "info"
        return (*self.show(), render("notice", kind=kind, text=text), gr.update(visible=False))
