"""Which files of a repo may be read."""

from __future__ import annotations

import pytest

from app.context.paths import PathRefused, checked, is_secret


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("src/main.py", "src/main.py"),
        ("./src//main.py", "src/main.py"),
        ("src/", "src"),
        ("", ""),
        (".", ""),
        ("Dockerfile", "Dockerfile"),
        (".github/workflows/ci.yaml", ".github/workflows/ci.yaml"),
        ("docs/größe.md", "docs/größe.md"),
        (".env.example", ".env.example"),
        ("docs/secrets.md", "docs/secrets.md"),
        ("src/tokenizer.py", "src/tokenizer.py"),
        ("src/keyboard.ts", "src/keyboard.ts"),
        ("src/environment.py", "src/environment.py"),
        ("src/env.ts", "src/env.ts"),
        ("docs/kubeconfigure.md", "docs/kubeconfigure.md"),
        ("docker/config.json", "docker/config.json"),
        ("deploy/values.yaml", "deploy/values.yaml"),
    ],
)
def test_an_ordinary_path_is_read(path: str, plain: str) -> None:
    assert checked(path) == plain


@pytest.mark.parametrize(
    "path",
    [
        "../other/file",
        "src/../../etc/passwd",
        "/etc/passwd",
        "~/.bashrc",
        "..\\secrets",
        "\\\\host\\share",
        "src/\x00main.py",
        "src/\u202emain.py",
        "src/../main.py",
        "．．/etc/hosts",
        "x" * 401,
    ],
)
def test_a_path_that_leaves_the_repo_is_refused(path: str) -> None:
    with pytest.raises(PathRefused):
        checked(path)


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.production",
        "prod.env",
        "config/.ENV",
        "tls/server.pem",
        "tls/server.key",
        "id_rsa",
        "home/.ssh/config",
        "keys/id_ed25519.pub",
        "secrets.yaml",
        "k8s/app-secret.yml",
        "secrets/db.yaml",
        "config/credentials.json",
        "gcp/service-account-prod.json",
        ".npmrc",
        ".netrc",
        "infra/terraform.tfstate",
        "infra/terraform.tfstate.backup",
        "infra/prod.tfvars",
        "kubeconfig",
        "kubeconfig.yaml",
        ".git/config",
        "api_keys.json",
        "token.json",
        "web.keystore",
        ".envrc",
        ".env-prod",
        ".env_local",
        "deploy/id_rsa_deploy",
        ".docker/config.json",
        "prod-kubeconfig",
        "kubeconfig-prod.yaml",
        "home/.bash_history",
        ".terraformrc",
        ".vault-token",
        "ｓecrets.yaml",
    ],
)
def test_a_path_that_looks_like_a_secret_is_refused(path: str) -> None:
    with pytest.raises(PathRefused, match="secret"):
        checked(path)


def test_a_listing_hides_secrets_too() -> None:
    assert [path for path in ("src/main.py", ".env", "a/.aws/config") if not is_secret(path)] == [
        "src/main.py"
    ]
