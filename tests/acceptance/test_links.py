"""What an answer quotes can be opened, at the section it is quoted from."""

from __future__ import annotations

import html
import re
from urllib.parse import urldefrag

import httpx

from tests.acceptance.conftest import Stack

QUOTE = re.compile(r"^\[[^\]]+\]\((http\S+?)\) · ([^\n]+)\n> ([^\n]+)", re.MULTILINE)
LINK = re.compile(r"\]\((http://localhost[^)\s]+)\)")


def shown_lines(page: str) -> list[str]:
    """The lines of a page of the forge, each with its number in front."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.replace("</div>", "\n"))).split("\n")


async def test_each_quote_links_to_its_section(stack: Stack) -> None:
    await stack.serve()

    _, [answer] = await stack.ask()

    quotes = QUOTE.findall(answer.text)
    assert {link.split("/blob/")[0].rpartition("/")[2] for link, *_ in quotes} == {"knowledge", "blueprints"}
    async with httpx.AsyncClient(timeout=60) as client:
        for link, heading, first in quotes:
            page, line = urldefrag(link)
            opened = await client.get(page)
            assert opened.status_code == 200
            section = shown_lines(opened.text.partition(f'<div id="{line}">')[2])
            assert section[0].endswith(heading)
            assert any(each.endswith(first) for each in section)


async def test_every_link_of_an_answer_opens_the_readme_s_too(stack: Stack) -> None:
    await stack.serve()

    _, [answer] = await stack.ask("<@U0AGENT> how is checkout run on my own machine?")

    links = LINK.findall(answer.text)
    assert any("/acme/checkout/blob/" in link and link.split("#")[0].endswith("README.md") for link in links)
    async with httpx.AsyncClient(timeout=60) as client:
        assert {(await client.get(link)).status_code for link in links} == {200}
