"""Which language a question is in, told from its script and its commonest words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

ENGLISH = "en"
LEAST = 2
"""So many different common words, or signs, of a language must be in a question to believe it."""
MOST_CHARACTERS = 2000

COMMON: Mapping[str, frozenset[str]] = {
    language: frozenset(words)
    for language, *words in map(
        str.split, (Path(__file__).parent / "common.txt").read_text("utf-8").splitlines()
    )
}
"""The commonest words of each language, and those that people use to ask; a line a language."""
SIGNS: Mapping[str, str] = {
    "de": "ß",
    "es": "ñ¿¡",
    "pt": "ãõ",
    "pl": "łżźśćńęą",
    "sv": "å",
    "fr": "œç",
    "it": "ì",
}
"""Letters that of these languages only one has, or nearly so."""

ASIDE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|<[^<>\s]*>", re.DOTALL)
"""Code and addresses are in no language."""
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
HAN = re.compile(r"[\u4e00-\u9fff]")


def language_of(question: str) -> str:
    """The language by its two letters; English for the rest, and when it is not certain."""
    text = ASIDE.sub(" ", question[:MOST_CHARACTERS].lower().replace("’", "'"))
    if len(KANA.findall(text)) >= LEAST:
        return "ja"
    if len(HAN.findall(text)) >= LEAST:
        return "zh"
    words = set(WORD.findall(text))
    found = {
        language: len(common & words) + sum(sign in text for sign in SIGNS.get(language, ""))
        for language, common in COMMON.items()
    }
    (first, most), (_, second) = sorted(found.items(), key=lambda item: -item[1])[:2]
    return first if most >= LEAST and most > second else ENGLISH
