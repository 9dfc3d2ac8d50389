"""While a program starts nothing looks for garbage, and afterwards something does again."""

from __future__ import annotations

import gc
import subprocess
import sys

from app.footprint import make_what_stays, settle


def test_the_collector_rests_while_a_program_starts_and_then_passes_over_what_stays() -> None:
    make_what_stays()
    assert not gc.isenabled()

    settle()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_a_program_that_serves_has_no_colours_loaded_and_may_load_them() -> None:
    program = (
        "import sys; from app.footprint import make_what_stays; make_what_stays(); import app.runtime\n"
        "print([name for name in ('rich', 'pygments') if name in sys.modules]); import rich.progress, pygments"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr
