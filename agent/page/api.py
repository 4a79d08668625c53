"""Named endpoints for programs: REST for any client of Gradio, and tools for one that speaks MCP.

They take and give plain JSON. Their docstrings are what such a client is told.
"""

from pathlib import Path
from typing import Any

import gradio as gr

from agent.comparison.compare import DEFAULT, compare
from agent.comparison.rows import Comparison
from agent.detection.task import DEFAULT_TASK
from agent.page.detect import detector_of
from agent.page.guard import user_of
from agent.page.page_context import PageContext
from agent.page.tools import tool_card
from agent.search.moments import Moment
from agent.search.search import TOP
from tools.errors import InputError, ReelgraphError
from tools.registry import broken_tools, tool_classes

MAX_ROWS = 500  # of evidence in one reply


class Endpoints:
    """What a program may call."""

    def __init__(self, context: PageContext) -> None:
        self.context = context

    def add(self) -> None:
        """Register the endpoints; call it inside a `gr.Blocks`."""
        actions = (
            self.ask,
            self.ground,
            self.compare,
            self.detect,
            self.index,
            self.search,
            self.evidence,
            self.videos,
            self.tools,
            self.chat,
        )
        for function in actions:
            gr.api(function, api_name=function.__name__)

    def ask(
        self,
        request: gr.Request,
        video: str,
        question: str,
        options: list[str] | None = None,
        profile: str = "",
        method: str = "",
        chat: str = "",
    ) -> dict[str, Any]:
        """Answer a question about a video, with the evidence that the answer rests on.

        The first question about a video takes long, for the tools look at all of it.

        Args:
            video: Path of a video or sound file on the computer where the page runs.
            question: What to find out, in words.
            options: Two or more answers to choose from; leave out for an open question.
            profile: Name of the models to use, as `embedded`, no file; empty for the page's own.
            method: Name of the method, as `video-rag`; empty for the page's own.
            chat: A name of your choice; questions with the same name may follow from one another,
                as "and on Sundays?". Empty for a question by itself.

        Returns:
            The answer, whether it abstained and why, confidence, evidence with times in seconds,
            how each tool fared and what it cost.
        """
        try:
            context = self.context.of(user_of(request))
            session = context.sessions.get(profile, method)
            return session.ask(_file(context, video), question, options or [], chat).to_json()
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def ground(
        self, request: gr.Request, video: str, what: str, profile: str = ""
    ) -> dict[str, Any]:
        """Say when in a video something is shown or said.

        Args:
            video: Path of a video or sound file on the computer where the page runs.
            what: What to look for, in words, as "a person opens a door".
            profile: Name of the models to use, as `embedded`, no file; empty for the page's own.

        Returns:
            As of `ask`: whether it abstained and why; each piece of evidence is an interval with
            its start and end in seconds, its confidence as the score, and what it rests on.
        """
        return self.ask(request, video, what, profile=profile, method="ground")

    def compare(
        self,
        request: gr.Request,
        video: str,
        question: str,
        methods: list[str] | None = None,
        options: list[str] | None = None,
        profile: str = "",
    ) -> dict[str, Any]:
        """Answer a question by several methods, to compare their answers and costs.

        Args:
            video: Path of a video or sound file on the computer where the page runs.
            question: What to find out, in words.
            methods: Their names, as `video-rag`; leave out for `auto` and the baselines.
            options: Two or more answers to choose from; leave out for an open question.
            profile: Name of the models to use, as `embedded`, no file; empty for the page's own.

        Returns:
            For each method its answer as of `ask`, or why it cannot run, and its frames; which
            frames and prompts several methods shared; the cost of looking at the video before.
        """
        try:
            context, named = self.context.of(user_of(request)), methods or DEFAULT
            session, file = context.sessions.get(profile), _file(context, video)
            events = list(compare(session, file, question, named, options or []))
            found: Comparison = events[-1].data
            return found.to_json()
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def detect(
        self,
        request: gr.Request,
        video: str,
        task: str = DEFAULT_TASK,
        profile: str = "",
        check_motion: bool = False,
    ) -> dict[str, Any]:
        """Judge whether a clip shows signs of AI generation, or what another task asks.

        "No signs found" does not mean authentic, and a person must decide before anything follows
        from a verdict.

        Args:
            video: Path of a video file on the computer where the page runs.
            task: Name of a shipped task: `ai_generated`, or `edits` for cuts and repeated frames.
            profile: Name of the models to use, as `gpu`, no file; empty for the page's own.
            check_motion: Judge once more with shuffled frames, to see whether motion was used.

        Returns:
            The verdict, why, the evidence with frames or times, every measurement, what was not
            run, versions of prompt and tools, and the cost.
        """
        try:
            context = self.context.of(user_of(request))
            detector = detector_of(context, profile, task)
            found = context.open(context.sessions.get(profile), str(_file(context, video)))
            return detector.detect(found.path, detector.job(check_motion=check_motion)).to_json()
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def index(self, request: gr.Request, video: str) -> list[dict[str, Any]]:
        """Look at a video with every tool, so that questions about it are answered fast.

        Args:
            video: Path of a video or sound file on the computer where the page runs.

        Returns:
            How each tool fared: its name, status, number of findings, seconds and reason.
        """
        try:
            context = self.context.of(user_of(request))
            return [r.to_json() for r in context.sessions.first.index(_file(context, video))]
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def search(
        self, request: gr.Request, query: str, kind: str = "", top: int = TOP
    ) -> dict[str, Any]:
        """Find moments in all videos that were looked at before: what was said, shown or seen.

        Args:
            query: What to look for, in words.
            kind: Only findings of these kinds, as in "speech,text"; empty for all.
            top: Moments, at most; 1 to 200.

        Returns:
            Moments, best first, at most three of one video, each with its video's name and hash,
            start and end in seconds, text and score, and the address of a picture on this page;
            how many videos were searched, and what was done otherwise than usual.
        """
        kinds = [part.strip() for part in kind.split(",") if part.strip()]
        try:
            context = self.context.of(user_of(request))
            found = context.search.search(query, kinds=kinds, top=top)
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error
        moments = [_moment(context, moment) for moment in found.moments]
        return {**found.to_json(), "moments": moments}

    def evidence(
        self, request: gr.Request, video: str, kind: str = "", start_s: float = 0.0
    ) -> list[dict[str, Any]]:
        """List what the tools found in a video that was looked at before, in time order.

        Args:
            video: File name, path or hash of a video in the library.
            kind: Only findings of this kind: speech, text, objects, shots; empty for all.
            start_s: Only findings from this time on, in seconds; at most 500 are returned.

        Returns:
            Findings with tool, kind, start and end in seconds, text and score.
        """
        try:
            library = self.context.of(user_of(request)).library
            found = library.findings(library.find(video).video)
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error
        wanted = [e for e in found if kind in ("", e.kind) and e.start_s >= start_s]
        return [e.to_json() for e in wanted[:MAX_ROWS]]

    def chat(self, request: gr.Request, name: str) -> list[dict[str, Any]]:
        """List the questions of a chat, oldest first, with answers and what the model was sent.

        Args:
            name: The name that was given with the questions.

        Returns:
            Each question as it was put and as it was understood, with its answer.
        """
        try:
            chats = self.context.of(user_of(request)).chats
            return [dict(exchange) for exchange in chats.find(name)]
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def videos(self, request: gr.Request) -> list[dict[str, Any]]:
        """List the videos of the library: hash, file name, length and number of findings."""
        try:
            entries = self.context.of(user_of(request)).library.entries()
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return [
            {
                "sha256": entry.video.sha256,
                "name": entry.video.path.name,
                "duration_s": entry.video.duration_s,
                "added": entry.added,
                "findings": sum(run.report.count for run in entry.runs),
            }
            for entry in entries
        ]

    def tools(self, request: gr.Request) -> list[dict[str, Any]]:
        """List the tools that look at videos: what they find and whether they can run here."""
        settings = self.context.sessions.first.settings
        try:
            cards = [tool_card(name, settings) for name in tool_classes()]
        except ReelgraphError as error:
            raise gr.Error(str(error), print_exception=False) from error
        usable = [
            {
                "name": card.name,
                "finds": card.kind,
                "ready": card.state.ok,
                "reason": card.state.reason,
                "in_profile": card.used,
                "options": {option.name: option.value for option in card.options},
            }
            for card in cards
        ]
        return usable + [
            {
                "name": name,
                "finds": "",
                "ready": False,
                "reason": why,
                "in_profile": name in settings.ingest,
                "options": {},
            }
            for name, why in broken_tools().items()
        ]


def _file(context: PageContext, video: str) -> Path:
    if not video.strip():
        raise InputError("no video is named; give the path of a video or sound file")
    return context.path(video)


def _moment(context: PageContext, moment: Moment) -> dict[str, Any]:
    """Return a moment without the paths of this computer."""
    told, folder = moment.to_json(), context.library.folder
    picture = context.files.add_picture(folder, str(moment.thumbnail or ""))
    del told["path"], told["thumbnail"]
    return told | {"picture": picture}
