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


@pytest.mark.parametrize(
    ("name", "is_read"),
    [
        ("password_reset.py", True),
        ("secrets_test.go", True),
        ("SecretManager.java", True),
        ("forgot-password.tsx", True),
        ("password_reset.html", True),
        ("password.service.ts", True),
        ("secrets.test.ts", True),
        ("secrets.yaml", False),
        ("secret.json", False),
        ("app-secret.properties", False),
        ("password_reset.yaml", False),
        ("db_password.txt", False),
        ("passwords.csv", False),
        ("set-secrets.sh", False),
        ("password", False),
        ("secrets.py", False),
        ("secret.js", False),
        ("_secrets.py", False),
        ("secrets.local.js", False),
        ("passwords.prod.ts", False),
        ("credentials", False),
        ("credentials.py", False),
        ("aws_credentials.json", False),
        ("htpasswd.py", False),
        ("password.env", False),
        (".env.secret.py", False),
        ("password_reset.py.key", False),
    ],
)
def test_code_about_secrets_is_read_and_what_holds_them_is_not(name: str, *, is_read: bool) -> None:
    assert is_secret(f"src/{name}") != is_read


def test_a_listing_hides_secrets_too() -> None:
    assert [path for path in ("src/main.py", ".env", "a/.aws/config") if not is_secret(path)] == [
        "src/main.py"
    ]
