"""The quickest drills, for real; `./run drill` is the place for all of them."""

from __future__ import annotations

import pytest

from drills.__main__ import DRILLS, main, run
from drills.drill import Terms

QUICKEST = ("postgres-crash", "slack-twice")


@pytest.mark.slow
async def test_nobody_is_lost_or_answered_twice() -> None:
    outcomes = await run([DRILLS[name] for name in QUICKEST], Terms(4))
    assert [(each.name, each.held, each.trouble) for each in outcomes] == [
        (name, True, ()) for name in QUICKEST
    ]


def test_the_list_says_what_each_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in listed] == list(DRILLS)
    assert all(len(line.partition("  ")[2].split()) > 2 for line in listed)


def test_a_drill_that_does_not_exist_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["kil"])
    assert "kill" in capsys.readouterr().err
