"""Where the knowledge folder is that comes with the program."""

from __future__ import annotations

from pathlib import Path

import app


def packaged_path() -> Path:
    """`app/_packaged/knowledge` in an installed wheel, `knowledge/` beside `app/` in a checkout."""
    package = Path(app.__file__).resolve().parent
    installed = package / "_packaged" / "knowledge"
    return installed if installed.is_dir() else package.parent / "knowledge"
