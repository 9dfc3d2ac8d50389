"""What Prometheus reads: our instruments under its names, accepted by its own linter."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from app.instruments import INSTRUMENTS, MOST_SERIES, Counter, Histogram
from app.operations.exposition import family, metric_name
from app.operations.operations import Operations
from tests.operations.conftest import beat


def sample(counter: Counter | Histogram) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(each.name, tuple(each.labels.values())): each.value for each in family(counter).samples}


def test_a_counter_is_there_before_it_counts_and_has_the_suffix_of_its_kind() -> None:
    counter = Counter("sre_agent.things.seen", "Things.", "{thing}")
    assert sample(counter) == {("sre_agent_things_seen_total", ()): 0}
    counter.add()
    counter.add(2)
    assert sample(counter) == {("sre_agent_things_seen_total", ()): 3}


def test_a_histogram_has_its_unit_and_counts_what_is_on_a_bound_below_it() -> None:
    histogram = Histogram("sre_agent.wait", "Waiting.", "s", ("queue",), bounds=(1, 5))
    for seconds in (0.5, 1, 4, 99):
        histogram.record(seconds, queue="turns")
    assert sample(histogram) == {
        ("sre_agent_wait_seconds_bucket", ("turns", "1.0")): 2,
        ("sre_agent_wait_seconds_bucket", ("turns", "5.0")): 3,
        ("sre_agent_wait_seconds_bucket", ("turns", "+Inf")): 4,
        ("sre_agent_wait_seconds_count", ("turns",)): 4,
        ("sre_agent_wait_seconds_sum", ("turns",)): 104.5,
    }
    assert histogram.percentiles(0.5, 0.99) == (4, 99)


def test_values_that_somebody_makes_up_do_not_grow_the_page_for_ever() -> None:
    counter = Counter("sre_agent.calls", "Calls.", "{call}", ("tool",))
    for number in range(3 * MOST_SERIES):
        counter.add(tool=f"made-up-{number}")
    assert len(counter.values) == MOST_SERIES + 1
    assert counter.values["other",] == 2 * MOST_SERIES
    assert counter.total == 3 * MOST_SERIES


async def test_the_page_holds_every_instrument_and_says_which_replicas_share(
    engine: AsyncEngine, operations: Operations
) -> None:
    await beat(engine)
    page = (await operations.exposition()).decode()
    families = {each.name: each for each in text_string_to_metric_families(page)}
    assert families.keys() >= {metric_name(each) for each in INSTRUMENTS}
    for each in INSTRUMENTS:
        told = families[metric_name(each)].documentation
        assert ("never sum()" in told) == each.everywhere
    (workers,) = families["sre_agent_queue_workers"].samples
    assert workers.value == 1
    revision = families["sre_agent_knowledge_revision"].samples[0].labels["revision"]
    assert revision == operations.keeper.current.revision
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool comes with Debian's prometheus")
async def test_prometheus_own_linter_finds_nothing(engine: AsyncEngine, operations: Operations) -> None:
    page = await operations.exposition()
    ours = b"".join(line + b"\n" for line in page.split(b"\n") if b"sre_agent_" in line or b"gen_ai_" in line)
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=ours, capture_output=True, check=False, timeout=250
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
