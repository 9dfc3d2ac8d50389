"""A workflow in a thread, from the message that starts it to the file, without a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.playground.example import git, write_repos
from app.playground.slack.records import Message
from tests.acceptance.conftest import CHECKOUT, MAYA, OMAR, Stack
from tests.acceptance.test_conversation import commit, revisions, shown
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import Call, Reply, Script, call, say
from tests.workflows.play import FILES, SAMPLES

SLO = (SAMPLES / "slo.md").read_text("utf-8")
START = "<@U0AGENT> let's define SLOs for checkout"
PAY = "What share of “pay” must succeed?"


@pytest.fixture
def repo(stack: Stack, tmp_path: Path) -> Path:
    """A knowledge repo with workflows of the test's own."""
    organisation = write_repos(tmp_path / "own")
    folder = tmp_path / "own" / "knowledge"
    shutil.rmtree(folder / "workflows")
    (folder / "workflows").mkdir()
    handover = (SAMPLES / "service-handover.md").read_text("utf-8")
    for path, content in {**FILES, "workflows/slo.md": SLO, "workflows/handover.md": handover}.items():
        (folder / path).write_text(content, "utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Add workflows")
    stack.environment |= {"KNOWLEDGE_REPO_URL": organisation.knowledge, "GIT_POLL_SECONDS": "0.1"}
    return folder


async def said(stack: Stack, ts: str, *words: str, user: str = MAYA) -> Message:
    """Say things in the thread one after the other; the agent's last message, files aside."""
    for each in words:
        _, answers = await stack.ask(each, thread_ts=ts, user=user)
    return [answer for answer in answers if not answer.files][-1]


def files(stack: Stack, ts: str) -> dict[str, str]:
    """What was attached in a thread, by name."""
    return {
        file.name: (file.content or b"").decode()
        for message in stack.slack.thread(CHECKOUT, ts)
        for file in map(stack.slack.workspace.files.__getitem__, message.files)
    }


async def test_from_a_mention_to_a_valid_file(stack: Stack, repo: Path) -> None:
    await stack.serve()
    ts, [first] = await stack.ask(START)
    assert "SLO Sample" in first.text
    assert "Which journeys does checkout serve?" in first.text
    assert "no model" not in shown([first]).lower()

    assert PAY in (await said(stack, ts, "pay and search")).text
    refused = await said(stack, ts, "half of them")
    assert "I need a number in percent and could not read one. For example: 90" in refused.text
    assert PAY in refused.text
    assert "Noted: target of pay is *99.95 %*" in (await said(stack, ts, "99.95")).text.replace("**", "*")
    await said(stack, ts, "skip", "99.5", user=OMAR)
    last = await said(stack, ts, "skip", "yes")

    assert "is done" in last.text
    assert "slo/checkout.yaml" not in last.text
    assert "`checkout.yaml`" in last.text
    assert "team = Checkout" in last.text
    attached = files(stack, ts)
    assert list(attached) == ["checkout.yaml"]
    assert yaml.safe_load(attached["checkout.yaml"]) == {
        "service": "checkout",
        "team": "Checkout",
        "slos": [{"name": "pay", "target": 99.95}, {"name": "search", "target": 99.5}],
    }
    [(name, content, media, faults)] = await stack.rows(
        "SELECT file_name, content, media_type, faults FROM artifacts"
    )
    assert (name, content, media, faults) == (
        "slo/checkout.yaml", attached["checkout.yaml"], "application/yaml", None,
    )  # fmt: skip
    [(workflow, service, status, by)] = await stack.rows(
        "SELECT workflow, service_name, workflow_state ->> 'status', "
        "workflow_state #>> '{answers,target[search],by}' FROM sessions"
    )
    assert (workflow, service, status, by) == ("SLO Sample", "checkout", "done", OMAR)
    assert await stack.rows(
        "SELECT action, workflow, service_name, user_id FROM audit_log WHERE action LIKE 'workflow%' ORDER BY id"
    ) == [
        ("workflow_start", "SLO Sample", "checkout", MAYA),
        ("workflow_complete", "SLO Sample", "checkout", MAYA),
    ]


