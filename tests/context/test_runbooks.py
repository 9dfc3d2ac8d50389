"""Which runbook an alert gets."""

from __future__ import annotations

import pytest

from app.context.runbooks import Runbook, Runbooks, runbooks_of
from app.knowledge.models import Document, Knowledge

PAGES = {
    "PoolExhausted": "# Pool exhausted\n\nAll connections of a database pool are in use.\n",
    "HighLatency": "# High latency\n\nThe 99th percentile is above its target.\n",
    "VolumeFillingUp": "# Volume filling up\n\nThe file system will be full within hours.\n",
    "BadConfig": "# Bad config\n\nThe server rejects the file it was given.\n",
    "QuotaAlmostFull": "# Quota almost full\n\nNine tenths of the quota are used.\n",
    "QuotaFullyUsed": "# Quota fully used\n\nThe quota is used up.\n",
}


def knowledge(web_url: str | None = None) -> Knowledge:
    pages = tuple(
        Document(f"runbooks/db/{name}.md", text.split("\n")[0][2:], text) for name, text in PAGES.items()
    )
    return Knowledge("abc123", Document("system-prompt.md", "", ""), runbooks=pages, web_url=web_url)


@pytest.fixture(scope="module")
def index() -> Runbooks:
    return runbooks_of(knowledge())


@pytest.mark.parametrize("name", ["PoolExhausted", "pool-exhausted", "Pool exhausted", "POOL_EXHAUSTED"])
def test_the_alert_s_exact_name_comes_first_however_it_is_spelt(index: Runbooks, name: str) -> None:
    first = index.find(name, "the file system is full, latency is high")[0]

    assert first.runbook.name == "PoolExhausted"
    assert first.exact
    assert first.fit == 1


def test_a_name_inside_the_text_counts_as_the_name(index: Runbooks) -> None:
    found = index.find(None, "What do we do about QuotaFullyUsed, the quota is almost full?")

    assert found[0].runbook.name == "QuotaFullyUsed"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("No free connection to the database", "PoolExhausted"),
        ("p99 latency of checkout is above 2 s", "HighLatency"),
        ("The filesystem of /data runs out of space", "VolumeFillingUp"),
        ("Invalid configuration", "BadConfig"),
        ("Namespace quota is almost exceeded", "QuotaAlmostFull"),
    ],
)
def test_without_a_name_the_words_decide(index: Runbooks, text: str, name: str) -> None:
    assert index.find(None, text)[0].runbook.name == name


def test_nothing_in_common_finds_nothing(index: Runbooks) -> None:
    assert index.find(None, "zebra") == ()
    assert index.find(None, "") == ()
    assert Runbooks().find("PoolExhausted", "pool") == ()


def test_the_fit_tells_a_chance_word_from_a_match(index: Runbooks) -> None:
    assert index.find(None, "the pool is exhausted")[0].fit == 1
    assert index.find(None, "target practice")[0].fit == 0


def test_no_more_than_asked_for_and_each_once(index: Runbooks) -> None:
    found = index.find("HighLatency", "HighLatency high latency quota pool volume", limit=2)

    assert found[0].runbook.name == "HighLatency"
    assert len({each.runbook.name for each in found}) == 2


def test_a_long_text_is_read_to_a_bound(index: Runbooks) -> None:
    assert index.find(None, "noise " * 100_000 + "pool exhausted") == ()


def test_a_page_links_to_itself_at_its_revision() -> None:
    index = runbooks_of(knowledge("https://github.com/acme/knowledge/blob/abc123"))
    runbook = index.find("HighLatency")[0].runbook

    assert runbook.url == "https://github.com/acme/knowledge/blob/abc123/runbooks/db/HighLatency.md"
    assert runbook.revision == "abc123"


def test_a_service_s_own_runbooks_are_found_for_it_alone() -> None:
    url = "https://wiki.acme.example/runbooks/CheckoutQueue.md"
    index = runbooks_of(knowledge(), {"checkout": [url]})

    assert [each.url for each in index.of_service("checkout")] == [url]
    assert index.find("CheckoutQueue", service="checkout")[0].runbook.url == url
    assert index.find("CheckoutQueue", service="payments") == ()


def test_of_pages_alike_the_one_whose_title_is_asked_for_in_full_wins() -> None:
    titles = ("Node disk filling up", "Disk filling up", "Disk")
    index = Runbooks(Runbook(title, title.replace(" ", "")) for title in titles)

    found = [each.runbook.title for each in index.find(None, "the disk is filling up")]
    assert found == ["Disk filling up", "Node disk filling up", "Disk"]
