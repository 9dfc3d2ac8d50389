"""The benchmark of the ranking reads recorded incidents, and says so plainly when there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.investigations.ranking import rank
from benchmarks.rca import commit_named, main
from benchmarks.recorded import petshop, root_cause_bench

ERRORS = ["0.01"] * 20 + ["0.50"] * 6


def test_without_recorded_incidents_it_says_where_they_belong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().out


def test_a_case_with_commits_is_read_and_answered(tmp_path: Path) -> None:
    data = tmp_path / "case" / "data"
    (data / "context").mkdir(parents=True)
    rows = [f"2026-01-01T00:{minute:02}:00Z,shop,error_ratio,{value}" for minute, value in enumerate(ERRORS)]
    (data / "metrics.csv").write_text("\n".join(["timestamp,service,metric,value", *rows]))
    alert = {
        "service": "shop",
        "metric": "error_ratio",
        "fired_at": "2026-01-01T00:25:00Z",
        "summary": "errors",
    }
    (data / "alert.json").write_text(json.dumps(alert))
    commit = {
        "sha": "abc",
        "timestamp": "2026-01-01T00:10:00Z",
        "message": "work",
        "files_changed": ["a.go"],
        "diff": "@@ -1 +1 @@\n-	timeout = 30\n+	timeout = 1",
    }
    (data / "context" / "commits.json").write_text(json.dumps([commit]))
    rollout = {"timestamp": "2026-01-01T00:19:30Z", "service": "shop", "commit_sha": "abc", "version": "v2"}
    (data / "context" / "deploys.json").write_text(json.dumps([rollout]))
    truth = {"root_cause_commit": "abc", "decoy_deploy_commits": ["def"]}
    (tmp_path / "case" / "ground_truth.json").write_text(json.dumps(truth))
    (case,) = root_cause_bench(tmp_path)
    assert (case.name, case.answer, case.decoys) == ("case", "abc", {"def"})
    assert commit_named(rank(case.observations), case.observations) == "abc"


def test_a_case_with_a_call_graph_is_read_and_answered(tmp_path: Path) -> None:
    issue = tmp_path / "calm" / "train" / "issue_0"
    issue.mkdir(parents=True)
    history = issue.parent.parent / "noissue"
    history.mkdir()
    head = ["microservice,web,db", "metric,latency,latency", "statistic,Average,Average", "unix_timestamp,,"]
    quiet = [f"{300 * index},{1 + index % 3 / 50},{0.1 + index % 2 / 500}" for index in range(40)]
    (history / "metrics.csv").write_text("\n".join([*head, *quiet]))
    values = ["1.0,0.1", "1.01,0.1", "3.0,2.1", "3.1,2.2", "1.0,0.1"]
    chart = [f"{90_000_000 + 300 * index},{value}" for index, value in enumerate(values)]
    (issue / "metrics.csv").write_text("\n".join([*head, *chart]))
    (issue.parent.parent / "graph.csv").write_text(",web,db\nweb,0.0,1.0\ndb,0.0,0.0")
    target = {"node": "web", "metric": "latency", "agg": "Average", "timestamp": 90_000_590}
    (issue / "target.json").write_text(json.dumps({"target": target, "root_cause": {"node": "db"}}))
    (case,) = petshop(tmp_path)
    assert case.observations.depends_on == {"web": ("db",), "db": ()}
    assert rank(case.observations).services[0] == case.answer == "db"
