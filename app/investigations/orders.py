"""Where in a sentence its reader is told to change something: by the words, and by where they stand.

English does not tell “restart” the noun from “restart” the order by its form, so its neighbours decide. In
doubt it is an order: what is taken for one is only put up for review.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LOOKING = ("check", "inspect", "verify", "review", "page", "look", "compare")
"""The verbs a next step may begin with; anything else becomes “Review: …”."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STRONG = _words(
    "restart reboot redeploy kill terminate delete remove truncate purge flush wipe erase destroy nuke "
    "revert undo rollback rollout apply install uninstall reinstall upgrade downgrade resize drain "
    "cordon uncordon evict failover promote demote disable enable deactivate activate raise reduce "
    "renew rotate reissue revoke regenerate execute exec invoke perform initiate conduct implement "
    "throttle grant approve authorize authorise acknowledge ack resolve silence mute unmute suspend "
    "resume pause unpause force restore merge rebase commit submit publish ship repair remediate "
    "mitigate rectify hotfix bump recreate rebuild redirect reroute shift toggle flip unset edit modify "
    "alter adjust tune tweak configure reconfigure override extend expand shrink add create provision "
    "deprovision allocate deallocate reallocate assign unassign replace migrate rename write overwrite "
    "insert reindex unblock whitelist allowlist blacklist blocklist deny isolate quarantine detach "
    "mount unmount disconnect reconnect reload refresh recycle bounce halt abort cancel interrupt "
    "shutdown kickstart evacuate rebalance offload unlock untaint taint annotate relabel requeue replay "
    "resend resubmit reprocess republish resync expire invalidate bypass skip whack stash sync bake "
    "schedule reschedule unschedule warm prewarm rehash reseed reprovision reimage decommission retire "
    "remount revise amend patch bring take put give send go do proceed ssh kubectl helm systemctl "
    "docker podman terraform tofu psql mysql sudo rm curl wget aws gcloud argocd ansible bash chmod "
    "chown pkill killall iptables oc eksctl"
)
"""Hardly ever nouns or adjectives behind an “and”."""
WEAK = _words(
    "deploy scale increase decrease lower run trigger launch fix correct release set change update stop "
    "start drop clear clean reset block ban allow open close shed switch swap move copy load unload "
    "push pull cycle power limit cap route balance queue dump vacuum attach label tag turn roll shut "
    "spin tear fail cut kick use try make rerun begin end free empty trim prune compact archive sign "
    "hit press click enter issue stage test"
)
"""Also nouns or adjectives: an order unless what stands behind them speaks against it."""
ACTING = STRONG | WEAK
PHRASAL = _words("turn roll shut spin tear fail cut kick sign power make use try test issue end")
"""Of these: orders only with a particle close behind them, or with an object."""
PARTICLES = _words("back out forward on off down up over away in offline online")
CAUSATIVE = _words("have get let make help see having getting letting making")
SAFE = _words(
    "ask say tell note see confirm read watch find list count measure observe identify determine search "
    "trace contact call notify inform wait record report mention describe explain document understand "
    "correlate cross-check double-check examine investigate analyze analyse query monitor validate "
    "assess consider know learn show quote grep name pay keep"
)
"""Verbs besides the looking ones that change nothing."""
GERUNDS_OF_LOOKING = _words(
    "checking inspecting verifying reviewing paging looking comparing reading watching asking searching "
    "querying grouping counting measuring correlating tracing filtering listing examining analysing "
    "analyzing sorting plotting splitting dividing summing using opening"
)
OBJECTS = _words(
    "the a an it them him her this these those all its their our your my his both each every any some "
    "more another one everything anything so"
)
FUNCTION = _words(
    "when whether if where how why what that which who whom whose in on at of for from with since "
    "during between by after before against among about above below under over to into onto not only "
    "also is are was were be been being has had does did as than because while until till through via "
    "per within without across around near like unlike and or but nor then so the a an no it they we "
    "you i he she there here both either neither all any each every"
)
_NO_OBJECT = FUNCTION - OBJECTS - {"they"}
CONNECTIVES = _words(
    "and or then plus but so nor yet next afterwards afterward thereafter subsequently finally lastly "
    "otherwise else instead meanwhile as"
)
MODALS = _words(
    "can could should must may might will would shall please let's lets don't you we they i he she "
    "somebody someone they'll you'll we'll ll"
)
ADVERBS = _words(
    "please now just also simply first again maybe perhaps then next finally even always soon asap go "
    "ahead try"
)
ASKING = _words("whether if how what which why when where who")
BEFORE_TO = _words(
    "whether how when what where which need needs needed has had due prior up compared related relative "
    "according thanks time subject close led leads similar ought unable able failed fails try tries "
    "tried attempts attempt seems likely"
)
"""“to” behind one of these begins no purpose: “whether to roll back”, “due to restart”."""
AS_NOUN = _words(
    "of history histories count counts counter counters rate rates time times timestamp timestamps log "
    "logs event events window windows note notes frequency process processes version versions date "
    "dates status strategy strategies policy policies pipeline pipelines plan plans procedure loop "
    "loops reason reasons number numbers total totals latency errors error duration queue queues "
    "average statement statements request requests connections connection files tickets ticket "
    "incidents incident circuits circuit sockets handles transactions transaction issues prs bound "
    "bounds records commands metrics metric points activity level levels job jobs id ids key keys codes "
    "code messages message list size sizes values value table tables state states budget budgets "
    "failures failure attempts attempt alerts alert rules rule"
)
"""Behind a word that may be both, these make a noun or an adjective of it."""
NOUN_PREPOSITIONS = _words(
    "of in at since during between before after from by per against for is was were are"
)
_AFTER_NOUNS = AS_NOUN | NOUN_PREPOSITIONS | CONNECTIVES
NOUNS = _words(
    "restart restarts rollback reboot redeploy redeployment failover revert kill purge flush upgrade "
    "downgrade deletion removal truncation drain eviction hotfix fix rollout deploy deployment release "
    "scaling scale-up scale-out migration restore patch reset reload"
)
UNJOINED = _words(
    "restart reboot redeploy kill terminate delete remove truncate purge flush wipe erase destroy nuke "
    "revert undo rollback install uninstall reinstall upgrade downgrade resize drain cordon uncordon "
    "evict failover promote demote disable enable deactivate activate raise reduce rotate revoke "
    "regenerate throttle acknowledge ack silence mute recreate rebuild reroute deprovision deallocate "
    "migrate reindex unblock whitelist allowlist blacklist blocklist quarantine detach unmount reimage "
    "decommission retire bounce recycle requeue shutdown evacuate disconnect deploy scale stop drop"
)
"""Orders even where nothing joins them to what is before: “Check logs restart payments”."""
HEADS = AS_NOUN | _words(
    "script scripts behaviour behavior progress config configuration settings setting permissions step "
    "steps trigger triggers threshold thresholds storm storms sequence timeline delay delays backoff lag "
    "timeout timeouts notice notices flag flags hook hooks candidate candidates target targets signal "
    "signals report reports runbook runbooks playbook guide docs documentation dashboard dashboards panel "
    "panels graph graphs chart charts handling handler handlers logic mechanism feature features option "
    "options mode modes impact effect effects result results outcome cause causes pattern patterns trend "
    "trends spike spikes cycle cycles test tests check checks probe probes readiness pr branch branches "
    "workflow workflows schedule schedules path paths endpoint endpoints route routes api call calls "
    "switch switches button page pages trace traces budget interval intervals period periods duration "
    "success failures ratio percentage cost costs request tool tools controller controllers operator "
    "marker markers annotation annotations command comment health condition conditions grace zone zones "
    "group groups order region regions"
)
"""Behind an order that nothing joins, these make a compound of it: “the restart script of payments”."""
_DESCRIBING = _words(
    "last latest recent previous first second third manual automatic automated failed successful "
    "unexpected planned unplanned scheduled new old current next emergency forced pending ongoing earlier "
    "known possible full partial rolling graceful many few several frequent same"
)

