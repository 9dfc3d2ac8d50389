"""A workflow carried out by hand: words in, what is asked and made out; looks are answered from a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.workflows import engine
from app.workflows.actions import Action, Ask, Look, Make, Step
from app.workflows.commands import event_of
from app.workflows.document import Workflow
from app.workflows.events import Event, Looked, Made
from app.workflows.reading import read
from app.workflows.rendering import Handed, render_artifacts
from app.workflows.state import State
from app.workflows.view import View

SAMPLES = Path(__file__).parent / "samples"
FILES = {
    "artifacts/slo.yaml": """\
service: "{{ service }}"
team: {{ team }}
slos:
{% for journey in journeys %}
  - name: {{ journey }}
    target: {{ journey.target }}
    {% if journey.note %}
    note: "{{ journey.note }}"
    {% endif %}
{% endfor %}
""",
    "artifacts/slo.schema.yaml": """\
type: object
required: [service, slos]
properties:
  service: {type: string}
  slos:
    type: array
    items:
      type: object
      required: [name, target]
      properties: {name: {type: string}, target: {type: number, minimum: 90}}
""",
}
FACTS: Mapping[str, Any] = {
    "service": {"name": "checkout", "team": "payments", "tier": 1},
    "baseline": {"availability": 99.9},
    "backtest": {"misses": 2},
}


def sample(name: str = "slo.md", text: str | None = None) -> Workflow:
    text = (SAMPLES / name).read_text("utf-8") if text is None else text
    path = f"workflows/{name}"
    reading = read(path, text, {path: text, **FILES})
    assert reading.workflow is not None, reading.faults
    return reading.workflow


@dataclass
class Play:
    """The last step's actions are `said`; `looks` are all wants that were looked up, in order."""

    workflow: Workflow
    facts: Mapping[str, Any] = field(default_factory=lambda: FACTS)
    state: State = field(init=False)
    said: list[Action] = field(default_factory=list)
    looks: list[tuple[str, ...]] = field(default_factory=list)
    handed: tuple[Handed, ...] = ()

    def begin(self, service: str | None = None) -> Play:
        self._take(engine.begin(self.workflow, revision="r1", by="U1", service=service))
        return self

    def say(self, *texts: str, by: str = "U1") -> Play:
        for text in texts:
            event = event_of(text, by, self.view)
            assert event is not None, f"“{text}” is not for the workflow"
            self.do(event)
        return self

    def do(self, event: Event) -> Play:
        self.said = []
        self._take(engine.step(self.workflow, self.state, event))
        return self

    def _take(self, step: Step) -> None:
        # What is stored is what the next turn reads.
        state = State.from_json(step.state.to_json())
        assert state == step.state
        self.state = step.state
        self.said += step.actions
        for action in step.actions:
            if isinstance(action, Look):
                self.looks.append(action.wants)
                found = {want: self.facts[want] for want in action.wants if want in self.facts}
                self._take(engine.step(self.workflow, self.state, Looked(action.wants, found)))
            elif isinstance(action, Make):
                self.handed = render_artifacts(self.view)
                self._take(engine.step(self.workflow, self.state, Made()))

    @property
    def view(self) -> View:
        return View(self.workflow, self.state)

    @property
    def asked(self) -> str:
        """The question that stands at the end of the last step; empty when none does."""
        asked = [each.question for each in self.said if isinstance(each, Ask)]
        return asked[-1] if asked else ""

    def all(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.said if isinstance(each, kind)]

    def answers(self) -> dict[str, Any]:
        return {name: given.value for name, given in self.state.answers.items()}