async def test_a_side_question_is_answered_and_the_place_is_kept(stack: Stack, repo: Path) -> None:
    await stack.serve()
    ts, _ = await stack.ask(START)
    await said(stack, ts, "pay")
    beside = await said(stack, ts, "what does tier 1 ask of us?")

    assert "tier-1" in shown([beside]).lower() or "tier 1" in beside.text.lower()
    assert PAY in beside.text
    assert "Anything to say about pay?" in (await said(stack, ts, "99", user=OMAR)).text
    status = (await said(stack, ts, "status")).text
    assert "target of pay: **99 %** (omar)" in status
    assert "journeys: **pay** (maya)" in status
    assert OMAR not in status


async def test_it_goes_on_after_a_restart_and_finishes_on_the_revision_it_began_with(
    stack: Stack, repo: Path
) -> None:
    first = await stack.serve()
    ts, _ = await stack.ask(START)
    await said(stack, ts, "pay", "pause")
    called = await said(stack, ts, "hello?", user=OMAR)
    assert called.text.startswith("“SLO Sample” is paused at phase 2 of 3, question 1 of")
    assert "Sources" not in shown([called])
    [(known,)] = await stack.rows("SELECT count(*) FROM knowledge_revisions")
    commit(repo, "workflows/slo.md", SLO.replace("must succeed?", "has to succeed?"))
    await revisions(stack, known + 1)
    await first.stop()
    await stack.serve()
    # A pause hears nothing but what ends it: this is a question like any other.
    answer = await said(stack, ts, "which timeout does checkout use towards payments?")
    assert PAY not in answer.text
    assert "2 s" in answer.text or "timeout" in answer.text
    assert "“SLO Sample” is paused at phase 2 of 3, question 1 of" in shown([answer])
    resumed = await said(stack, ts, "resume", user=OMAR)

    assert PAY in resumed.text
    assert "has changed since; this one finishes on revision" in shown([resumed])
    other, [begun] = await stack.ask(START)
    assert "has to succeed?" in (await said(stack, other, "pay")).text


TIERS = """---
triggers: [review the target]
---
# Target Review
## Phase 1: Ready
```fields
- name: ready
  type: yes/no
```
## Phase 2: Target
```fields
wants: [baseline]
fields:
  - name: enough
    question: "{{ baseline.said }} Is that enough?"
```
"""


async def test_what_was_removed_meanwhile_finishes_by_the_documents_and_standards_it_began_with(
    stack: Stack, repo: Path
) -> None:
    with_workflow(repo, "target.md", TIERS)
    await stack.serve()
    ts, _ = await stack.ask("<@U0AGENT> let's review the target of checkout")
    [(known,)] = await stack.rows("SELECT count(*) FROM knowledge_revisions")
    tier = repo / "tiers" / "tier-1.md"
    tier.write_text(tier.read_text("utf-8").replace("99.95 % per journey", "90 % per journey"), "utf-8")
    git(repo, "rm", "--quiet", "workflows/target.md")
    git(repo, "commit", "--quiet", "--all", "--message", "Ask for less, and review it no more")
    await revisions(stack, known + 1)
    asked = await said(stack, ts, "yes")
    assert "Tier 1 asks for 99.95 % per journey. Is that enough?" in asked.text
    assert "has changed since; this one finishes on revision" in shown([asked])
    last = await said(stack, ts, "It is.")

    assert "is done" in last.text
    assert "It is." in "".join(files(stack, ts).values())
    _, [now] = await stack.ask("<@U0AGENT> let's review the target of checkout")
    assert "Target Review" not in now.text


