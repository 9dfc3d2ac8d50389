"""The tour's second half: a page, and what an incident's thread shows from then until it is over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import aiohttp

from app.investigations.accuracy import Accuracy, accuracy, judged
from app.playground.demo import utc_now
from app.playground.slack.records import Json, Message
from app.playground.visit import INCIDENTS, MAYA, OMAR, Tour, demand, says, shown
from app.storage.engine import begin, create_engine

SCENARIO, SERVICE, GUILTY = "bad-deploy", "checkout", "1.15.0"
CITED = re.compile(r"(?:<(https?://[^|>]+)\||\[)E\d{1,3}\b")
"""A citation that can be clicked, in mrkdwn or markdown."""
ADDRESS = re.compile(r"<(https?://[^|>]+)\|E\d{1,3}>")
REAL_CAUSE = "Carts without a promotion make /pay of checkout 1.15.0 panic"
FINAL = "No model is configured: this is what the evidence alone says."
PNG = b"\x89PNG"


async def a_page_opens_a_thread(tour: Tour) -> None:
    """a page is taken with 202, and a thread about it is in #incidents before anything was looked at"""
    before = {each.ts for each in tour.slack.channel(INCIDENTS)}
    taken = await tour.demo.pager.page(SCENARIO)
    demand(taken.get("status") == "queued", "202 queued", str(taken))

    def opened() -> list[Message]:
        new = [each for each in tour.slack.channel(INCIDENTS) if each.ts not in before]
        return [each for each in new if each.bot_id and not each.is_reply]

    root, *_ = await tour.see(opened, "a thread in #incidents", lambda: "")
    tour.incident = root.ts
    says(root, SERVICE, "P1")


async def the_evidence_comes_first(tour: Tour) -> None:
    """the evidence brief names the service and the deploy to blame, what speaks for it, and what to do"""
    brief = await part(tour, "Evidence brief:")
    says(brief, SERVICE, GUILTY, "What do I do right now?", "Likely cause", "_for:_", "Options for a human")
    demand("⏳" not in shown(brief), "no promise of a diagnosis", brief)
    demand(bool(CITED.search(shown(brief))), "evidence one can click", brief)


async def every_claim_can_be_opened(tour: Tour) -> None:
    """every piece of evidence it cites opens a page of the system it came from"""
    links = set(ADDRESS.findall(shown(await part(tour, "Evidence brief:")).replace("&amp;", "&")))
    demand(len(links) >= 3, "three links or more", " ".join(links))
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        for link in links:
            async with session.get(link) as response:
                is_page = response.status == 200 and response.content_type == "text/html"
                seen = f"{response.status} {response.content_type}"
            demand(is_page, f"a page at {link}", seen)


async def a_chart_shows_the_symptom(tour: Tour) -> None:
    """a chart of the symptom is in the thread, and described for those who do not see it"""

    def pictures() -> list[str]:
        files = [name for each in tour.slack.thread(INCIDENTS, tour.room) for name in each.files]
        return [name for name in files if tour.slack.file(name).startswith(PNG)]

    await tour.see(pictures, "a picture in the thread", lambda: "")
    uploads = [each.arguments for each in tour.slack.calls("files.getUploadURLExternal")]
    described = [str(each.get("alt_txt", "")) for each in uploads if str(each["filename"]).endswith(".png")]
    demand(any(SERVICE in each for each in described), "a description of it", " / ".join(described))


async def the_final_brief_notifies(tour: Tour) -> None:
    """the final brief is a reply for whoever is on call: it says no model took part, and repeats nothing"""
    brief = await part(tour, FINAL)
    says(brief, f"<@{MAYA}> you are on call", SERVICE, GUILTY, "confidence (", "Look at first")
    for words in ("What do I do right now?", "*Evidence*"):
        demand(words not in shown(brief), f"no “{words}” again", brief)
    await headline(tour, "evidence only")


async def a_follow_up_is_answered_from_the_evidence(tour: Tour) -> None:
    """a question in that thread is answered from what was found, with the evidence cited"""
    asked = await tour.ask("which deploy do you blame?", user=OMAR, channel=INCIDENTS, thread_ts=tour.room)
    says(asked.last, SERVICE, GUILTY)
    demand(bool(CITED.search(shown(asked.last))), "evidence one can click", asked.last)


async def a_person_says_what_it_was(tour: Tour) -> None:
    """“wrong” asks what it really was, and the answer stands where the button was"""
    brief = await part(tour, FINAL)
    await tour.slack.click(MAYA, brief.ts, "incident_wrong")
    views = tour.slack.workspace.views
    view, *_ = await tour.see(lambda: list(views.values()), "a question for the real cause", lambda: "")
    refused = await tour.slack.submit(view.id, filled(view.body["blocks"], REAL_CAUSE))
    demand(not refused, "the answer taken", str(refused))

    def told() -> bool:
        return f"<@{MAYA}>" in shown(message(tour, brief.ts))

    await tour.see(told, "who said it, in the brief", lambda: shown(message(tour, brief.ts)))


async def it_is_over(tour: Tour) -> None:
    """the resolve that the alert's source sends is in the headline"""
    taken = await tour.demo.pager.over()
    demand(taken.get("status") == "joined", "202 joined", str(taken))
    await headline(tour, "resolved")


async def it_counts_how_often_it_was_right(tour: Tour) -> None:
    """the accuracy counts this brief, and that it was wrong"""
    known = await so_far(tour)
    demand((known.briefs, known.outcomes.right) == (1, 1), "one brief, one outcome", str(known))
    demand((known.diagnoses.cases, known.diagnoses.right) == (1, 0), "a cause that was wrong", str(known))


STEPS = (
    a_page_opens_a_thread,
    the_evidence_comes_first,
    every_claim_can_be_opened,
    a_chart_shows_the_symptom,
    the_final_brief_notifies,
    a_follow_up_is_answered_from_the_evidence,
    a_person_says_what_it_was,
    it_is_over,
    it_counts_how_often_it_was_right,
)


async def part(tour: Tour, begins: str) -> Message:
    """The agent's message in the incident's thread whose notification begins like this."""

    def found() -> Sequence[Message]:
        return [each for each in tour.answers(INCIDENTS, tour.room)[1:] if each.text.startswith(begins)]

    seen = await tour.see(found, f"“{begins}” in the thread", lambda: tour.thread_text(INCIDENTS, tour.room))
    return seen[0]


async def headline(tour: Tour, state: str) -> None:
    def says_so() -> bool:
        return message(tour, tour.room).text.endswith(f": {state}")

    await tour.see(says_so, f"“{state}” in the headline", lambda: message(tour, tour.room).text)


def message(tour: Tour, ts: str) -> Message:
    return tour.message(INCIDENTS, ts)


def filled(blocks: Sequence[Json], words: str) -> Json:
    """What submitting a view sends when its text fields say this."""
    fields = [
        (block["block_id"], block["element"]["action_id"]) for block in blocks if block["type"] == "input"
    ]
    return {block: {action: {"type": "plain_text_input", "value": words}} for block, action in fields}


async def so_far(tour: Tour) -> Accuracy:
    url = tour.demo.settings.storage.database_url
    assert url is not None
    engine = create_engine(url.get_secret_value())
    try:
        async with begin(engine) as connection:
            return accuracy(await judged(connection, utc_now() - timedelta(days=1)))
    finally:
        await engine.dispose()
