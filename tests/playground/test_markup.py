"""What a message says becomes text, formatting and safe links, and never anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from app.playground.slack import PlaygroundSlack, Workspace

pytestmark = pytest.mark.browser

RENDER = """async ([dialect, text]) => {
  const { Markup } = await import('/markup.js');
  const names = { user: (id) => ({ U0OMAR: 'omar' })[id], channel: (id) => ({ C0GENERAL: 'general' })[id],
    group: (id) => ({ S0SRETEAM: 'sre-team' })[id], me: () => 'U0MAYA' };
  return new Markup(names)[dialect](text);
}"""

MRKDWN = [
    ("*bold* _italic_ ~gone~", "<p><strong>bold</strong> <em>italic</em> <del>gone</del></p>"),
    ("snake_case_name and 2*3*4", "<p>snake_case_name and 2*3*4</p>"),
    ("`*not bold*`", "<p><code>*not bold*</code></p>"),
    ("a &lt;b&gt; &amp; c", "<p>a &lt;b&gt; &amp; c</p>"),
    ("<@U0OMAR>", '<p><span class="mention">@omar</span></p>'),
    ("<!subteam^S0SRETEAM>", '<p><span class="mention">@sre-team</span></p>'),
    ("<#C0GENERAL|general>", '<p><span class="mention">#general</span></p>'),
    ("<!channel>", '<p><span class="mention mention-me">@channel</span></p>'),
    ("> said\nmore", "<blockquote><p>said</p></blockquote><p>more</p>"),
    ("• one\n• two", "<ul><li>one</li><li>two</li></ul>"),
    ("one\ntwo", "<p>one<br>two</p>"),
]
MARKDOWN = [
    ("**bold** *italic* ~~gone~~", "<p><strong>bold</strong> <em>italic</em> <del>gone</del></p>"),
    ("# Title", '<h3 class="md-h md-h1">Title</h3>'),
    ("1. one\n2. two", "<ol><li>one</li><li>two</li></ol>"),
    ("- a\n  - b", "<ul><li>a<ul><li>b</li></ul></li></ul>"),
    ("- [x] done", '<ul><li><span class="check">☑</span> done</li></ul>'),
    ("---", "<hr>"),
    ("\\*plain\\*", "<p>*plain*</p>"),
    (
        "```yaml\na: <b>\n```",
        '<div class="code-block"><span class="code-language">yaml</span>'
        "<pre><code>a: &lt;b&gt;</code></pre></div>",
    ),
    (
        "| a | b |\n|---|--:|\n| 1 | 2 |",
        '<div class="table-wrap"><table><thead><tr>'
        '<th class="align-left">a</th><th class="align-right">b</th></tr></thead>'
        '<tbody><tr><td class="align-left">1</td><td class="align-right">2</td></tr></tbody>'
        "</table></div>",
    ),
    (
        "[**text**](https://acme.example/a?b=1&c=2)",
        '<p><a href="https://acme.example/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer">'
        "<strong>text</strong></a></p>",
    ),
    (
        "see https://acme.example/x.",
        '<p>see <a href="https://acme.example/x" target="_blank" rel="noopener noreferrer">'
        "https://acme.example/x</a>.</p>",
    ),
]


@pytest.fixture(scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with PlaygroundSlack(Workspace.example()) as slack:
        context = await browser.new_context()
        made = await context.new_page()
        await made.goto(slack.url)
        yield made
        await context.close()


@pytest.mark.parametrize(("text", "html"), MRKDWN)
async def test_mrkdwn_is_rendered(page: Page, text: str, html: str) -> None:
    assert await page.evaluate(RENDER, ["mrkdwn", text]) == html


@pytest.mark.parametrize(("text", "html"), MARKDOWN)
async def test_markdown_is_rendered(page: Page, text: str, html: str) -> None:
    assert await page.evaluate(RENDER, ["markdown", text]) == html


NASTY = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "<javascript:alert(1)|click>",
    "<data:text/html,x|click>",
    '[a](https://x.example/"onmouseover="alert(1))',
    '<https://x.example/" onmouseover="alert(1)|click>',
    "<https://x.example|<img src=x onerror=alert(1)>>",
    "&lt;img src=x onerror=alert(1)&gt;",
    "```<img src=x onerror=alert(1)>```",
    "`<img src=x onerror=alert(1)>`",
    "# <img src=x onerror=alert(1)>",
    "| <img src=x onerror=alert(1)> |\n|---|\n| <svg onload=alert(1)> |",
    "> <iframe src=https://x.example></iframe>",
    '```"><img/src=x>\n<img src=x onerror=alert(1)>\n```',
    "<@U0OMAR|<img src=x onerror=alert(1)>>",
    "<!date^1^{x}|<img src=x onerror=alert(1)>>",
    "\ue0000\ue001 \ue0001\ue001",
    "![x](https://tracker.example/pixel.png)",
]
INSIDE = """([html]) => {
  const box = document.createElement('template');
  box.innerHTML = html;
  const all = [...box.content.querySelectorAll('*')];
  return {
    tags: [...new Set(all.map((e) => e.tagName.toLowerCase()))],
    attributes: [...new Set(all.flatMap((e) => e.getAttributeNames()))],
    links: all.filter((e) => e.href).map((e) => e.getAttribute('href')),
  };
}"""
TAGS = "p br code pre div span a strong em del ul ol li blockquote table thead tbody tr th td h3 hr"


@pytest.mark.parametrize("dialect", ["mrkdwn", "markdown", "plain"])
@pytest.mark.parametrize("text", NASTY)
async def test_nothing_but_formatting_comes_of_a_text(page: Page, text: str, dialect: str) -> None:
    inside = await page.evaluate(INSIDE, [await page.evaluate(RENDER, [dialect, text])])
    assert set(inside["tags"]) <= set(TAGS.split())
    assert set(inside["attributes"]) <= {"class", "href", "target", "rel", "start"}
    assert all(link.startswith(("https://", "http://", "mailto:")) for link in inside["links"])