# Where clauses meet, and what must not be left at the end of one.
LINKS = CONNECTIVES | _words("to by via through so after before while when once until upon without for")
_BE = _words("is are was were")
_BEING_DONE = MODALS | CAUSATIVE | {"to", "needs", "need"}
_BETWEEN = CONNECTIVES | ADVERBS | {"to", "which", "who"}
CONDITIONS = _words("if when once unless otherwise should as")
DANGLING = _words(
    "them him her me us somebody someone ask tell with in on at of the a an if whether that is are "
    "about they you we i need needs needed have has must should can could may will would"
)
IRREGULAR = _words("shut set reset cut put taken given written undone overwritten rebuilt sent run rerun")
_IDIOM = re.compile(r"(?<!\w)(?:get(?:ting)? rid of|see to it|go(?:ing)? ahead)(?!\w)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’_-][^\W_]+)*")


@dataclass(frozen=True)
class Word:
    """A word as it is compared, from `at` to `end`. `apart` says whether more than blanks is before it,
    `mixed` whether its letters are of several scripts; `forms` are itself, without its hyphens (“re-start”),
    and its head (“restart-all”).
    """

    text: str
    at: int
    end: int
    apart: bool
    mixed: bool
    forms: tuple[str, ...]


def words(sentence: str) -> list[Word]:
    found: list[Word] = []
    end = 0
    for match in _WORD.finditer(sentence):
        apart = bool(sentence[end : match.start()].strip(" \t"))
        plain = _plain(match[0])
        found.append(Word(plain, match.start(), match.end(), apart, _is_mixed(plain), _forms(plain)))
        end = match.end()
    return found


