"""Secrets and personal data masked, before text reaches the model, Slack or a log.

Careful rather than complete: what is masked has the shape of a credential, an address or a card number.
A placeholder (`$TOKEN`, `<password>`) and prose about passwords stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Hint = tuple[str, ...] | Callable[[str], object]
Shape = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str], Hint]
"""What it looks like, what it becomes, and what holds of any text (case folded) with one in it: one of these
words is in it, or this is true.

Most texts hold none of these, and that is found out much faster than by the pattern. Without an i, for the
patterns take İ and ı for one.
"""

SHORTEST_KEY_LINE = 64
VALUE = r"[^\s\"'`,;&(){}<>\[\]$*|]"


def mask(text: str) -> str:
    """`text` with credentials and personal data replaced by `[masked …]`; masking twice changes nothing."""
    while (masked := _once(text)) != text:
        # One mask may part what hid the next secret from its pattern.
        text = masked
    return text


def _once(text: str) -> str:
    plain = text.casefold()
    may = {number for word, number in WORDS if word in plain}
    may.update(number for probe, number in PROBES if probe(plain))
    for number in sorted(may):
        pattern, replacement, _ = SHAPES[number]
        text = pattern.sub(replacement, text)
    return text


def _has_long_word(text: str) -> bool:
    return len(text) >= SHORTEST_KEY_LINE and len(max(text.split(), key=len, default="")) >= SHORTEST_KEY_LINE


_has_long_number = re.compile(r"\d{4}[ -]?\d{4}").search


def _assigned(match: re.Match[str]) -> str:
    """`password: x` in prose is a sentence; `password=x`, a quoted or a wordless value is a secret."""
    told = match["sign"].strip() == ":" and not match["quote"] and match["value"].isalpha()
    if told or match["value"].lower() in ("none", "null", "true", "false", "required", "optional", "masked"):
        return match[0]
    return f"{match['name']}{match['sign']}{match['quote']}[masked secret]"


def _card(match: re.Match[str]) -> str:
    digits = [int(digit) for digit in match[0] if digit.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    # Luhn, ISO/IEC 7812-1 annex B.
    return "[masked card]" if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else match[0]


def _phone(match: re.Match[str]) -> str:
    return "[masked phone]" if 10 <= sum(map(str.isdigit, match[0])) <= 15 else match[0]


SHAPES: tuple[Shape, ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        "[masked private key]",
        ("private key-----",),
    ),
    (
        # A line of a key's body, by the lengths PEM, OpenSSH and MIME write: whoever reads a file from its
        # middle sees no BEGIN.
        re.compile(
            r"(?<![\w+/=-])(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])(?=[a-zA-Z+/]*\d)"
            r"(?:[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]{70}|[A-Za-z0-9+/]{76})(?![\w+/=-])"
        ),
        "[masked key material]",
        _has_long_word,
    ),
    (re.compile(r"\beyJ[\w-]{8,400}\.[\w-]{8,}\.[\w-]*"), "[masked token]", ("eyj",)),
    (
        re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b"),
        "[masked aws key]",
        ("akia", "asia", "aroa", "aida"),
    ),
    (
        re.compile(r"\b(?:gh[pousr]_\w{30,}|github_pat_\w{22,}|glpat-[\w-]{20,})"),
        "[masked git token]",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    ),
    (re.compile(r"\b(?:xox[abeoprs]|xapp)-[\w-]{10,}"), "[masked slack token]", ("xox", "xapp-")),
    (
        re.compile(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[\w/]+"),
        r"\1[masked webhook]",
        ("hooks.slack.com/",),
    ),
    (
        re.compile(r"\b(?:sk-[\w-]{20,}|[rs]k_(?:live|test)_\w{16,}|AIza[\w-]{35}|npm_\w{36})"),
        "[masked api key]",
        ("sk-", "k_live_", "k_test_", "aiza", "npm_"),
    ),
    (
        re.compile(
            r"(\b(?:proxy-)?authorization\b[\"']?\s*[:=]\s*[\"']?(?:[a-z]+ )?)"
            r"(?![a-z]+ \[masked)[^\s\"'`\[<${]{6,}",
            re.I,
        ),
        r"\1[masked credentials]",
        ("author",),
    ),
    (re.compile(r"(\b(?:bearer|basic) )[\w.~+/=-]{16,}", re.I), r"\1[masked credentials]", ("bearer", "bas")),
    (
        re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:)[^\s/@\[<${]+(?=@)", re.I),
        r"\1[masked]",
        ("://",),
    ),
    (
        re.compile(
            r"(?P<name>\b[\w.-]{0,40}(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)"
            # Quotes within a quoted text are escaped, as often as it was quoted.
            r"(?:\\{0,9}[\"'])?)(?P<sign>\s*[:=]\s*)(?P<quote>(?:\\{0,9}[\"'])?)"
            rf"(?P<value>{VALUE}{{4,}})(?![(\w.])",
            re.I,
        ),
        _assigned,
        ("passw", "pwd", "secret", "token", "key"),
    ),
    (
        re.compile(r"(?<![\w/:.+-])(?!git@)[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", re.I),
        "[masked e-mail]",
        ("@",),
    ),
    (
        re.compile(
            r"(?<![\w.-])(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6\d{3})(?:[ -]?\d{4}){3}(?![\w-])"
            r"|(?<![\w.-])3[47]\d\d[ -]?\d{6}[ -]?\d{5}(?![\w-])"
        ),
        _card,
        _has_long_number,
    ),
    (re.compile(r"(?<![\w.+])\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}(?!\w)"), _phone, ("+",)),
)

WORDS = tuple(
    (word, number) for number, (_, _, needs) in enumerate(SHAPES) if not callable(needs) for word in needs
)
PROBES = tuple((needs, number) for number, (_, _, needs) in enumerate(SHAPES) if callable(needs))
