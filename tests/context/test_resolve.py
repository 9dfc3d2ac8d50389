"""Which service a message is about."""

from __future__ import annotations

import pytest

from app.context.catalog import Catalog, read_catalog
from app.context.resolve import resolve
from app.storage.tree import Tree

SERVICES = """
services:
  - name: checkout
    aliases: [cart, "the till"]
    slack_channel: "#checkout-dev"
    depends_on: [orders]
  - name: payments
    slack_channel: C0PAY
  - name: payment-gateway
  - name: search
  - name: orders
  - name: notifications
  - {name: ledger-api, slack_channel: shared}
  - {name: ledger-app, slack_channel: shared}
  - name: InvoiceRenderer
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return read_catalog(Tree("r1", {"services.yaml": SERVICES}))


@pytest.mark.parametrize(
    ("text", "service", "how"),
    [
        ("what do I need before we launch checkout?", "checkout", "name"),
        ("CHECKOUT's error budget", "checkout", "name"),
        ("is check-out slow", "checkout", "name"),
        ("the CheckOut pods restart", "checkout", "name"),
        ("pod checkout-7d9f8b-x2x restarts", "checkout", "name"),
        ("how big is the cart?", "checkout", "alias"),
        ("The Till is broken", "checkout", "alias"),
        ("payment_gateway timeouts", "payment-gateway", "name"),
        ("payment gateway timeouts", "payment-gateway", "name"),
        ("PaymentGateway timeouts", "payment-gateway", "name"),
        ("paymentgateway timeouts", "payment-gateway", "name"),
        ("invoice-renderer memory", "InvoiceRenderer", "name"),
        ("how does orders scale", "orders", "name"),
        ("what can you search for?", "search", "name"),
        ("the search service is slow", "search", "name"),
        ("chekcout is slow", "checkout", "typo"),
        ("hceckout is slow", "checkout", "typo"),
        ("check the notification flow", "notifications", "typo"),
        ("payment gatway timeouts", "payment-gateway", "typo"),
        ("paymnet-gatway timeouts", "payment-gateway", "typo"),
        ("is the check service up", "checkout", "typo"),
        ("what does the notif service need", "notifications", "typo"),
    ],
)
def test_one_service_is_recognised(catalog: Catalog, text: str, service: str, how: str) -> None:
    found = resolve(text, catalog)
    assert (found.service and found.service.name, found.how) == (service, how)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "can you check out the dashboards",
        "check the alerts please",
        "in order to launch, what must I do?",
        "I checked the pay slips",
        "<@U0CHECKOUT> hello",
        "see <#C1|checkout-dev>",
        ":checkout: how do SLOs work",
        "how do I define an SLO?",
        "what is our standard for alerting in production",
        "my colleague is paying attention to the ledge",
        "noted. not if it rains",
    ],
)
def test_everyday_words_are_no_service(catalog: Catalog, text: str) -> None:
    found = resolve(text, catalog)
    assert (found.service, found.how) == (None, "none")


@pytest.mark.parametrize(
    ("text", "thread", "channel", "service", "how"),
    [
        ("and the rollback?", "checkout", None, "checkout", "thread"),
        ("and the rollback?", "cart", None, "checkout", "thread"),
        ("and the rollback?", "gone", None, None, "none"),
        ("and the rollback?", "payments", "checkout-dev", "payments", "thread"),
        ("who is on call?", None, "checkout-dev", "checkout", "channel"),
        ("who is on call?", None, "#checkout-dev", "checkout", "channel"),
        ("who is on call?", None, "C0PAY", "payments", "channel"),
        ("who is on call?", None, "shared", None, "ambiguous"),
        ("who is on call?", "orders", "shared", "orders", "thread"),
        ("is the ledger-api slow?", None, "shared", "ledger-api", "name"),
        ("who is on call?", None, "C0OTHER", None, "none"),
        ("does checkout retry when orders is down?", None, None, "checkout", "name"),
        ("does the cart retry when orders is down?", None, None, "checkout", "alias"),
        ("orders fail since checkout was deployed", None, None, "orders", "name"),
        ("checkout, orders and payments", None, None, None, "ambiguous"),
        ("what about orders?", "checkout", "checkout-dev", "orders", "name"),
        ("search the logs", "checkout", None, "checkout", "thread"),
        ("the `search` latency", "checkout", None, "search", "name"),
        ("checkout calls payments", None, None, None, "ambiguous"),
        ("checkout calls payments", "payments", None, "payments", "thread"),
        ("checkout calls payments", "orders", "checkout-dev", "checkout", "channel"),
        ("checkout calls payments", "orders", None, None, "ambiguous"),
        ("ledger-apx is slow", None, None, None, "ambiguous"),
    ],
)
def test_the_conversation_decides_what_the_words_leave_open(
    catalog: Catalog, *, text: str, thread: str | None, channel: str | None, service: str | None, how: str
) -> None:
    found = resolve(text, catalog, thread_service=thread, channel=channel)
    assert (found.service and found.service.name, found.how) == (service, how)


def test_an_ambiguous_message_names_all_that_were_meant(catalog: Catalog) -> None:
    assert resolve("payments or checkout?", catalog).candidates == ("payments", "checkout")
    assert resolve("ledger-apx", catalog).candidates == ("ledger-api", "ledger-app")


def test_a_misspelled_word_in_a_thread_is_a_hint_and_no_change_of_subject(catalog: Catalog) -> None:
    found = resolve("what about paymnets?", catalog, thread_service="checkout")
    assert (found.service and found.service.name, found.candidates) == ("checkout", ("payments",))


def test_an_unknown_service_gets_the_nearest_names(catalog: Catalog) -> None:
    assert resolve("what does the checkmate service need?", catalog).candidates[:1] == ("checkout",)
    assert resolve("how does ledgers work", catalog).candidates[:2] == ("ledger-api", "ledger-app")


def test_an_empty_catalog_knows_nobody() -> None:
    found = resolve("checkout", Catalog(), thread_service="checkout", channel="checkout-dev")
    assert (found.service, found.how, found.candidates) == (None, "none", ())


EVERYDAY = """
services:
  - {name: checkout, slack_channel: checkout-dev}
  - name: reports
  - name: search
  - name: jobs
  - name: mail
  - name: it
