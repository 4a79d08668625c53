import base64
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from PIL import Image

from agent.models.chat import ContextOverflowError, image_block
from agent.models.chat_endpoint import EndpointChat
from tools.errors import InputError, MissingError, ReelgraphError

KEY = "sk-very-secret-0123456789"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}


def completion(text: str = "7391", finish: str = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": said, "finish_reason": finish}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "tiny"}
    return {**head, "choices": [choice], "usage": USAGE}


def chunks(*texts: str) -> list[dict[str, Any]]:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    parts = [{"index": 0, "delta": {"role": "assistant", "content": t}} for t in texts]
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return [
        *({**head, "choices": [p]} for p in [*parts, end]),
        {**head, "choices": [], "usage": USAGE},
    ]


@dataclass(frozen=True)
class Act:
    """One answer of the scripted server."""

    status: int = 200
    body: Any = field(default_factory=completion)
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    drop: bool = False


@dataclass
class Scripted:
    """A server that follows a script, its last act again and again, and keeps what it was sent."""

    url: str
    acts: list[Act] = field(default_factory=lambda: [Act()])
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def next_act(self) -> Act:
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        script: Scripted = self.server.script  # type: ignore[attr-defined]
        length = int(self.headers["content-length"])
        script.requests.append(json.loads(self.rfile.read(length)))
        script.headers.append({k.lower(): v for k, v in self.headers.items()})
        script.times.append(time.monotonic())
        self.play(script, script.next_act())

    def do_GET(self) -> None:
        self.play(self.server.script, Act(body={"data": [{"id": "tiny"}], "object": "list"}))  # type: ignore[attr-defined]

    def play(self, script: Scripted, act: Act) -> None:
        streams = isinstance(act.body, list)
        body = act.body if isinstance(act.body, bytes) else json.dumps(act.body).encode()
        self.send_response(act.status)
        for name, value in act.headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "text/event-stream" if streams else "application/json")
        if not streams:
            self.send_header("content-length", str(len(body) + (100 if act.drop else 0)))
        self.end_headers()
        if streams:
            self.play_events(script, act)
            return
        script.over.wait(act.wait_s)
        self.wfile.write(body)

    def play_events(self, script: Scripted, act: Act) -> None:
        for event in act.body:
            try:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()
            except OSError:
                return  # the client has gone
            script.over.wait(act.wait_s)
        if not act.drop:
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script = Scripted(f"http://127.0.0.1:{listening.server_address[1]}/v1")
    listening.script = script  # type: ignore[attr-defined]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    script.over.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def connect(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EndpointChat]:
    monkeypatch.setenv("TEST_CHAT_KEY", KEY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)  # seconds

    def made(**options: Any) -> EndpointChat:
        values = {
            "base_url": server.url,
            "key_variable": "TEST_CHAT_KEY",
            "max_retries": 2,
            **options,
        }
        return EndpointChat(name="tiny", **values)

    return made


Connect = Callable[..., EndpointChat]


def test_an_answer_comes_with_usage_and_cost(connect: Connect, server: Scripted) -> None:
    chat = connect(input_price=2.0, output_price=8.0)
    reply = chat.invoke([SystemMessage("Be brief."), HumanMessage("Code?")], stop=["\n"])
    assert reply.text == "7391"
    assert reply.usage_metadata is not None
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (
        1000,
        500,
    )
    assert reply.response_metadata["cost"] == pytest.approx((1000 * 2 + 500 * 8) / 1e6)
    assert reply.response_metadata["finish_reason"] == "stop"
    (sent,) = server.requests
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Code?"},
    ]
    assert (sent["model"], sent["temperature"], sent["stop"]) == ("tiny", 0.0, ["\n"])
    assert sent["max_tokens"] == 64
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "cost" not in connect().invoke("Code?").response_metadata


def test_how_to_decode_is_set_with_the_call(connect: Connect, server: Scripted) -> None:
    connect().bind(temperature=0.7, seed=5, max_new_tokens=9).invoke("Code?")
    (sent,) = server.requests
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.7, 5, 9)
    with pytest.raises(InputError, match="'top_p', expected any of"):
        connect().invoke("Code?", top_p=0.5)


