"""The audit log as a file: NDJSON, which loses nothing, and CSV, which no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from app.web.console import repository
from app.web.console.models import AuditFilter, AuditRow

Format = Literal["csv", "ndjson"]
MEDIA: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
ROWS_AT_ONCE = 1_000
COLUMNS = tuple(field.name for field in fields(AuditRow))

FORMULA = tuple("=+-@\t\r\n＝＋－＠|%")
"""What a cell begins with that spreadsheets compute, also behind blanks:
https://owasp.org/www-community/attacks/CSV_Injection"""


async def exported(engine: AsyncEngine, wanted: AuditFilter, form: Format) -> AsyncIterator[bytes]:
    """All rows, the newest first, a part at a time.

    Each part is a transaction of its own: who downloads slowly holds nothing of the database meanwhile.
    """
    write: Callable[[Sequence[AuditRow]], str] = as_csv if form == "csv" else as_ndjson
    if form == "csv":
        yield csv_line(COLUMNS).encode()
    before: str | None = None
    while True:
        async with repository.reading(engine) as connection:
            part = await repository.audit(connection, wanted, before=before, limit=ROWS_AT_ONCE, whole=True)
        if part.rows:
            yield write(part.rows).encode()
        if part.older is None:
            return
        before = part.older


def as_ndjson(rows: Sequence[AuditRow]) -> str:
    return "".join(json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: Sequence[AuditRow]) -> str:
    return "".join(csv_line([cell(value) for value in _plain(row).values()]) for row in rows)


def cell(value: object) -> str:
    """A value as a cell: text that a spreadsheet would compute is made text by an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) or value.lstrip().startswith(FORMULA) else value
    return str(value).lower() if isinstance(value, bool) else str(value)


def csv_line(cells: Sequence[str]) -> str:
    """As RFC 4180 has it."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(cells)
    return out.getvalue()


def _plain(row: AuditRow) -> dict[str, object]:
    return {
        name: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for name, value in asdict(row).items()
    }
