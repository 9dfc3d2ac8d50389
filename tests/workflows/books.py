"""The workflows that come with the program, carried out without a model and with the real lookups."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.context.blueprints import read_blueprints
from app.context.runbooks import runbooks_of
from app.knowledge.loading import load
from app.knowledge.models import Knowledge
from app.knowledge.packaged import packaged_path
from app.storage.tree import read_folder
from app.workflows import engine
from app.workflows.actions import Action, Ask, Look, Make, Refused, Step
from app.workflows.commands import event_of
from app.workflows.document import Workflow
from app.workflows.events import Event, Looked, Made
from app.workflows.facts import Asked, Gathered, Picture, gather
from app.workflows.in_words import text_of
from app.workflows.library import WorkflowLibrary
from app.workflows.of_service import OfService
from app.workflows.rendering import Handed, render_artifacts
from app.workflows.state import State
from app.workflows.view import View
from app.workflows.wants.every import lookups
from app.workflows.wants.reads import Reads

EXAMPLE = Path(__file__).parents[2] / "app/playground/example/blueprints"
PROMTOOL = Path("/usr/bin/promtool")


@cache
def knowledge() -> Knowledge:
    return load(read_folder(packaged_path()))


def reads(**more: Any) -> Reads:
    """The example catalog and the packaged knowledge; nothing else is configured unless it is given."""
    blueprints = read_blueprints(read_folder(EXAMPLE))

    async def known(revision: str | None) -> Knowledge:
        return knowledge()

    async def runbooks() -> Any:
        return runbooks_of(knowledge())

    return Reads(known, lambda: blueprints, runbooks=runbooks, **more)


@dataclass
class Book:
    """`questions` are all that were asked, `notices` what was told beside them."""

    workflow: Workflow
    reads: Reads
    state: State = field(init=False)
    said: list[Action] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    handed: tuple[Handed, ...] = ()

    def __post_init__(self) -> None:
        self.services = OfService(lambda: self.reads.blueprints().catalog)
        self.lookups = {"service": self.services, **lookups(self.reads)}

    async def begin(self, service: str | None = "checkout") -> Book:
        facts = {"today": "2026-01-15", "thread": "https://acme.slack.com/archives/C1/p1", "started_by": "U1"}
        step = engine.begin(
            self.workflow, revision="r1", by="U1", service=service, facts=facts, services=self.services.name
        )
        await self._take(step)
        return self

    async def say(self, *texts: str) -> Book:
        for text in texts:
            event = event_of(text, "U1", self.view)
            assert event is not None, f"“{text}” is not for the workflow"
            self.said = []
            await self._take(engine.step(self.workflow, self.state, event, services=self.services.name))
        return self

    async def agree(self, most: int = 60) -> Book:
        """Take every proposal, and skip what has none, to the end."""
        for _ in range(most):
            if self.state.status != "asking":
                return self
            await self.say("skip" if self.state.proposed is None else "yes")
            assert not [each for each in self.said if isinstance(each, Refused)]
        raise AssertionError(f"still asking: {self.questions[-1]}")

    async def _take(self, step: Step) -> None:
        while True:
            assert State.from_json(step.state.to_json()) == step.state
            self.state = step.state
            self.said += step.actions
            self.questions += [each.question for each in step.actions if isinstance(each, Ask)]
            last = step.actions[-1] if step.actions else None
            if isinstance(last, Look):
                event: Event = await self._look(last)
            elif isinstance(last, Make):
                self.handed, event = render_artifacts(self.view), Made()
            else:
                return
            step = engine.step(self.workflow, self.state, event, services=self.services.name)

    async def _look(self, look: Look) -> Looked:
        answers = {slot_id: given.value for slot_id, given in self.state.answers.items()}
        found: Gathered = await gather(
            look.wants, Asked(self.view.service, answers, self.state.facts), self.lookups
        )
        self.notices += found.notices
        self.pictures += found.pictures
        return Looked(look.wants, found.facts)

    @property
    def view(self) -> View:
        return View(self.workflow, self.state, self.services.name)

    @property
    def asked(self) -> str:
        return self.questions[-1]

    def answer(self, slot_id: str) -> str:
        slot = self.view.slot(slot_id)
        assert slot is not None, slot_id
        return text_of(self.view.value(slot))

    def file(self, name: str) -> Handed:
        found = {each.file_name: each for each in self.handed}
        assert name in found, list(found)
        return found[name]


def book(words: str, given: Reads | None = None) -> Book:
    """The workflow that these words start."""
    workflow = WorkflowLibrary().started(words, knowledge())
    assert workflow is not None, words
    return Book(workflow, given or reads())


def promtool(content: str, folder: Path) -> str:
    """What the real `promtool check rules` says; it fails the test where the rules are not accepted."""
    if not PROMTOOL.exists():
        reason = f"no promtool at {PROMTOOL} (Debian's package prometheus)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    file = folder / "rules.yaml"
    file.write_text(content, "utf-8")
    checked = subprocess.run(
        [shutil.which(PROMTOOL) or PROMTOOL, "check", "rules", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, f"{checked.stderr}\n{content}"
    return checked.stdout


def datadog(content: str) -> list[dict[str, Any]]:
    """The SLOs of a file as Datadog's own client would send them; it fails the test where the client does not
    take one as it stands: a wrong type, a value or a key that it does not know."""
    if importlib.util.find_spec("datadog_api_client") is None:
        reason = "datadog-api-client is not installed (the extra dev)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from datadog_api_client import ApiClient, Configuration
    from datadog_api_client.v1.model.service_level_objective_request import ServiceLevelObjectiveRequest
    from datadog_api_client.v1.model.slo_threshold import SLOThreshold

    read = []
    for document in yaml.safe_load_all(content):
        body = json.dumps(document)
        slo = ApiClient(Configuration()).deserialize(body, (ServiceLevelObjectiveRequest,), True)
        assert all(document[key] is not None for key in document), f"empty values: {document}"
        assert not slo._unparsed, f"values that Datadog does not know: {document}"
        assert document.keys() <= slo.attribute_map.keys(), "keys that Datadog does not know"
        assert all(each.keys() <= SLOThreshold.attribute_map.keys() for each in document["thresholds"])
        assert json.loads(json.dumps(slo.to_dict())) == document
        read.append(slo.to_dict())
    return read