async def test_markdown_of_another_system_runs_in_a_thread(stack: Stack, repo: Path) -> None:
    await stack.serve()
    ts, [first] = await stack.ask("<@U0AGENT> start the service handover interview for checkout please")
    assert "for its users, in one or two sentences?" in first.text
    last = await said(stack, ts, "People pay with it.", "Nights are quiet.", "Ada and Linus")

    assert "is done" in last.text
    [content] = files(stack, ts).values()
    assert "## What it does\nPeople pay with it." in content
    assert "Owner until now: Checkout" in content


async def test_a_question_about_a_workflow_starts_none(stack: Stack, repo: Path) -> None:
    await stack.serve()
    await stack.ask("<@U0AGENT> why should we define SLOs for checkout?")

    assert await stack.rows("SELECT workflow, workflow_state FROM sessions") == [(None, None)]


async def test_cancelled_the_thread_is_a_conversation_again(stack: Stack, repo: Path) -> None:
    await stack.serve()
    ts, _ = await stack.ask(START)
    assert "Cancelled" in (await said(stack, ts, "cancel")).text
    answer = await said(stack, ts, "99.9")

    assert "question" not in answer.text
    assert await stack.rows("SELECT count(*) FROM artifacts") == [(0,)]
    again = await said(stack, ts, "define SLOs for checkout")
    assert "Which journeys does checkout serve?" in again.text


def read(**values: str) -> Call:
    return call("conclude", fields=[{"name": name, "value": value} for name, value in values.items()])


async def test_a_model_reads_several_fields_out_of_one_message(
    stack: Stack, repo: Path, model: FakeAnthropic
) -> None:
    await stack.serve()
    ts, [first] = await stack.ask(START)
    assert "Which journeys does checkout serve?" in first.text
    model.requests.clear()
    model.script.add(say("", read(journeys="pay, search", team="Shop", nonsense="x", accept="perhaps")))
    answer = await said(
        stack, ts, "We have pay and search, and by now it is Shop who owns them, not Checkout"
    )

    assert "Noted: journeys is" in answer.text
    assert PAY in answer.text
    assert "nonsense" not in answer.text
    asked = json.dumps(model.requests[0], ensure_ascii=False)
    assert "<message>" in asked
    assert "Which journeys does checkout serve?" in asked
    assert "99.9" in (await said(stack, ts, "99.9")).text
    assert sum("<message>" in json.dumps(each) for each in model.requests) == 1
    [(how, value)] = await stack.rows(
        "SELECT workflow_state #>> '{answers,journeys,how}', workflow_state #>> '{answers,journeys,value}' FROM sessions"
    )
    assert (how, json.loads(value)) == ("model", ["pay", "search"])
    assert await stack.rows("SELECT count(*) FROM usage") == [(1,)]


async def test_when_the_model_fails_an_answer_counts_word_for_word(
    stack: Stack, repo: Path, model: FakeAnthropic
) -> None:
    await stack.serve()
    ts, _ = await stack.ask(START)
    model.script.add(Reply(status=401, message="no"))
    answer = await said(
        stack, ts, "- pay, with a card or an invoice of ours\n- search, by text and by picture"
    )

    assert "What share of “pay, with a card or an invoice of ours” must succeed?" in answer.text
    assert "word for word" in shown([answer])


CHOICES = """---
triggers: [pick a format]
---
# Format
## Phase 1: Format
```fields
- name: format
  choices: {datadog: Datadog SLO, prometheus: Prometheus rules}
- name: region
  choices: [eu1, eu2, us1, us2, ap1, ap2]
- name: live
  type: yes/no
- name: within
  type: duration
  propose: 5m
```
"""


