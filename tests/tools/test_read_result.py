"""A digest points to its whole result, and a narrower question reads in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from app.tools import read_result
from app.tools.catalogue import Catalogue, Tool, ToolResult, ToolScope
from app.tools.execute import Executed, execute


class Nothing(BaseModel):
    pass


class Journal:
    """Whole results by session and call, as the journal keeps them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int | None, str], str] = {}

    async def full(self, call_id: str, session_id: int | None) -> str | None:
        return self.kept.get((session_id, call_id))


WHOLE = "\n".join(f"{n:04} {'ERROR' if n % 50 == 0 else 'info'} password=hunter{n:04}" for n in range(1000))


async def digest(given: Nothing, scope: ToolScope) -> ToolResult:
    return ToolResult(f"a thousand lines in {scope.limit_bytes} bytes", full=WHOLE)


async def long(given: Nothing, scope: ToolScope) -> ToolResult:
    return ToolResult(WHOLE)


def catalogue(journal: Journal) -> Catalogue:
    reader = read_result.tool(SimpleNamespace(results=journal))
    assert reader is not None
    return Catalogue([Tool("digest", "", Nothing, digest), Tool("long", "", Nothing, long), reader])


async def call(journal: Journal, name: str, *, session: int = 7, **arguments: Any) -> Executed:
    scope = ToolScope(call_id="call-1", session_id=session)
    done = await execute(catalogue(journal), name, arguments, scope=scope, limit_bytes=1000)
    if done.full is not None:
        journal.kept[session, "call-1"] = done.full
    return done


@pytest.mark.parametrize("name", ["digest", "long"])
async def test_a_digest_says_where_its_whole_is(name: str) -> None:
    done = await call(Journal(), name)
    assert done.text.endswith("\n[read_result finds lines in the whole result: call=call-1]")
    assert len(done.text.encode()) <= 1000
    assert done.full is not None
    assert len(done.full.splitlines()) == 1000
    assert "hunter" not in done.text + done.full


async def test_a_tool_is_told_how_much_will_be_read() -> None:
    assert (await call(Journal(), "digest")).text.startswith("a thousand lines in 941 bytes")


async def test_without_the_reader_no_way_is_named() -> None:
    tools = Catalogue([Tool("digest", "", Nothing, digest)])
    done = await execute(tools, "digest", {}, scope=ToolScope(call_id="c"), limit_bytes=1000)
    assert done.text == "a thousand lines in 1000 bytes"
    assert done.full is not None


async def test_lines_are_found_by_their_words() -> None:
    journal = Journal()
    await call(journal, "long")
    done = await call(journal, "read_result", call="call-1", words="error 09")
    assert done.text.splitlines() == [
        "1000 lines in all, 2 lines that match:",
        "  901  0900 ERROR password=[masked secret]",
        "  951  0950 ERROR password=[masked secret]",
    ]


async def test_a_range_is_read_on_from_where_it_ended() -> None:
    journal = Journal()
    await call(journal, "long")
    first = await call(journal, "read_result", call="call-1", from_line=11)
    assert first.text.splitlines()[:2] == [
        "1000 lines in all, 990 lines from there on:",
        "   11  0010 info password=[masked secret]",
    ]
    assert len(first.text.encode()) <= 1000
    go_on = int(first.text.splitlines()[-1].removeprefix("Go on with from_line=").rstrip("."))
    second = await call(journal, "read_result", call="call-1", from_line=go_on, lines=1)
    assert second.text.splitlines()[1].split()[0] == str(go_on)
    assert f"   {go_on - 1}  " in first.text


async def test_another_conversation_s_result_is_not_found() -> None:
    journal = Journal()
    await call(journal, "long")
    done = await call(journal, "read_result", session=8, call="call-1")
    assert done == Executed(
        "No whole result is kept for the call 'call-1' in this conversation.", failed=True
    )


async def test_one_endless_line_is_read_from_its_beginning() -> None:
    journal = Journal()
    journal.kept[7, "x"] = "a" * 100_000
    done = await call(journal, "read_result", call="x")
    assert done.text.splitlines()[1].startswith("    1  aaa")
    assert done.text.splitlines()[1].endswith("…")


def test_without_a_journal_there_is_no_tool() -> None:
    assert read_result.tool(SimpleNamespace()) is None
