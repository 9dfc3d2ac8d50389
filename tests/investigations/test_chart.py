"""The chart of a symptom: its words, its picture, and what a failing child costs."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.investigations.amounts import amount
from app.investigations.chart import ChartFailed, alt_text, drawing, render
from app.investigations.drawing import Drawing, Label, parted, pieces, png, rows
from app.signals.models import Change, Series

START = 1_800_000_000.0
STEP = tuple((START + 30 * n, 0.002 if n < 70 else 0.12) for n in range(120))
SYMPTOM = Series("error_rate", STEP, "checkout", unit="ratio")
ONSET = START + 30 * 70


def change(at: float, id: str = "4f1c2ab99d00aa17", kind: str = "deploy") -> Change:
    return Change(kind, id, at, "v41", "checkout")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0312, "ratio", "3.12 %"),
        (1.0, "ratio", "100 %"),
        (42.0, "percent", "42 %"),
        (0.42, "seconds", "420 ms"),
        (0.0000052, "seconds", "5.2 µs"),
        (90.0, "seconds", "90 s"),
        (150.0, "seconds", "2.5 min"),
        (7200.0, "seconds", "2 h"),
        (1536.0, "bytes", "1.5 KiB"),
        (9.1e8, "bytes", "868 MiB"),
        (12_345.0, "1/s", "12.3k/s"),
        (0.5, "1/s", "0.5/s"),
        (2_500_000.0, "count", "2.5M"),
        (3.0, "", "3"),
        (-0.001, "ratio", "-0.1 %"),
        (0.0, "seconds", "0 s"),
        (float("nan"), "ratio", "-"),
    ],
)
def test_amounts_are_said_as_people_say_them(value: float, unit: str, said: str) -> None:
    assert amount(value, unit) == said


def test_the_chart_in_words_says_the_shift_and_the_changes() -> None:
    drawn = drawing(SYMPTOM, onset=ONSET, changes=[change(ONSET - 120)])

    assert alt_text(drawn) == (
        "Error rate of checkout, 08:00 to 08:59 UTC: about 0.2 % until 08:35, then about 12 % (lowest 12 %, "
        "highest 12 %). Changes marked: deploy checkout 4f1c2ab9 at 08:33."
    )


def test_a_chart_without_an_onset_says_its_range() -> None:
    said = alt_text(drawing(SYMPTOM, title="5xx"))

    assert said == ("5xx, 08:00 to 08:59 UTC: about 0.2 %, between 0.2 % and 12 %. No change is marked.")


def test_a_series_without_points_is_said_to_have_none() -> None:
    assert alt_text(drawing(Series("cpu", ()))) == "CPU: no data."


def test_the_change_just_before_the_onset_is_named_first_and_those_outside_are_left_out() -> None:
    given_ = [
        change(ONSET + 60, "later"),
        change(ONSET - 600, "early"),
        change(ONSET - 60, "just"),
        change(0, "old"),
    ]

    drawn = drawing(SYMPTOM, onset=ONSET, changes=given_)

    assert [label for _, label in drawn.marks] == [
        "deploy checkout just",
        "deploy checkout early",
        "deploy checkout later",
    ]


def test_a_hole_in_the_data_breaks_the_line() -> None:
    points = [point for n, point in enumerate(STEP) if not 40 <= n < 58]

    assert [len(run) for run in pieces(points)] == [40, 62]


def test_one_missed_point_is_no_hole() -> None:
    assert len(pieces([point for n, point in enumerate(STEP) if n != 40])) == 1


@pytest.mark.parametrize(
    ("onset", "lengths"),
    [
        (None, [(False, 120)]),
        (ONSET, [(False, 70), (True, 51)]),
        (START, [(True, 120)]),
        (START + 1e6, [(False, 120)]),
    ],
)
def test_trouble_begins_at_the_onset(onset: float | None, lengths: list[tuple[bool, int]]) -> None:
    assert [(late, len(part)) for late, part in parted(STEP, onset)] == lengths


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(5, 40)), max_size=4))
@settings(max_examples=200, deadline=None)
def test_labels_in_one_row_never_meet(places: list[tuple[float, int]]) -> None:
    placed = rows([Label(0, share, "x" * length, "red") for share, length in places])

    for n, (one, row) in enumerate(placed):
        for other, its_row in placed[n + 1 :]:
            apart = one.extent[1] < other.extent[0] or other.extent[1] < one.extent[0]
            assert apart or row != its_row


SHAPES = {
    "step": [0.2 if n < 70 else 12.0 for n in range(120)],
    "ramp": [max(0.2, (n - 50) * 0.3) for n in range(120)],
    "spike": [9000.0 if 60 < n < 66 else 1200.0 for n in range(120)],
    "flat": [9.1e8] * 120,
    "zero": [0.0] * 120,
    "negative": [-float(n) for n in range(120)],
    "one point": [4.2],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_drawn_small_and_at_its_size(shape: str) -> None:
    points = tuple((START + 30 * n, value) for n, value in enumerate(SHAPES[shape]))

    drawn = png(Drawing("Symptom", "", points, ONSET, ((ONSET - 60, "deploy x"),)))

    assert Image.open(io.BytesIO(drawn)).size == (1800, 720)
    assert len(drawn) < 100_000


def test_an_onset_is_drawn_in_its_own_colour() -> None:
    def has_amber(raw: bytes) -> bool:
        colours = Image.open(io.BytesIO(raw)).convert("RGB").getcolors(1 << 20) or []
        return any(r > 220 and 170 < g < 215 and b < 110 for count, (r, g, b) in colours if count > 50)

    assert has_amber(png(Drawing("Symptom", "", STEP, ONSET)))
    assert not has_amber(png(Drawing("Symptom", "", STEP)))


@pytest.mark.slow
async def test_a_chart_is_drawn_by_a_child_and_costs_this_process_no_matplotlib() -> None:
    before = "matplotlib" in sys.modules
    hostile = Series("$\\frac{1}{0}$ \x00 \u202e" * 30, STEP, "<!channel>", unit="furlongs")

    drawn = await render(drawing(hostile, onset=ONSET, changes=[change(ONSET, "$x^" * 40)]))

    assert drawn.startswith(b"\x89PNG")
    assert ("matplotlib" in sys.modules) == before


@pytest.mark.slow
async def test_a_chart_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(ChartFailed, match="not drawn within"):
        await render(drawing(SYMPTOM), seconds=0.05)


@pytest.mark.slow
async def test_a_chart_that_cannot_be_drawn_says_why() -> None:
    with pytest.raises(ChartFailed, match="could not be drawn"):
        await render(Drawing("Symptom", "", ((1e300, 1.0),)))


async def test_nothing_to_draw_is_said_at_once() -> None:
    with pytest.raises(ChartFailed, match="no points"):
        await render(drawing(Series("cpu", ())))
