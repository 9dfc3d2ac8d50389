"""The demo's tour without a person: each step is done, and verified by what the playground shows for it.

A step is one function over a `Tour`: it acts as people do, waits for what they would see, and raises `Unmet`
with what was expected and what was there instead. To add one, write it and put it into `STEPS`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from app.errors import AgentError
from app.playground import page_tour, workflow_tour
from app.playground.demo import Load, demo, told
from app.playground.slack.records import Message
from app.playground.visit import (
    AGENT,
    CHECKOUT,
    GUEST,
    INCIDENTS,
    MAYA,
    OMAR,
    PATIENCE,
    Exchange,
    Tour,
    demand,
    says,
    shown,
)

# -- the steps -------------------------------------------------------------------------------------------


async def a_mention_is_seen(tour: Tour) -> None:
    """a mention in #checkout-team gets 👀 within a second"""
    ts, took = await mentioned(tour)
    tour.launch = Exchange(ts, ts, ())
    for _ in range(2):
        if took < 1:
            break
        # The machine may have been busy with something else just then.
        again, took = await mentioned(tour)
        await tour.answered(CHECKOUT, again, again)
    demand(took < 1, "👀 within a second", f"👀 after {took:.1f} s")


async def mentioned(tour: Tour) -> tuple[str, float]:
    """Ask in a thread of its own: the question's ts, and the seconds until it has 👀."""
    ts = await tour.slack.say(MAYA, CHECKOUT, f"{AGENT} what do I need before we launch checkout?")

    def looks() -> list[float]:
        calls = [
            each
            for each in tour.slack.calls("reactions.add")
            if (each.arguments.get("name"), each.arguments.get("timestamp")) == ("eyes", ts)
        ]
        return [each.answered_at - float(ts) for each in calls if each.ok and each.answered_at]

    [took, *_] = await tour.see(looks, "👀 on the question", lambda: tour.thread_text(CHECKOUT, ts))
    return ts, took


async def it_is_answered_as_a_plan(tour: Tour) -> None:
    """it is answered in its thread, growing as a plan, and gets ✅"""
    tour.launch = await tour.answered(CHECKOUT, tour.thread.ts, tour.thread.ts)
    answer = tour.launch.last
    demand(len(tour.launch.answers) == 1, "one message", tour.launch)
    demand(answer.ts in tour.grown, "a message that grows", answer)
    demand(any(block["type"] == "plan" for block in answer.blocks), "a plan", answer)


async def it_quotes_the_documents(tour: Tour) -> None:
    """it quotes checkout's own blueprint, contract and tier standard, and links them and the README"""
    answer = tour.thread.last
    for path in ("services/checkout.md", "contracts/checkout-to-", "tiers/tier-1.md"):
        quote = re.compile(rf"\[{path}[^\]]*\]\(https?://[^)]+\) · [^\n]+\n> ")
        demand(bool(quote.search(answer.text)), f"a quote from {path} under its link", answer)
    says(answer, "[README.md](http")


async def it_says_how_sure_it_is(tour: Tour) -> None:
    """it says how sure it is, that no model took part, and which knowledge shaped it"""
    says(tour.thread.last, "% sure", "no model", "knowledge `")


async def the_thread_goes_on(tour: Tour) -> None:
    """the thread goes on without a mention"""
    later = await tour.ask("which timeout do we use towards payments?", thread_ts=tour.thread.thread_ts)
    demand(len(later.answers) == 2, "a second answer", later)
    says(later.last, "contracts/checkout-to-payments.md")


async def two_at_once_are_answered_in_order(tour: Tour) -> None:
    """two follow-ups at once are answered one after the other, in their order"""
    thread = tour.thread.thread_ts
    before = len(tour.answers(CHECKOUT, thread))
    first = await tour.slack.say(MAYA, CHECKOUT, "and how are reservations with inventory agreed?", thread)
    second = await tour.slack.say(OMAR, CHECKOUT, "and who is on call for it?", thread)
    await tour.answered(CHECKOUT, first, thread)
    both = await tour.answered(CHECKOUT, second, thread)
    demand(len(both.answers) == before + 2, "two more answers", both)
    says(both.answers[-2], "contracts/checkout-to-inventory.md")
    says(both.answers[-1], "on call")