async def test_choices_are_buttons_and_menus_and_need_no_writing(stack: Stack, repo: Path) -> None:
    (repo / "workflows" / "format.md").write_text(CHOICES)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Add one")
    await stack.serve()
    ts, [first] = await stack.ask("<@U0AGENT> let's pick a format for checkout")
    await stack.slack.click(MAYA, first.ts, "choose_1")
    region = await after(stack, ts, "What is the region?")
    assert "Noted: format is" in region.text
    assert [block["elements"][0]["type"] for block in region.blocks if block["type"] == "actions"] == [
        "static_select"
    ]
    option = next(block for block in region.blocks if block["type"] == "actions")["elements"][0]["options"][4]
    await stack.slack.click(OMAR, region.ts, "choose_menu", option["value"])
    live = await after(stack, ts, "What is the live?")
    # Chosen late, or twice, it answers no other question.
    await stack.slack.click(MAYA, first.ts, "choose_0")
    await stack.slack.wait_for(lambda: stack.slack.ephemeral(MAYA))
    await stack.slack.click(MAYA, live.ts, "choose_0")
    within = await after(stack, ts, "What is the within?")
    await stack.slack.click(MAYA, within.ts, "choose_0")
    await after(stack, ts, "is done")

    assert await stack.rows(
        "SELECT answer.key, answer.value -> 'value', answer.value ->> 'by' FROM sessions, "
        "jsonb_each(workflow_state -> 'answers') AS answer ORDER BY 1"
    ) == [
        ("format", "prometheus", MAYA),
        ("live", True, MAYA),
        ("region", "ap1", OMAR),
        ("within", "5m", MAYA),
    ]


async def after(stack: Stack, ts: str, words: str) -> Message:
    """The agent's message that says this, once it is complete."""

    def found() -> Message | None:
        said = [each for each in stack.answers(CHECKOUT, ts) if words in each.text and not each.streaming]
        return said[-1] if said and said[-1].blocks else None

    message = await stack.slack.wait_for(found)
    assert message is not None
    return message


NOTE = """---
triggers: [write a note]
artifact: {file_name: note.yaml}
---
# Note
## Phase 1: Note
```fields
- name: what
- name: why
```
## Phase 2: Output
```yaml
title: note
# From a template that forgot to quote.
said: {{ what }}: {{ why }}
```
"""
WRITE_A_NOTE = "<@U0AGENT> let's write a note"


def with_workflow(repo: Path, name: str, text: str) -> None:
    (repo / "workflows" / name).write_text(text)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Add one")


def repair(line: int, text: str) -> Call:
    return call("conclude", edits=[{"first": line, "last": line, "text": text}])


async def test_a_file_that_is_not_valid_is_repaired_and_that_is_said(
    stack: Stack, repo: Path, model: FakeAnthropic
) -> None:
    with_workflow(repo, "note.md", NOTE)
    await stack.serve()
    ts, _ = await stack.ask(WRITE_A_NOTE)
    await said(stack, ts, "cards")
    model.script.add(say("", repair(3, "said: cheaper")), say("", repair(3, 'said: "cards: 99.5 in May"')))
    last = await said(stack, ts, "99.5 in May")

    assert "a model has repaired it" in last.text
    assert "line 3 is not valid YAML" in last.text
    assert "**not valid**" not in last.text
    assert yaml.safe_load(files(stack, ts)["note.yaml"]) == {"title": "note", "said": "cards: 99.5 in May"}
    first, second = (json.dumps(each, ensure_ascii=False) for each in model.requests if "Faults" in str(each))
    assert "3: said: cards:" in first
    assert "Your last repair was not taken: It changes words" in second
    assert await stack.rows("SELECT faults FROM artifacts") == [(None,)]


