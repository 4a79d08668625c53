import io
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tools.base import Tool
from tools.evidence import Evidence
from tools.registry import broken_tools

Command = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]
PlugIn = Callable[..., type[Tool]]

QUESTION = "What is the gate code?"
CHEAP = ("--set", "ingest=[subtitles, shots]")
KEYS = {
    "answer",
    "choice",
    "abstained",
    "reason",
    "confidence",
    "measured_by",
    "guess",
    "evidence",
    "steps",
    "videos",
    "seconds",
    "channels",
    "usage",
    "method",
    "profile",
    "models",
    "prompts",
    "plan",
}


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=600)
    assert "Traceback" not in out + err
    return process.returncode, out, err


def test_an_answer_as_json_is_one_object_and_nothing_else(
    reelgraph: Command, scripted_chat: Any, harbour: Path
) -> None:
    done = reelgraph("ask", harbour, QUESTION, "--json", *CHEAP)
    assert done.code == 0
    answer = json.loads(done.out)
    assert answer.keys() == KEYS
    assert "7391" in answer["answer"]
    assert (answer["choice"], answer["abstained"]) == (None, False)
    (first, *_) = answer["evidence"]
    names = {"tool", "kind", "start_s", "end_s", "text", "score", "data", "id", "video"}
    assert names == first.keys()
    names = {"tool", "status", "count", "seconds", "reason", "cached"}
    assert [channel.keys() for channel in answer["channels"]] == [names, names]
    counts = {"decodes", "tool_runs", "model_calls", "scored", "input_tokens", "output_tokens"}
    assert answer["usage"].keys() == counts | {"seconds", "model_seconds", "cost"}
    assert all(isinstance(answer["usage"][name], int) for name in counts)
    assert {"probe", "retrieve"} <= answer["usage"]["seconds"].keys()
    assert sorted(line.split(", ")[0] for line in done.err.splitlines()) == [
        "shots: ok",
        "subtitles: ok",
    ]


def test_an_answer_for_people_shows_evidence_with_times(
    reelgraph: Command, scripted_chat: Any, harbour: Path
) -> None:
    done = reelgraph("ask", harbour, QUESTION, *CHEAP)
    assert done.code == 0
    assert done.out.splitlines()[0] == "7391"
    assert "0:01-0:02  subtitles" in done.out
    assert "subtitles: ok 3" in done.out
    assert "1 decodes, 2 tool runs" in done.out


def test_options_give_a_choice(reelgraph: Command, scripted_chat: Any, harbour: Path) -> None:
    options = ("--option", "1111", "--option", "7391")
    answer = json.loads(reelgraph("ask", harbour, QUESTION, *options, "--json", *CHEAP).out)
    assert (answer["choice"], answer["answer"]) == (1, "7391")


@pytest.mark.parametrize("method", ["ig-vlm", "llovi", "ts-llava", "video-rag"])
def test_parity_starts_for_every_published_method(
    reelgraph: Command, scripted_chat: Any, harbour: Path, method: str
) -> None:
    scripted_chat.images, scripted_chat.replies = True, ["B"]
    options = ("--option", "1234", "--option", "7391", "--method", method, "--parity", "--json")
    done = reelgraph("ask", harbour, "What is the gate code?", *options)
    assert done.code == 0, done.err
    assert json.loads(done.out)["choice"] == 1


def test_no_answer_is_exit_code_3(reelgraph: Command, scripted_chat: Any, harbour: Path) -> None:
    other = "Which composer wrote the Moonlight Sonata?"
    done = reelgraph("ask", harbour, other, "--json", *CHEAP)
    assert done.code == 3
    assert json.loads(done.out)["abstained"] is True
    shown = reelgraph("ask", harbour, other, *CHEAP)
    assert shown.code == 3
    assert shown.out.startswith("No answer: ")


