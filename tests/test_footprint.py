"""What a start costs: what it leaves out, what it leaves for later; and nothing looks for garbage meanwhile."""

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


NOT_BEFORE_THE_DOOR_IS_OPEN = (
    "anthropic",
    "app.agent.run",
    "app.conversations.turn",
    "app.investigations.look",
    "app.parts",
    "app.tools.promql",
    "app.web.console",
    "app.workflows.engine",
    "drain3",
    "genai_prices",
    "jinja2",
    "lightkube",
    "matplotlib",
    "mcp",
    "numpy",
    "openai",
    "pydantic_ai",
)


def test_a_door_opens_before_what_carries_out_the_work_is_imported() -> None:
    program = (
        "import sys; from app.footprint import make_what_stays; make_what_stays(); import app.runtime\n"
        "print(*sorted(set(sys.argv[1:]) & set(sys.modules)))\n"
        "import app.handlers; print(*sorted({'app.conversations.turn', 'pydantic_ai'} & set(sys.modules)))"
    )

    command = [sys.executable, "-c", program, *NOT_BEFORE_THE_DOOR_IS_OPEN]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "\napp.conversations.turn pydantic_ai\n"), ran.stderr
