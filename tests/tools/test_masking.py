"""What is masked, what stays readable, and that masking is stable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tools.masking import mask

# Put together here, so that no scanner of this repository takes them for real ones.
SECRETS = {
    "aws": "AKIA" + "ABCDEFGHIJKLMNOP",
    "github": "ghp_" + "a1B2" * 9,
    "github fine-grained": "github_pat_" + "A1" * 20,
    "slack": "xoxb-" + "123456789012-abcdef",
    "slack app": "xapp-1-" + "A0123-4567-abcdef",
    "anthropic": "sk-ant-" + "api03-" + "a" * 30,
    "openai": "sk-proj-" + "b" * 40,
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "c2lnbmF0dXJl",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
    "cut private key": "-----BEGIN PRIVATE KEY-----\nMIIabc",
    "e-mail": "jane.doe+oncall@acme.example",
    "card": "4111 1111 1111 1111",
    "amex": "378282246310005",
    "phone": "+49 30 1234 5678",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_masked_wherever_it_stands(secret: str) -> None:
    masked = mask(f"before {secret} after\n")
    assert secret not in masked
    assert "[masked" in masked
    assert masked.startswith("before ")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://app:hunter2@db:5432/x", "postgresql://app:[masked]@db:5432/x"),
        ("password=hunter2", "password=[masked secret]"),
        ('"client_secret": "abc123def"', '"client_secret": "[masked secret]"'),
        ("DB_PASSWORD: s3cr3t!", "DB_PASSWORD: [masked secret]"),
        ("api-key = abcdefgh", "api-key = [masked secret]"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [masked credentials]"),
        ("curl -H 'authorization: abcdef123456'", "curl -H 'authorization: [masked credentials]'"),
        ("hooks.slack.com/services/T0/B0/xyz", "hooks.slack.com/services/[masked webhook]"),
    ],
)
def test_the_name_of_a_secret_stays(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "The password: required for admins.",
        "password=$DB_PASSWORD and token: <your token>",
        "token = get_token()",
        "git@github.com:acme/checkout.git",
        "image: registry.example.com/checkout@sha256:" + "ab" * 32,
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 took 1700000000000 ns",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "4111 1111 1111 1112 is no card",
        "latency went +100 200 ms, p99 300 400",
        "ports 8080:8080, 10.0.0.1:5432, 2026-11-20 20:46:00",
        "max_tokens: 8192",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*SECRETS.values(), "password", "=", ":", " ", '"', "token", "://", "@", "a:b", "x1y2z3", "\n"]
        ),
        max_size=10,
    ).map("".join)
    | st.text(max_size=80)
)
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["a.", "a-", "aB3", "+1 ", "a@", "://a:"])
def test_long_text_without_a_secret_is_masked_in_linear_time(piece: str) -> None:
    assert mask(piece * 50_000)


def test_a_secret_behind_escaped_quotes_is_masked_too() -> None:
    assert "hunter2000" not in mask(r'level=error msg="password = \"hunter2000\" was refused"')
    assert "hunter2000" not in mask(r'{"line": "{\\\"token\\\": \\\"hunter2000\\\"}"}')
