"""`./run docs`: write anew what follows from the code, and build the book into site/."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

from handbook import configuration, secret
from handbook.settings import ROOT

WRITTEN: Mapping[str, Callable[[], str]] = {
    "docs/configuration.md": configuration.page,
    "k8s/examples/secret.yaml": secret.secret,
}


def main() -> int:
    for name, written in WRITTEN.items():
        (ROOT / name).write_text(written(), encoding="utf-8")
        print(f"wrote {name}")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False)
    if done.returncode == 0:
        print("built site/index.html")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
