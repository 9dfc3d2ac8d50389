"""The catalog is read entry by entry: what is right is kept, what is wrong is named with its line."""

from __future__ import annotations

import pytest

from app.context.catalog import Catalog, host_of, read_catalog
from app.storage.tree import Tree

SERVICES = """\
# who runs what
services:
  - name: checkout
    aliases: [cart, basket]
    tier: 1
    team: storefront
    slack_channel: "#checkout"
    repo: https://github.com/acme/checkout
    depends_on: [payments, Ledger]
    labels: {job: checkout, namespace: shop}
    dashboards: [https://grafana.acme.io/d/checkout]
    runbooks:
      - {title: Failing over, url: https://wiki.acme.io/checkout}

  # the money
  - name: payments
    repo: git@git.acme.io:money/payments.git
    depends_on: ledger
  - name: ledger
    tier: tier-2
"""

BACKSTAGE = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: search
  title: Product Search
  labels: {tier: "2"}
  annotations:
    github.com/project-slug: acme/search
  links:
    - {url: "https://grafana.acme.io/d/search", title: Dashboard}
    - {url: "https://wiki.acme.io/search", type: runbook}
    - {url: "https://status.acme.io", title: Status}
spec:
  type: service
  owner: group:default/discovery
  dependsOn: ["component:default/ledger", "resource:search-db"]
  consumesApis: [rates]