async def test_after_two_repairs_that_lose_an_answer_it_is_handed_over_marked(
    stack: Stack, repo: Path, model: FakeAnthropic
) -> None:
    with_workflow(repo, "note.md", NOTE)
    await stack.serve()
    ts, _ = await stack.ask(WRITE_A_NOTE)
    await said(stack, ts, "cards")
    model.script.add(*(say("", repair(3, "said: cards")) for _ in range(3)))
    last = await said(stack, ts, "99.5 in May")

    assert sum("Faults" in str(each) for each in model.requests) == 2
    assert "`note.yaml` is *not valid*" in last.text.replace("**", "*")
    assert 'said: cards: "99.5 in May"' in files(stack, ts)["note.yaml"]
    [(faults,)] = await stack.rows("SELECT faults FROM artifacts")
    assert "line 3 is not valid YAML" in faults[0]


async def test_without_a_model_a_file_that_is_not_valid_is_handed_over_marked(
    stack: Stack, repo: Path
) -> None:
    with_workflow(repo, "note.md", NOTE)
    await stack.serve()
    ts, _ = await stack.ask(WRITE_A_NOTE)
    last = await said(stack, ts, "cards", "99.5 in May")

    assert "not valid" in last.text
    assert "repaired" not in last.text
    assert 'said: cards: "99.5 in May"' in files(stack, ts)["note.yaml"]
    [(faults,)] = await stack.rows("SELECT faults FROM artifacts")
    assert "line 3 is not valid YAML" in faults[0]


DRAFTS = """---
triggers: [write a profile]
---
# Profile
## Phase 1: Summary
A profile begins with what would be missed.
```fields
- name: purpose
  question: What is {{ service }} there for?
- name: summary
  draft: true
  question: How shall the summary of {{ service }} read?
```
## Phase 2: Output
```markdown
# {{ service }}
{{ summary }}
```
"""
DRAFT = "Without checkout nobody pays.\n\nIt has no other purpose."
WAY_IN = "A profile of checkout begins with what would be missed without it."


def writing(way_in: str = WAY_IN, draft: str = DRAFT) -> Script:
    """A model that leads to questions and drafts."""

    def respond(body: dict[str, Any]) -> Reply:
        form = body["tools"][-1]["description"]
        return say("", call("conclude", text=draft if "draft" in form else way_in))

    return Script(respond)


async def test_a_model_leads_to_a_question_and_drafts_what_a_person_confirms(
    stack: Stack, repo: Path, model: FakeAnthropic
) -> None:
    with_workflow(repo, "profile.md", DRAFTS)
    model.script = writing()
    await stack.serve()
    ts, [first] = await stack.ask("<@U0AGENT> let's write a profile for checkout")
    assert first.text.index(WAY_IN) < first.text.index("What is checkout there for?")
    assert "begins with what would be missed" in json.dumps(model.requests[0])
    drafted = await said(stack, ts, "payments", "status")
    assert "How shall the summary of checkout read?" in drafted.text
    assert "> Without checkout nobody pays." in drafted.text
    assert "payments" in json.dumps(model.requests[1])
    assert len(model.requests) == 2
    await stack.slack.click(OMAR, drafted.ts, "choose_0")
    await after(stack, ts, "is done")

    assert DRAFT in files(stack, ts)["checkout-profile.md"]
    assert await stack.rows(
        "SELECT workflow_state #>> '{answers,summary,by}', workflow_state #>> '{answers,summary,how}', "
        "workflow_state -> 'drafts' FROM sessions"
    ) == [(OMAR, "proposed", None)]


async def test_what_a_model_may_not_say_is_not_said(stack: Stack, repo: Path, model: FakeAnthropic) -> None:
    with_workflow(repo, "profile.md", DRAFTS)
    model.script = writing("And who owns it? See https://evil.example.", "It served 42 users.")
    await stack.serve()
    ts, [first] = await stack.ask("<@U0AGENT> let's write a profile for checkout")
    assert "who owns it" not in first.text
    assert "What is checkout there for?" in first.text
    second = await said(stack, ts, "payments")
    assert "How shall the summary of checkout read?" in second.text
    assert "42" not in second.text
    await said(stack, ts, "It takes the money.")

    assert "It takes the money." in files(stack, ts)["checkout-profile.md"]
