"""No sequence of events loses an answer, sticks, or ends anywhere but where the document says."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.workflows import engine
from app.workflows.actions import Ask, AskToConfirm, Look, Make, Step, Took
from app.workflows.engine import taking
from app.workflows.events import (
    Aside,
    AskStatus,
    Back,
    Cancel,
    Confirm,
    Drafted,
    Event,
    Looked,
    Made,
    NotMade,
    Pause,
    Resume,
    Skip,
    Values,
    Why,
    Words,
)
from app.workflows.rendering import render_artifacts
from app.workflows.state import State
from app.workflows.view import View
from tests.workflows.play import FACTS, sample
from tests.workflows.test_engine import CAPPED, CIRCLE, CONFIRMED, DRAFTED
from tests.workflows.test_reading import from_docs

DOCUMENTS = (
    sample(),
    sample("t.md", CAPPED),
    sample("t.md", CONFIRMED),
    sample("t.md", CIRCLE),
    sample("t.md", from_docs()),
    sample("service-handover.md"),
    sample("t.md", DRAFTED),
)
PEOPLE = st.sampled_from(["U1", "U2"])
SAID = st.one_of(
    st.sampled_from(
        [
            "99.9",
            "pay, search",
            "pay",
            "yes",
            "no",
            "checkout",
            "5m",
            "revert the deploy",
            "x",
            "",
            taking("pay"),
        ]
    ),
    st.text(max_size=20),
)
NAMES = st.sampled_from(
    [
        "service",
        "journeys",
        "team",
        "target",
        "target[pay]",
        "note of pay",
        "accept",
        "a",
        "b",
        "c",
        "change",
        "nothing",
    ]
)


class Workflows(RuleBasedStateMachine):
    """`believed` are the answers that were taken, as the person who gave them saw it."""

    @initialize(
        document=st.sampled_from(DOCUMENTS), service=st.sampled_from(["checkout", None]), known=st.booleans()
    )
    def begin(self, document: Any, service: str | None, known: bool) -> None:
        self.document = document
        self.facts = FACTS if known else {}
        self.believed: dict[str, Any] = {}
        self.cancelled = False
        began = engine.begin(document, revision="r1", by="U1", service=service)
        self.believed |= {name: given.value for name, given in began.state.answers.items()}
        self.follow(began)

    def follow(self, step: Step) -> None:
        """Carry out what is wanted, as whoever runs workflows does."""
        for _ in range(20):
            self.state = State.from_json(step.state.to_json())
            assert self.state == step.state
            self.actions = step.actions
            self.believed |= {each.slot.id: each.value for each in step.actions if isinstance(each, Took)}
            look = next((each for each in step.actions if isinstance(each, Look)), None)
            if look is not None:
                found = {want: self.facts[want] for want in look.wants if want in self.facts}
                step = engine.step(self.document, self.state, Looked(look.wants, found))
            elif any(isinstance(each, Make) for each in step.actions):
                assert render_artifacts(View(self.document, self.state))
                step = engine.step(self.document, self.state, Made())
            else:
                return
        raise AssertionError("it looks things up for ever")

    def do(self, event: Event) -> None:
        before = self.state
        step = engine.step(self.document, before, event)
        assert step == engine.step(self.document, before, event)
        self.follow(step)

    @rule(text=SAID, by=PEOPLE)
    def words(self, text: str, by: str) -> None:
        self.do(Words(text, by))

    @rule(text=SAID, of=st.one_of(st.none(), NAMES))
    def draft(self, text: str, of: str | None) -> None:
        before = self.state.answers
        self.do(Drafted(of or self.state.at or "nothing", text))
        assert self.state.answers == before

    @rule(values=st.dictionaries(NAMES, SAID, max_size=3), by=PEOPLE)
    def values(self, values: dict[str, str], by: str) -> None:
        self.do(Values(values, by))

    @rule(unsaid=st.dictionaries(NAMES, SAID, max_size=3), by=PEOPLE)
    def unsaid(self, unsaid: dict[str, str], by: str) -> None:
        before = self.state.answers
        self.do(Values({}, by, "model", unsaid))
        assert self.state.answers == before

    @rule(
        event=st.sampled_from(
            [
                Skip("U1"),
                Back("U2"),
                Back("U1", "journeys"),
                Back("U1", "phase 2"),
                Back("U1", "nowhere"),
                Why("U1"),
            ]
        )
    )
    def move(self, event: Event) -> None:
        self.do(event)

    @rule(
        event=st.sampled_from(
            [
                AskStatus("U1"),
                Pause("U1"),
                Resume("U2"),
                Aside("what is an SLO?", "U2"),
                Confirm("U1"),
                NotMade("away"),
            ]
        )
    )
    def stand(self, event: Event) -> None:
        if not (isinstance(event, NotMade) and self.state.status != "making"):
            self.do(event)

    @precondition(lambda self: len(self.believed) > 3)
    @rule()
    def cancel(self) -> None:
        self.cancelled |= self.state.status != "done"
        self.do(Cancel("U1"))

    @invariant()
    def no_answer_is_lost(self) -> None:
        assert {name: given.value for name, given in self.state.answers.items()} == self.believed

    @invariant()
    def something_stands_while_it_is_under_way(self) -> None:
        if self.state.status == "asking":
            assert self.state.at is not None
            assert View(self.document, self.state).slot(self.state.at) is not None

    @invariant()
    def cancelled_is_cancelled(self) -> None:
        assert (self.state.status == "cancelled") is self.cancelled

    def teardown(self) -> None:
        """It is never stuck: from wherever it is, skipping what is asked ends with an artifact."""
        if not hasattr(self, "state") or self.cancelled:
            return
        believed = dict(self.believed)
        for _ in range(60):
            if self.state.status == "done":
                break
            self.do(
                Resume("U1")
                if self.state.status == "paused"
                else Confirm("U1")
                if self.state.status == "confirming"
                else Skip("U1")
            )
            assert self.state.status == "done" or any(
                isinstance(each, Ask | AskToConfirm) for each in self.actions
            )
        assert self.state.status == "done"
        assert believed.items() <= self.believed.items()


TestWorkflows = Workflows.TestCase
TestWorkflows.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
