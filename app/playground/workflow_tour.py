"""The tour's part about workflows: an SLO Workshop from the mention that starts it to a file that holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from app.knowledge.bounded_yaml import load_documents
from app.playground.slack.records import Json, Message
from app.playground.visit import AGENT, CHECKOUT, MAYA, OMAR, Exchange, Tour, demand, says, shown

MOST_QUESTIONS = 40
ANSWERS = {
    "runbook": "https://wiki.acme.example/runbooks/checkout",
    "journeys": "pay, quote",
    "which route": "all",
    "what share": "99",
    "how fast": "800ms",
}
"""What is said to a question that proposes nothing, by a word of it."""
HEADING = re.compile(r"phase \d+ of \d+(?:, question \d+ of \d+)?")
TODO = re.compile(r"TODO\(")


async def a_workflow_begins_when_asked_for(tour: Tour) -> None:
    """“let's define SLOs for checkout” starts the SLO Workshop, which asks for nothing the catalog knows"""
    begun = await tour.ask(f"{AGENT} let's define SLOs for checkout")
    tour.workshop = begun.thread_ts
    says(begun.last, "SLO Workshop", "checkout", "phase 1 of ")
    demand("which service" not in shown(begun.last).lower(), "no question for the service", begun.last)


async def it_says_where_it_stands_and_keeps_the_place(tour: Tour) -> None:
    """“why?” is answered with the reason and “status” with what is filled, and the question stands again"""
    asked = heading(last(tour))
    for words in ("why do you ask?", "status"):
        after = await tour.ask(words, user=OMAR, thread_ts=tour.desk)
        demand(heading(after.last) == asked, f"the same question after “{words}”", after.last)


async def two_people_answer_by_buttons_and_words(tour: Tour) -> None:
    """a proposal is taken with its button, the rest is answered in words by two people, until it is done"""
    clicked = 0
    for number in range(MOST_QUESTIONS):
        message = last(tour)
        if " is done" in message.text:
            demand(clicked > 0, "a choice that can be clicked", message)
            return
        offered = list(buttons(message))
        if offered and not clicked:
            await tour.slack.click(MAYA, message.ts, offered[0])
            clicked += 1
            await another(tour, message)
        else:
            user = OMAR if number % 2 else MAYA
            await tour.ask(answer_to(message), user=user, thread_ts=tour.desk)
    demand(False, "an end", last(tour))


async def the_file_holds(tour: Tour) -> None:
    """the file is in the thread, parses, is about checkout, and is not marked invalid"""
    done = last(tour)
    demand("not valid" not in done.text, "a valid file", done)
    names = [name for each in tour.slack.thread(CHECKOUT, tour.desk) for name in each.files]
    demand(bool(names), "a file in the thread", done)
    content = tour.slack.file(names[-1]).decode()
    try:
        documents = [each for each in load_documents(content) if each]
    except (yaml.YAMLError, ValueError) as error:
        documents = []
        demand(False, "YAML", f"{error}: {content[:300]}")
    demand("checkout" in json.dumps(documents, default=str), "objectives of checkout", content[:500])
    demand(not TODO.search(content), "nothing left open", content[:1500])


STEPS = (
    a_workflow_begins_when_asked_for,
    it_says_where_it_stands_and_keeps_the_place,
    two_people_answer_by_buttons_and_words,
    the_file_holds,
)


def last(tour: Tour) -> Message:
    """The agent's newest complete message in the thread, files aside."""
    said = [each for each in tour.answers(CHECKOUT, tour.desk) if not each.files]
    whole = [each for each in said if not each.streaming and each.blocks]
    demand(bool(whole), "a message of the workflow", Exchange(tour.desk, tour.desk, tuple(said)))
    return whole[-1]


async def another(tour: Tour, message: Message) -> None:
    """Wait for the message behind this one."""
    await tour.see(lambda: last(tour).ts != message.ts, "the next question", lambda: last(tour).text)


def heading(message: Message) -> str:
    """How far the last question is; empty when none stands."""
    return max(HEADING.findall(message.text)[-1:], default="")


def question(message: Message) -> str:
    """From the line that counts the questions on."""
    return message.text[max(0, message.text.rfind(heading(message))) :]


def answer_to(message: Message) -> str:
    asked = question(message)
    if "I propose" in asked:
        return "yes"
    if re.search(r"^1\. ", asked, re.MULTILINE):
        return "1"
    return next((said for word, said in ANSWERS.items() if word in asked.lower()), "skip")


def buttons(message: Message) -> Iterator[str]:
    """The actions of the choices that can be clicked."""
    for block in message.blocks:
        elements: list[Json] = block.get("elements", []) if block["type"] == "actions" else []
        yield from (
            each["action_id"] for each in elements if str(each.get("action_id", "")).startswith("choose_")
        )
