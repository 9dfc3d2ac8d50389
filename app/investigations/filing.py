"""Reports as files: a name that cannot leave its folder, and a write that is whole or not there."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from app.errors import AgentError
from app.investigations.record import Record
from app.investigations.times import utc

NAME = re.compile(r"\d{8}T\d{4}Z-[a-z0-9][a-z0-9-]{0,59}-[0-9a-f]{32}\.md")


class ReportNotWritten(AgentError):
    """The folder of reports did not take one; it is kept in the database all the same."""

    code = "report_not_written"


def report_file_name(record: Record) -> str:
    """`20261120T0211Z-checkout-<id>.md`: from the start, the service (or the title) and the id alone."""
    words = re.sub(r"[^a-z0-9]+", "-", (record.service or record.title).lower()).strip("-")
    return f"{utc(record.started_at):%Y%m%dT%H%MZ}-{words[:60].strip('-') or 'incident'}-{record.id.hex}.md"


def write_report(folder: Path, name: str, content: str) -> Path:
    """Write a report, replacing an earlier one of that name; blocks, so call it in a thread.

    Raises:
        ReportNotWritten: the name is none of ours, or the folder cannot be written to.
    """
    if not NAME.fullmatch(name):
        raise ReportNotWritten("The report was not written as a file: its name is not one of a report.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{name}.{secrets.token_hex(4)}.part"
        try:
            with part.open("x", encoding="utf-8", errors="replace") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / name)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ReportNotWritten(
            f"The report was not written as a file ({why}); check INCIDENTS_DIR. It is kept in the database."
        ) from error
    return folder / name