"""


@pytest.fixture(scope="module")
def everyday() -> Catalog:
    """Services that are called by words people say all day."""
    return read_catalog(Tree("r1", {"services.yaml": EVERYDAY}))


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("is reports ready?", "reports"),
        ("Is reports ready for its launch?", "reports"),
        ("jobs isn't running", "jobs"),
        ("does reports have an SLO", "reports"),
        ("why is jobs slow", "jobs"),
        ("reports is slow", "reports"),
        ("we see errors and reports has no SLO", "reports"),
        ("is search ready?", "search"),
        ("does mail need an SLO?", "mail"),
        ("who owns search?", "search"),
        ("what do I need before we launch reports?", "reports"),
        ("we launch mail on Monday, what is missing", "mail"),
        ("what SLO do we need for reports?", "reports"),
        ("who is on call for search", "search"),
        ("the owner of mail", "mail"),
        ("what tier is right for jobs in production?", "jobs"),
        ("what does the reports service need", "reports"),
        ("does `search` retry", "search"),
        ("who reports this?", "checkout"),
        ("the reports are late", "checkout"),
        ("are reports late?", "checkout"),
        ("who reports is unclear", "checkout"),
        ("one of the jobs is stuck", "checkout"),
        ("the number of jobs is growing", "checkout"),
        ("it reports is_ready false", "checkout"),
        ("can you search for the runbook", "checkout"),
        ("our search is slow", "checkout"),
        ("is the search ready", "checkout"),
        ("we need a budget for search traffic", "checkout"),
        ("what do I look for in reports?", "checkout"),
        ("is mail sent twice?", "checkout"),
        ("send mail to the owner", "checkout"),
        ("before we launch jobs pile up", "checkout"),
        ("is it ready?", "checkout"),
        ("and the rollback?", "checkout"),
    ],
)
def test_an_everyday_word_is_a_name_where_a_name_stands(everyday: Catalog, text: str, service: str) -> None:
    found = resolve(text, everyday, channel="checkout-dev")
    assert found.service is not None
    assert found.service.name == service


def test_what_was_not_taken_is_remembered_whichever_it_was(everyday: Catalog) -> None:
    taken = resolve("is reports ready?", everyday, channel="checkout-dev")
    assert (taken.how, taken.candidates) == ("word", ("reports", "checkout"))
    left = resolve("are reports late?", everyday, channel="checkout-dev")
    assert (left.how, left.candidates) == ("channel", ("reports",))


def test_a_name_that_stands_alone_stands_for_nothing_else(everyday: Catalog) -> None:
    assert resolve("is reports ready?", everyday).candidates == ("reports",)
    assert resolve("is reports ready?", everyday, thread_service="reports").candidates == ("reports",)