def _forms(word: str) -> tuple[str, ...]:
    if "-" not in word and "_" not in word:
        return (word,)
    head, _, rest = word.replace("_", "-").partition("-")
    joined = word.replace("_", "").replace("-", "")
    return (word, joined) if rest in AS_NOUN or head not in STRONG else (joined, head)


def _is_mixed(word: str) -> bool:
    """Whether letters of two scripts are in one word: it is written to be read otherwise than compared."""
    if word.isascii():
        return False
    latin = {unicodedata.name(each, "").startswith("LATIN") for each in word if each.isalpha()}
    return len(latin) == 2


def _plain(word: str) -> str:
    """Letters as they look to a reader: no accents, no full width, no capitals."""
    parts = unicodedata.normalize("NFKD", word.replace("’", "'"))
    return "".join(each for each in parts if not unicodedata.combining(each)).casefold().replace("μ", "u")


def order_in(sentence: str) -> int | None:
    """Where the clause begins that orders something; None when none does."""
    said = words(sentence)
    if idiom := _IDIOM.search(sentence):
        return _clause(said, next(n for n, each in enumerate(said) if each.at >= idiom.start()))
    for at in range(1, len(said)):
        if _is_order(said, at):
            return _clause(said, at)
    return None


def _clause(said: list[Word], at: int) -> int:
    """The end of what stands before the clause of the word at `at`, and before what that clause hangs on."""
    while begins := _begins(said, at):
        at = begins
        earlier = _begins(said, at - 1)
        if earlier and said[earlier].text in CONDITIONS:
            at = earlier
        while at > 1 and said[at - 1].text in _BETWEEN:
            at -= 1
        if at == 1 or said[at - 1].text not in DANGLING:
            return said[at - 1].end
        at -= 1
    whole = at
    while at > 1 and said[at - 1].text in DANGLING:
        at -= 1
    return said[at - 1].end if at < whole else 0


def _begins(said: list[Word], at: int) -> int:
    """The first word of the clause that the word at `at` is in."""
    while at > 0 and not said[at].apart and said[at].text not in LINKS:
        at -= 1
    return at


def _is_order(said: list[Word], at: int) -> bool:
    word = said[at]
    if word.mixed:
        return True
    acting = next((form for form in word.forms if form in ACTING), None)
    return (
        (acting is not None and _ordered(said, at, acting))
        or _unknown_order(said, at)
        or _by_doing(said, at)
        or _unjoined(said, at)
        or _to_be_done(said, at)
        or _by_a_noun(said, at)
    )


# -- kinds of orders -------------------------------------------------------------------------------------


def _ordered(said: list[Word], at: int, acting: str) -> bool:
    """The plain form of a verb: where a verb stands, or with its object behind it."""
    behind = _behind(said, at)
    if behind in AS_NOUN:
        return False
    if behind in OBJECTS and said[at - 1].text not in OBJECTS and not _asked(said, at):
        return acting not in {"do", "make", "use", "take", "give"} or _stands_as_verb(said, at)
    if not _stands_as_verb(said, at):
        return False
    if acting in PHRASAL:
        near = [each.text for each in said[at + 1 : at + 5]]
        return behind in OBJECTS or any(each in PARTICLES for each in near)
    ends = at + 1 >= len(said) or said[at + 1].apart
    if acting in WEAK:
        return not (ends or behind in NOUN_PREPOSITIONS or behind in CONNECTIVES)
    return True


