"""Nothing leaves this machine: whole commands, each in a process of its own, watched by strace.

Native code looks names up by itself, so what Python's sockets see would not be enough. A program
that serves is watched alike: start `traced(log)` in front of it, end it, read `calls_out(log)`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

INTERNET = re.compile(
    r'sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?"(?:::ffff:)?([\da-fA-F.:]+)"'
)
NAME_PORTS = {53, 853, 5353}  # a resolver on this machine asks others
RESOLVER = re.compile(r'sun_path="[^"]*(?:resolve|avahi)|"[^"]*hosts\\0"')  # systemd, mDNS, nscd

REELGRAPH = Path(sys.executable).with_name("reelgraph")


def traced(log: Path) -> list[str]:
    """Return a command prefix that logs the network calls of a command and its children to `log`.

    It is enough to log connections when they are made, not what is then sent over them.
    """
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "80", "-e", calls, "-o", str(log)]


def calls_out(log: Path) -> list[str]:
    """Return the logged system calls that look up a name or address another machine."""
    return [call for call in log.read_text(errors="replace").splitlines() if _goes_out(call)]


def _goes_out(call: str) -> bool:
    addresses = INTERNET.findall(call)
    return bool(RESOLVER.search(call)) or any(
        int(port) in NAME_PORTS or not ip_address(address).is_loopback
        for port, address in addresses
    )


@pytest.fixture(scope="module")
def strace() -> None:
    """Skip where system calls cannot be watched."""
    if not shutil.which("strace") or subprocess.run([*traced(Path(os.devnull)), "true"]).returncode:
        pytest.skip("strace is not installed (apt-get install strace) or not allowed here")


@pytest.fixture
def bare(tmp_path: Path, own_library: Path, models_folder: Path) -> dict[str, str]:
    """The environment of a new user, with every wish to report that the user may have.

    Nothing else is taken over: some libraries report nothing where they see a test machine.
    """
    (tmp_path / "home").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "REELGRAPH_LIBRARY": str(own_library),
        "REELGRAPH_MODELS": str(models_folder),
        "ORT_DISABLE_TELEMETRY": "0",
        "HF_HUB_DISABLE_TELEMETRY": "0",
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_API_KEY": "none",
    }


@pytest.fixture
def film(make_clip: Callable[..., Path]) -> Path:
    """Text to read and sound to listen to, so that every tool loads its model."""

    def draw(time_s: float, width: int, height: int) -> Any:
        picture = Image.new("RGB", (width, height), "white")
        font = ImageFont.load_default(44)
        ImageDraw.Draw(picture).text((40, 80), "The gate code is 7391.", "black", font)
        return np.asarray(picture)

    return make_clip("film.mp4", seconds=3, size=(640, 360), audio=True, draw=draw)


CALL = """
import socket, sys
way, family, host, port = sys.argv[1:]
opened = socket.socket(getattr(socket, family), socket.SOCK_DGRAM)
try:
    if way == "connect":
        opened.connect(host if family == "AF_UNIX" else (host, int(port)))
    elif way == "sendto":
        opened.sendto(b"x", (host, int(port)))
    else:
        opened.sendmsg([b"x"], [], 0, (host, int(port)))
except OSError:
    pass
