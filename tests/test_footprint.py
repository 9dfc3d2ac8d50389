"""While a program starts nothing looks for garbage, and afterwards something does again."""

from __future__ import annotations

import gc

from app.footprint import make_what_stays, settle


def test_the_collector_rests_while_a_program_starts_and_then_passes_over_what_stays() -> None:
    make_what_stays()
    assert not gc.isenabled()

    settle()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