@pytest.mark.parametrize("name", ["gpt-4o", "o3", "tiny"])
@pytest.mark.parametrize("newer", [True, False])
def test_a_server_is_sent_the_one_limit_that_it_knows(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, name: str, newer: bool
) -> None:
    """OpenAI's own refuses to be sent both, and its newer models the older one."""
    if newer:
        monkeypatch.setattr("agent.models.chat_endpoint.OPENAI", re.compile("127.0.0.1"))
    chat = EndpointChat(name=name, base_url=server.url)
    chat.invoke("Code?")
    server.acts = [Act(body=chunks("7391"))]
    list(chat.stream("Code?"))
    for sent in server.requests:
        limits = {key: value for key, value in sent.items() if key.startswith("max_")}
        assert limits == {"max_completion_tokens" if newer else "max_tokens": 64}
        assert ("temperature" in sent) == (not newer or name != "o3")


@pytest.mark.parametrize(
    ("url", "newer"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://API.OpenAI.com/v1/", True),
        ("https://mine.openai.azure.com/openai/v1", True),
        ("https://mine.services.ai.azure.com/openai/v1", True),
        ("https://api.openai.com.example.org/v1", False),
        ("https://example.org/api.openai.com/v1", False),
        ("https://openrouter.ai/api/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_openai_and_azure_are_known_by_their_hosts(
    monkeypatch: pytest.MonkeyPatch, url: str | None, newer: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert EndpointChat(name="gpt-5", base_url=url, offline=False).newer is newer


def test_pictures_are_sent_in_true_rgb(connect: Connect, server: Scripted) -> None:
    noise = Image.effect_noise((16, 12), 90).convert("RGB")
    jpeg = io.BytesIO()
    noise.save(jpeg, "JPEG", quality=95)
    cmyk = io.BytesIO()
    Image.new("RGB", (8, 8), (250, 10, 20)).convert("CMYK").save(cmyk, "TIFF")
    blocks = [
        {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": "image/jpeg"}
        for data in (jpeg.getvalue(), cmyk.getvalue())
    ]
    talk = [HumanMessage([image_block(noise), *blocks, {"type": "text", "text": "What?"}])]
    connect(images=True).invoke(talk)
    (message,) = server.requests[0]["messages"]
    *pictures, words = message["content"]
    assert words == {"type": "text", "text": "What?"}
    uris = [picture["image_url"]["url"] for picture in pictures]
    heads = [uri.split(",")[0] for uri in uris]
    assert heads == ["data:image/png;base64", "data:image/jpeg;base64", "data:image/png;base64"]
    first, second, third = (base64.b64decode(uri.split(",")[1]) for uri in uris)
    assert Image.open(io.BytesIO(first)).tobytes() == noise.tobytes()
    assert second == jpeg.getvalue()  # as it was, not encoded a second time
    shown = Image.open(io.BytesIO(third))
    assert shown.mode == "RGB"
    assert shown.getpixel((4, 4)) == pytest.approx((250, 10, 20), abs=3)


def test_pictures_go_only_to_models_that_see(connect: Connect, server: Scripted) -> None:
    talk = [HumanMessage([image_block(Image.new("RGB", (8, 8)))] * 3)]
    with pytest.raises(InputError, match="reads text only"):
        connect().invoke(talk)
    with pytest.raises(InputError, match="at most 2 pictures and was sent 3"):
        connect(images=True, max_images=2).invoke(talk)
    assert not server.requests


def test_the_flags_are_those_of_the_settings(connect: Connect) -> None:
    flags = connect().capabilities
    assert (flags.images, flags.max_images, flags.tool_calling) == (False, 0, False)
    assert flags.context_tokens is None
    assert not any((flags.option_scoring, flags.visual_tokens))
    flags = connect(images=True, max_images=4, context_limit=100, calls_tools=True).capabilities
    assert (flags.images, flags.max_images, flags.tool_calling) == (True, 4, True)
    assert flags.context_tokens == 100
    with pytest.raises(InputError, match="ask its capabilities"):
        connect().score_options([HumanMessage("Code?")], ["7391"])


def test_what_is_surely_too_long_is_not_sent(connect: Connect, server: Scripted) -> None:
    chat = connect(context_limit=200, max_new_tokens=50, images=True)
    chat.invoke("word " * 50)
    for talk in ("word " * 150, [HumanMessage([image_block(Image.new("RGB", (400, 400)))])]):
        with pytest.raises(ContextOverflowError) as error:
            chat.invoke(talk)
        assert error.value.allowed == 200
        assert (error.value.needed or 0) > 200
    assert len(server.requests) == 1


OVERFLOWS = [
    (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        (5000, 4096),
    ),
    (
        "the request exceeds the available context size (4097 tokens > n_ctx 2048 tokens)",
        (4097, 2048),
    ),
    ("prompt is too long", (None, None)),
]


@pytest.mark.parametrize(("said", "numbers"), OVERFLOWS)
def test_a_servers_overflow_is_ours(
    connect: Connect, server: Scripted, said: str, numbers: tuple[int | None, int | None]
) -> None:
    code = {"message": said, "type": "invalid_request_error", "code": 400}
    server.acts = [Act(400, {"error": code})]
    for call in (connect().invoke, lambda text: list(connect().stream(text))):
        with pytest.raises(ContextOverflowError) as error:
            call("Code?")
        assert (error.value.needed, error.value.allowed) == numbers
    assert len(server.requests) == 2  # one each: never repeated


def test_a_rate_limit_is_waited_for(connect: Connect, server: Scripted) -> None:
    busy = Act(429, {"error": {"message": "slow down"}}, {"retry-after": "0.4"})
    server.acts = [busy, busy, Act()]
    assert connect().invoke("Code?").text == "7391"
    waits = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert len(waits) == 2
    assert min(waits) >= 0.4


TRANSIENT = [
    Act(500, {"error": {"message": "oops"}}),
    Act(503, {"error": {"message": "starting"}}),
    Act(body=completion(), drop=True),
]


@pytest.mark.parametrize("act", TRANSIENT, ids=["500", "503", "dropped"])
def test_a_transient_error_is_retried_so_often(
    connect: Connect, server: Scripted, act: Act
) -> None:
    server.acts = [act, act, Act()]
    assert connect(max_retries=2).invoke("Code?").text == "7391"
    assert len(server.requests) == 3
    server.acts, server.requests = [act], []
    with pytest.raises(MissingError) as error:
        connect(max_retries=2).invoke("Code?")
    assert len(server.requests) == 3
    assert "\n" not in str(error.value)


REFUSED = [
    (401, "Incorrect API key provided: " + KEY, MissingError, "export TEST_CHAT_KEY="),
    (403, "no access", MissingError, "export TEST_CHAT_KEY="),
    (404, "The model `tiny` does not exist", MissingError, "check chat.model"),
    (400, "messages: unknown role", InputError, "unknown role"),
    (422, "bad field", InputError, "bad field"),
]


@pytest.mark.parametrize(("status", "said", "kind", "remedy"), REFUSED)
def test_what_stays_wrong_is_not_retried(
    connect: Connect,
    server: Scripted,
    status: int,
    said: str,
    kind: type[ReelgraphError],
    remedy: str,
) -> None:
    server.acts = [Act(status, {"error": {"message": said}})]
    for call in (connect().invoke, lambda text: list(connect().stream(text))):
        with pytest.raises(kind, match=remedy) as error:
            call("Code?")
        assert KEY not in str(error.value)
        assert "\n" not in str(error.value)
        assert server.url in str(error.value)
    assert len(server.requests) == 2


def test_a_rate_limit_that_stays_is_said(connect: Connect, server: Scripted) -> None:
    server.acts = [Act(429, {"error": {"message": "slow down"}}, {"retry-after": "0.01"})]
    with pytest.raises(MissingError, match=r"busy after 2 retries.*chat\.max_retries"):
        connect().invoke("Code?")
    assert len(server.requests) == 3


def test_a_server_that_is_silent_is_given_up(connect: Connect, server: Scripted) -> None:
    server.acts = [Act(wait_s=30)]
    with pytest.raises(MissingError, match=r"nothing for 0\.2 s; raise chat\.timeout_s"):
        connect(timeout_s=0.2, max_retries=1).invoke("Code?")
    assert len(server.requests) == 2


NONSENSE: Sequence[Any] = [b"{", b"", b"<html>", {"choices": None}, {"choices": []}, {}, [1]]


@pytest.mark.parametrize("body", NONSENSE, ids=repr)
def test_an_answer_that_is_none_is_said(connect: Connect, server: Scripted, body: Any) -> None:
    server.acts = [Act(body=json.dumps(body).encode() if isinstance(body, list) else body)]
    with pytest.raises(ReelgraphError, match=r"no chat completion|base_url") as error:
        connect().invoke("Code?")
    assert "\n" not in str(error.value)
    with pytest.raises(MissingError, match="stream ended before the reply"):
        list(connect().stream("Code?"))


def test_a_mistake_of_ours_is_not_told_as_the_servers(connect: Connect, server: Scripted) -> None:
    chat = connect(calls_tools=True).bind(tools=[{"type": "function", "function": {1, 2}}])
    for call in (chat.invoke, lambda text: list(chat.stream(text))):
        with pytest.raises(TypeError, match="not JSON serializable"):
            call("Code?")
    assert not server.requests


def test_a_server_that_is_not_there_is_said() -> None:
    chat = EndpointChat(name="tiny", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(MissingError, match=r"127\.0\.0\.1:9/v1 failed.*is the server running"):
        chat.invoke("Code?")


def test_a_stream_comes_piece_by_piece(connect: Connect, server: Scripted) -> None:
    server.acts = [Act(body=chunks("The code", " is", " 7391."), wait_s=0.05)]
    parts = list(connect(input_price=2.0, output_price=8.0).stream("Code?"))
    assert [part.text for part in parts if part.text] == ["The code", " is", " 7391."]
    total = sum(parts[1:], parts[0])
    assert total.usage_metadata is not None
    assert total.usage_metadata["total_tokens"] == 1500
    assert total.response_metadata["cost"] == pytest.approx(0.006)
    assert total.response_metadata["finish_reason"] == "stop"
    assert server.requests[0]["stream"] is True


def test_at_the_deadline_the_reply_so_far_is_given(connect: Connect, server: Scripted) -> None:
    server.acts = [Act(body=chunks("The code", " is", " 7391."), wait_s=1.0)]
    late = connect().invoke("Code?", deadline_s=1.5)
    assert "The code is 7391.".startswith(late.text)
    assert late.text != "The code is 7391."
    assert late.response_metadata["finish_reason"] == "deadline"
    server.acts = [Act(body=chunks("The code", " is", " 7391."))]
    done = connect().invoke("Code?", deadline_s=60)
    assert (done.text, done.response_metadata["finish_reason"]) == ("The code is 7391.", "stop")
    assert done.usage_metadata is not None


def test_a_stream_that_breaks_is_said(connect: Connect, server: Scripted) -> None:
    server.acts = [Act(body=[*chunks("The code")[:1], {"error": {"message": "out of memory"}}])]
    with pytest.raises(MissingError, match="out of memory"):
        list(connect().stream("Code?"))
    server.acts = [Act(body=chunks("The code", " is")[:2], drop=True)]
    with pytest.raises(MissingError, match="stream ended before the reply"):
        connect().invoke("Code?", deadline_s=60)


def test_tools_are_called_where_the_settings_allow_it(connect: Connect, server: Scripted) -> None:
    def look(start_s: float) -> str:
        """Look at the video."""
        return ""

    with pytest.raises(InputError, match=r"chat\.tool_calling=true"):
        connect().bind_tools([look])
    wanted = {"name": "look", "arguments": '{"start_s": 3.5}'}
    called = [{"id": "c1", "type": "function", "function": wanted}]
    server.acts = [Act(body=completion("", "tool_calls", tool_calls=called))]
    reply = connect(calls_tools=True).bind_tools([look]).invoke("When?")
    assert isinstance(reply, AIMessage)
    assert reply.tool_calls[0]["args"] == {"start_s": 3.5}
    assert server.requests[0]["tools"][0]["function"]["name"] == "look"


def test_offline_no_other_machine_is_ever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        pytest.fail("a connection was tried")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    addresses = (
        None,
        "http://example.com/v1",
        "http://127.0.0.1.example.com/v1",
        "http://10.0.0.1",
    )
    for url in addresses:
        with pytest.raises(MissingError, match="--set offline=false"):
            EndpointChat(name="tiny", base_url=url, offline=True)
    for url in ("http://127.0.0.1:8000/v1", "http://localhost:1/v1", "http://[::1]:1/v1"):
        assert EndpointChat(name="tiny", base_url=url, offline=True).address == url
    assert EndpointChat(name="tiny", base_url="http://example.com/v1", offline=False).name == "tiny"


def test_offline_no_server_leads_elsewhere(connect: Connect, server: Scripted) -> None:
    server.acts = [Act(307, {}, {"location": "http://example.com/v1/chat/completions"})]
    with pytest.raises(InputError, match="307"):
        connect(offline=True).invoke("Code?")


def test_no_proxy_stands_before_this_machine(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert connect(max_retries=0).invoke("Code?").text == "7391"


def test_the_key_is_nowhere_to_be_read(
    connect: Connect, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    chat = connect()
    chat.invoke("Code?")
    shown = [repr(chat), str(chat), chat.model_dump_json(), repr(chat._client), caplog.text]
    assert not [text for text in shown if KEY in text]
    assert KEY not in json.dumps(chat._identifying_params)


def test_openais_key_goes_to_openai_alone(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    EndpointChat(name="tiny", base_url=server.url).invoke("Code?")
    assert KEY not in str(server.headers)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(MissingError, match="export OPENAI_API_KEY="):
        EndpointChat(name="tiny", offline=False)


def test_the_server_tells_its_models(connect: Connect) -> None:
    assert connect().served_models() == ["tiny"]
