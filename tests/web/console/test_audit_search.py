"""The audit log searched and exported: by everything it has, in bounded time, without harm to a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.engine import begin
from app.web.console import repository
from app.web.console.export import as_csv, cell
from app.web.console.models import AuditFilter
from tests.web.console.conftest import NOW, seen
from tests.web.console.test_pages import text_of


async def rows(history: AsyncEngine, wanted: AuditFilter, **how: object) -> list[str]:
    """What was answered in the rows found, over all pages."""
    found: list[str] = []
    before = None
    while True:
        async with repository.reading(history) as connection:
            page = await repository.audit(connection, wanted, before=before, **how)  # type: ignore[arg-type]
        found += [each.response_text or "" for each in page.rows]
        if (before := page.older) is None:
            return found


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (AuditFilter(), range(130)),
        (AuditFilter(user="U0OMAR"), range(1, 130, 3)),
        (AuditFilter(action="message"), range(0, 130, 3)),
        (AuditFilter(service="payments"), range(1, 130, 5)),
        (AuditFilter(user="U0OMAR", service="payments"), range(1, 130, 15)),
        (AuditFilter(channel="C0CHECKOUT", thread="170.000100"), range(0, 130, 9)),
        (AuditFilter(text="ROW 7"), [7, *range(70, 80)]),
        (AuditFilter(text="row 100: the"), [100]),
        (AuditFilter(text="quote slo", user="U0LENA"), range(3, 130, 15)),
        (AuditFilter(text="50%_\\"), []),
        (AuditFilter(text="row _"), []),
        (AuditFilter(user="U0NOBODY"), []),
    ],
)
async def test_rows_are_found_by_what_they_have(
    history: AsyncEngine, wanted: AuditFilter, numbers: range
) -> None:
    assert await rows(history, wanted) == [f"row {number}: the timeout is 800 ms" for number in numbers]


async def test_a_time_is_a_filter_too(visitor: httpx.AsyncClient) -> None:
    since = f"{NOW.fromtimestamp(NOW.timestamp() - 7 * 60 * 9.5, NOW.tzinfo):%Y-%m-%dT%H:%M:%S}"
    until = f"{NOW.fromtimestamp(NOW.timestamp() - 7 * 60 * 4.5, NOW.tzinfo):%Y-%m-%dT%H:%M:%S}"
    exported = await visitor.get("/console/audit.ndjson", params={"since": since, "until": until})
    said = [json.loads(line)["response_text"] for line in exported.text.splitlines()]
    assert [each.partition(":")[0] for each in said] == [f"row {number}" for number in range(5, 10)]


async def test_a_search_stops_when_its_time_is_up_and_goes_on_where_it_stopped(
    history: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "FIRST_PART", 20)
    wanted, before, pages, found = AuditFilter(text="row 12"), None, 0, []
    while True:
        async with repository.reading(history) as connection:
            page = await repository.audit(connection, wanted, before=before, seconds=0)
        pages += 1
        found += [each.response_text for each in page.rows]
        if page.older is None:
            break
        assert page.searched_to
        assert page.searched == 20
        before = page.older
    assert pages == 7
    assert [str(each).partition(":")[0] for each in found] == [
        f"row {number}" for number in (12, *range(120, 130))
    ]


async def test_a_page_of_a_search_that_is_full_ends_with_its_last_row(
    history: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "FIRST_PART", 7)
    assert await rows(history, AuditFilter(text="timeout"), limit=10) == await rows(history, AuditFilter())


async def test_the_page_says_how_far_it_has_searched(
    visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "FIRST_PART", 20)
    monkeypatch.setattr(
        repository.audit, "__kwdefaults__", {**repository.audit.__kwdefaults__, "seconds": 0.0}
    )  # type: ignore[attr-defined]
    page = await seen(visitor, "/console/audit?text=row+125")
    assert "Not in the newest 20 rows" in text_of(page)
    assert re.search(r"Searched back to [\d: -]+ UTC\. Search further back", text_of(page))
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older
    assert "text=row+125" in older[1]


async def test_ndjson_loses_nothing(visitor: httpx.AsyncClient, history: AsyncEngine) -> None:
    exported = await visitor.get("/console/audit.ndjson")
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    assert re.fullmatch(
        r'attachment; filename="sre-agent-audit-\d{8}T\d{6}Z\.ndjson"',
        exported.headers["content-disposition"],
    )
    read = [json.loads(line) for line in exported.text.splitlines()]
    async with begin(history) as connection:
        stored = (
            (await connection.execute(text("SELECT * FROM audit_log ORDER BY created_at DESC, id DESC")))
            .mappings()
            .all()
        )
    assert len(read) == len(stored) == 130
    for one, row in zip(read, stored, strict=True):
        assert one.pop("created_at") == row["created_at"].isoformat().replace("+00:00", "Z")
        assert one == {name: row[name] for name in one}


async def test_csv_has_the_same_rows_and_no_formula(visitor: httpx.AsyncClient) -> None:
    exported = await visitor.get("/console/audit.csv?user=U0LENA")
    read = list(csv.DictReader(io.StringIO(exported.text)))
    assert len(read) == 44
    assert read[0]["input_text"].startswith("'=HYPERLINK(1)")
    assert {each["user_id"] for each in read} == {"U0LENA"}
    assert {each["sre_tagged"] for each in read} == {"true", "false"}


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n\n@x", "＝1", "|calc", "%0"]
)
def test_what_a_spreadsheet_would_compute_is_made_text(formula: str) -> None:
    assert cell(formula) == f"'{formula}"


def test_other_cells_stay_as_they_are() -> None:
    assert [cell(each) for each in ("a=b", "", None, 0.5, True, "'x", "ünï")] == [
        "a=b",
        "",
        "",
        "0.5",
        "true",
        "'x",
        "ünï",
    ]
    assert as_csv([]) == ""


async def test_more_rows_than_one_part_are_exported_whole(
    visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.console.export.ROWS_AT_ONCE", 50)
    exported = await visitor.get("/console/audit.ndjson")
    assert len({json.loads(line)["id"] for line in exported.text.splitlines()}) == 130


async def test_the_database_itself_refuses_the_console_to_write(history: AsyncEngine) -> None:
    for statement in (
        "DELETE FROM sessions",
        "UPDATE turns SET status = 'done'",
        "SELECT audit_prune(400, 1)",
        "CREATE TABLE x ()",
    ):
        with pytest.raises(DBAPIError, match="read-only transaction"):
            async with repository.reading(history) as connection:
                await connection.execute(text(statement))
        with pytest.raises(DBAPIError, match="read-only transaction"):
            async with begin(history) as connection:
                await connection.execute(text(statement))


async def test_a_statement_that_takes_too_long_says_so(history: AsyncEngine) -> None:
    async def dawdle() -> None:
        async with repository.reading(history) as connection:
            await connection.exec_driver_sql("SET LOCAL statement_timeout = 20")
            await connection.exec_driver_sql("SELECT pg_sleep(5)")

    with pytest.raises(repository.TookTooLong):
        await dawdle()


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (AuditFilter(), "ix_audit_log_created_at_id"),
        (AuditFilter(user="U0LENA"), "ix_audit_log_user_id_created_at_id"),
        (AuditFilter(service="payments"), "ix_audit_log_service_name_created_at_id"),
        (AuditFilter(action="message"), "ix_audit_log_action_created_at_id"),
    ],
)
async def test_a_page_far_back_is_read_from_an_index_at_its_key(
    history: AsyncEngine, wanted: AuditFilter, index: str
) -> None:
    where, values = repository._audit_where(wanted, f"{NOW:%Y-%m-%dT%H:%M:%SZ}~1")
    statement = repository.AUDIT.format(columns="id", where=" AND ".join(where))
    async with repository.reading(history) as connection:
        # Of 130 rows another way would do as well.
        for way in ("enable_sort", "enable_bitmapscan"):
            await connection.exec_driver_sql(f"SET LOCAL {way} = off")
        plan = "\n".join(
            (await connection.execute(text(f"EXPLAIN {statement}"), {**values, "limit": 51})).scalars()
        )
    assert f"using {index}" in plan
    assert re.search(r"Index Cond: .*ROW\(created_at, id\) < ROW", plan)