def _unknown_order(said: list[Word], at: int) -> bool:
    """A word nobody listed, behind an “and”, with an object: “and nuke it”."""
    word = said[at].text
    known = word in FUNCTION or word in SAFE or word in LOOKING or word in OBJECTS or word in ADVERBS
    if known or word in MODALS or not word.isalpha() or word.endswith(("ed", "ing", "s")):
        return False
    joined = said[at].apart or said[at - 1].text in CONNECTIVES
    return joined and _behind(said, at) in OBJECTS and not _apart_behind(said, at)


def _unjoined(said: list[Word], at: int) -> bool:
    """“Check logs restart payments”: behind what is looked at, with a thing behind it that makes no compound
    of it. Whose subject stands before it only tells: “whether pods restart”."""
    if not any(form in UNJOINED for form in said[at].forms) or _ends(said, at):
        return False
    behind, before = said[at + 1].text, said[_skip(said, at) - 1].text
    if behind in HEADS or behind in _AFTER_NOUNS or behind in FUNCTION or _is_adverb(behind):
        return False
    if before in LOOKING:
        return not (behind[0] == "v" or behind[0].isdigit())
    ends = before not in FUNCTION | OBJECTS | MODALS | CONNECTIVES | _DESCRIBING
    return ends and not (_told(said, at) and _BE.isdisjoint(each.text for each in said[1:at]))


def _told(said: list[Word], at: int) -> bool:
    """Whether it is part of what is to be found out, or of what is to be true."""
    return _asked(said, at) or (said[1].text == "that" and len(_same_clause(said, at)) == at)


def _by_doing(said: list[Word], at: int) -> bool:
    """“by redeploying 1.14”, “after restarting it”, “, deleting the pod”."""
    word = said[at].text
    if not word.endswith("ing") or len(word) < 6 or word in GERUNDS_OF_LOOKING:
        return False
    before = said[_skip(said, at) - 1].text if _skip(said, at) else ""
    behind = _behind(said, at)
    noun = behind in _AFTER_NOUNS
    if before in {"about", "for"}:
        return said[0].text == "page" and _stem(word) in ACTING
    if before in {"by", "via", "through"}:
        return not noun and not (_stem(word) not in ACTING and _ends(said, at))
    if _stem(word) not in ACTING:
        return False
    if before in {
        "after",
        "before",
        "while",
        "when",
        "upon",
        "without",
        "try",
        "consider",
        "start",
        "begin",
        "of",
    }:
        return before != "of" or said[at - 2].text == "instead"
    joined = said[at].apart or before in CONNECTIVES
    return joined and not noun and not _ends(said, at)


def _to_be_done(said: list[Word], at: int) -> bool:
    """“have the pods restarted”, “must be killed”, “once it is restarted”."""
    word = said[at].text
    if not word.endswith(("ed", "t", "n", "k")) or not _participle(word) or _asked(said, at):
        return False
    before = [each.text for each in _same_clause(said, at)]
    if before[-1:] == ["be"] and not _BEING_DONE.isdisjoint(before[-4:]):
        return True
    if set(before[-4:]) & {"once", "until"} and before[-1] in {"once", "until", "is", "are", "was", "been"}:
        return True
    if set(before[-6:]) & {"ensure", "sure"}:
        return True
    causing = [n for n, each in enumerate(before[:-1]) if each in CAUSATIVE]
    return bool(causing) and causing[-1] < len(before) - 1 and before[-1] not in _NO_OBJECT


def _by_a_noun(said: list[Word], at: int) -> bool:
    """“Page the DBA for a restart”, “Verify it with a rollback”, “by a restart”."""
    if not any(form in NOUNS for form in said[at].forms):
        return False
    before = [each.text for each in _same_clause(said, at)]
    link = next(
        (n for n in range(len(before) - 1, -1, -1) if before[n] in {"for", "with", "by", "via", "through"}),
        None,
    )
    if link is None or len(before) - link > 4 or not _NO_OBJECT.isdisjoint(before[link + 1 :]):
        return False
    if before[link] == "for":
        return said[0].text == "page" or "ask" in before[:link] or "request" in before[:link]
    if before[link] == "with":
        return before[link + 1 : link + 2] in (["a"], ["an"], ["another"])
    if link == 0 or before[link - 1].endswith("ed"):
        return False
    return _behind(said, at) == "of" or _behind(said, at) not in AS_NOUN