def test_markup_in_a_video_is_shown_as_it_is(
    reelgraph: Command, scripted_chat: Any, make_clip: Callable[..., Path]
) -> None:
    text = "The gate code is 7391 [/bold] [red]now[/red] [link=x]."
    clip = make_clip("[red] clip.mp4", seconds=2, subtitles=[(0, 1.5, text)])
    assert "[/bold] [red]now" in reelgraph("ask", clip, QUESTION, *CHEAP).out
    assert "[red] clip.mp4" in reelgraph("library", "list").out
    assert "[/bold] [red]now" in reelgraph("library", "show", clip.name).out


def test_a_failed_channel_is_said_on_both_faces(
    reelgraph: Command, scripted_chat: Any, plug_in: PlugIn, harbour: Path
) -> None:
    def broken(_: object) -> Any:
        raise ValueError("sensor [x] broke")

    plug_in(broken)
    tools = ("--set", "ingest=[subtitles, sensor]")
    done = reelgraph("ask", harbour, QUESTION, *tools)
    assert done.code == 0
    assert "sensor: failed (ValueError: sensor [x] broke)" in done.out
    assert "sensor: failed, 0, 0.0 s (ValueError: sensor [x] broke)" in done.err


BAD = {
    "no such file": (["ask", "nowhere.mp4", "Who?"], "nowhere.mp4"),
    "unknown key": (["ask", "x.mp4", "Who?", "--set", "ocr.min_confidense=1"], "min_confidence"),
    "unknown section": (["tools", "--set", "orc.engine=onnx"], "'ocr'"),
    "no equals sign": (["tools", "--set", "ocr"], "KEY=VALUE"),
    "unknown profile": (["doctor", "--profile", "gpuu"], "embedded"),
    "unknown method": (["ask", "x.mp4", "Who?", "--method", "video-rga"], "video-rag"),
    "unknown video": (["library", "show", "x.mp4"], "library list"),
    "unknown tool": (["index", "x.mp4", "--set", "ingest=[eyes]"], "eyes"),
    "broken YAML": (["tools", "--set", "ingest=[ocr"], "ingest"),
}