"""


CALLS = {
    # addresses that documents may name and no machine has
    "an address elsewhere": ("connect AF_INET 192.0.2.1 443", True),
    "the same in IPv6": ("connect AF_INET6 2001:db8::1 443", True),
    "the same in IPv6's words": ("connect AF_INET6 ::ffff:192.0.2.1 443", True),
    "a datagram": ("sendto AF_INET 192.0.2.1 443", True),
    "a message": ("sendmsg AF_INET6 2001:db8::1 443", True),
    "a resolver on this machine": ("sendto AF_INET 127.0.0.1 53", True),
    "systemd's resolver": ("connect AF_UNIX /nowhere/systemd/resolve/io.socket 0", True),
    "this machine": ("connect AF_INET 127.0.0.1 9", False),
    "this machine in IPv6": ("sendto AF_INET6 ::1 9", False),
    "this machine in IPv6's words": ("sendmsg AF_INET6 ::ffff:127.0.0.1 9", False),
    "another program here": ("connect AF_UNIX /nowhere/socket 0", False),
}


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(("call", "out"), CALLS.values(), ids=CALLS)
def test_what_goes_out_is_seen_in_child_processes(call: str, out: bool, tmp_path: Path) -> None:
    log = tmp_path / "calls.txt"
    child = ["sh", "-c", '"$@"; true', "sh", sys.executable, "-c", CALL, *call.split()]
    subprocess.run([*traced(log), *child], check=True)
    assert len(calls_out(log)) == out


def test_looking_a_host_up_in_a_cache_is_seen_and_a_user_is_not() -> None:
    # as nscd is asked; it asks others in its turn
    host = r'7 sendto(3, "\2\0\0\0\r\0\0\0\6\0\0\0hosts\0", 18, MSG_NOSIGNAL, NULL, 0) = 18'
    assert _goes_out(host)
    assert not _goes_out(host.replace("hosts", "passwd"))


def left_by_onnxruntime(environ: dict[str, str]) -> list[Path]:
    """Return the files of ONNX Runtime's telemetry: the machine's identifier and queued events.

    They exist as soon as it is imported; a short run ends before the events are sent.
    """
    return [path for path in Path(environ["HOME"]).rglob("*") if "onnxruntime" in path.name]


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_index_and_ask_call_no_other_machine(
    film: Path, bare: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "calls.txt"

    def run(*arguments: str) -> str:
        command = [*traced(log), str(REELGRAPH), *arguments]
        done = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        out = calls_out(log)
        assert not out, "\n".join([arguments[0], *out])
        return done.stdout

    run("index", str(film))
    told = json.loads(run("ask", str(film), "What is the gate code?", "--json"))
    assert "7391" in told["answer"]
    ran = {one["tool"] for one in told["channels"] if one["status"] in {"ok", "empty"}}
    assert ran >= {"subtitles", "transcribe", "ocr", "detect", "shots"}
    assert left_by_onnxruntime(bare) == []


@pytest.mark.usefixtures("strace")
def test_weights_of_the_hub_that_are_here_load_without_asking_it(
    tiny_llama: Path, bare: dict[str, str], tmp_path: Path
) -> None:
    hub, log = tmp_path / "hub", tmp_path / "calls.txt"
    cached = hub / "models--some--llama"
    (cached / "snapshots").mkdir(parents=True)
    (cached / "snapshots" / "1").symlink_to(tiny_llama)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("1")
    code = (
        "from agent.models.loading import load_model;"
        "load_model('some/llama', 'cpu', 'float32', 'none', 'auto', offline=True)"
    )
    environ = bare | {"HF_HUB_CACHE": str(hub)}
    subprocess.run([*traced(log), sys.executable, "-c", code], env=environ, check=True)
    assert not calls_out(log)


LIBRARIES = (
    "import onnxruntime;"
    "from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY as silent; assert silent"
)
WAYS_IN = {
    "a tool alone": "from tools.speech.voice_activity import VoiceDetector; VoiceDetector()",
    "Python": "from agent import ask",
    "the command line": "import agent.cli.main",
    "the page": "import app",
    "a LangGraph server": "import agent.serving",
}


@pytest.mark.parametrize("way_in", WAYS_IN.values(), ids=WAYS_IN)
def test_libraries_report_nothing_whatever_is_imported_first(
    way_in: str, bare: dict[str, str]
) -> None:
    child = f"subprocess.run([sys.executable, '-c', {LIBRARIES!r}], check=True)"
    code = "\n".join([way_in, LIBRARIES, "import subprocess, sys", child])
    subprocess.run([sys.executable, "-c", code], env=bare, check=True)
    assert left_by_onnxruntime(bare) == []
