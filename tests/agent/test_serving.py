import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[2] / "langgraph.json"


def test_a_server_finds_a_graph_that_answers(
    scripted_chat: Any, make_clip: Callable[..., Path], monkeypatch: Any
) -> None:
    monkeypatch.setenv("REELGRAPH_INGEST", "[subtitles]")
    path, name = json.loads(CONFIG.read_text())["graphs"]["reelgraph"].split(":")
    graph = getattr(import_module(Path(path).with_suffix("").as_posix().replace("/", ".")), name)()
    clip = make_clip(seconds=3, subtitles=[(0.5, 2.5, "The gate code is 7391.")])
    answer = graph.invoke({"path": str(clip), "question": "What is the gate code?"})["answer"]
    assert "7391" in answer["answer"]
    json.dumps(answer)