# -- where a word stands -----------------------------------------------------------------------------------


def _stands_as_verb(said: list[Word], at: int) -> bool:
    """Whether an order may stand here: first in its clause, behind “to”, “you must”, “have them” …"""
    first = _skip(said, at)
    if said[first].apart or any(each.apart for each in said[first : at + 1]):
        return True
    before = said[first - 1].text
    if before in CONNECTIVES or any(each.text in CONNECTIVES for each in said[first:at]):
        return True
    if before == "to":
        needed = said[max(0, first - 3)].text in MODALS and not _asked(said, at)  # “you need to”
        return first < 2 or needed or said[first - 2].text not in BEFORE_TO
    if before in MODALS:
        return not _asked(said, at)
    return _caused(said, first) or _conditional(said, at)


def _conditional(said: list[Word], at: int) -> bool:
    """“…, and once confirmed roll it back”, “; if high restart payments”"""
    begins = _begins(said, at)
    while begins < at and said[begins].text in CONNECTIVES:
        begins += 1
    joined = said[begins].apart or said[begins - 1].text in CONNECTIVES
    if begins < 2 or not joined or said[begins].text not in CONDITIONS or said[at - 1].text in FUNCTION:
        return False
    near = [each.text for each in said[at + 1 : at + 5]]
    return said[at].text in STRONG or any(each in PARTICLES for each in near)


def _caused(said: list[Word], at: int) -> bool:
    """“have them kill …”, “let the DBA drop …”"""
    before = [each.text for each in _same_clause(said, at)][-6:]
    causing = [n for n, each in enumerate(before) if each in CAUSATIVE]
    return bool(causing) and causing[-1] < len(before) - 1 and before[-1] not in _NO_OBJECT


def _asked(said: list[Word], at: int) -> bool:
    """Whether it is part of what is to be found out: “Check whether it should restart”."""
    start = 1
    while start < min(at, 3) and said[start].text in {"at", "into", "with", "again", "first"}:
        start += 1
    asks = said[start].text in ASKING and not said[start].apart
    return asks and len(_same_clause(said, at)) == at and not _joined_between(said, start, at)


def _joined_between(said: list[Word], start: int, at: int) -> bool:
    return any(each.text in {"and", "then", "so"} for each in said[start:at])


def _same_clause(said: list[Word], at: int) -> list[Word]:
    """The words before it since something other than a blank."""
    start = at
    while start > 0 and not said[start].apart:
        start -= 1
    return said[start:at]


def _skip(said: list[Word], at: int) -> int:
    """The first of the adverbs that stand before the word at `at`, or that word."""
    while at > 1 and not said[at].apart and _is_adverb(said[at - 1].text):
        at -= 1
    return at


def _is_adverb(word: str) -> bool:
    return word in ADVERBS or (word.endswith("ly") and word not in {"apply", "anomaly", "family", "assembly"})


def _behind(said: list[Word], at: int) -> str:
    return said[at + 1].text if at + 1 < len(said) and not said[at + 1].apart else ""


def _apart_behind(said: list[Word], at: int) -> bool:
    return at + 1 < len(said) and said[at + 1].apart


def _ends(said: list[Word], at: int) -> bool:
    return at + 1 >= len(said) or said[at + 1].apart


def _stem(gerund: str) -> str:
    """The verb of a gerund, as far as it is one of ours: “scaling”, “dropping”, “redeploying”."""
    bare = re.sub(r"[_-]", "", gerund).removesuffix("ing")
    return next((each for each in (bare, f"{bare}e", bare[:-1]) if each in ACTING), "")


def _participle(word: str) -> bool:
    """Whether it is the participle of one of our verbs: “restarted”, “scaled”, “dropped”, “rolled”."""
    word = re.sub(r"[_-]", "", word)
    if word in IRREGULAR:
        return True
    bare = word.removesuffix("ed")
    stems = (bare, f"{bare}e", bare[:-1], f"{bare[:-1]}y")
    return bare != word and any(each in ACTING for each in stems)
