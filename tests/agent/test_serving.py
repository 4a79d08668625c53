import json
import subprocess
import sys
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


def test_the_graphs_are_built_without_weights_or_a_gpu_and_show_a_plug_in(tmp_path: Path) -> None:
    """In a process of its own, as a server imports them: torch must not even be loaded."""
    source = "from tools import StoredFrame, tool\n\n@tool\ndef marks(frame: StoredFrame):\n    ..."
    (tmp_path / "marks.py").write_text(source)
    code = (
        "import json, sys; from importlib import import_module; from pathlib import Path\n"
        f"for place in json.loads(Path({str(CONFIG)!r}).read_text())['graphs'].values():\n"
        "    path, name = place.split(':')\n"
        "    module = import_module(Path(path).with_suffix('').as_posix().replace('/', '.'))\n"
        "    print(getattr(module, name)().get_graph(xray=True).draw_mermaid())\n"
        "assert 'torch' not in sys.modules"
    )
    environ = {
        "PATH": "",
        "PYTHONPATH": str(CONFIG.parent),
        "CUDA_VISIBLE_DEVICES": "",
        "REELGRAPH_LIBRARY": str(tmp_path / "library"),
        "REELGRAPH_MODELS": str(tmp_path / "none"),
        "REELGRAPH_PLUGINS": str(tmp_path / "marks.py"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "look\\3asample_frames --> video-rag\\3aingest\\3alook\\3amarks;" in done.stdout
