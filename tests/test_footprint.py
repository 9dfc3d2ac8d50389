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


def run(program: str, *arguments: str) -> str:
    """What a program says that has imported all that serves."""
    begun = "import sys; from app.footprint import make_what_stays; make_what_stays(); import app.runtime\n"
    command = [sys.executable, "-c", begun + program, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_program_that_serves_has_no_colours_loaded_and_may_load_them() -> None:
    said = run(
        "print([name for name in ('rich', 'pygments', 'email_validator') if name in sys.modules])\n"
        "import rich.progress, pygments, email_validator"
    )
    assert said == "[]\n"


def test_its_routes_do_without_the_first_version_of_pydantic() -> None:
    """Which FastAPI would import to refuse its models."""
    said = run(
        "from fastapi import FastAPI; from pydantic import BaseModel\n"
        "class Told(BaseModel): ready: bool\n"
        "app = FastAPI(); app.get('/told', response_model=list[Told] | None)(lambda: None)\n"
        "print(app.openapi()['paths']['/told']['get']['operationId'])\n"
        "print([name for name in sys.modules if name.startswith('pydantic.v1.')])"
    )
    assert said == "_lambda__told_get\n[]\n"


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
    said = run(
        "print(*sorted(set(sys.argv[1:]) & set(sys.modules)))\n"
        "import app.handlers; print(*sorted({'app.conversations.turn', 'pydantic_ai'} & set(sys.modules)))",
        *NOT_BEFORE_THE_DOOR_IS_OPEN,
    )
    assert said == "\napp.conversations.turn pydantic_ai\n"
