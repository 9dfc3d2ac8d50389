"""Tools found and offered in one order; a call's deadline, failures and clipping."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.context.models import Source
from app.tools.catalogue import Catalogue, Tool, ToolFailed, ToolResult, ToolScope, discover
from app.tools.execute import Executed, clip, execute


class Named(BaseModel):
    name: str
    lines: int = 1


SOURCE = Source(kind="file", title="README", path="README.md")


async def greet(given: Named, scope: ToolScope) -> ToolResult:
    if given.name == "nobody":
        raise ToolFailed("There is nobody. Name somebody.")
    if given.name == "slow":
        await asyncio.sleep(60)
    if given.name == "broken":
        raise KeyError("secret detail")
    text = "\n".join(f"{n} hello {given.name} of {scope.service}" for n in range(given.lines))
    return ToolResult(text, (SOURCE,), f"greeted {given.name}")


def tool(name: str = "greet") -> Tool[Named]:
    return Tool(name, "Greet somebody.", Named, greet, deadline_seconds=0.05)


async def call(**arguments: Any) -> Executed:
    scope = ToolScope(service="checkout")
    return await execute(Catalogue([tool()]), "greet", arguments, scope=scope, limit_bytes=400)


def test_tools_are_offered_by_name_whatever_order_they_came_in() -> None:
    catalogue = Catalogue([tool("b"), tool("c"), tool("a")])
    assert [each.name for each in catalogue.offer()] == ["a", "b", "c"]


def test_two_tools_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two tools are named a"):
        Catalogue([tool("a"), tool("a")])


class Unconfigured:
    """The runtime's parts when nothing is configured."""

    def __getattr__(self, name: str) -> None:
        return None


def test_tools_whose_sources_are_not_configured_are_not_offered() -> None:
    names = [each.name for each in discover(Unconfigured()).offer()]
    assert names == []


async def test_a_result_comes_with_its_sources_and_title() -> None:
    assert await call(name="ana") == Executed(
        "0 hello ana of checkout", sources=(SOURCE,), title="greeted ana"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "nobody"}, "There is nobody. Name somebody."),
        ({"name": "slow"}, "greet did not answer within 0.05 seconds."),
        ({"name": "broken"}, "greet failed inside (KeyError); its result is not available."),
        ({"name": 1}, "The arguments of greet do not fit: name: Input should be a valid string"),
    ],
)
async def test_every_failure_is_a_sentence_for_the_model(arguments: dict[str, Any], sentence: str) -> None:
    assert await call(**arguments) == Executed(sentence, failed=True)


async def test_a_tool_that_does_not_exist_is_answered_with_those_that_do() -> None:
    done = await execute(Catalogue([tool()]), "grep", {}, scope=ToolScope(), limit_bytes=400)
    assert done == Executed("There is no tool named 'grep'. Tools on offer: greet.", failed=True)


async def test_a_long_result_is_clipped_and_kept_whole_beside() -> None:
    done = await call(name="ana", lines=100)

    assert done.full is not None
    assert len(done.full.splitlines()) == 100
    head, note, tail = (
        done.text.splitlines()[0],
        *[x for x in done.text.splitlines() if x[0] == "["],
        "99 hello",
    )
    assert head == "0 hello ana of checkout"
    assert "lines" in note
    assert done.text.splitlines()[-1].startswith(tail)


async def test_a_secret_in_a_result_is_masked_in_both_forms() -> None:
    done = await call(name="password=hunter2000", lines=100)
    assert "hunter2000" not in done.text + (done.full or "") + (done.title or "")


@given(st.text(max_size=3000), st.integers(256, 2000))
def test_clipping_stays_within_the_limit_and_within_the_text(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    assert len(clipped.encode()) <= limit
    if clipped == text:
        return
    head, _, tail = clipped.partition("\n[… ")
    assert text.startswith(head)
    assert text.endswith(tail.partition("…]\n")[2])
