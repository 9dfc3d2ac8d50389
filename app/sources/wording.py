"""What a system says about its own error, short and on one line, whatever shape it says it in."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

LONGEST_WORDS = 300
KEYS = ("error", "message", "msg", "detail", "title")


def own_words(body: bytes) -> str:
    """The error sentence in a body; empty when there is none worth showing (a web page, noise).

    Prometheus and Argo CD put it under `error`, Kubernetes under `message`, Jaeger under `errors[].msg`;
    Loki and Tempo answer with plain text.
    """
    if looks_like_html(body):
        return ""
    try:
        words = _found(from_json(body))
    except ValueError:
        words = body.decode("utf-8", errors="replace")
    return one_line(words)


def one_line(text: str) -> str:
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= LONGEST_WORDS else line[: LONGEST_WORDS - 1] + "…"


def looks_like_html(body: bytes) -> bool:
    """By its beginning: the declared type is often wrong, in both directions."""
    start = body[:200].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml"))


def _found(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return next((words for each in answer if (words := _found(each))), "")
    if not isinstance(answer, dict):
        return ""
    named = [answer[key] for key in KEYS if key in answer]
    return next((words for each in [*named, answer.get("errors")] if (words := _found(each))), "")
