"""What a diff does to the behaviour of a program: nothing, next to nothing, or quite likely something.

A title says what its author meant; the lines say what changed. A guard that went, a value that is another,
a call inside a loop change what a program does; a helper that was extracted, a new function nobody calls, a
patch release, a style sheet hardly do. Judged by the shape of the lines in any language, never run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.context.names import words as words_of
from app.context.ranking import stem
from app.investigations.ranking.hunks import Hunk, hunks_of
from app.investigations.ranking.values import Value, changed_values, version_weight
from app.tools.masking import mask

INERT = 0.03
UNKNOWN = 0.45
OBSERVED = 0.22
HARMLESS = 0.22
NEITHER = 0.48
TELLING_LINE = 3
"""Different words from which on a line says something: `return p` does not."""

INERT_FILE = re.compile(
    r"(?:^|/)(?:docs?|tests?|testdata|__tests__|spec|examples?|\.github|\.circleci)/"
    r"|\.(?:md|mdx|rst|txt|css|scss|less|svg|png|jpe?g|ico|adoc)$"
    r"|(?:_test|\.test|\.spec|_spec|Test|Tests)\.[a-z]+$|(?:^|/)test_[^/]*$"
    r"|(?:^|/)(?:CODEOWNERS|LICENSE|CHANGELOG|NOTICE|\.gitignore|\.editorconfig|\.golangci\.ya?ml|\.pre-commit[^/]*)$",
    re.IGNORECASE,
)
MANIFEST = re.compile(
    r"(?:^|/)(?:go\.(?:mod|sum)|package(?:-lock)?\.json|yarn\.lock|pnpm-lock\.yaml|requirements[^/]*\.(?:txt|lock)"
    r"|poetry\.lock|uv\.lock|Pipfile(?:\.lock)?|Cargo\.(?:toml|lock)|Gemfile(?:\.lock)?|pom\.xml|build\.gradle[^/]*"
    r"|composer\.(?:json|lock)|mix\.lock)$",
    re.IGNORECASE,
)
COMMENT = re.compile(r"^\s*(?://|#(?!include|define|if)|/\*|\*|--\s|<!--|;|\"\"\")")
CONDITION = re.compile(
    r"\b(?:if|elif|unless|guard|assert|require|when|case|switch|try|catch|except|rescue|recover|finally|defer|"
    r"lock|unlock|mutex|synchronized|acquire|release|close|rollback|validate|limit|where)\b",
    re.IGNORECASE,
)
PASSED_ON = re.compile(
    r"\berr(?:or)?\s*!=\s*nil|\bif\s+err\b|\bif\s*\(\s*err(?:or)?\s*\)|^\s*(?:else|\}\s*else)\b"
)
"""Handing an error on is every other line in some languages, and no guard of its own."""
LOOP = re.compile(r"\b(?:for|foreach|while|each|map|forEach|loop|range)\b")
CALL = re.compile(r"([A-Za-z_][\w]*)\s*\(")
ELSEWHERE_WORDS = """
query select insert update delete fetch rpc publish send dial connect lookup scan sleep wait retry lock exec
execute invoke download upload
"""
ELSEWHERE = frozenset(ELSEWHERE_WORDS.split())
"""Names of calls that leave the process or wait; inside a loop the vaguer ones count too."""
IN_A_LOOP = ELSEWHERE | {"get", "find", "load", "read", "write", "call", "request", "http", "list", "open"}
OBSERVING = re.compile(
    r"\b(?:log|logger|logging|slog|metrics?|counter|gauge|histogram|span|tracer|print\w*)\b|\.(?:Inc|Observe)\(",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Za-z_]\w*")
DEFINITION = re.compile(
    r"^\s*(?:(?:pub|public|private|protected|static|async|export|default|inline)\s+)*(?:func|def|fn|function|class|interface|type|struct|sub|proc)\b"
)
SCHEMA = re.compile(
    r"\b(?:alter|drop|truncate|rename|lock)\s+(?:table|index|column|type)\b"
    r"|\bcreate\s+(?:unique\s+)?index\s+(?!concurrently)",
    re.IGNORECASE,
)
"""Statements that change tables or lock them while they run."""
ASIDE = re.compile(
    r"\bgo\s+(?:func\b|\w[\w.]*\()|\b(?:async|await|spawn|submit|executor|goroutine|threading|Thread|Future|parallel)\b"
)
SETTINGS = re.compile(
    r"\.(?:ya?ml|json|toml|ini|cfg|conf|properties|env|tf|tfvars|hcl)$|(?:^|/)(?:Dockerfile|\.env)[^/]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Effect:
    """How likely the change alters behaviour, 0–1, the words for it, and the lines it rests on."""

    weight: float
    what: str
    words: str = ""
    known: bool = True


def effect_of(diff: str | None, files: Sequence[str]) -> Effect:
    """Judge a diff; without one its file names alone, which tell little but that nothing runs."""
    if files and all(map(is_inert, files)):
        return Effect(INERT, "touches only documents, tests, styles or build settings")
    hunks = hunks_of(diff or "", files)
    live = [hunk for hunk in hunks if not is_inert(hunk.file)]
    if hunks and not live:
        return Effect(INERT, "touches only documents, tests, styles or build settings")
    if not live:
        return Effect(UNKNOWN, "its diff was not available", known=False)
    manifests = [hunk for hunk in live if _is_manifest(hunk, files)]
    effects = [_bumped(manifests)] if manifests else []
    effects += _judged([hunk for hunk in live if hunk not in manifests])
    return max(effects, key=lambda effect: effect.weight)


def is_inert(file: str) -> bool:
    """Whether nothing of a running program comes from a file of that name."""
    return bool(INERT_FILE.search(file)) and not MANIFEST.search(file)


def _is_manifest(hunk: Hunk, files: Sequence[str]) -> bool:
    return bool(MANIFEST.search(hunk.file)) or (bool(files) and all(MANIFEST.search(name) for name in files))


def _bumped(hunks: Sequence[Hunk]) -> Effect:
    weights = [version_weight(hunk.removed, hunk.added) for hunk in hunks]
    return Effect(
        max(weights), "changes versions of dependencies", _joined(line for h in hunks for line in h.added)
    )


def _judged(hunks: Sequence[Hunk]) -> list[Effect]:
    """The effects of all hunks of code together: what one takes away another may bring back."""
    if not hunks:
        return []
    removed = [line for hunk in hunks for line in _code(hunk.removed)]
    added = [line for hunk in hunks for line in _code(hunk.added)]
    gone, new = _unmatched(removed, added), _unmatched(added, removed)
    words = _joined([*gone, *new])
    if not gone and not new:
        return [Effect(INERT, "moves lines or edits comments only")]
    effects = [_tuned(value, words) for value in changed_values(gone, new)]
    effects += _guards(gone, new, added, words)
    effects += [each for hunk in hunks for each in _looped(hunk, removed, words)]
    if any(SCHEMA.search(line) for line in new):
        effects.append(Effect(0.7, "alters a schema", words))
    if any(map(ASIDE.search, gone)) != any(map(ASIDE.search, new)):
        effects.append(Effect(0.6, "changes what runs side by side", words))
    if any(SETTINGS.search(hunk.file) for hunk in hunks):
        effects.append(Effect(NEITHER, "changes settings", words))
    effects.append(_shape(gone, new, hunks, words))
    return effects


def _code(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.strip() and not COMMENT.match(line) and line.strip(" \t{}();,")]


def _unmatched(lines: Sequence[str], others: Sequence[str]) -> list[str]:
    """Lines that are not among the others, whatever their spacing."""
    left = Counter("".join(line.split()) for line in others)
    found = []
    for line in lines:
        key = "".join(line.split())
        if left[key] > 0:
            left[key] -= 1
        else:
            found.append(line)
    return found


def _tuned(value: Value, words: str) -> Effect:
    told = f"changes {value.name} from {value.before} to {value.after}"
    assigned = f"{value.name}={value.before}\n{value.name}={value.after}"
    if value.is_text or mask(assigned) != assigned:
        told = f"changes the value of {value.name}"
    return Effect(value.weight, mask(told), words)


def _guards(gone: Sequence[str], new: Sequence[str], added: Sequence[str], words: str) -> list[Effect]:
    lost = [line for line in gone if CONDITION.search(line) and not PASSED_ON.search(line)]
    won = [line for line in new if CONDITION.search(line) and not PASSED_ON.search(line)]
    if not lost:
        return []
    told = mask(lost[0].strip()[:80])
    if len(won) < len(lost):
        return [Effect(0.85, f"takes away a check: {told}", words)]
    calls = {name for line in added for name in CALL.findall(line)}
    if all(set(CALL.findall(line)) <= calls for line in lost):
        return [Effect(0.55, f"rewrites a check: {told}", words)]
    return [Effect(0.8, f"changes a check: {told}", words)]


def _looped(hunk: Hunk, removed: Sequence[str], words: str) -> list[Effect]:
    """Calls that are made once for each element now."""
    known = {name for line in removed for name in CALL.findall(line)}
    lines = _code((*hunk.context[-3:], *hunk.added))
    loops = [index for index, line in enumerate(lines) if LOOP.search(line) and not DEFINITION.match(line)]
    if not loops:
        return []
    depth = _indent(lines[loops[0]])
    inside = [line for line in lines[loops[0] + 1 :] if _indent(line) > depth]
    made = [
        name
        for line in inside
        for name in CALL.findall(line)
        if name not in known and IN_A_LOOP & set(words_of(name))
    ]
    return [Effect(0.9, f"calls {made[0]} once for each element of a loop", words)] if made else []


def _indent(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def _shape(gone: Sequence[str], new: Sequence[str], hunks: Sequence[Hunk], words: str) -> Effect:
    """What is left when no single line gives it away: additions, removals, rewrites."""
    if not gone and any(_code(hunk.removed) for hunk in hunks):
        wrapped = any(CONDITION.search(line) or LOOP.search(line) for line in new)
        return Effect(NEITHER if wrapped else HARMLESS, "moves code that stays the same", words)
    if not gone:
        return _additions(new, hunks, words)
    if not new:
        return Effect(0.75, "takes code away", words)
    if all(OBSERVING.search(line) for line in gone):
        return Effect(OBSERVED, "changes what is logged or counted", words)
    return _rewrite(gone, new, hunks, words)


def _rewrite(gone: Sequence[str], new: Sequence[str], hunks: Sequence[Hunk], words: str) -> Effect:
    if Counter(NAME.findall(" ".join(gone))) == Counter(NAME.findall(" ".join(new))):
        return Effect(0.45, "changes a calculation", words)
    if _reaches_out(new, _subwords(gone)):
        return Effect(0.5, "rewrites code, with new calls to others", words)
    if _stays(gone, new) and _stays(new, [*gone, *(line for hunk in hunks for line in hunk.context)]):
        return Effect(HARMLESS, "rearranges code that stays the same in substance", words)
    return Effect(NEITHER, "rewrites code", words)


def _stays(lines: Sequence[str], others: Sequence[str]) -> bool:
    """Whether what the lines speak of is spoken of by the others: half of the words of all lines, and some
    of each line."""
    spoken = _subwords(others)
    mine = _subwords(lines)
    if len(mine & spoken) < len(mine) / 2:
        return False
    every = [_subwords([line]) for line in lines if not (DEFINITION.match(line) or PASSED_ON.search(line))]
    return all(len(said & spoken) > len(said) / 4 for said in every if len(said) >= TELLING_LINE)


def _reaches_out(new: Sequence[str], before: set[str]) -> bool:
    """Whether a call is made that by its name goes somewhere, as nothing in the old lines did."""
    made = {name for line in new if not DEFINITION.match(line) for name in CALL.findall(line)}
    return any((set(words_of(name)) & ELSEWHERE) - before for name in made)


def _additions(new: Sequence[str], hunks: Sequence[Hunk], words: str) -> Effect:
    observing = [line for line in new if OBSERVING.search(line)]
    if observing and not any(CALL.search(line) for line in new if line not in observing):
        return Effect(OBSERVED, "adds to what is logged or counted", words)
    if all(DEFINITION.match(next(iter(_code(hunk.added)), "")) for hunk in hunks if _code(hunk.added)):
        return Effect(0.2, "adds code without changing any that was there", words)
    if any(CONDITION.search(line) for line in new) and not any(CALL.search(line) for line in new):
        return Effect(0.35, "adds a check", words)
    return Effect(0.45, "adds steps to code that was there", words)


def _subwords(lines: Sequence[str]) -> set[str]:
    return {stem(word) for line in lines for word in words_of(line)}


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines)[:4000]