---
kind: API
metadata: {name: rates}
---
kind: Component
metadata: {name: pricing}
spec: {providesApis: [rates]}
"""


def read(**files: str) -> Catalog:
    return read_catalog(Tree("r1", {name.replace("__", "/"): text for name, text in files.items()}))


def faults(catalog: Catalog) -> list[str]:
    return [str(fault) for fault in catalog.faults]


def of(services_yaml: str) -> Catalog:
    return read_catalog(Tree("r1", {"services.yaml": services_yaml}))


def test_services_yaml_gives_every_field() -> None:
    catalog = of(SERVICES)
    checkout = catalog.get("checkout")
    assert catalog.faults == ()
    assert checkout is not None
    assert checkout.model_dump() == {
        "name": "checkout",
        "aliases": ("cart", "basket"),
        "tier": 1,
        "team": "storefront",
        "slack_channel": "checkout",
        "repo": "https://github.com/acme/checkout",
        "depends_on": ("payments", "Ledger"),
        "labels": {"job": "checkout", "namespace": "shop"},
        "dashboards": ("https://grafana.acme.io/d/checkout",),
        "runbooks": ("https://wiki.acme.io/checkout",),
        "links": (),
        "declared_in": "services.yaml:3",
    }
    assert catalog.declarations["checkout"] == ("services.yaml", 3, 13)


@pytest.mark.parametrize(
    "spelling", ["payment-gateway", "Payment Gateway", "payment_gateway", "PaymentGateway", "PAY", " Pay "]
)
def test_a_service_is_found_by_any_spelling(spelling: str) -> None:
    found = of("services: [{name: payment-gateway, aliases: [pay]}]").get(spelling)
    assert found is not None
    assert found.name == "payment-gateway"


def test_dependencies_are_known_from_both_ends_under_the_catalogs_names() -> None:
    catalog = of(SERVICES)
    assert catalog.depends_on("cart") == ("payments", "ledger")
    assert catalog.dependents("ledger") == ("checkout", "payments")
    assert catalog.dependents("nobody") == ()


def test_hosts_are_those_of_dashboards_runbooks_repos_and_links() -> None:
    catalog = read_catalog(Tree("r1", {"services.yaml": SERVICES, "search/catalog-info.yaml": BACKSTAGE}))
    assert catalog.hosts() == {
        "github.com",
        "git.acme.io",
        "grafana.acme.io",
        "wiki.acme.io",
        "status.acme.io",
    }


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://Grafana.acme.io:3000/d/x?y#z", "grafana.acme.io"),
        ("git@github.com:acme/x.git", "github.com"),
        ("acme/checkout", None),
        ("", None),
        ("https://[::1", None),
    ],
)
def test_the_host_of_an_address(address: str, host: str | None) -> None:
    assert host_of(address) == host


def test_backstage_components_are_services() -> None:
    catalog = read(search__catalog_info=BACKSTAGE)
    assert len(catalog) == 0, "the name of the file decides"
    catalog = read_catalog(Tree("r1", {"search/catalog-info.yaml": BACKSTAGE}))
    search = catalog.get("product search")
    assert search is not None
    assert (search.name, search.tier, search.team) == ("search", 2, "discovery")
    assert search.repo == "https://github.com/acme/search"
    assert search.depends_on == ("ledger", "pricing"), "databases are no services, providers of APIs are"
    assert (search.dashboards, search.runbooks) == (
        ("https://grafana.acme.io/d/search",),
        ("https://wiki.acme.io/search",),
    )
    assert search.links == ("https://status.acme.io",)
    assert catalog.declarations["search"] == ("search/catalog-info.yaml", 1, 17)
    assert faults(catalog) == [
        "search/catalog-info.yaml:1: warning: search depends on ledger, which the catalog does not declare"
    ]


def test_services_yaml_wins_over_backstage_which_fills_its_gaps() -> None:
    tree = Tree(
        "r1",
        {"services.yaml": "services: [{name: search, tier: 4}]", "a/catalog-info.yaml": BACKSTAGE},
    )
    search = read_catalog(tree).get("search")
    assert search is not None
    assert (search.tier, search.team, search.declared_in) == (4, "discovery", "services.yaml:1")


def test_without_a_declaration_the_pages_are_the_catalog() -> None:
    catalog = read(
        **{
            "services__checkout.md": "# Checkout",
            "services__payments.md": "",
            "services__README.md": "# how to",
            "services__deep__other.md": "",
            "contracts__checkout-to-payments.md": "",
        }
    )
    assert [service.name for service in catalog] == ["checkout", "payments"]
    assert catalog.faults == ()
    assert catalog.get("checkout").declared_in == "services/checkout.md:1"  # type: ignore[union-attr]


def test_a_page_that_services_yaml_does_not_declare_is_a_service_and_a_fault() -> None:
    catalog = read_catalog(
        Tree("r1", {"services.yaml": SERVICES, "services/basket.md": "", "services/loyalty.md": ""})
    )
    assert catalog.get("loyalty") is not None
    assert faults(catalog) == [
        "services/loyalty.md:1: warning: describes loyalty, which services.yaml does not declare"
    ]


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("tier: 7", "5: error: tier of bad: must be 1, 2, 3 or 4, not '7'; it is ignored"),
        ("tier: [1]", "5: error: tier of bad: must be 1, 2, 3 or 4"),
        ("depends_on: {a: b}", "5: error: depends_on of bad: must be a list of texts"),
        ("labels: [a]", "5: error: labels of bad: must be a mapping of texts"),
        ("repo: not a repo", "5: error: repo of bad: the address of a git repository must be without spaces"),
        ("repo: ../user", "5: error: repo of bad: the address of a git repository must be without . and .."),
        ("repo: acme/..", "5: error: repo of bad: the address of a git repository must be without . and .."),
        ("repo: --upload-pack=id", "5: error: repo of bad: the address of a git repository must begin with"),
        ("repo: 'ext::id'", "5: error: repo of bad: the address of a git repository must begin with"),
        ("repo: /srv/git/x", "5: error: repo of bad: the address of a git repository must name a host"),
        ("dashboards: [{title: no address}]", "5: error: dashboards of bad: must be a list of texts"),
        ("teem: storefront", "5: warning: teem is no field of a service; did you mean team?"),
        ("depends_on: [nobody]", "4: warning: bad depends on nobody, which the catalog does not declare"),
        ("aliases: [good]", "4: error: the alias good of bad already means good; it is ignored"),
    ],
)
def test_a_bad_field_is_named_and_costs_only_itself(entry: str, fault: str) -> None:
    catalog = of(f"services:\n  - name: good\n    tier: 1\n  - name: bad\n    {entry}\n    owner: x\n")
    assert any(each.startswith(f"services.yaml:{fault}") for each in faults(catalog)), faults(catalog)
    assert [service.name for service in catalog] == ["good", "bad"]


@pytest.mark.parametrize(
    ("entry", "line"),
    [("- team: x", 3), ("- just text", 3), ("- name: [a]", 3), ("- name: '@@'", 3), ("- name: Good", 3)],
)
def test_a_bad_entry_is_named_and_costs_only_itself(entry: str, line: int) -> None:
    catalog = of(f"services:\n  - name: good\n  {entry}\n  - name: other\n")
    assert [service.name for service in catalog] == ["good", "other"]
    assert [(fault.path, fault.line, fault.severity) for fault in catalog.faults] == [
        ("services.yaml", line, "error")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "services",
        "services: 3",
        "services: {a: b}",
        "[1, 2]",
        "services:\n  - name: a\n   bad: indent",
        "\tservices: []",
        "services: [" * 2000,
        "a: &a [x]\nb: *nowhere",
        "\x00",
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault_and_the_pages_still_serve(text: str) -> None:
    catalog = read_catalog(Tree("r1", {"services.yaml": text, "services/checkout.md": "# Checkout"}))
    assert catalog.get("checkout") is not None
    assert any(fault.path == "services.yaml" and fault.severity == "error" for fault in catalog.faults)


def test_a_broken_backstage_file_costs_only_what_follows_the_error() -> None:
    catalog = read_catalog(
        Tree("r1", {"x/catalog-info.yaml": BACKSTAGE + "---\nkind: [\n", "y/catalog-info.yaml": BACKSTAGE})
    )
    assert {"search", "pricing"} == {service.name for service in catalog}
    assert any("is not valid YAML" in fault for fault in faults(catalog))


def test_aliases_of_aliases_do_not_grow_without_bound() -> None:
    doubled = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    catalog = of(f"a0: &a0 [x]\n{doubled}\nservices:\n  - name: checkout\n    labels: {{x: *a9}}\n")
    assert catalog.get("checkout") is not None


def test_an_empty_tree_is_an_empty_catalog() -> None:
    catalog = read_catalog(Tree("r1", {}))
    assert (len(catalog), catalog.faults, catalog.hosts()) == (0, (), frozenset())


def test_a_backstage_repo_that_is_none_is_a_fault() -> None:
    text = BACKSTAGE.replace("acme/search\n", "acme/../search\n")
    catalog = read_catalog(Tree("r1", {"catalog-info.yaml": text}))
    assert [service.repo for service in catalog if service.name == "search"] == [None]
    assert "catalog-info.yaml:1: error: the repo of search: the address" in str(catalog.faults[0])