async def a_direct_message_needs_no_mention(tour: Tour) -> None:
    """a direct message is answered without a mention"""
    dm = tour.slack.dm(MAYA)
    says((await tour.ask("is reports ready for its launch?", channel=dm)).last, "tiers/tier-4.md")


async def a_mention_in_mid_thread_reads_back(tour: Tour) -> None:
    """called into a thread of people, it reads what they said before"""
    root = await tour.slack.say(OMAR, INCIDENTS, "payments answers slowly since noon")
    words = f"{AGENT} which SLOs does it promise?"
    says((await tour.ask(words, channel=INCIDENTS, thread_ts=root)).last, "services/payments.md")


async def an_unknown_service_gets_the_nearest_names(tour: Tour) -> None:
    """a service nobody knows gets the nearest names, and how to add one"""
    words = f"{AGENT} what does the checkin service need?"
    says((await tour.ask(words, channel=INCIDENTS)).last, "nearest names", "checkout", "services.yaml")


async def a_guest_is_refused_quietly(tour: Tour) -> None:
    """a guest is refused, in one sentence that nobody else sees"""
    ts = await tour.slack.say(GUEST, CHECKOUT, f"{AGENT} what does checkout depend on?")
    told = await tour.see(lambda: tour.slack.ephemeral(GUEST), "a sentence for the guest", lambda: "")
    says(told[0], "guests")
    demand(len(told) == 1, "one sentence", " / ".join(each.text for each in told))
    demand(not tour.answers(CHECKOUT, ts), "no answer in the channel", tour.thread_text(CHECKOUT, ts))


async def a_thumb_is_stored(tour: Tour) -> None:
    """a thumb on the answer is stored and thanked for"""
    answer = tour.thread.last
    thumbs = [each for block in answer.blocks for each in block.get("elements", []) if "action_id" in each]
    demand(bool(thumbs), "feedback buttons", answer)
    value = thumbs[0]["positive_button"]["value"]
    await tour.slack.click(MAYA, answer.ts, thumbs[0]["action_id"], value)
    # The agent thanks after the thumb is committed, so whoever reads this knows that it is kept.
    told = await tour.see(lambda: tour.slack.ephemeral(MAYA), "a word of thanks", lambda: "")
    says(told[-1], "noted as helpful")


async def a_commit_shapes_the_next_thread(tour: Tour) -> None:
    """a commit in the knowledge repo shapes the next new thread; the old one keeps its revision"""
    page = tour.demo.knowledge / "tiers" / "tier-1.md"
    rule = "\n## Chaos days\n\nA chaos day every 60 days: pull a plug, and write down what broke.\n"
    tour.commit(page.read_text(encoding="utf-8") + rule, "Ask tier 1 for chaos days")
    new = await repeat_until(tour, f"{AGENT} what does tier 1 say about chaos days?", "every 60 days")
    old = await tour.ask("and what about chaos days?", thread_ts=tour.thread.thread_ts)
    demand(revision(old.last) == revision(tour.thread.last), "the revision the thread began with", old.last)
    demand(revision(new.last) != revision(old.last), "a new revision in the new thread", new.last)


async def a_broken_commit_is_refused(tour: Tour) -> None:
    """a broken commit is refused, told in #incidents, and the last good revision goes on serving"""
    before = tour.commit("---\ntier: [1\n---\n# Tier 1\n", "Break the page of tier 1")

    def refusals() -> list[Message]:
        found = tour.slack.channel(INCIDENTS)
        return [each for each in found if each.bot_id and "was refused" in each.text]

    told = await tour.see(refusals, "a word in #incidents", lambda: "")
    says(told[0], "tiers/tier-1.md")
    says((await tour.ask(f"{AGENT} what does tier 1 say about chaos days?")).last, "every 60 days")
    tour.commit(before, "Repair the page of tier 1")


