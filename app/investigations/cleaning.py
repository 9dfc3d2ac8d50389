"""Text of a brief as it may be shown: one line, no secrets, pings, images, foreign links or commands.

Whoever shows it escapes it too; here is decided what is said at all, wherever it is shown.
"""

from __future__ import annotations

import re
import unicodedata

from app.agent.links import keep_known_links
from app.tools.masking import mask

COMMAND_REMOVED = "(command removed)"

_PROGRAMS = (
    "kubectl|systemctl|gcloud|gsutil|eksctl|istioctl|crictl|etcdctl|docker-compose|redis-cli|sudo|pkill|killall|iptables"
    "|nsenter"
)
"""Names that begin a command wherever they stand with something behind them."""
_SUBCOMMANDS = {
    "oc|helm|argocd": r"(?:app|create|delete|edit|exec|install|patch|rollback|scale|uninstall|upgrade)\b|-",
    "terraform|tofu": r"(?:apply|destroy|import|plan|state|taint)\b",
    "aws": r"s3|[a-z0-9]+ +(?:[a-z]+-[a-z-]+|--)",
    "git": r"(?:push|revert|reset|checkout|rebase|cherry-pick|clean|apply|stash|clone)\b",
    "docker|podman|nerdctl": r"(?:run|rm|rmi|stop|kill|exec|restart|start|compose|swarm)\b",
    "vault|consul|nomad|flux|az": r"(?:write|delete|kv|suspend|resume|reconcile|vm|aks|webapp|login)\b",
    "pip|npm|npx|uvx|apt(?:-get)?|yum|dnf": r"(?:install|uninstall|remove|update|upgrade|run|exec)\b",
    "make|just": r"(?:deploy|rollback|restart|scale)\b",
    "service": r"\S+ +(?:restart|stop|start|reload)\b",
    "psql|mysql|mongosh?|ssh|rm|kill|dd|chmod|chown|curl|wget|shutdown|reboot|ansible(?:-playbook)?|(?:ba|z)?sh"
    "|python3?|node|perl|ruby": r"-|\S+[/@=]|\S+\.(?:sh|py|js|pl|rb|ya?ml)|[<|]|[ugoa]*\+[rwx]|0?[0-7]{3}",
}
"""Names that are also words of prose: a command only with one of these behind them."""
_STATEMENTS = (
    r"drop (?:table|database|index|schema|user|role)|truncate table|delete from \w+|update \w+ set"
    r"|insert into \w+|alter (?:table|system|role|user|database)|grant (?:all|select|insert|update|delete)"
    r"|revoke \w+ on|flush(?:all|db)|pg_(?:terminate|cancel)_backend|config set"
)
_COMMAND = re.compile(
    rf"(?<![\w./-])(?:(?:{_PROGRAMS})(?= +\S)"
    + "".join(rf"|(?:{names}) +(?:{rest})" for names, rest in _SUBCOMMANDS.items())
    + rf"|(?:{_STATEMENTS})\b|\$\([^)]*\)|\./\S+|\$ +(?=[a-z]))"
    # Up to the end of the sentence; a full stop within a name or a number is none.
    r"[^\n`]*?(?=\.(?: +[A-Z(]|$)|`|$)",
    re.IGNORECASE | re.MULTILINE,
)
_CODE = re.compile(r"(?P<ticks>`+)(?P<code>[^`]+)(?P=ticks)")
_SHELL = re.compile(r"\s--?[a-z][\w-]*|&&|\|\||\$\(|\|\s*(?:sh|bash|xargs|tee)\b|;\s|>\s*/|^\s*\$\s")
_PING = re.compile(
    r"<(?:!|@|#)[^<>\n]{0,200}>?|[@\uff20\ufe6b](?=channel|here|everyone|group)",
    re.IGNORECASE,
)
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that show nothing or turn the direction of what does: controls, formats, surrogates."""

ROUNDS = 8
"""Each removal may bring together what another must remove; text still changing after these is not said."""


def clean(text: str, hosts: frozenset[str], *, limit: int) -> str:
    """`text` on one line of at most `limit` characters that only says something; twice is as once.

    `hosts` are those it may link to.
    """
    text = one_line(text[: 4 * limit])
    for _ in range(ROUNDS):
        cleaned = _cut(one_line(_without(text, hosts)), limit)
        if cleaned == text:
            return text
        text = cleaned
    return "(text removed)"


def one_line(text: str) -> str:
    """Words with single spaces between them, and nothing that shows nothing."""
    seen = (" " if char in "\n\r\t\v\f\u2028\u2029\x85" else char for char in text)
    return " ".join("".join(char for char in seen if unicodedata.category(char) not in _HIDDEN).split())


def of_service(title: str, service: str | None) -> str:
    """An incident's title with its service before it, unless it names that itself."""
    return f"{service}: {title}" if service and service.lower() not in title.lower() else title


def has_command(text: str) -> bool:
    return bool(_COMMAND.search(text))


def _without(text: str, hosts: frozenset[str]) -> str:
    return keep_known_links(_PING.sub("", _without_commands(_paired(mask(text)))), hosts)


def _paired(text: str) -> str:
    """Inline code in single backticks, each opened and closed in this text, and no fences.

    Texts are put side by side on a line: an open backtick of one would turn the next one's code into prose.
    """
    text = re.sub(r"~{3,}", "~~", re.sub(r"\\*`+", "`", text))
    return text if text.count("`") % 2 == 0 else text.replace("`", "")


def _without_commands(text: str) -> str:
    """Inline code stays when it is a name or a query; what a shell would run does not."""
    text = _CODE.sub(lambda found: COMMAND_REMOVED if _is_shell(found["code"]) else found[0], text)
    text = _COMMAND.sub(COMMAND_REMOVED, text)
    return re.sub(rf"`*{re.escape(COMMAND_REMOVED)}`*", COMMAND_REMOVED, text)


def _is_shell(code: str) -> bool:
    if code.lstrip().startswith("{"):  # a selector of LogQL or TraceQL, which know && and | too
        return has_command(code)
    return bool(_COMMAND.match(code.strip()) or _SHELL.search(code))


def _cut(text: str, limit: int) -> str:
    """At a space where there is one near, so that no address is cut into another."""
    if len(text) <= limit:
        return text
    words = text[: limit - 1].rsplit(" ", 1)[0] if " " in text[limit // 2 : limit - 1] else text[: limit - 1]
    return words.rstrip() + "…"
