"""Reads of a monitored system: what it is shown, what it cannot make us do, and how its faults are told."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.settings import Endpoint
from app.sources.failures import NotThere, QueryRejected, ReadRefused, SourceFailed
from app.sources.http import ReadOnlyHttp
from tests.fakes.sources import FIFTY_MEBIBYTES, Answer, SourceServer

ALLOWED = ("/api/v1/query", "/api/v1/rules", "/ops/**")


@pytest.fixture
async def server() -> AsyncIterator[SourceServer]:
    async with SourceServer({"/api/v1/query": Answer({"status": "success"})}) as running:
        yield running


@pytest.fixture
async def http(server: SourceServer) -> AsyncIterator[ReadOnlyHttp]:
    client = ReadOnlyHttp(server.endpoint, ALLOWED, source="prometheus", timeout_seconds=60)
    yield client
    await client.aclose()


async def test_an_answer_is_read_with_its_parameters_encoded(
    server: SourceServer, http: ReadOnlyHttp
) -> None:
    query = 'sum(rate(x{a="b&c=d#e"}[5m])) + 1'

    assert await http.json("/api/v1/query", {"query": query, "time": 12.5}) == {"status": "success"}
    assert server.asked[0].method == "GET"
    assert server.asked[0].params == {"query": query, "time": "12.5"}


@pytest.mark.parametrize(
    ("proof", "header", "value"),
    [
        ({"token": SecretStr("t0ken")}, "authorization", "Bearer t0ken"),
        ({"user": "ana", "password": SecretStr("pw")}, "authorization", "Basic YW5hOnB3"),
        ({"tenant": "blue"}, "x-scope-orgid", "blue"),
    ],
)
async def test_the_source_sees_who_asks(
    server: SourceServer, proof: dict[str, object], header: str, value: str
) -> None:
    client = ReadOnlyHttp(Endpoint(server.url, **proof), ALLOWED, source="loki")  # type: ignore[arg-type]
    await client.json("/api/v1/query")
    await client.aclose()

    assert server.asked[0].headers[header] == value


async def test_credentials_in_the_address_are_sent_and_never_linked(server: SourceServer) -> None:
    url = server.url.replace("http://", "http://ana:s3cret@")
    client = ReadOnlyHttp(Endpoint(url), ALLOWED, source="loki")
    await client.json("/api/v1/query")
    await client.aclose()

    assert server.asked[0].headers["authorization"].startswith("Basic ")
    assert client.page("/graph", {"q": "a b"}) == f"{server.url}/graph?q=a+b"


async def test_an_address_with_a_path_keeps_it(server: SourceServer) -> None:
    server.routes["/prometheus/api/v1/query"] = Answer([1])
    client = ReadOnlyHttp(Endpoint(server.url + "/prometheus/"), ALLOWED, source="prometheus")

    assert await client.json("/api/v1/query") == [1]
    with pytest.raises(ReadRefused):
        await client.json("/../api/v1/query_range")
    await client.aclose()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("500", "prometheus answered with an error (HTTP 500): out of disk"),
        ("html", "prometheus answered with a web page instead of data; is http://127.0.0.1:PORT its API?"),
        ("huge", "prometheus answered more than 8 MiB; ask for less."),
        ("cut", "prometheus broke its answer off."),
        ("empty", "prometheus answered with nothing."),
        ("not-json", "prometheus answered with something that is not JSON."),
        ("redirect", "prometheus redirects to another address (HTTP 302), which is not followed."),
    ],
)
async def test_a_fault_of_the_source_is_told_in_one_sentence(
    server: SourceServer, http: ReadOnlyHttp, fault: str, sentence: str
) -> None:
    server.fault = fault
    with pytest.raises(SourceFailed) as failed:
        await http.json("/api/v1/query")

    assert re.sub(r":\d{4,5}", ":PORT", failed.value.sentence) == sentence
    assert failed.value.source == "prometheus"
    server.fault = None
    assert await http.json("/api/v1/query") == {"status": "success"}, "the next question is answered again"


async def test_a_flood_is_not_read_to_its_end(server: SourceServer, http: ReadOnlyHttp) -> None:
    server.fault = "huge"
    with pytest.raises(SourceFailed):
        await http.json("/api/v1/query")
    await asyncio.sleep(0.05)
    assert server.sent_bytes < FIFTY_MEBIBYTES


async def test_a_source_that_hangs_is_left(server: SourceServer) -> None:
    server.fault = "hang"
    client = ReadOnlyHttp(server.endpoint, ALLOWED, source="loki", timeout_seconds=0.1)
    with pytest.raises(SourceFailed, match=re.escape("loki did not answer within 0.1 seconds.")):
        await client.json("/api/v1/query")
    await client.aclose()


async def test_a_source_that_is_down_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = ReadOnlyHttp(Endpoint(f"http://127.0.0.1:{taken.getsockname()[1]}"), ALLOWED, source="loki")
        with pytest.raises(SourceFailed, match="^loki cannot be reached: "):
            await client.json("/api/v1/query")
        await client.aclose()


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (
            400,
            {"status": "error", "error": "1:3: parse error"},
            QueryRejected,
            "rejects the query: 1:3: parse error",
        ),
        (422, {"message": "too many series"}, QueryRejected, "rejects the query: too many series"),
        (400, "parse error at\n line 1", QueryRejected, "rejects the query: parse error at line 1"),
        (400, {"errors": [{"msg": "no service"}]}, QueryRejected, "rejects the query: no service"),
        (400, "", SourceFailed, "answered with an error (HTTP 400)."),
        (401, "<html>nginx</html>", SourceFailed, "does not accept our credentials (HTTP 401)."),
        (404, "404 page not found", NotThere, "has nothing at that address (HTTP 404): 404 page not found"),
        (503, "x" * 9000, SourceFailed, "answered with an error (HTTP 503): " + "x" * 299 + "…"),
    ],
)
async def test_the_words_of_the_source_come_along(
    server: SourceServer,
    http: ReadOnlyHttp,
    status: int,
    body: object,
    kind: type[SourceFailed],
    sentence: str,
) -> None:
    server.routes["/api/v1/query"] = Answer(body, status=status)
    with pytest.raises(SourceFailed) as failed:
        await http.json("/api/v1/query")

    assert type(failed.value) is kind
    assert failed.value.reason == sentence


async def test_what_a_source_echoes_of_our_proof_is_masked(server: SourceServer) -> None:
    server.routes["/api/v1/query"] = lambda asked: Answer(
        "bad: " + asked.headers["authorization"], status=400
    )
    client = ReadOnlyHttp(Endpoint(server.url, token=SecretStr("abcd-1234")), ALLOWED, source="loki")
    with pytest.raises(SourceFailed) as failed:
        await client.json("/api/v1/query")
    await client.aclose()

    assert failed.value.reason == "rejects the query: bad: Bearer [masked]"


async def test_an_authority_file_that_is_missing_is_told(server: SourceServer, tmp_path: Path) -> None:
    endpoint = Endpoint(server.url, ca_file=tmp_path / "none.pem")
    client = ReadOnlyHttp(endpoint, ALLOWED, source="loki")
    with pytest.raises(SourceFailed, match="SOURCES_CA_FILE cannot be used"):
        await client.json("/api/v1/query")


async def test_a_clock_that_is_off_is_noticed(server: SourceServer) -> None:
    now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    theirs = format_datetime(now + timedelta(minutes=4), usegmt=True)
    server.routes["/api/v1/query"] = Answer(1, headers={"Date": theirs})
    client = ReadOnlyHttp(server.endpoint, ALLOWED, source="loki", clock=lambda: now)
    assert client.clock_notice() is None
    await client.json("/api/v1/query")
    await client.aclose()

    assert client.clock_notice() == "The clock of loki is 240 s ahead of ours; its times are off by that."


def test_there_is_nothing_to_write_with() -> None:
    offered = {name for name in dir(ReadOnlyHttp) if not name.startswith("_")}
    assert offered == {"json", "text", "page", "clock_notice", "aclose"}


async def test_a_cookie_is_not_kept(server: SourceServer, http: ReadOnlyHttp) -> None:
    server.routes["/api/v1/query"] = Answer(1, headers={"Set-Cookie": "a=b"})
    await http.json("/api/v1/query")
    await http.json("/api/v1/query")
    assert "cookie" not in server.asked[1].headers


PIECES = st.sampled_from(
    [
        "/",
        "ops",
        "..",
        ".",
        "%2e%2e",
        "%252e",
        "%2f",
        "\\",
        ";",
        "admin",
        "?a=b",
        "#",
        "api",
        "v1",
        "query",
        "status",
    ]
)


@settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=10).map("".join)))
async def test_only_gets_on_allowed_paths_ever_reach_the_source(
    server: SourceServer, http: ReadOnlyHttp, path: str
) -> None:
    with contextlib.suppress(ReadRefused, SourceFailed):
        await http.text(path)
    assert {asked.method for asked in server.asked} <= {"GET"}
    assert [
        a for a in server.asked if not re.fullmatch(r"/api/v1/(query|rules)|/ops(/[^/%?#;]+)+", a.raw_path)
    ] == []
    assert [a for a in server.asked if ".." in a.raw_path.split("/")] == []


def certified(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that is its own authority, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loki.internal")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    (folder / "both.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain) + pem
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")
    return folder / "ca.pem", context


async def test_only_a_trusted_certificate_is_spoken_to(tmp_path: Path) -> None:
    authority, context = certified(tmp_path)
    async with SourceServer({"/api/v1/query": Answer(1)}, tls=context) as server:
        stranger = ReadOnlyHttp(server.endpoint, ALLOWED, source="loki")
        with pytest.raises(SourceFailed, match="certificate not trusted here; SOURCES_CA_FILE"):
            await stranger.json("/api/v1/query")
        await stranger.aclose()
        assert server.asked == []

        friend = ReadOnlyHttp(Endpoint(server.url, ca_file=authority), ALLOWED, source="loki")
        assert await friend.json("/api/v1/query") == 1
        await friend.aclose()