async def a_restart_loses_nothing(tour: Tour) -> None:
    """what is asked while it is away is answered when it is back, in the same thread"""
    thread = tour.thread.thread_ts
    before = len(tour.answers(CHECKOUT, thread))
    await tour.demo.stop()
    ts = await tour.slack.say(MAYA, CHECKOUT, "what is the capacity of checkout?", thread)
    await tour.demo.start()
    after = await tour.answered(CHECKOUT, ts, thread)
    demand(len(after.answers) == before + 1, "one more answer", after)
    says(after.last, "No load test yet")


async def an_event_delivered_twice_is_answered_once(tour: Tour) -> None:
    """an event that is delivered twice is answered once"""
    tour.slack.faults.deliveries.twice = 2  # of a mention: as `app_mention`, and as `message`
    twice = await tour.ask(f"{AGENT} what does inventory promise to checkout?")
    # A second turn would have run before this one, which waits in the same thread.
    after = await tour.ask("and how many retries?", thread_ts=twice.thread_ts)
    demand(len(after.answers) == 2, "one answer each", after)


Step = Callable[[Tour], Awaitable[None]]
STEPS: tuple[Step, ...] = (
    a_mention_is_seen,
    it_is_answered_as_a_plan,
    it_quotes_the_documents,
    it_says_how_sure_it_is,
    the_thread_goes_on,
    two_at_once_are_answered_in_order,
    a_direct_message_needs_no_mention,
    a_mention_in_mid_thread_reads_back,
    an_unknown_service_gets_the_nearest_names,
    a_guest_is_refused_quietly,
    a_thumb_is_stored,
    a_commit_shapes_the_next_thread,
    a_broken_commit_is_refused,
    a_restart_loses_nothing,
    an_event_delivered_twice_is_answered_once,
    *workflow_tour.STEPS,
    *page_tour.STEPS,
)


async def repeat_until(tour: Tour, words: str, wanted: str) -> Exchange:
    """Ask in new threads until a revision that is on its way has arrived."""
    deadline = time.monotonic() + PATIENCE
    while True:
        exchange = await tour.ask(words)
        if wanted in shown(exchange.last) or time.monotonic() > deadline:
            says(exchange.last, wanted)
            return exchange


def revision(answer: Message) -> str:
    """The knowledge revision an answer names in its small print."""
    return shown(answer).rpartition("knowledge `")[2].partition("`")[0]


# -- taking it -------------------------------------------------------------------------------------------


async def take(load: Load, *, home: Path, steps: Sequence[Step] = STEPS) -> bool:
    """Take the tour on a new playground in `home`, telling each step; whether all of them held.

    It is always taken without a model, because it looks for exact words.
    """
    print("The tour: without a person, and without a model (MODEL_PROVIDER=offline).\n", flush=True)
    began = time.monotonic()
    async with demo(
        load, home=home, remember=False, progress=told, MODEL_PROVIDER="offline", GIT_POLL_SECONDS="0.5"
    ) as running:
        print(f"\n  The playground: {running.slack.url}\n", flush=True)
        tour = Tour(running)
        missed = [step for step in steps if not await walk(tour, step)]
    held = len(steps) - len(missed)
    print(f"\n{held} of {len(steps)} steps held, in {time.monotonic() - began:.0f} s.", flush=True)
    return not missed


async def walk(tour: Tour, step: Step) -> bool:
    """Do one step and tell how it went."""
    began = time.monotonic()
    said = (step.__doc__ or "").strip()
    try:
        await step(tour)
    except AgentError as error:
        print(f"  ✗ {'':>8}  {said}\n    {error.sentence}", flush=True)
        return False
    print(f"  ✓ {(time.monotonic() - began) * 1000:5.0f} ms  {said}", flush=True)
    return True
