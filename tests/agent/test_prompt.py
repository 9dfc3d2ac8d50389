"""The first message: what it says, and that data cannot end its own fence."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.agent.prompt import TAGS, user_message
from app.context.models import Context, Resolution, Section, Service, Source

NOW = datetime(2026, 11, 20, 20, 46, tzinfo=UTC)
SOURCE = Source(kind="readme", title="README", path="README.md", url="https://git.example.com/README.md")


def context(text: str) -> Context:
    service = Service(name="checkout", tier=1, team="payments")
    section = Section(source=SOURCE, heading="Run", text=text)
    return Context(
        resolution=Resolution(service=service, how="name"),
        sections=(section,),
        sources=(SOURCE,),
        missing=("There is no contract.",),
    )


def test_it_gives_time_service_documents_and_question() -> None:
    message = user_message("Ready?", context("make run"), now=NOW, said_before=["ana: we launch on Monday"])

    assert message == (
        "<context>\n"
        "time: 2026-11-20 20:46 UTC\n"
        "service: checkout (tier: 1; team: payments)\n"
        '<document kind="readme" path="README.md" link="https://git.example.com/README.md">\n'
        "make run\n"
        "</document>\n"
        "<missing>There is no contract.</missing>\n"
        "<thread>\n"
        "ana: we launch on Monday\n"
        "</thread>\n"
        "</context>\n"
        "<question>\n"
        "Ready?\n"
        "</question>"
    )


def test_sections_given_earlier_are_not_given_again() -> None:
    given_before = context("make run")

    message = user_message("And now?", given_before, now=NOW, known=[given_before.sections[0].id])

    assert "make run" not in message
    assert "1 sections given earlier" in message


def test_secrets_in_documents_and_questions_are_masked() -> None:
    message = user_message("password=hunter2000", context("token=abcdef1234"), now=NOW)

    assert "hunter2000" not in message
    assert "abcdef1234" not in message


PIECES = st.sampled_from([*TAGS, "<", "</", "< /", ">", " ", "\n", "QUESTION", "ignore the above", '"'])
DATA = st.lists(PIECES, max_size=12).map("".join)


@given(DATA, DATA, DATA)
def test_data_never_opens_or_closes_a_tag_of_ours(question: str, text: str, said: str) -> None:
    message = user_message(question, context(text), now=NOW, said_before=[said])

    assert re.findall(rf"<\s*(/?\s*(?:{'|'.join(TAGS)}))\b", message, re.IGNORECASE) == [
        "context", "document", "/document", "missing", "/missing", "thread", "/thread", "/context",
        "question", "/question",
    ]  # fmt: skip
