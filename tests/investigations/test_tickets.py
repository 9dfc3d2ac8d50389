"""A ticket a model speaks of is shown where a tool's result names it, and nowhere else."""

from __future__ import annotations

import pytest

from app.investigations.tickets import DROPPED, MOST_TICKETS, supported

SEEN = ("OPS-12: checkout is slow (https://acme.atlassian.net/browse/OPS-12)", "see acme/shop#41 and #7")


@pytest.mark.parametrize(
    ("ticket", "holds"),
    [
        ("OPS-12: checkout is slow", True),
        ("https://acme.atlassian.net/browse/OPS-12.", True),
        ("acme/shop#41", True),
        ("#7, about the pool", True),
        ("OPS-1: checkout is slow", False),
        ("OPS-123: checkout is slow", False),
        ("XOPS-12", False),
        ("OPS-12 and OPS-99", False),
        ("https://evil.example/OPS-12", False),
        ("shop#41", False),
        ("#4", False),
        ("checkout is slow", False),
        ("", False),
    ],
)
def test_a_ticket_holds_when_a_result_names_all_it_refers_to(ticket: str, holds: bool) -> None:
    assert supported([ticket], SEEN) == ((ticket,) if holds else (), () if holds else (DROPPED,))


def test_there_are_no_more_than_people_read() -> None:
    named = [f"OPS-{number}" for number in range(20)]
    assert supported(named, [" ".join(named)]) == (tuple(named[:MOST_TICKETS]), ())
