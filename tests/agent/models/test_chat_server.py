"""Against a real OpenAI-compatible server: `transformers serve` with a tiny model, on loopback."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from PIL import Image

from agent.doctor import checks
from agent.models.chat import TransformersChat, image_block
from agent.models.chat_endpoint import EndpointChat
from agent.settings import resolve
from tools.errors import MissingError, ReelgraphError

pytestmark = pytest.mark.slow
PATIENCE_S = 180  # for the server to start on a busy machine


@dataclass(frozen=True)
class Serving:
    """A running server and the folder of its model."""

    url: str
    model: str


@pytest.fixture(scope="module")
def serving(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("hub")
    (folder / "hub").mkdir()
    program = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(tiny_llava)]
    options = ["--device", "cpu", "--dtype", "float32", "--port", str(port), "--host", "127.0.0.1"]
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*program, *options], stdout=log, stderr=log, env=environ)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(url, process, folder / "log")
        yield Serving(url, str(tiny_llava))
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    chat = EndpointChat(name="any", base_url=url, max_retries=0)
    while time.monotonic() < end and process.poll() is None:
        try:
            chat.served_models()
        except MissingError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def remote(serving: Serving) -> EndpointChat:
    return EndpointChat(name=serving.model, base_url=serving.url, images=True, max_new_tokens=8)


@pytest.fixture(scope="module")
def local(serving: Serving) -> TransformersChat:
    return TransformersChat(name="tiny", source=serving.model, dtype="float32", max_new_tokens=8)


def test_a_server_answers_as_the_model_does_here(
    remote: EndpointChat, local: TransformersChat
) -> None:
    talk = [SystemMessage("Be brief."), HumanMessage("What is the gate code?")]
    far, near = remote.invoke(talk), local.invoke(talk)
    assert far.text.strip() == near.text
    assert far.usage_metadata is not None
    assert near.usage_metadata is not None
    for count in ("input_tokens", "output_tokens"):
        assert far.usage_metadata[count] == near.usage_metadata[count]  # type: ignore[literal-required]
    assert far.response_metadata["finish_reason"] == near.response_metadata["finish_reason"]


def test_pictures_arrive_as_they_were(remote: EndpointChat, local: TransformersChat) -> None:
    replies = set()
    for colour in ("red", "blue"):
        pictures = [image_block(Image.new("RGB", (64, 48), c)) for c in (colour, "green")]
        talk = [HumanMessage([*pictures, {"type": "text", "text": "What?"}])]
        far, near = remote.invoke(talk), local.invoke(talk)
        assert far.text.strip() == near.text
        replies.add(near.text)
    assert len(replies) == 2


def test_a_server_streams(remote: EndpointChat, local: TransformersChat) -> None:
    parts = list(remote.stream("The gate code", max_new_tokens=30))
    total = sum(parts[1:], parts[0])
    assert total.text.strip() == local.invoke("The gate code", max_new_tokens=30).text
    assert total.usage_metadata is not None
    assert total.usage_metadata["output_tokens"] == 30
    assert total.response_metadata["finish_reason"] == "length"


def test_another_model_than_the_servers_is_refused(serving: Serving) -> None:
    with pytest.raises(ReelgraphError, match="pinned"):
        EndpointChat(name="somebody/else", base_url=serving.url).invoke("Code?")


def test_the_doctor_asks_the_server(serving: Serving, own_library: Path) -> None:
    def found(url: str) -> tuple[bool, str]:
        chat = {"chat.engine": "endpoint", "chat.model": serving.model, "chat.base_url": url}
        (check,) = (c for c in checks(resolve(overrides=chat)) if c.name == "chat model")
        return check.ok, check.remedy

    assert found(serving.url) == (True, "")
    ok, remedy = found("http://127.0.0.1:9/v1")
    assert not ok
    assert "is the server running" in remedy
    ok, remedy = found("http://example.com/v1")
    assert not ok
    assert "--set offline=false" in remedy
