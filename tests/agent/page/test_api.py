"""The named endpoints, called by real clients: Gradio's own and one of MCP."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import TextContent

pytestmark = pytest.mark.slow
Serve = Callable[..., str]
NAMES = [
    "ask",
    "chat",
    "compare",
    "detect",
    "evidence",
    "ground",
    "index",
    "search",
    "tools",
    "videos",
]


def test_the_endpoints_answer_a_program(
    serve: Serve, scripted: Callable[..., Any], harbour: Path
) -> None:
    alone = "When does the first ferry leave?"
    chat = scripted(replies=["7391", "nine", alone, "nine"])
    client = Client(serve(chat), verbose=False)
    described = client.view_api(return_format="dict", print_info=False)
    assert sorted(described["named_endpoints"]) == [f"/{name}" for name in NAMES]
    answer = client.predict(str(harbour), "What is the gate code?", api_name="/ask")
    assert answer["answer"] == "7391"
    assert answer["evidence"][0]["start_s"] == pytest.approx(1.4)
    known = client.predict(api_name="/videos")
    assert [video["name"] for video in known] == ["harbour.mp4"]
    found = client.predict("harbour.mp4", "speech", 2.0, api_name="/evidence")
    assert [item["text"] for item in found] == ["The last ferry leaves at nine."]
    moments = client.predict("the last ferry", "speech", 1, api_name="/search")["moments"]
    assert [(m["video"], m["start_s"], m["text"]) for m in moments] == [
        ("harbour.mp4", found[0]["start_s"], "The last ferry leaves at nine.")
    ]
    with urlopen(f"{client.src}{moments[0]['picture']}") as picture:
        assert picture.read()[:3] == b"\xff\xd8\xff"  # a JPEG
    assert str(harbour.parent) not in str(moments)
    with pytest.raises(Exception, match="the query is empty"):
        client.predict(" ", api_name="/search")
    with pytest.raises(Exception, match="a search returns 1 to 200 moments"):
        client.predict("ferry", "", 201, api_name="/search")
    ferry = "When does the last ferry leave?"
    client.predict(str(harbour), ferry, chat="trip", api_name="/ask")
    client.predict(str(harbour), "And the first ferry?", chat="trip", api_name="/ask")
    asked = client.predict("trip", api_name="/chat")
    assert [e["understood"] for e in asked] == [ferry, alone]
    with pytest.raises(Exception, match="no chat called"):
        client.predict("nobody", api_name="/chat")
    with pytest.raises(Exception, match="takes profiles by name"):
        client.predict(str(harbour), ferry, profile=str(harbour), api_name="/ask")
    with pytest.raises(Exception, match="takes tasks by name"):
        client.predict(str(harbour), task=str(harbour), api_name="/detect")
    with pytest.raises(Exception, match="no video is named"):
        client.predict(" ", api_name="/detect")
    judged = client.predict(str(harbour), api_name="/detect")
    assert (judged["label"], judged["code"]) == ("inconclusive", "text_only_model")
    assert judged["readings"][0]["tool"] == "optical_flow"
    assert str(harbour.parent) not in str(judged)
    with pytest.raises(Exception, match="no video is named"):
        client.predict(" ", "What?", api_name="/ask")


def test_programs_ground_and_compare(
    serve: Serve, scripted: Callable[..., Any], harbour: Path
) -> None:
    client = Client(serve(scripted(replies=["yes", "7391", "7391"])), verbose=False)
    found = client.predict(str(harbour), "the code of the gate", api_name="/ground")
    assert (found["method"], found["answer"]) == ("ground", "1.4-2.6 s")
    assert found["evidence"][0]["score"] == pytest.approx(found["confidence"], abs=1e-3)
    question, names = "What is the gate code?", ["video-rag", "direct"]
    table = client.predict(str(harbour), question, names, api_name="/compare")
    assert [row["status"] for row in table["methods"]] == ["answered", "failed"]
    assert "needs a chat model with images" in table["methods"][1]["error"]
    with pytest.raises(Exception, match="unknown method 'blnd'"):
        client.predict(str(harbour), question, ["blnd"], api_name="/compare")
    with pytest.raises(Exception, match="no video is named"):
        client.predict(" ", "x", api_name="/ground")


def test_an_mcp_client_can_ask(serve: Serve, scripted: Callable[..., Any], harbour: Path) -> None:
    address = f"{serve(scripted(replies=['yes', '7391']), mcp_server=True)}gradio_api/mcp/"

    async def call() -> Any:
        async with (
            streamablehttp_client(address) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            name = next(name for name in tools if name.endswith("ask"))
            arguments = {"video": str(harbour), "question": "What is the gate code?"}
            when = {"video": str(harbour), "what": "the code of the gate"}
            ground = next(name for name in tools if name.endswith("ground"))
            found = await session.call_tool(ground, when)
            return tools, name, await session.call_tool(name, arguments), found

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests has a loop in this one
        tools, name, result, found = thread.submit(asyncio.run, call()).result()
    assert len(tools) == len(NAMES)
    assert "Answer a question about a video" in tools[name].description
    assert "1.4-2.6 s" in str(found.content[0])
    content = result.content[0]
    assert isinstance(content, TextContent)
    assert "7391" in json.dumps(content.text)
