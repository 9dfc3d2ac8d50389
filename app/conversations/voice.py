"""What a model adds to a workflow: answers read into fields, a faulty file repaired, a question's way in, a
draft. Each of them is checked here, and each has something to go on with when the model fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
from pydantic import BaseModel

from app.agent.budget import BudgetSpent
from app.agent.failures import ModelUnavailable
from app.agent.reader import Reader, ReadFor
from app.tools.masking import mask
from app.workflows import phrasing, repairing
from app.workflows.actions import Ask
from app.workflows.events import Event, Words
from app.workflows.hearing import TASK, FieldsRead, prompt, read_into
from app.workflows.rendering import Handed
from app.workflows.view import View

log = structlog.get_logger(__name__)

C = TypeVar("C", bound=BaseModel)

SECONDS_FOR_PROSE = 12.0
"""The question stands without it."""


@dataclass(frozen=True)
class Voice:
    """The model in one turn."""

    reader: Reader
    reading: ReadFor

    async def read(self, words: Words, view: View) -> tuple[Event, tuple[str, ...]]:
        """What is read out of an answer; the words themselves when it cannot be, and why."""
        try:
            read = await self.reader.read(FieldsRead, TASK, prompt(words, view), self.reading)
        except (ModelUnavailable, BudgetSpent) as error:
            return words, (f"{error.sentence} I took your answer word for word.",)
        return read_into(words, read, view), ()

    async def lead_in(self, ask: Ask, view: View) -> str:
        """The sentences before a question; empty when there is nothing to say or to say it with."""
        if not phrasing.has_matter(ask, view):
            return ""
        told = mask(phrasing.prompt(ask, view))
        return phrasing.way_in(await self._written(phrasing.WayIn, phrasing.LEAD, told), told)

    async def draft(self, ask: Ask, view: View) -> str:
        """A text to be proposed with a question; empty when there is none."""
        told = mask(phrasing.prompt(ask, view))
        return mask(phrasing.draft(await self._written(phrasing.Drafted, phrasing.DRAFT, told), told))

    async def _written(self, form: type[C], task: str, told: str) -> C | None:
        try:
            return await replace(self.reader, seconds=SECONDS_FOR_PROSE).read(form, task, told, self.reading)
        except (ModelUnavailable, BudgetSpent) as error:
            log.warning("question_as_it_stands", reason=error.sentence)
            return None

    async def repair(self, files: Sequence[Handed]) -> tuple[Handed, ...]:
        """The files, those that are not valid repaired where that loses nothing."""
        faulty = [each for each in files if repairing.may_be_repaired(each)][: repairing.MOST_REPAIRED]
        instead = {each.file_name: await self._repaired(each) for each in faulty}
        return tuple(instead.get(each.file_name, each) for each in files)

    async def _repaired(self, file: Handed) -> Handed:
        now, refused = file, ""
        for _ in range(repairing.MOST_ATTEMPTS):
            asked = mask(repairing.prompt(now, refused))
            try:
                repair = await self.reader.read(repairing.Repair, repairing.TASK, asked, self.reading)
                now = repairing.repaired(now, repair)
            except (ModelUnavailable, BudgetSpent) as error:
                log.warning("artifact_not_repaired", reason=error.sentence)
                return file
            except repairing.NotRepaired as error:
                log.warning("repair_not_taken", reason=error.sentence)
                refused = error.sentence
                continue
            if not now.faults:
                return replace(now, repaired=file.faults)
            refused = ""
        return file
