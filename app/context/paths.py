"""Which files of a service's repo may be read: none outside it, and none that look like a secret."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from app.errors import AgentError

LONGEST = 400
SECRET_FOLDERS = frozenset(
    {"secrets", ".secrets", ".ssh", ".aws", ".gnupg", ".kube", ".git", ".azure", ".gcloud", ".docker"}
)
SECRET_NAMES = re.compile(
    r"""
      ^\.env(rc|[._-].+)?$ | ^.+\.env$
    | ^.+\.(pem|key|p12|pfx|p8|jks|keystore|truststore|kdbx|ovpn|asc|gpg|ppk|tfstate|tfvars)(\..+)?$
    | ^id_(rsa|dsa|ecdsa|ed25519)([._-].+)?$
    | ^.*(credential|htpasswd).*$
    | ^\.(netrc|npmrc|pypirc|pgpass|git-credentials|dockercfg|dockerconfigjson|my\.cnf|s3cfg|boto)$
    | ^\.(terraformrc|vault-token|(ba|z)?sh_history)$ | ^_netrc$ | ^(shadow|wp-config\.php)(\..+)?$
    | ^(.+[._-])?kubeconfig([._-].+)?$ | ^.*service[-_]?account.*\.json$
    | ^.*(api|access|auth|private)[-_]?(key|token)s?\.[^.]+$ | ^tokens?\.(json|ya?ml|txt|toml|ini)$
    """,
    re.VERBOSE,
)
SECRET_WORDS = re.compile(r"secret|passwd|password")
BARE_WORDS = re.compile(r"^[._-]*(secrets?|passwds?|passwords?)\.")
SOURCE = re.compile(
    r"\.(py|pyi|go|java|kts?|scala|groovy|clj|rb|rs|cs|fs|swift|[cm]?[jt]sx?|php|exs?|erl|hs|lua|dart|[ch]|cc|[ch]pp"
    r"|html?|css|scss|vue|svelte|proto|graphql)$"
)
SOURCE_ABOUT_THEM = re.compile(r"\.(test|spec|service|controller|component|module)\.[^.]+$")
EXAMPLES = re.compile(r"\.(example|sample|template|dist|md)$")


class PathRefused(AgentError):
    """A path may not be read, whatever is there."""

    code = "path_refused"
    status = 403


def checked(path: str) -> str:
    """The path in its plain form, "" for the top of the repo.

    Raises:
        PathRefused: for a path that leaves the repo, that is none, or that looks like a secret.
    """
    if len(path) > LONGEST or any(unicodedata.category(each) in ("Cc", "Cf", "Cs") for each in path):
        raise PathRefused("That is no path of a file.")
    plain = unicodedata.normalize("NFKC", path).strip().replace("\\", "/")
    parts = [part for part in plain.removeprefix("./").split("/") if part not in ("", ".")]
    if plain.startswith(("/", "~")) or ".." in parts or (parts and parts[0].endswith(":")):
        raise PathRefused(f"{path} leads out of the repo; give a path relative to its top.")
    written = "/".join(part for part in path.strip().removeprefix("./").split("/") if part not in ("", "."))
    if is_secret("/".join(parts)):
        raise PathRefused(f"{path} looks like a secret, so it is not read.")
    return written


def is_secret(path: str) -> bool:
    """Whether a file's name or folder says that it holds keys or passwords.

    Examples of such files do not, nor does code with more in its name than the word: `password_reset.py`
    does something about passwords, `secrets.py` is where people write them down.
    """
    pure = PurePosixPath(path.lower())
    if any(part in SECRET_FOLDERS for part in pure.parts):
        return True
    name = pure.name
    if EXAMPLES.search(name):
        return False
    if SECRET_NAMES.match(name):
        return True
    holds_them = not SOURCE.search(name) or (BARE_WORDS.match(name) and not SOURCE_ABOUT_THEM.search(name))
    return bool(SECRET_WORDS.search(name) and holds_them)
