"""The command line as its users meet it: help that teaches, exit codes, errors as sentences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import typer
from sqlalchemy import text
from typer.main import get_command
from typer.testing import CliRunner

from app.agent import spending
from app.cli import app
from app.conversations import accept, forgetting, showing
from app.conversations.models import Envelope, Incoming
from app.storage.audit import write_audit
from app.storage.engine import begin, create_engine
from tests.conftest import address, execute

OURS = (
    "SLACK_",
    "MODEL",
    "ANTHROPIC_",
    "OPENAI_",
    "DATABASE_URL",
    "KNOWLEDGE_",
    "BLUEPRINTS_",
    "SRE_",
    "PORT",
    "LOG_",
    "PROMETHEUS_",
    "LOKI_",
    "TEMPO_",
    "JAEGER_",
    "ARGOCD_",
    "KUBERNETES",
    "PAGERDUTY_",
)
SAID = Incoming(
    team_id="T0ACME",
    channel_id="C0CHECKOUT",
    thread_ts="1763676011.000100",
    message_ts="1763676011.000100",
    user_id="U0MAYA",
    text="what do I need before we launch checkout?",
    kind="mention",
    envelope=Envelope(),
)


def run(
    *arguments: str, folder: Path, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command in an empty folder, so that no `.env` takes part, with nothing of ours in the environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=folder,
        env={
            **kept,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "SRE_AGENT_HOME": str(folder),
            **environment,
        },
        input=stdin,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def commands(group: typer.main.TyperGroup | None = None, *path: str) -> list[tuple[str, ...]]:
    """The words of every command and group there is."""
    group = group or get_command(app)  # type: ignore[assignment]
    found: list[tuple[str, ...]] = [path]
    for name, command in getattr(group, "commands", {}).items():
        found += commands(command, *path, name)
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_teaches(words: tuple[str, ...]) -> None:
    command = get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    said = (command.help or "").strip()
    assert len(said) > 20
    assert said[0].isupper()
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{parameter.name} says nothing"


def test_the_commands_people_script_against_are_there() -> None:
    there = {" ".join(words) for words in commands()}
    assert {
        "serve",
        "worker",
        "demo",
        "chat",
        "db upgrade",
        "db status",
        "knowledge check",
        "knowledge golden",
        "sessions show",
        "usage",
        "forget",
        "investigate",
        "accuracy",
        "postmortem",
        "artifacts",
    } <= there


def test_help_and_wrong_use(tmp_path: Path) -> None:
    helped = run("--help", folder=tmp_path)
    assert helped.returncode == 0
    assert "Start with `sre-agent demo`" in helped.stdout
    for wrong in (
        ["nonsense"],
        ["demo", "--nonsense"],
        ["forget"],
        ["sessions", "show"],
        ["forget", "--user", "maya"],
        ["postmortem", "that-one"],
        ["accuracy", "--days", "0"],
        ["artifacts", "that-one"],
        ["artifacts", "--to", "x.yaml"],
    ):
        done = run(*wrong, folder=tmp_path)
        assert done.returncode == 2, wrong
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["serve"], {}, "SLACK_BOT_TOKEN"),
        (["worker"], {"SLACK_BOT_TOKEN": "xoxb-1"}, "DATABASE_URL"),
        (["db", "upgrade"], {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "database"),
        (["db", "status"], {}, "There is no database yet"),
        (["db", "status"], {"DATABASE_URL": "mysql://x"}, "must start with postgresql://"),
        (["demo"], {"MODEL_PROVIDER": "openai"}, "OPENAI_API_KEY"),
        (["chat"], {"MODEL_PROVIDER": "parrot"}, "MODEL_PROVIDER"),
        (["usage"], {}, "There is no database yet"),
        (["accuracy"], {}, "There is no database yet"),
        (["artifacts"], {}, "There is no database yet"),
        (["postmortem", "0" * 32], {}, "There is no database yet"),
        (
            ["investigate", "--replay", "1"],
            {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
            "database",
        ),
        (["usage"], {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "database"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    done = run(*arguments, folder=tmp_path, **environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_all_settings_are_judged_at_once(tmp_path: Path) -> None:
    done = run("serve", folder=tmp_path, PORT="ninety", LOG_LEVEL="LOUD", INCIDENT_CHANNEL="#incidents")
    for name in ("PORT", "LOG_LEVEL", "INCIDENT_CHANNEL"):
        assert f"\n  {name}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (1, "")


async def test_the_schema_is_brought_up_and_told(tmp_path: Path, postgres_url: str) -> None:
    name = f"cli_{os.urandom(4).hex()}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    url = address(postgres_url, name)
    try:
        before = run("db", "status", folder=tmp_path, DATABASE_URL=url)
        assert (before.returncode, before.stdout.startswith("Schema none of ")) == (1, True)
        behind = run("usage", folder=tmp_path, DATABASE_URL=url)
        assert behind.returncode == 1
        assert "run `sre-agent db upgrade`" in behind.stderr
        for _ in range(2):
            done = run("db", "upgrade", folder=tmp_path, DATABASE_URL=url)
            assert done.returncode == 0, done.stderr
            assert "the newest" in done.stdout
        after = run("db", "status", folder=tmp_path, DATABASE_URL=url)
        assert (after.returncode, "0 migrations of the queue pending" in after.stdout) == (0, True)
    finally:
        await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def test_the_schema_of_the_embedded_server_is_brought_up_too(tmp_path: Path) -> None:
    done = run("db", "upgrade", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The schema of the PostgreSQL under " in done.stdout
    after = run("db", "status", folder=tmp_path)
    assert (after.returncode, "0 migrations of the queue pending" in after.stdout) == (0, True)


# -- knowledge check -------------------------------------------------------------------------------------


def test_the_packaged_knowledge_is_good(tmp_path: Path) -> None:
    done = run("knowledge", "check", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("0 errors")


def test_a_broken_knowledge_folder_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "tiers").mkdir()
    (tmp_path / "system-prompt.md").write_text("# Prompt\n\n```\nnever closed\n")
    (tmp_path / "tiers" / "tier-9.md").write_text("# Nine\n")
    done = run("knowledge", "check", str(tmp_path), folder=tmp_path)
    assert done.returncode == 1
    assert "system-prompt.md:3: " in done.stdout
    assert "tiers/tier-9.md:1: " in done.stdout
    assert "2 errors" in done.stdout


def test_a_plain_folder_of_markdown_is_good(tmp_path: Path) -> None:
    (tmp_path / "system-prompt.md").write_text("Answer from the documents.\n")
    assert run("knowledge", "check", str(tmp_path), folder=tmp_path).returncode == 0


def test_no_folder_is_wrong_use(tmp_path: Path) -> None:
    done = run("knowledge", "check", str(tmp_path / "nowhere"), folder=tmp_path)
    assert done.returncode == 2
    assert "is not a folder" in done.stderr


# -- looking into the database ---------------------------------------------------------------------------


@pytest.fixture
async def asked(database_url: str) -> str:
    """A database with one thread in it: asked by Maya, answered, paid for."""
    engine = create_engine(database_url)
    accepted = await accept.accept(engine, SAID)
    assert accepted
    answer = '{"text": "An SLO for pay.", "confidence": 0.5, "model": "claude"}'
    async with begin(engine) as connection:
        turn = {"turn": accepted.turn_id}
        await connection.execute(
            text("UPDATE turns SET status = 'running', attempt = 1 WHERE id = :turn"), turn
        )
        await connection.execute(
            text(
                "INSERT INTO tool_calls (session_id, turn_id, attempt, call_id, name, arguments, result, duration_ms) "
                "SELECT session_id, id, 1, 'c1', 'read_service_file', '{\"path\": \"README.md\"}', 'Go', 12 "
                "FROM turns WHERE id = :turn"
            ),
            turn,
        )
        await connection.execute(
            text(
                "INSERT INTO usage (session_id, turn_id, attempt, provider, model, input_tokens, output_tokens, usd) "
                "SELECT session_id, id, 1, 'anthropic', 'claude', 12000, 300, 0.0123 FROM turns WHERE id = :turn"
            ),
            turn,
        )
        await connection.execute(
            text(
                "UPDATE turns SET status = 'done', answer = CAST(:answer AS jsonb), finished_at = now() WHERE id = :turn"
            ),
            {**turn, "answer": answer},
        )
        await write_audit(
            connection, "message", user_id="U0MAYA", input_text=SAID.text, response_text="An SLO for pay."
        )
    await engine.dispose()
    return accepted.trace_id


@pytest.mark.parametrize(
    "key",
    [
        "C0CHECKOUT:1763676011.000100",
        "T0ACME:C0CHECKOUT:1763676011.000100",
        "1763676011.000100",
        "https://acme.slack.com/archives/C0CHECKOUT/p1763676011000100",
        "https://acme.slack.com/archives/C0CHECKOUT/p1763676099000100?thread_ts=1763676011.000100&cid=C0CHECKOUT",
        "trace",
    ],
)
async def test_a_thread_is_shown_by_any_of_its_names(database_url: str, asked: str, key: str) -> None:
    engine = create_engine(database_url)
    said = await showing.show(engine, asked if key == "trace" else key)
    await engine.dispose()
    for expected in (
        "T0ACME:C0CHECKOUT:1763676011.000100",
        "U0MAYA",
        SAID.text,
        'read_service_file {"path":"README.md"} (12 ms) Go',
        "An SLO for pay.",
        "50% sure",
        f"trace {asked}",
    ):
        assert expected in said


def test_the_looking_commands_print_and_end(tmp_path: Path, database_url: str, asked: str) -> None:
    shown = run("sessions", "show", asked, folder=tmp_path, DATABASE_URL=database_url)
    assert (shown.returncode, "An SLO for pay." in shown.stdout) == (0, True)
    for key in ("C0CHECKOUT:1999999999.000100", "what?"):
        unknown = run("sessions", "show", key, folder=tmp_path, DATABASE_URL=database_url)
        assert unknown.returncode == 1
        assert "[no_such_session]" in unknown.stderr
    spent = run("usage", "--days", "1", folder=tmp_path, DATABASE_URL=database_url)
    assert spent.returncode == 0
    assert spent.stdout.splitlines()[-1].split() == ["total", "1", "12,000", "0", "300", "0.0123"]


async def test_usage_without_any_says_so(database_url: str) -> None:
    engine = create_engine(database_url)
    assert await spending.report(engine, days=7) == "No model was asked in the last 7 days."
    await engine.dispose()


async def test_a_forgotten_person_is_gone_and_what_was_spent_stays(
    tmp_path: Path, database_url: str, asked: str
) -> None:
    looked = run("forget", "--user", "U0MAYA", "--dry-run", folder=tmp_path, DATABASE_URL=database_url)
    done = run("forget", "--user", "U0MAYA", folder=tmp_path, DATABASE_URL=database_url)
    assert done.returncode == looked.returncode == 0, done.stderr
    assert "Threads deleted: 1 (turns: 1, tool calls: 1)." in done.stdout
    assert looked.stdout.splitlines()[1:-1] == done.stdout.splitlines()[1:]
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM sessions") == 0
        assert await connection.fetchval("SELECT sum(usd) FROM usage WHERE turn_id IS NULL") > 0
        rows = await connection.fetch(
            "SELECT action, user_id, input_text, response_text FROM audit_log ORDER BY id"
        )
        assert [row["action"] for row in rows] == ["message", "forget"]
        assert all("U0MAYA" not in str(dict(row)) and SAID.text not in str(dict(row)) for row in rows)
    finally:
        await connection.close()
    again = run("forget", "--user", "U0MAYA", folder=tmp_path, DATABASE_URL=database_url)
    assert again.returncode == 0
    assert again.stdout == "Nothing is stored about U0MAYA.\n"


async def test_nobody_known_changes_nothing(database_url: str, asked: str) -> None:
    engine = create_engine(database_url)
    assert not (await forgetting.forget(engine, "U0NOBODY")).anything
    async with begin(engine) as connection:
        assert (await connection.execute(text("SELECT count(*) FROM audit_log"))).scalar() == 1
    await engine.dispose()


# -- investigations --------------------------------------------------------------------------------------

OWN = "title: Checkout answers 500\nservice: checkout\n"


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "other.yaml").write_text("foo: 1\n")
    (tmp_path / "cut.json").write_text('{"title": ')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either --alert FILE or --replay ID"),
        (["--alert", "own.yaml", "--replay", "1"], "give either --alert FILE or --replay ID"),
        (["--alert", "."], "cannot be read: Is a directory."),
        (["--alert", "picture.png"], "picture.png is no text."),
        (["--alert", "other.yaml"], "I cannot tell which source this payload is of."),
        (["--alert", "own.yaml", "--source", "grafana"], "This is no payload of grafana: status is missing."),
    ],
)
def test_an_alert_that_cannot_be_read_is_wrong_use(
    alerts: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(alerts)
    done = CliRunner().invoke(app, ["investigate", *arguments])
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert not done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alert", "nowhere.json"], "nowhere.json cannot be read: No such file or directory."),
        (["--alert", "cut.json"], "The file is not JSON"),
        (["--alert", "own.yaml", "--source", "nagios"], "nagios is no source I know; those are alertmanager"),
    ],
)
def test_wrong_use_is_a_sentence_and_no_traceback(alerts: Path, arguments: list[str], said: str) -> None:
    done = run("investigate", *arguments, folder=alerts)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_investigation_needs_nothing_but_an_alert(tmp_path: Path) -> None:
    """No Slack, no model, no source, no database: the embedded one is made."""
    (tmp_path / "own.yaml").write_text(OWN)
    done = run("investigate", "--alert", "own.yaml", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told["title"]) == ("done", "Checkout answers 500")
    assert any(gap.startswith("not configured, so not looked at: metrics") for gap in told["brief"]["gaps"])
    assert '"event": "investigated"' in (tmp_path / "investigate.log").read_text()

    drafted = run("postmortem", told["investigation_id"], folder=tmp_path)
    assert (drafted.returncode, "# Postmortem (draft): Checkout answers 500" in drafted.stdout) == (0, True)
    judged = run("accuracy", "--days", "1", folder=tmp_path)
    assert (judged.returncode, "Not enough outcomes to say" in judged.stdout) == (0, True)
    unknown = run("postmortem", "0" * 32, folder=tmp_path)
    assert (unknown.returncode, "[no_such_investigation]" in unknown.stderr) == (1, True)


@pytest.mark.slow
def test_an_alert_can_be_piped_in(tmp_path: Path, database_url: str) -> None:
    done = run("investigate", "--alert", "-", folder=tmp_path, stdin=OWN, DATABASE_URL=database_url)
    assert done.returncode == 0, done.stderr
    assert "Likely cause  Not established." in done.stdout
    assert "✓ looking at the evidence" in done.stderr
    missing = run("investigate", "--replay", "7", folder=tmp_path, DATABASE_URL=database_url)
    assert missing.returncode == 1
    assert "No refused webhook 7 is kept" in missing.stderr
    assert not (tmp_path / "postgres").exists()


@pytest.fixture
async def made(database_url: str, asked: str) -> str:
    """A workflow of that thread made a file twice, the second time a good one, which was delivered."""
    engine = create_engine(database_url)
    async with begin(engine) as connection:
        for content, faults in (("a: [\n", '["line 1 is not valid YAML"]'), ("a: 1\n", None)):
            await connection.execute(
                text(
                    "INSERT INTO artifacts (session_id, turn_id, file_name, title, media_type, content, faults) "
                    "SELECT session_id, id, 'slo/checkout.yaml', 'SLOs', 'application/yaml', :content, "
                    "CAST(:faults AS jsonb) FROM turns"
                ),
                {"content": content, "faults": faults},
            )
        await connection.execute(text("UPDATE sessions SET service_name = 'checkout'"))
        await connection.execute(
            text(
                "INSERT INTO deliveries (session_id, turn_id, asked_by, kind, target, artifact_ids, outcome) "
                "SELECT session_id, id, 'U0MAYA', 'pull_request', 'acme/checkout', '{2}', "
                '\'{"said": "open", "link": "https://github.com/acme/checkout/pull/7"}\' FROM turns'
            )
        )
    await engine.dispose()
    return database_url


def test_artifacts_are_listed_newest_first_with_where_they_went(tmp_path: Path, made: str) -> None:
    done = run("artifacts", folder=tmp_path, DATABASE_URL=made)
    head, second, first = done.stdout.splitlines()
    assert head.split() == ["ID", "MADE", "SERVICE", "FILE", "CHARACTERS", "THREAD", "DELIVERED"]
    assert second.startswith("2 ")
    assert second.endswith("C0CHECKOUT:1763676011.000100  https://github.com/acme/checkout/pull/7")
    assert "slo/checkout.yaml (not valid)" in first
    assert first.endswith(" -")
    other = run("artifacts", "--service", "payments", folder=tmp_path, DATABASE_URL=made)
    assert other.stdout == "Nothing was made for payments.\n"


def test_an_artifact_is_fetched_again(tmp_path: Path, made: str) -> None:
    printed = run("artifacts", "2", folder=tmp_path, DATABASE_URL=made)
    assert (printed.stdout, printed.stderr) == ("a: 1\n", "")
    broken = run("artifacts", "1", folder=tmp_path, DATABASE_URL=made)
    assert (broken.stdout, broken.stderr) == ("a: [\n", "not valid: line 1 is not valid YAML\n")
    written = run("artifacts", "2", "--to", ".", folder=tmp_path, DATABASE_URL=made)
    assert written.stdout == "Wrote checkout.yaml.\n"
    assert (tmp_path / "checkout.yaml").read_text() == "a: 1\n"
    again = run("artifacts", "1", "--to", "checkout.yaml", folder=tmp_path, DATABASE_URL=made)
    assert (again.returncode, "add --force" in again.stderr) == (2, True)
    assert (tmp_path / "checkout.yaml").read_text() == "a: 1\n"
    none = run("artifacts", "3", folder=tmp_path, DATABASE_URL=made)
    assert none.returncode == 1
    assert "There is no artifact 3" in none.stderr


def test_golden_conversations_end_with_one_when_something_goes_otherwise(tmp_path: Path) -> None:
    held = run("knowledge", "golden", folder=tmp_path)
    assert (held.returncode, held.stderr) == (0, "")
    assert ", 0 otherwise than expected." in held.stdout
    (tmp_path / "system-prompt.md").write_text("Answer from the documents.\n")
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "hello.yaml").write_text(
        "say: [what does tier 1 ask?]\nexpect:\n  text: [Nothing.]\n"
    )
    other = run("knowledge", "golden", ".", folder=tmp_path)
    assert other.returncode == 1
    assert "-- Nothing." in other.stdout
    updated = run("knowledge", "golden", ".", "--update", folder=tmp_path)
    assert updated.stdout == "wrote golden/hello.yaml\n1 changed.\n"
    assert run("knowledge", "golden", ".", folder=tmp_path).returncode == 0
    (tmp_path / "golden" / "hello.yaml").write_text("say: [")
    broken = run("knowledge", "golden", ".", folder=tmp_path)
    assert broken.returncode == 1
    assert "golden/hello.yaml:1: error: " in broken.stderr
