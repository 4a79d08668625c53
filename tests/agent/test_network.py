"""Nothing leaves this machine: whole commands, each in a process of its own, watched by strace.

Native code looks names up by itself, so what Python's sockets see would not be enough. A program
that serves is watched alike: start `traced(log)` in front of it, end it, read `calls_out(log)`.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from signal import SIGTERM
from time import sleep
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from PIL import Image, ImageDraw, ImageFont

INTERNET = re.compile(
    r'sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?"(?:::ffff:)?([\da-fA-F.:]+)"'
)
NAME_PORTS = {53, 853, 5353}  # a resolver on this machine asks others
RESOLVER = re.compile(r'sun_path="[^"]*(?:resolve|avahi)|"[^"]*hosts\\0"')  # systemd, mDNS, nscd

ROOT = Path(__file__).parents[2]
REELGRAPH = Path(sys.executable).with_name("reelgraph")


def atom(kind: bytes, content: bytes) -> bytes:
    """Return a box of QuickTime: length, kind, content."""
    return (8 + len(content)).to_bytes(4, "big") + kind + content


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
        "OMP_NUM_THREADS": "1",  # or two programs side by side wait for each other
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


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_a_batch_under_ray_calls_no_other_machine(
    make_clip: Callable[..., Path], bare: dict[str, str], tmp_path: Path
) -> None:
    make_clip("films/a.mp4", seconds=1)
    (tmp_path / "questions.csv").write_text("question\nWhere are we?\n")
    log, out = tmp_path / "calls.txt", tmp_path / "out.jsonl"
    files = [str(tmp_path / "films"), "--questions", str(tmp_path / "questions.csv")]
    given = ["--out", str(out), "--engine", "ray", "--set", "ingest=[]", "--method", "blind"]
    command = [*traced(log), str(REELGRAPH), "batch", *files, *given]
    done = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["status"] in {"answered", "abstained"}
    assert "ray" in log.read_text()  # its processes were watched
    assert not calls_out(log)


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


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_the_page_and_its_mcp_server_call_no_other_machine(
    film: Path, bare: dict[str, str], tmp_path: Path
) -> None:
    """Served, opened, indexed by REST, listed by MCP, then ended; `doctor` beside it."""
    log, port = tmp_path / "calls.txt", free_port()
    page = [sys.executable, str(ROOT / "app.py"), "--mcp", "--port", str(port)]
    server = subprocess.Popen(
        [*traced(log), *page], env=bare, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        assert "reelgraph" in opened(address, server)
        client = Client(address, verbose=False, analytics_enabled=False)
        ran = {one["tool"] for one in client.predict(str(film), api_name="/index")}
        assert ran >= {"subtitles", "transcribe", "ocr", "detect", "shots"}
        with ThreadPoolExecutor(1) as thread:
            names = thread.submit(asyncio.run, mcp_tools(address)).result()
        assert any(name.endswith("ask") for name in names)
    finally:
        os.killpg(server.pid, SIGTERM)
        server.communicate(timeout=60)
    assert not calls_out(log)
    doctor = [*traced(log), str(REELGRAPH), "doctor"]
    assert subprocess.run(doctor, env=bare, capture_output=True, check=False).returncode == 0
    assert not calls_out(log)
    assert left_by_onnxruntime(bare) == []


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def opened(address: str, server: subprocess.Popen[str]) -> str:
    """Return the page as soon as it is served."""
    for _ in range(600):
        assert server.poll() is None, server.stderr and server.stderr.read()
        with contextlib.suppress(OSError), urlopen(address) as page:
            return str(page.read().decode())
        sleep(0.2)
    raise TimeoutError(address)


async def mcp_tools(address: str) -> list[str]:
    async with (
        streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        return [tool.name for tool in (await session.list_tools()).tools]


ELSEWHERE = "http://192.0.2.1/film.mp4"
QUICKTIME_URL = (
    b"\0\0\0\0url " + (len(ELSEWHERE) + 1).to_bytes(4, "big") + ELSEWHERE.encode() + b"\0"
)
NAMED = {
    "HLS": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{ELSEWHERE}\n#EXT-X-ENDLIST\n".encode(),
    "HLS late": b"\n" * 200 + f"#EXTM3U\n#EXTINF:2,\n{ELSEWHERE}\n".encode(),
    "concat": f"ffconcat version 1.0\nfile {ELSEWHERE}\n".encode(),
    "concat of a file here": b"ffconcat version 1.0\nfile other.mp4\n",
    "DASH": f'<?xml version="1.0"?><MPD><BaseURL>{ELSEWHERE}</BaseURL></MPD>'.encode(),
    "SDP": b"v=0\no=- 0 0 IN IP4 192.0.2.1\nm=video 5004 RTP/AVP 96\n",
    "ASX": f'<asx version="3.0"><entry><ref href="{ELSEWHERE}"/></entry></asx>'.encode(),
    "PLS": f"[playlist]\nFile1={ELSEWHERE}\nNumberOfEntries=1\n".encode(),
    "QuickTime": atom(b"ftyp", b"qt  \0\0\0\0qt  ")
    + atom(b"moov", atom(b"rmra", atom(b"rmda", atom(b"rdrf", QUICKTIME_URL)))),
}


@pytest.mark.usefixtures("strace")
def test_what_a_file_names_is_not_opened(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    """Playlists, a redirect inside a container, an address: refused, nothing else is touched."""
    make_clip("other.mp4", seconds=1)
    files = []
    for number, (kind, content) in enumerate(NAMED.items()):
        for suffix in (".mp4", ".m3u8", ".mov"):
            files.append(tmp_path / f"{number}{kind[:3]}{suffix}")
            files[-1].write_bytes(content)
    log = tmp_path / "calls.txt"
    command = [*traced(log), sys.executable, "-c", PROBE, *map(str, files), ELSEWHERE]
    watched = [word.replace("connect,", "connect,openat,") for word in command]
    done = subprocess.run(watched, capture_output=True, text=True, check=True)
    refused = done.stdout.splitlines()
    assert len(refused) == len(files) + 1
    assert all(line.startswith("InputError") for line in refused), refused
    assert "is an address, not a file" in refused[-1]
    assert not calls_out(log)
    assert "other.mp4" not in log.read_text()


PROBE = """
import sys
from pathlib import Path
from tools.media.video import probe
for name in sys.argv[1:]:
    try:
        print("opened", probe(Path(name)))
    except Exception as error:
        print(type(error).__name__, " ".join(str(error).split()))
"""

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
