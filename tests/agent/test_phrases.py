"""An answer without a model is in the asker's language, its quotes in their own."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from pydantic_ai import exceptions as fault

from app.agent import offline
from app.agent.conclude import CUT_BY_LENGTH, CUT_BY_WINDOW
from app.agent.failures import explain
from app.agent.phrases import FIELD, FOLDER, Phrases, table
from app.agent.phrases.languages import COMMON, language_of
from app.agent.run import NO_CONCLUSION, STOPPED_LOOKING
from app.context.assembler import assemble
from app.context.blueprints import read_blueprints
from app.context.missing import missing
from app.context.models import Context, Readme, Resolution
from app.context.papers import Papers
from app.context.resolve import resolve
from app.conversations.models import Envelope
from app.conversations.shortcuts import notices as notices_of
from app.conversations.turn import DATABASE_AWAY
from app.knowledge.models import Document, Knowledge
from app.storage.tree import Tree

QUESTIONS = {
    "de": "Was brauchen wir, bevor checkout live geht?",
    "fr": "De quoi avons-nous besoin avant de lancer checkout ?",
    "es": "¿Qué necesitamos antes de lanzar checkout?",
    "pt": "O que precisamos antes de lançar o checkout?",
    "it": "Di che cosa abbiamo bisogno prima di lanciare checkout?",
    "nl": "Wat hebben we nodig voordat checkout live gaat?",
    "pl": "Czego potrzebujemy przed uruchomieniem checkout?",
    "sv": "Vad behöver vi innan checkout lanseras?",
    "ja": "checkout を公開する前に何が必要ですか？",
    "zh": "上线 checkout 之前需要什么？",
}
MARKS = {
    "en": "No model took part",
    "de": "kein Modell mitgewirkt",
    "fr": "Aucun modèle",
    "es": "Ningún modelo",
    "pt": "Nenhum modelo",
    "it": "Nessun modello",
    "nl": "geen model meegewerkt",
    "pl": "żaden model",
    "sv": "Ingen modell",
    "ja": "モデルは使われていません",
    "zh": "没有使用模型",
}
FILES = {
    "services.yaml": "services:\n  - {name: checkout, tier: 1, team: pay, depends_on: [ledger, nobody]}\n"
    "  - {name: ledger, tier: 2, team: pay}\n  - {name: checkin, tier: 9}\n",
    "services/checkout.md": "# Checkout\n\n## Launch\n\nBefore launch: an SLO, a runbook, a dashboard.\n",
}
KNOWLEDGE = Knowledge(
    "k1", Document("system-prompt.md", "System prompt", "Answer."), tiers=MappingProxyType({})
)
BLUEPRINTS = read_blueprints(Tree("b1", FILES))


def answer(question: str, reason: str = "no model is configured") -> tuple[Context, str]:
    context = assemble(
        question,
        resolve(question, BLUEPRINTS.catalog),
        blueprints=BLUEPRINTS,
        knowledge=KNOWLEDGE,
        readme=Readme(),
        papers=Papers(),
    )
    return context, offline.answer(question, context, reason=reason).text


def test_every_language_has_every_phrase_with_its_values() -> None:
    english = table("en")
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(MARKS) == {"en", *QUESTIONS}
    for language in QUESTIONS:
        phrases = table(language)
        assert list(phrases) == list(english), language
        for name, phrase in english.items():
            assert set(FIELD.findall(phrases[name])) == set(FIELD.findall(phrase)), (language, name)


@pytest.mark.parametrize("language", QUESTIONS)
def test_a_question_is_answered_in_its_language_and_documents_are_quoted_as_they_are(language: str) -> None:
    context, told = answer(QUESTIONS[language], "The model claude is overloaded.")
    assert MARKS[language] in told
    assert "> Before launch: an SLO, a runbook, a dashboard." in told
    assert len(context.missing) > 3
    for english in (MARKS["en"], "overloaded", *context.missing, "Not found", "depends on", "team pay"):
        assert english not in told.replace(
            "team pay", "" if table(language)["team"] == "team {team}" else "team pay"
        )


@pytest.mark.parametrize("language", QUESTIONS)
def test_a_service_nobody_knows_is_asked_back_in_the_same_language(language: str) -> None:
    question = QUESTIONS[language].replace("checkout", "warpdrive")
    _, told = answer(question)
    assert MARKS[language] in told
    assert table(language)["service_not_known"] in told
    assert table(language)["add_yours"] in told
    assert "I do not know" not in told
    assert "No service of the catalog" not in told


@pytest.mark.parametrize(
    ("question", "language"),
    [
        *((question, language) for language, question in QUESTIONS.items()),
        ("what do I need before we launch checkout?", "en"),
        ("checkout", "en"),
        ("checkout bereit?", "en"),
        ("", "en"),
        ("SELECT * FROM die WHERE der IN (1)", "en"),
        ("`die der das` is slow", "en"),
        ("see https://wiki.example.com/der/die/das", "en"),
        ("Что нужно для checkout?", "en"),
        ("is the contract with la-poste in our repo?", "en"),
        ("der " * 3, "en"),
    ],
)
def test_the_language_is_told_by_common_words_and_is_english_when_in_doubt(
    question: str, language: str
) -> None:
    assert language_of(question) == language


@pytest.mark.parametrize("first", COMMON)
def test_no_language_is_told_by_the_words_of_another(first: str) -> None:
    assert language_of(" ".join(sorted(COMMON[first]))) == first


@pytest.mark.parametrize("language", QUESTIONS)
def test_why_no_model_answered_is_said_in_the_same_language(language: str) -> None:
    failures = [
        fault.ModelAuthenticationError,
        fault.ModelQuotaExceededError,
        fault.ModelContextWindowExceededError,
        fault.ModelNotFoundError,
        fault.ModelRequestRejectedError,
        fault.ModelRateLimitError,
        fault.ModelUnavailableError,
        fault.ModelServerError,
        fault.ModelTimeoutError,
        fault.ModelConnectionError,
    ]
    sentences = {explain(kind.__new__(kind), "claude-x").sentence for kind in failures}
    sentences |= {explain(ValueError("x"), "claude-x").sentence, "no model is configured"}
    sentences |= {"The budget of this day ($100) is used up.", "The budget of this hour ($20) is used up."}
    sentences |= {
        "The budget of this hour (1500 tokens) is used up.",
        "This turn has used up its 20 model turns.",
    }
    told = {Phrases(language).tell(sentence) for sentence in sentences}
    assert not told & sentences
    assert len(told) == len(sentences)
    assert sum("claude-x" in each for each in told) == len([each for each in sentences if "claude-x" in each])


@pytest.mark.parametrize("language", QUESTIONS)
def test_everything_that_can_be_missing_is_said_in_the_same_language(language: str) -> None:
    catalog = BLUEPRINTS.catalog
    about = [Resolution(service=service, how="name") for service in catalog]
    about += [
        Resolution(how="ambiguous", candidates=("a", "b")),
        Resolution(candidates=("checkout",)),
        Resolution(),
    ]
    gaps = {gap for each in about for gap in missing(each, BLUEPRINTS, KNOWLEDGE, Readme())}
    gaps |= set(missing(Resolution(), read_blueprints(Tree("b2", {})), KNOWLEDGE, None))
    assert len(gaps) >= 15
    assert not {Phrases(language).tell(gap) for gap in gaps} & gaps


NOTICES = (
    CUT_BY_LENGTH,
    CUT_BY_WINDOW,
    NO_CONCLUSION,
    STOPPED_LOOKING,
    DATABASE_AWAY,
    "I could not read this. I could not finish this; please ask again.",
    "The acme/checkout repo could not be reached since 09:12 UTC; this is the copy of 08:55, revision ab12cd3.",
    "The acme/checkout repo could not be reached since 09:12 UTC; this is revision ab12cd3.",
    "The blueprints could not be read (no such folder); this is the last good copy.",
    "The blueprints could not be read (no such folder), so no service is known.",
    "The README of checkout could not be checked in time; this is the last copy.",
    "The README of checkout did not come in time, so it is not used here.",
    "GitHub did not answer. For checkout this is the copy of 2026-01-02 08:55 UTC.",
    "The knowledge revision this conversation began with (ab12) cannot be read any more; revision cd34 is used "
    "instead.",
    "The knowledge repo cannot be reached (x). The knowledge that comes with the program is used instead.",
    "The catalog has a fault: services.yaml:3: no name.",
)


@pytest.mark.parametrize("language", QUESTIONS)
def test_what_is_said_of_an_answers_making_is_in_the_same_language(language: str) -> None:
    asked = Envelope(truncated=True, attachments=("a.png",))
    sentences = {*NOTICES, *notices_of(asked)}
    told = {Phrases(language).tell(sentence) for sentence in sentences}
    assert len(sentences) == len(NOTICES) + 2
    assert not told & sentences
    assert len(told) == len(sentences)


def test_a_reason_inside_a_sentence_is_told_too() -> None:
    said = Phrases("de").tell("Something on my side broke. I could not finish this; please ask again.")
    assert (
        said
        == "Bei mir ist etwas schiefgegangen. Ich konnte das nicht zu Ende bringen; bitte frage noch einmal."
    )


def test_values_stay_as_they_are() -> None:
    words = Phrases("de")
    assert words.tell("{x} has no README.") == "{x} hat kein README."
    assert words.tell("checkout has no README.\n<!channel>") == "checkout has no README.\n<!channel>"
    assert words.tell("Nobody knows this sentence.") == "Nobody knows this sentence."
    assert Phrases("en").tell("checkout has no README.") == "checkout has no README."
    assert words.tell("a" * 5000 + " has no README.").endswith("has no README.")
