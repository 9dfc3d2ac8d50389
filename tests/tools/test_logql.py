"""Log lines as the model reads them: by kind, new and rising ones first, the rest kept beside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.sources.loki import Loki
from app.tools import logql
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.sources import FakeLoki

END = 1_763_719_200.0
START = END - 900


async def ask(loki: Loki, **arguments: Any) -> Executed:
    made = logql.tool(SimpleNamespace(loki=loki))
    assert made is not None
    scope = ToolScope(clock=lambda: datetime.fromtimestamp(END, UTC))
    given = {"query": '{service="checkout"}', **arguments}
    return await execute(Catalogue([made]), "logql", given, scope=scope, limit_bytes=4096)


@pytest.fixture
async def server() -> AsyncIterator[FakeLoki]:
    steady = [(START + 5 + 10 * n, f"INFO served order {n} in 12 ms") for n in range(89)]
    broken = [
        (END - 300 + 2 * n, f"ERROR connection to 10.0.0.{n % 9} refused for ana@example.com")
        for n in range(100)
    ]
    async with FakeLoki(
        [({"service": "checkout"}, steady), ({"service": "checkout", "pod": "b"}, broken)]
    ) as running:
        yield running


@pytest.fixture
async def loki(server: FakeLoki) -> AsyncIterator[Loki]:
    client = Loki(server.endpoint)
    yield client
    await client.aclose()


async def test_a_new_error_comes_before_what_is_always_logged(loki: Loki) -> None:
    done = await ask(loki)

    head, first, example, second, *_ = done.text.splitlines()
    assert head == "189 lines of 2025-11-21 09:45:00–10:00:00 UTC (counts before → after 09:52:30), 2 kinds:"
    assert first.startswith(
        "- NEW 100× (0 → 100, first seen 09:55:00) error checkout: ERROR connection to <*> refused"
    )
    assert example.startswith("  e.g. ERROR connection to 10.0.0.")
    assert second.startswith("- 89× (45 → 44, first seen 09:45:05) info checkout: INFO served order <*>")
    assert done.title == "Asked Loki: 189 lines"
    assert done.sources[0].url == loki.link('{service="checkout"}', START, END, 500)


async def test_every_line_is_kept_and_personal_data_is_in_none(loki: Loki) -> None:
    done = await ask(loki)
    assert done.full is not None
    assert len(done.full.splitlines()) == 189
    assert done.full.splitlines()[0] == "09:45:05.000 info checkout INFO served order 0 in 12 ms"
    assert "ana@example.com" not in done.text + done.full


async def test_when_the_limit_cuts_lines_off_they_are_compared_with_earlier_ones(loki: Loki) -> None:
    done = await ask(loki, limit=50)
    head, more, first, _, second, *_ = done.text.splitlines()
    assert head == (
        "50 lines of 2025-11-21 09:57:12–10:00:00 UTC, beside 45 up to 09:52:25 (counts there → here), 2 kinds:"
    )
    assert more == "There are more lines: narrow the query or the time."
    assert first.startswith("- NEW 34× (0 → 34, first seen 09:57:12) error checkout")
    assert second.startswith("- 61× (45 → 16, ")
    assert done.full is not None
    assert len(done.full.splitlines()) == 95


async def test_nothing_found_says_so(server: FakeLoki, loki: Loki) -> None:
    server.streams = []
    done = await ask(loki)
    assert done == Executed(
        "No line matches (2025-11-21 09:45:00–10:00:00 UTC).",
        sources=done.sources,
        title="Asked Loki: 0 lines",
    )


async def test_a_wrong_query_comes_back_in_loki_s_own_words(loki: Loki) -> None:
    done = await ask(loki, query="nonsense")
    assert done.failed
    assert (
        done.text
        == "loki rejects the query: parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"
    )


async def test_many_kinds_fit_and_the_rest_is_counted(server: FakeLoki, loki: Loki) -> None:
    names = ["".join(chr(97 + (n // 26**p) % 26) for p in range(3)) for n in range(300)]
    server.streams = [({"service": name}, [(END - 10, f"ERROR {name} " + "word " * 30)]) for name in names]
    done = await ask(loki)
    assert len(done.text.encode()) <= 4096
    assert done.text.splitlines()[-1].endswith("more kinds of lines)")


@pytest.mark.parametrize("arguments", [{"minutes": 121}, {"limit": 501}, {"query": ""}])
async def test_arguments_out_of_bounds_ask_nothing(
    server: FakeLoki, loki: Loki, arguments: dict[str, Any]
) -> None:
    assert (await ask(loki, **arguments)).failed
    assert server.asked == []


def test_without_loki_there_is_no_tool() -> None:
    assert logql.tool(SimpleNamespace()) is None
