"""What diffs are taken to do: changes of behaviour stand out, tidying does not, in any language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.investigations.ranking.diffs import NEITHER, effect_of
from app.investigations.ranking.hunks import hunks_of
from app.investigations.ranking.values import changed_values, version_weight


def diff(*lines: str, head: str = "@@ -1,9 +1,9 @@") -> str:
    return "\n".join((head, *lines))


ALTERING = {
    "a timeout of seconds becomes one of milliseconds": (
        "client.go",
        diff("-	Timeout: 30 * time.Second,", "+	Timeout: 30 * time.Millisecond,"),
    ),
    "fewer replicas": ("deploy.yaml", diff("-  replicas: 6", "+  replicas: 1")),
    "less memory": ("deploy.yaml", diff("-      memory: 2Gi", "+      memory: 128Mi")),
    "a switch": ("app.py", diff("-CACHE_ENABLED = True", "+CACHE_ENABLED = False")),
    "a lost check for nothing": (
        "cart.ts",
        diff("-  if (cart === undefined) {", "-    return 0;", "-  }", "   return cart.sum;"),
    ),
    "a lost lock": ("store.py", diff("-    with self.lock:", "-        self.items.append(item)", "+    self.items.append(item)")),
    "a lost clean-up": ("rows.go", diff(" 	rows, err := db.Query(q)", "-	defer rows.Close()")),
    "a lost limit of a query": (
        "orders.sql.ts",
        diff("-const q = sql`select * from orders limit 100`", "+const q = sql`select * from orders`"),
    ),
    "a condition that is another": ("auth.rb", diff("-  return deny if token.age > grace", "+  return deny if token.expired?")),
    "a query for each element": (
        "report.py",
        diff("-    return [row.name for row in rows]", "+    names = []", "+    for row in rows:", "+        names.append(db.query_name(row.id))", "+    return names"),
    ),
    "a column dropped": ("0042.sql", diff("+ALTER TABLE orders DROP COLUMN state;")),
    "an index built while writers wait": ("0043.sql", diff("+CREATE INDEX orders_state ON orders (state);")),
    "what ran aside runs in line": ("mail.go", diff("-	go sendMail(order)", "+	sendMail(order)")),
}  # fmt: skip

HARMLESS = {
    "documents": (("README.md", "docs/a.md"), diff("-old", "+new")),
    "tests": (("pkg/a_test.go",), diff("-	if x != 1 {", "+	if x != 2 {")),
    "styles": (("web/site.css",), diff("-.a { margin: 1px }", "+.a { margin: 10px }")),
    "comments": (("a.go",), diff("-// old words", "+// new words")),
    "only spaces": (("a.py",), diff("-def f( a ):", "+def f(a):")),
    "moved lines": (("a.py",), diff("-x = load()", "+", "+x = load()")),
    "a patch release of a list": (("requirements.txt",), diff("-httpx==0.28.0", "+httpx==0.28.1")),
    "a patch release": (("go.mod",), diff("-	github.com/a/b v1.2.3", "+	github.com/a/b v1.2.4")),
    "an extracted helper": (
        ("page.py",),
        diff(
            "-    title = escape(page.title)",
            "-    body = markdown(page.body)",
            "-    return template.render(title, body)",
            "+    return render_page(page)",
            "+",
            "+def render_page(page):",
            "+    title = escape(page.title)",
            "+    body = markdown(page.body)",
            "+    return template.render(title, body)",
        ),
    ),
    "another log line": (
        ("serve.go",),
        diff('-	log.Printf("%s %d", path, status)', '+	logger.Info("served", "path", path, "status", status)'),
    ),
    "a counter": (("serve.go",), diff("+	servedCounter.Inc()")),
    "a function nobody calls": (("a.go",), diff("+func (s *S) Upload(r io.Reader) error {", "+	return s.blobs.Put(r)", "+}")),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERING)
def test_a_change_of_behaviour_is_seen_in(what: str) -> None:
    file, text = ALTERING[what]
    assert effect_of(text, (file,)).weight > NEITHER


@pytest.mark.parametrize("what", HARMLESS)
def test_nothing_is_made_of(what: str) -> None:
    files, text = HARMLESS[what]
    assert effect_of(text, files).weight <= 0.25


def test_a_change_without_a_diff_is_judged_neither_way() -> None:
    effect = effect_of(None, ("services/shop/total.go",))
    assert not effect.known
    assert effect_of(None, ()) == effect


def test_a_list_of_dependencies_is_no_document() -> None:
    effect = effect_of(diff("-django==4.2.1", "+django==5.0.0"), ("requirements.txt",))
    assert effect.what == "changes versions of dependencies"
    assert effect.weight == 0.5


def test_a_file_of_no_consequence_does_not_hide_one_of_consequence() -> None:
    text = "@@ README.md @@\n-a\n+b\n@@ pool.go @@\n-	Max: 50,\n+	Max: 5,"
    assert effect_of(text, ("README.md", "pool.go")).what == "changes Max from 50 to 5"


def test_the_farther_a_value_goes_the_more_it_weighs() -> None:
    (little,) = changed_values(["limit: 10"], ["limit: 12"])
    (much,) = changed_values(["limit: 10"], ["limit: 1000"])
    assert (little.name, little.before, little.after) == ("limit", "10", "12")
    assert little.weight < 0.5 < much.weight


def test_the_same_duration_in_other_words_is_no_change() -> None:
    (same,) = changed_values(["ttl: 60s"], ["ttl: 1m"])
    assert same.weight < 0.1


def test_lines_that_differ_in_more_than_a_value_have_none() -> None:
    assert changed_values(["limit: 10"], ["depth: 12"]) == ()


@pytest.mark.parametrize(
    ("before", "after", "weight"),
    [("v1.2.3", "v1.2.4", 0.1), ("v1.2.3", "v1.3.0", 0.25), ("v1.2.3", "v2.0.0", 0.5)],
)
def test_a_release_weighs_what_its_number_says(before: str, after: str, weight: float) -> None:
    assert version_weight([f"lib {before}"], [f"lib {after}"]) == weight


def test_a_diff_of_several_files_is_taken_apart() -> None:
    text = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@ def f():\n-a\n+b\n--- a/y.py\n+++ b/y.py\n@@ -1 +1 @@\n c\n-d"
    assert [(each.file, each.removed, each.added) for each in hunks_of(text)] == [
        ("x.py", ("a",), ("b",)),
        ("y.py", ("d",), ()),
    ]


@given(
    st.text(alphabet="+-@ \n\tabcif(){}[]=0123456789.\"'/#", max_size=400),
    st.lists(st.text(max_size=20), max_size=3),
)
def test_any_text_can_be_judged(text: str, files: list[str]) -> None:
    assert 0 <= effect_of(text, files).weight <= 1