@pytest.mark.parametrize(("arguments", "word"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_code_2(
    reelgraph: Command, arguments: list[str], word: str
) -> None:
    done = reelgraph(*arguments)
    assert (done.code, done.out) == (2, "")
    lines = [line for line in done.err.splitlines() if line != "x.mp4"]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert word in lines[0]


def test_wrong_usage_is_exit_code_2(reelgraph: Command) -> None:
    for arguments in (["ask"], ["askk"], ["ask", "x.mp4", "Who?", "--colour", "red"]):
        done = reelgraph(*arguments)
        assert (done.code, done.out) == (2, "")
        assert "Usage:" in done.err


def test_weights_that_are_not_there_are_exit_code_1(
    reelgraph: Command, shared_embedder: None, harbour: Path
) -> None:
    done = reelgraph("ask", harbour, QUESTION, "--json", *CHEAP, "--set", "chat.model=a/b")
    assert (done.code, done.out) == (1, "")
    assert "--set offline=false" in done.err.splitlines()[-1]


def test_index_goes_on_after_a_bad_file(
    reelgraph: Command, scripted_chat: Any, harbour: Path, tmp_path: Path
) -> None:
    done = reelgraph("index", tmp_path / "gone.mp4", harbour, *CHEAP)
    assert done.code == 2
    assert "error: there is no file" in done.err
    assert "subtitles: ok, 3" in done.err
    again = reelgraph("index", harbour, *CHEAP)
    assert again.code == 0
    assert "subtitles: ok, 3, known" in again.err
    assert scripted_chat.seen == []


def test_the_library_is_listed_shown_and_emptied(
    reelgraph: Command, scripted_chat: Any, harbour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "reelgraph index VIDEO" in reelgraph("library", "list").out
    reelgraph("index", harbour, *CHEAP)
    listed = reelgraph("library", "list")
    assert listed.code == 0
    assert "harbour.mp4" in listed.out
    shown = reelgraph("library", "show", "harbour.mp4", "--json")
    texts = [item["text"] for item in json.loads(shown.out)]
    assert "The gate code is 7391." in texts
    assert "The gate code is 7391." in reelgraph("library", "show", "harbour.mp4").out
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert reelgraph("library", "delete", "harbour.mp4").code == 1
    assert "harbour.mp4" in reelgraph("library", "list").out
    assert reelgraph("library", "delete", "harbour.mp4", "--yes").code == 0
    assert "harbour.mp4" not in reelgraph("library", "list").out
    assert harbour.is_file()


def test_tools_and_graph_are_drawn_from_what_is_installed(
    reelgraph: Command, plug_in: PlugIn
) -> None:
    plug_in(lambda given: iter(()), name="thermometer")
    listed = reelgraph("tools")
    assert listed.code == 0
    for name in ("subtitles", "transcribe", "ocr", "detect", "shots", "caption", "thermometer"):
        assert name in listed.out
    drawn = reelgraph("graph", "--set", "ingest=[subtitles, thermometer]")
    assert "thermometer" in drawn.out
    assert "transcribe" not in drawn.out


def test_a_broken_plug_in_is_told_of_and_costs_nothing_else(
    reelgraph: Command, monkeypatch: pytest.MonkeyPatch, harbour: Path
) -> None:
    why = "the tool 'sensor' (a:B) cannot be used: ImportError: no b; uninstall the package"
    monkeypatch.setitem(cast("dict[str, str]", broken_tools()), "sensor", why)
    assert reelgraph("library", "list").code == 0
    assert reelgraph("index", harbour, "--set", "ingest=[subtitles]").code == 0
    assert f"broken {why}" in reelgraph("tools").out
    for asked in ("ingest=[subtitles, sensor]", "sensor.limit=3"):
        refused = reelgraph("index", harbour, "--set", asked)
        assert (refused.code, why in refused.err) == (1, True)


PRINT_HEAVY = """
import sys
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
names = ('torch', 'langgraph', 'transformers', 'cv2', 'paddleocr', 'ultralytics', 'numpy')
sys.stderr.write(' '.join(name for name in names if name in sys.modules))
"""


def test_a_chat_is_asked_listed_shown_and_deleted(
    reelgraph: Command, scripted_chat: Any, harbour: Path
) -> None:
    scripted_chat.replies = ("nine", "When does the first ferry leave?", "nine")
    assert "--chat NAME" in reelgraph("chats", "list").out
    reelgraph("ask", harbour, "When does the last ferry leave?", "--chat", "trip")
    done = reelgraph("ask", harbour, "And the first ferry?", "--chat", "trip")
    assert "understood as: When does the first ferry leave?" in done.err
    assert "When does the last ferry leave?" in reelgraph("chats", "list").out
    assert "## And the first ferry?" in reelgraph("chats", "show", "trip").out
    shown = json.loads(reelgraph("chats", "show", "trip", "--json").out)
    assert [exchange["asked"] for exchange in shown][1] == "And the first ferry?"
    assert reelgraph("chats", "delete", "trip").code == 0
    missing = reelgraph("chats", "show", "trip")
    assert (missing.code, "no chat called 'trip'" in missing.err) == (2, True)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ask", "--help"], ["library", "--help"], ["chats", "--help"]]
)
def test_help_loads_nothing_heavy(reelgraph_process: Start, arguments: list[str]) -> None:
    code, out, err = finish(reelgraph_process(*arguments, code=f"exec({PRINT_HEAVY!r})"))
    assert code == 0
    assert "Usage: " in out
    assert err == ""


def test_importing_the_package_loads_nothing_heavy(reelgraph_process: Start) -> None:
    heavy = PRINT_HEAVY.replace("main()", "import agent; agent.ask")
    code, _, err = finish(reelgraph_process(code=f"exec({heavy!r})"))
    assert (code, err) == (0, "")


def test_a_dry_run_is_the_same_in_every_process_and_loads_no_model(
    reelgraph_process: Start, harbour: Path, tmp_path: Path
) -> None:
    arguments = ("ask", harbour, QUESTION, "--dry-run", "--json")
    libraries = [tmp_path / "library", tmp_path / "library", tmp_path / "another"]
    processes = [
        reelgraph_process(
            *arguments,
            code=f"exec({PRINT_HEAVY!r})",
            REELGRAPH_LIBRARY=str(library),
            PYTHONHASHSEED=str(number),
        )
        for number, library in enumerate(libraries)
    ]
    done = [finish(process) for process in processes]
    assert {code for code, _, _ in done} == {0}
    assert len({out for _, out, _ in done}) == 1
    assert not {"torch", "transformers", "cv2"} & set(done[0][2].split())
    plan = json.loads(done[0][1])
    assert [tool["known"] for tool in plan["tools"]] == [False] * len(plan["tools"])
    assert str(tmp_path) not in done[0][1]


WAITING = """
import time
from tools.base import Tool

class Sensor(Tool):
    name, kind, version = "sensor", "measurement", "1"

    def run(self, given):
        given.progress(0, 1)
        print("looking", flush=True)
        while not given.stopped():
            time.sleep(0.01)
        return iter(())
"""


def test_ctrl_c_stops_gently(
    reelgraph_process: Start, install: Callable[..., Path], harbour: Path
) -> None:
    install(WAITING)
    process = reelgraph_process("index", harbour, "--set", "ingest=[subtitles, sensor]")
    assert process.stdout is not None
    assert process.stdout.readline() == "looking\n"
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert err.splitlines()[-1].startswith("stopped; what was finished is kept")


COUNTING = """
import time
from pathlib import Path
from tools.base import Tool

class Sensor(Tool):
    name, kind, version = "sensor", "measurement", "1"

    def run(self, given):
        with Path(__file__).with_name("count").open("a") as file:
            file.write("ran\\n")
        time.sleep(1)
        return iter(())
"""


def test_two_processes_share_the_work(
    reelgraph_process: Start, install: Callable[..., Path], make_clip: Callable[..., Path]
) -> None:
    site, clip = install(COUNTING), make_clip(seconds=1)
    arguments = ("index", clip, "--set", "ingest=[sensor]")
    processes = [reelgraph_process(*arguments) for _ in range(3)]
    done = [finish(process) for process in processes]
    assert [code for code, _, _ in done] == [0, 0, 0]
    assert (site / "count").read_text() == "ran\n"
    assert sorted("known" in err for _, _, err in done) == [False, True, True]


def test_a_closed_pipe_is_no_traceback(reelgraph_process: Start) -> None:
    process = reelgraph_process("tools")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.wait(60)
    process.stderr.close()


@pytest.mark.slow
def test_the_real_program_answers_with_the_embedded_model(
    reelgraph_process: Start, harbour: Path
) -> None:
    code, out, err = finish(reelgraph_process("ask", harbour, QUESTION, "--json", *CHEAP))
    assert code == 0, err
    answer = json.loads(out)
    assert "7391" in answer["answer"]
    assert {line.split(":")[0] for line in err.splitlines()} == {"subtitles", "shots"}
    assert str(harbour.parent) not in out
    assert answer["usage"]["model_calls"] >= 1


def test_the_order_of_evidence_is_time_order(
    reelgraph: Command,
    scripted_chat: Any,
    plug_in: PlugIn,
    say: Callable[..., Evidence],
    harbour: Path,
) -> None:
    plug_in(lambda given: iter([say("gate code 7391", 3, 4), say("the gate code 7391", 0, 1)]))
    done = reelgraph("ask", harbour, QUESTION, "--json", "--set", "ingest=[subtitles, sensor]")
    starts = [item["start_s"] for item in json.loads(done.out)["evidence"]]
    assert len(starts) > 1
    assert starts == sorted(starts)


def test_methods_are_listed_with_what_they_need(reelgraph: Command) -> None:
    done = reelgraph("methods")
    assert done.code == 0
    for name in ("video-rag", "llovi", "ig-vlm", "ts-llava", "explore", "blind"):
        assert name in done.out
    assert "images" in done.out
