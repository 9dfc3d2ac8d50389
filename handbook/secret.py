"""k8s/examples/secret.yaml: every secret there is, with what it is for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from handbook.settings import Setting, settings

HEAD = """\
# The keys of sre-agent-secrets, which every pod reads: by the names of the settings. Delete what you do not
# use; what is empty or absent switches its route off. Do not commit the file you make of this, or let
# External Secrets (external-secret.yaml) or your own machinery make the secret. Written by ./run docs.
apiVersion: v1
kind: Secret
metadata:
  name: sre-agent-secrets
  namespace: sre-agent
type: Opaque
stringData:
"""


def secret() -> str:
    return HEAD + "\n".join(_lines([each for each in settings() if each.secret])) + "\n"


def _lines(secrets: list[Setting]) -> Iterator[str]:
    section = said = ""
    for each in secrets:
        if each.section != section:
            yield f"  # --- {each.section}"
        if each.said != said:
            yield from textwrap.wrap(each.said, 110, initial_indent="  # ", subsequent_indent="  # ")
        section, said = each.section, each.said
        yield f'  {each.name}: ""'
