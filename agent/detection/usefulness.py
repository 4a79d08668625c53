"""Ask the model how useful it finds each tool: the subjective part of a score."""

import random
from collections.abc import Sequence
from inspect import getdoc

import prompts
from agent.answering.conversation import send
from agent.answering.replies import json_objects
from agent.detection.task import Task
from agent.models.chat_model import ChatModel
from agent.records import Turn
from tools.registry import tool_classes

ASKS, HIGHEST = 3, 4


def ask_usefulness(task: Task, tools: Sequence[str], chat: ChatModel) -> dict[str, float]:
    """Return the mean rating of each tool as a share; a tool without a valid rating is left out.

    The model is asked three times with the tools in another order.
    """
    ratings: dict[str, list[int]] = {tool: [] for tool in tools}
    for seed in range(ASKS):
        order = list(tools)
        random.Random(seed).shuffle(order)
        lines = [f"{tool}: {_about(tool)}" for tool in order]
        text = prompts.render("detect_usefulness", question=task.question, tools=lines)
        reply, _ = send([Turn("user", text)], chat, max_new_tokens=40 + 16 * len(tools))
        for found in json_objects(reply)[:1]:
            for tool, value in found.items():
                if tool in ratings and type(value) is int and 0 <= value <= HIGHEST:
                    ratings[tool].append(value)
    return {t: sum(found) / len(found) / HIGHEST for t, found in ratings.items() if found}


def _about(tool: str) -> str:
    known = tool_classes().get(tool)
    return (getdoc(known) or tool).splitlines()[0] if known else tool
