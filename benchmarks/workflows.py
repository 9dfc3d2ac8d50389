"""How long the phase machine takes for one event, with its state read from JSON and written back.

Two workflows: one of six questions, as people write them, and the largest that `knowledge check` lets pass.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from app.workflows import engine
from app.workflows.actions import Ask, Look, Make
from app.workflows.commands import event_of
from app.workflows.document import MOST_FIELDS, MOST_PHASES, Workflow
from app.workflows.events import Looked, Made
from app.workflows.reading import read
from app.workflows.rendering import render_artifacts
from app.workflows.state import State
from app.workflows.view import View
from benchmarks import resuming
from benchmarks.figures import Row, Target, spread

PARTS = ("usual", "largest", "killed")
QUICK, FULL = 20, 200
"""How often the usual workflow is carried out; the largest one less often, and five times as many sessions
are resumed."""
SCRIPT = """\
usual     6 questions in 3 phases, two of them for each of 3 journeys; a question beside it, a correction
largest   50 phases with 200 fields
killed    1,000 sessions in mid-workflow over Slack and Postgres; `serve` is killed with -9 while answers come
          in, and another one goes on
counted   from stored JSON and a message to the new JSON and what is to be said; then the artifact alone
"""
USUAL = """\
# Targets
## Phase 1: Journeys
```fields
- name: service
- name: journeys
  type: list
```
## Phase 2: Targets
```fields
each: journeys
as: journey
fields:
  - name: target
    type: percent
    question: "Which target has {{ journey }}?"
  - name: threshold
    type: duration
    propose: 300ms
```
## Phase 3: Output
```fields
- name: owner
- name: window
  type: choice
  choices: [7d, 30d]
```
```yaml
service: {{ service }}
owner: {{ owner }}
slos:
{% for journey in journeys %}
  - name: {{ journey }}
    target: {{ journey.target }}
    threshold: {{ journey.threshold }}
    window: {{ window }}
{% endfor %}
```
"""
SAID = (
    *(
        "checkout",
        "pay, search, log in",
        "99.9",
        "yes",
        "half of them",
        "99.95 %",
        "250ms",
        "what is an SLO?",
    ),
    *("status", "99", "yes", "target of pay: 99.5", "payments", "2"),
)


async def run(size: int, parts: Sequence[str]) -> list[Row]:
    rows = []
    if "usual" in parts:
        rows += measured("6 questions", workflow(USUAL), SAID, size)
    if "largest" in parts:
        each = MOST_FIELDS // MOST_PHASES
        phases = (
            f"## Phase {n}: P{n}\n```fields\n" + "".join(f"- name: f{n}_{m}\n" for m in range(each)) + "```\n"
            for n in range(MOST_PHASES)
        )
        answers = [f"answer {n}" for n in range(MOST_FIELDS)]
        rows += measured(
            f"{MOST_FIELDS} fields", workflow("# T\n" + "".join(phases)), answers, max(1, size // 50)
        )
    if "killed" in parts:
        rows += await resuming.run(size * 5)
    return rows


def workflow(text: str) -> Workflow:
    reading = read("workflows/bench.md", text, {"workflows/bench.md": text})
    assert reading.workflow is not None, reading.faults
    return reading.workflow


def measured(name: str, it: Workflow, said: Sequence[str], rounds: int) -> list[Row]:
    steps: list[float] = []
    making: list[float] = []
    for _ in range(rounds):
        times, made = carried_out(it, said)
        steps += times
        making.append(made)
    return [
        Row(f"a step, {name}", "ms", spread(steps), target=Target("p95", 2), count=len(steps)),
        Row(f"the artifact, {name}", "ms", spread(making), count=len(making)),
    ]


def carried_out(it: Workflow, said: Sequence[str]) -> tuple[list[float], float]:
    """The times of all steps and of the artifact, in ms; raises when it does not come to its end."""
    state = engine.begin(it, revision="r1", by="U1").state
    stored = json.dumps(state.to_json())
    times = []
    for text in said:
        began = time.perf_counter()
        state = stepped(it, stored, text)
        stored = json.dumps(state.to_json())
        times.append((time.perf_counter() - began) * 1000)
    assert state.status == "done", state.at
    began = time.perf_counter()
    (file,) = render_artifacts(View(it, state))
    assert not file.todos
    assert not file.faults
    return times, (time.perf_counter() - began) * 1000


def stepped(it: Workflow, stored: str, text: str) -> State:
    state = State.from_json(json.loads(stored))
    assert state is not None
    event = event_of(text, "U1", View(it, state))
    assert event is not None
    step = engine.step(it, state, event)
    while look := next((each for each in step.actions if isinstance(each, Look)), None):
        step = engine.step(it, step.state, Looked(look.wants, {}))
    if any(isinstance(each, Make) for each in step.actions):
        return engine.step(it, step.state, Made()).state
    assert any(isinstance(each, Ask) for each in step.actions)
    return step.state
