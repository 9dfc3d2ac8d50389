"""A model that obeys everything it reads, documents and file names written by an enemy: what Slack gets."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt

from app.agent.links import keep_known_links
from app.context.models import Source
from app.conversations.analyst import LONGEST_SAID, MOST_SAID, lately
from app.conversations.reply import Said
from app.playground.slack.faults import CallFault
from app.slack import blocks as kit
from app.slack.text import markdown, settled, split
from tests.acceptance.conftest import CHECKOUT, LAUNCH, MAYA, Stack
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import call, conclude, say

PINGS = ("<!channel>", "<!here|x>", "<!everyone>", "<@U0OMAR>", "<!subteam^S0SRETEAM>", "@channel", "＠here")
HOSTILE = "\n\n".join(
    (
        *(f"{ping} `{ping}` **{ping}** [{ping}](https://evil.example)" for ping in PINGS),
        "![pixel](https://evil.example/p.png) <img src=https://evil.example/p.png>",
        "[docs](https://evil.example/a) <https://evil.example/b|docs> https://evil.example/c www.evil.example",
        "```\ncode ```\n[after](https://evil.example/d) <!channel>\n```",
        "~~~\n[tilde](https://evil.example/e) <!here>\n~~~",
        "`" * 20 + "\n[long fence](https://evil.example/f)\n" + "`" * 20,
        "&lt;!channel&gt; &#60;!here> \\<!channel> <\u2060!channel> <!chan\u200bnel>",
    )
)
PING = re.compile(
    r"<(?:!(?:channel|here|everyone|group|subteam)|@[UW]|#C)|(?<!\w)[@\uff20](?:channel|here|everyone)\b"
)
PARSER = MarkdownIt("commonmark")


def texts_in(value: object) -> Iterator[str]:
    """Every string within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)


def targets(text: str) -> Iterator[str]:
    """Links and images a Markdown parser sees, and addresses that Slack makes links of by itself."""
    for block in PARSER.parse(text):
        for token in block.children or ():
            if token.type in ("link_open", "image"):
                yield str(token.attrs.get("href") or token.attrs.get("src"))
            elif token.type == "text":
                yield from re.findall(r"https?://\S+|www\.\S+", token.content)


def sent(stack: Stack) -> list[str]:
    """Every string we ever handed to Slack but the search for messages of our own."""
    calls = (each for each in stack.slack.calls() if each.method.startswith(("chat.", "agents.", "files.")))
    return [text for each in calls for text in texts_in(_decoded(each.arguments))]


def _decoded(value: object) -> object:
    """Arguments that were sent as JSON within a form, read."""
    if isinstance(value, dict):
        return {key: _decoded(each) for key, each in value.items()}
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


async def obey(stack: Stack, *replies: object) -> None:
    async with FakeAnthropic(list(replies)) as model:  # type: ignore[arg-type]
        await stack.serve(
            MODEL_PROVIDER="anthropic", ANTHROPIC_API_KEY="sk-ant-test", ANTHROPIC_BASE_URL=model.url
        )
        ts = await stack.slack.say(
            MAYA, CHECKOUT, f"{LAUNCH} {HOSTILE}", files={"a` <!channel> https://evil.example `.png": b"x"}
        )
        await stack.answered(CHECKOUT, ts)


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "edited"])
async def test_a_model_that_obeys_pings_nobody_and_links_nowhere(stack: Stack, streams: bool) -> None:
    if not streams:
        stack.slack.faults.calls.add("chat.startStream", CallFault.refused("not_allowed"), times=9)
    evil = {"path": f"{HOSTILE} ../../etc/passwd", "service": "<!channel> https://evil.example"}
    await obey(
        stack,
        say("Looking. " + HOSTILE, call("read_service_file", **evil), call(HOSTILE[:60], text="<!here>")),
        say(HOSTILE, conclude(0.9, sources=[HOSTILE], missing=[HOSTILE])),
    )
    assert sent(stack)
    for text in sent(stack):
        assert not PING.search(text), text
        for target in targets(text):
            assert "evil.example" not in target, text


async def test_a_model_that_writes_what_no_database_takes_is_answered_from(stack: Stack) -> None:
    odd = "a\0b \ud800 \\u0000 c"
    await obey(
        stack,
        say(odd, call("read_service_file", path=odd), call("search_service_code", text=odd)),
        say(odd, conclude(0.9, sources=[odd], missing=[odd])),
    )
    assert await stack.rows("SELECT status FROM turns") == [("done",)]


def test_an_answer_cut_anywhere_links_nowhere() -> None:
    """What was code in the whole answer must still be code in the message its second half is in."""
    chance = random.Random(7)
    for _ in range(60):
        words = " ".join(
            chance.choice(
                ("word", "`see [x](https://evil.example/a) and`", "``a ` [x](https://evil.example/b)``")
            )
            for _ in range(120)
        )
        kept = keep_known_links(words, frozenset())
        for piece in split(kept, chance.randint(400, 900)):
            for target in targets(markdown(piece.body)):
                assert "evil.example" not in target, piece.body


def test_hostile_fragments_are_escaped_like_the_whole() -> None:
    chance = random.Random(3)
    signs = [
        "<",
        "!",
        "channel",
        ">",
        "`",
        "``",
        "```",
        "\n",
        "@",
        "here",
        "\\",
        "&lt;",
        "~~~",
        " ",
        "＜",
        "a",
    ]
    for _ in range(3000):
        text = "".join(chance.choices(signs, k=chance.randint(1, 20)))
        shown = ""
        for end in range(len(text) + 1):
            sure = markdown(text[: settled(text[:end])])
            assert sure.startswith(shown), (text, shown, sure)
            shown = sure
        assert markdown(text).startswith(shown), (text, shown)
        assert not PING.search(markdown(text)), text


def test_what_stands_below_an_answer_pings_nobody_and_links_nowhere() -> None:
    source = Source(kind="readme", title=HOSTILE, path=HOSTILE)
    blocks = [
        *kit.answer_blocks(turn_id="t", sources=[source], notices=[HOSTILE], offline_reason=HOSTILE),
        *kit.error_blocks(HOSTILE, "t`<!here>"),
        kit.plan(HOSTILE, [kit.Task(id="1", title=HOSTILE, details=HOSTILE, sources=(source,))]),
    ]
    for text in texts_in(blocks):
        assert not PING.search(text), text
        assert not re.search(r"https?://evil|www\.evil", text), text


def test_a_thread_of_long_messages_is_read_in_part() -> None:
    said = tuple(Said("U1", f"{n} " + "x" * 40_000, f"{n}.0") for n in range(50))
    heard = lately(said)
    assert heard[-1].text.startswith("49 ")
    assert all(len(each.text) <= LONGEST_SAID for each in heard)
    assert sum(len(each.text) for each in heard) <= MOST_SAID
