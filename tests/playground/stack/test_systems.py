"""What each system answers, in the shapes their own documentation gives."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest

from app.playground.stack import SCENARIOS, NoSuchScenario, NothingWrong, SimulatedStack
from tests.playground.stack.conftest import NOW, Client

AT = NOW.timestamp()


# --- Prometheus ----------------------------------------------------------------------------------------------


async def test_prometheus_answers_an_instant_query_as_a_vector(client: Client) -> None:
    reply = await client.get("prometheus", "/api/v1/query", query="sum by (service) (up)", time=str(AT))
    data = reply.json["data"]
    assert data["resultType"] == "vector"
    assert {"metric": {"service": "checkout"}, "value": [pytest.approx(AT, abs=0.001), "6"]} in data["result"]


async def test_prometheus_answers_a_range_query_as_a_matrix(client: Client) -> None:
    window = {"start": str(AT - 600), "end": "2026-11-20T14:00:07Z", "step": "30s"}
    reply = await client.get("prometheus", "/api/v1/query_range", query="sum(up)", **window)
    (line,) = reply.json["data"]["result"]
    assert (reply.json["data"]["resultType"], len(line["values"])) == ("matrix", 21)


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        ("query", {"query": "sum("}, 'invalid parameter "query": 1:5: parse error'),
        ("query", {}, "unexpected end of input"),
        ("query", {"query": "up", "time": "yesterday"}, 'invalid parameter "time"'),
        ("query_range", {"query": "up", "step": "0"}, "zero or negative query resolution"),
        ("query_range", {"query": "up", "start": "10", "end": "5"}, "end timestamp must not be before start"),
        ("query_range", {"query": "up[5m]"}, "invalid expression type"),
        ("query_range", {"query": "up", "start": "0", "step": "1"}, "11,000 points"),
    ],
)
async def test_prometheus_says_what_is_wrong_with_a_query(
    client: Client, path: str, query: dict[str, str], says: str
) -> None:
    reply = await client.get("prometheus", f"/api/v1/{path}", **query)
    assert (reply.status, reply.json["status"], reply.json["errorType"]) == (400, "error", "bad_data")
    assert says in reply.json["error"]


async def test_prometheus_shows_the_rules_and_which_of_them_fire(client: Client) -> None:
    (group,) = (await client.get("prometheus", "/api/v1/rules", type="alert")).json["data"]["groups"]
    states = {rule["name"]: rule["state"] for rule in group["rules"]}
    assert states["HighErrorRate"] == "firing"
    assert states["PoolNearlyFull"] == "inactive"
    firing = next(rule for rule in group["rules"] if rule["name"] == "HighErrorRate")["alerts"]
    assert [alert["labels"]["service"] for alert in firing] == ["checkout"]


async def test_prometheus_knows_its_labels_and_says_that_it_is_ready(client: Client) -> None:
    assert {"service", "route", "le", "version"} <= set(
        (await client.get("prometheus", "/api/v1/labels")).json["data"]
    )
    values = await client.get("prometheus", "/api/v1/label/service/values")
    assert values.json["data"] == ["checkout", "inventory", "notifications", "payments"]
    assert (await client.get("prometheus", "/-/ready")).status == 200


# --- Loki ------------------------------------------------------------------------------------------------------


def lines(reply: Any) -> list[tuple[int, str, dict[str, str]]]:
    found = [
        (int(at), text, stream["stream"])
        for stream in reply.json["data"]["result"]
        for at, text in stream["values"]
    ]
    return sorted(found, key=lambda each: each[0])


async def test_loki_gives_the_newest_lines_that_match_selector_and_filters(client: Client) -> None:
    query = '{service="checkout", level=~"error|warn"} |= "panic" !~ "quote"'
    reply = await client.get("loki", "/loki/api/v1/query_range", query=query, limit="20")
    found = lines(reply)
    assert len(found) == 20
    assert all("panic" in text and stream["service"] == "checkout" for _, text, stream in found)
    assert AT - 120 < found[0][0] / 1e9 <= AT


async def test_loki_gives_the_oldest_lines_when_asked_to_go_forward(client: Client) -> None:
    window = {"start": str(int((AT - 600) * 1e9)), "end": str(int(AT * 1e9)), "direction": "forward"}
    reply = await client.get(
        "loki", "/loki/api/v1/query_range", query='{namespace="shop"}', limit="10", **window
    )
    assert len(lines(reply)) == 10
    assert lines(reply)[-1][0] / 1e9 < AT - 590


async def test_loki_gives_every_line_once_whatever_the_direction(client: Client) -> None:
    ask = {"query": '{service="payments"}', "limit": "5000", "start": str(AT - 300), "end": str(AT)}
    there = await client.get("loki", "/loki/api/v1/query_range", **ask, direction="forward")
    back = await client.get("loki", "/loki/api/v1/query_range", **ask)
    assert sorted(lines(there), key=str) == sorted(lines(back), key=str)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "only queries of lines"),
        ("{", "expected '}'"),
        ('{service=~".*"}', "non-empty matcher"),
        ('{service="a"} | json', "'| json' is not supported"),
        ('rate({service="a"}[5m])', "only queries of lines"),
        ('{service="a"} |~ "("', "invalid regular expression"),
    ],
)
async def test_loki_says_what_is_wrong_in_plain_text(client: Client, query: str, says: str) -> None:
    reply = await client.get("loki", "/loki/api/v1/query_range", query=query)
    assert (reply.status, reply.kind) == (400, "text/plain")
    assert says in reply.text


async def test_loki_refuses_limits_beyond_its_own(client: Client) -> None:
    for limit in ("0", "x", "5001"):
        reply = await client.get("loki", "/loki/api/v1/query_range", query='{service="a"}', limit=limit)
        assert reply.status == 400


# --- Tempo -----------------------------------------------------------------------------------------------------


async def found_traces(client: Client, **query: str) -> list[dict[str, Any]]:
    reply = await client.get("tempo", "/api/search", **query)
    assert reply.status == 200, reply.text
    traces: list[dict[str, Any]] = reply.json["traces"]
    return traces


async def test_tempo_finds_failing_traces_of_a_service(client: Client) -> None:
    found = await found_traces(client, q='{resource.service.name="checkout" && status=error}', limit="5")
    assert len(found) == 5
    assert {each["rootServiceName"] for each in found} == {"checkout"}


@pytest.mark.parametrize(
    "query",
    [
        {"tags": "service.name=checkout error=true"},
        {"q": '{ .service.name = "checkout" && status = error && duration > 50ms }'},
        {"q": '{span.http.response.status_code >= 500 && name =~ "POST /pa.*"}'},
        {"q": "{status=error}", "minDuration": "50ms", "start": str(int(AT - 200)), "end": str(int(AT))},
    ],
)
async def test_tempo_understands_tags_and_a_little_traceql(client: Client, query: dict[str, str]) -> None:
    assert await found_traces(client, limit="3", **query)


async def test_tempo_finds_nothing_for_a_service_there_is_not(client: Client) -> None:
    assert (
        await found_traces(client, q='{resource.service.name="nobody"}', start=str(AT - 60), end=str(AT))
        == []
    )


@pytest.mark.parametrize(
    "query", ["status=error", "{status=error} | count() > 2", "{a || b}", "{duration > soon}"]
)
async def test_tempo_refuses_the_rest_of_traceql(client: Client, query: str) -> None:
    reply = await client.get("tempo", "/api/search", q=query)
    assert (reply.status, "invalid" in reply.text) == (400, True)


async def test_tempo_gives_a_trace_as_otlp_with_ids_in_base64(client: Client) -> None:
    (summary,) = await found_traces(client, q='{status=error && resource.service.name="checkout"}', limit="1")
    body = (await client.get("tempo", f"/api/traces/{summary['traceID']}")).json
    spans = [span for batch in body["batches"] for scope in batch["scopeSpans"] for span in scope["spans"]]
    assert {base64.b64decode(span["traceId"]).hex() for span in spans} == {summary["traceID"]}
    (root,) = [span for span in spans if "parentSpanId" not in span]
    assert root["status"]["code"] == "STATUS_CODE_ERROR"
    assert root["kind"] == "SPAN_KIND_SERVER"
    assert (await client.get("tempo", "/api/traces/0123")).status == 404


# --- Argo CD ---------------------------------------------------------------------------------------------------


async def test_argo_cd_has_an_application_for_every_service_with_its_history(client: Client) -> None:
    items = (await client.get("argocd", "/api/v1/applications")).json["items"]
    assert {item["metadata"]["name"] for item in items} == {
        "checkout",
        "payments",
        "inventory",
        "notifications",
        "reports",
    }
    checkout = next(item for item in items if item["metadata"]["name"] == "checkout")
    last = checkout["status"]["history"][-1]
    assert last["source"]["kustomize"]["images"] == ["registry.acme.example/checkout:1.15.0"]
    assert checkout["status"]["sync"]["revision"] == last["revision"]
    assert 0 < AT - datetime.fromisoformat(last["deployedAt"]).timestamp() < 900


async def test_argo_cd_tells_who_made_a_revision_and_why(client: Client) -> None:
    application = (await client.get("argocd", "/api/v1/applications/checkout")).json
    revision = application["status"]["history"][-1]["revision"]
    metadata = await client.get("argocd", f"/api/v1/applications/checkout/revisions/{revision}/metadata")
    assert metadata.json["message"].startswith("Apply the cart's promotion before charging")
    assert metadata.json["author"] == "Jonas Weber <jonas@acme.example>"


async def test_argo_cd_does_not_know_other_applications(client: Client) -> None:
    assert (await client.get("argocd", "/api/v1/applications/nobody")).status == 404
    (found,) = (await client.get("argocd", "/api/v1/applicationsets")).json["items"]
    assert found["metadata"]["name"] == "shop"


# --- Kubernetes ------------------------------------------------------------------------------------------------


async def test_lightkube_reads_the_cluster_through_the_kubeconfig(stack: SimulatedStack) -> None:
    from lightkube import AsyncClient, KubeConfig
    from lightkube.core.exceptions import ApiError
    from lightkube.generic_resource import create_namespaced_resource
    from lightkube.resources.apps_v1 import Deployment, ReplicaSet
    from lightkube.resources.core_v1 import Event, Node, Pod

    cluster = AsyncClient(config=KubeConfig.from_file(stack.environment()["KUBERNETES"]), trust_env=False)
    pods = [pod async for pod in cluster.list(Pod, labels={"app": "checkout"})]
    assert {pod.metadata.labels["version"] for pod in pods if pod.metadata and pod.metadata.labels} == {
        "1.15.0"
    }
    assert len([pod async for pod in cluster.list(Pod, namespace="*")]) == 18
    assert len([each async for each in cluster.list(Node)]) == 4
    events = [event async for event in cluster.list(Event, fields={"type": "Normal"})]
    assert any(event.reason == "ScalingReplicaSet" for event in events)
    deployment = await cluster.get(Deployment, "checkout")
    assert deployment.status is not None
    assert deployment.status.readyReplicas == 6
    sets = [each async for each in cluster.list(ReplicaSet, labels={"app": "checkout"})]
    assert sorted(each.spec.replicas for each in sets if each.spec) == [0, 6]
    application = create_namespaced_resource("argoproj.io", "v1alpha1", "Application", "applications")
    found = [each async for each in cluster.list(application, namespace="argocd")]
    assert len(found) == 5
    with pytest.raises(ApiError):
        await cluster.get(Pod, "nobody")
    await cluster.close()


@pytest.mark.parametrize(
    ("selector", "count"),
    [("app=checkout", 6), ("app==checkout", 6), ("app in (payments, reports)", 6), ("app notin (checkout)", 12),
     ("app!=checkout,version", 11), ("!version", 1), ("", 18)],
)  # fmt: skip
async def test_kubernetes_selects_by_labels(client: Client, selector: str, count: int) -> None:
    reply = await client.get("kubernetes", "/api/v1/namespaces/shop/pods", labelSelector=selector)
    assert len(reply.json["items"]) == count


async def test_kubernetes_refuses_a_selector_it_cannot_read(client: Client) -> None:
    reply = await client.get("kubernetes", "/api/v1/pods", labelSelector="app=(a")
    assert (reply.status, reply.json["kind"], reply.json["reason"]) == (400, "Status", "BadRequest")


async def test_the_cluster_s_warnings_belong_to_the_story(stack: SimulatedStack, client: Client) -> None:
    seen = {}
    for name in SCENARIOS:
        stack.begin(name)
        reply = await client.get("kubernetes", "/api/v1/events", fieldSelector="type=Warning")
        seen[name] = [event["reason"] for event in reply.json["items"]]
    assert seen == {
        "bad-deploy": [],
        "pool-exhausted": [],
        "traffic-surge": ["Unhealthy"],
        "expired-certificate": ["Failed"],
    }


# --- PagerDuty -------------------------------------------------------------------------------------------------


async def test_pagerduty_knows_who_is_on_call_and_what_happened_before(
    stack: SimulatedStack, client: Client
) -> None:
    calls = (await client.get("pagerduty", "/oncalls")).json["oncalls"]
    assert [(each["escalation_level"], each["user"]["summary"]) for each in calls] == [
        (1, "Maya Lindqvist"),
        (2, "Jonas Weber"),
    ]
    incident = stack.alert("pagerduty")["event"]["data"]["id"]
    past = (await client.get("pagerduty", f"/incidents/{incident}/past_incidents")).json["past_incidents"]
    assert len(past) == 2
    notes = (await client.get("pagerduty", f"/incidents/{past[0]['incident']['id']}/notes")).json["notes"]
    assert [note["content"] for note in notes] == ["Rolled back 1.12.0"]
    assert (await client.get("pagerduty", f"/incidents/{incident}/related_incidents")).json == {
        "related_incidents": []
    }
    assert (await client.get("pagerduty", "/incidents/QNOBODY")).status == 404


async def test_pagerduty_takes_notes_escalations_and_events_and_keeps_them(
    stack: SimulatedStack, client: Client
) -> None:
    incident = f"/incidents/{stack.alert('pagerduty')['event']['data']['id']}"
    await client.send("POST", "pagerduty", f"{incident}/notes", {"note": {"content": "Look here"}})
    changed = await client.send("PUT", "pagerduty", incident, {"incident": {"escalation_level": 2}})
    event = {"routing_key": "r", "event_action": "trigger", "dedup_key": "one", "payload": {"summary": "s"}}
    sent = await client.send("POST", "pagerduty", "/v2/enqueue", event)
    assert changed.json["incident"]["assignments"][0]["assignee"]["summary"] == "Jonas Weber"
    assert (sent.status, sent.json["dedup_key"]) == (202, "one")
    assert [(each.method, each.path) for each in stack.written] == [
        ("POST", f"{incident}/notes"),
        ("PUT", incident),
        ("POST", "/v2/enqueue"),
    ]
    notes = (await client.get("pagerduty", f"{incident}/notes")).json["notes"]
    assert [note["content"] for note in notes] == ["Look here"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "{incident}/notes", {"note": {}}),
        ("PUT", "{incident}", {"incident": {"status": "gone"}}),
        ("PUT", "{incident}", []),
        ("POST", "/v2/enqueue", {"event_action": "trigger"}),
    ],
)
async def test_pagerduty_refuses_writes_that_are_not_whole(
    stack: SimulatedStack, client: Client, method: str, path: str, body: Any
) -> None:
    incident = f"/incidents/{stack.alert('pagerduty')['event']['data']['id']}"
    reply = await client.send(method, "pagerduty", path.format(incident=incident), body)
    assert reply.status == 400
    assert stack.written == []


# --- the services themselves ---------------------------------------------------------------------------------


async def test_services_tell_of_themselves_below_ops(stack: SimulatedStack, client: Client) -> None:
    stack.begin("pool-exhausted")
    assert (await client.get("ops", "/payments/ops/health")).json == {
        "status": "degraded",
        "full_pools": ["ledger"],
    }
    assert (await client.get("ops", "/inventory/ops/health")).json["status"] == "ok"
    assert (await client.get("ops", "/payments/ops/status")).json["version"] == "1.14.2"
    assert (await client.get("ops", "/payments/ops/metrics")).json["pools"]["ledger"]["in_use"] == 50
    assert (await client.get("ops", "/payments/ops/config")).json["LEDGER_POOL_SIZE"] == "50"
    dependencies = (await client.get("ops", "/checkout/ops/dependencies")).json
    assert dependencies == {
        "payments": "charge: payments answered 503",
        "inventory": None,
        "notifications": None,
    }
    errors = (await client.get("ops", "/checkout/ops/errors")).json
    assert len(errors) == 10
    for nobody in ("/nobody/ops/status", "/reports/ops/status", "/checkout/ops/restart"):
        assert (await client.get("ops", nobody)).status == 404


# --- all together ----------------------------------------------------------------------------------------------


async def test_nothing_but_pagerduty_can_be_written_to(stack: SimulatedStack, client: Client) -> None:
    for system, path in (
        ("prometheus", "/api/v1/query"),
        ("loki", "/loki/api/v1/query_range"),
        ("tempo", "/api/search"),
        ("argocd", "/api/v1/applications/checkout"),
        ("kubernetes", "/api/v1/namespaces/shop/pods"),
        ("ops", "/checkout/ops/status"),
    ):
        assert (await client.send("POST", system, path, {})).status == 405
    assert {each.method for each in stack.asked} == {"POST"}


async def test_every_request_is_written_down(stack: SimulatedStack, client: Client) -> None:
    await client.get("loki", "/loki/api/v1/labels")
    await client.get("argocd", "/nowhere", a="1")
    assert [(each.system, each.method, each.path, each.query) for each in stack.asked] == [
        ("loki", "GET", "/loki/api/v1/labels", ""),
        ("argocd", "GET", "/nowhere", "a=1"),
    ]


async def test_a_page_names_rule_service_and_a_chart_that_opens(
    stack: SimulatedStack, client: Client
) -> None:
    payload = stack.alert("alertmanager")
    assert payload["commonLabels"]["alertname"] == "HighErrorRate"
    (alert,) = payload["alerts"]
    assert stack.onset < datetime.fromisoformat(alert["startsAt"]).timestamp() < AT
    place = alert["generatorURL"].removeprefix(stack.urls["prometheus"])
    async with client._session.get(stack.urls["prometheus"] + place) as response:
        assert "<svg" in await response.text()


async def test_a_page_of_pagerduty_is_the_incident_its_api_shows(
    stack: SimulatedStack, client: Client
) -> None:
    event = stack.alert("pagerduty")["event"]
    assert event["event_type"] == "incident.triggered"
    shown = (await client.get("pagerduty", f"/incidents/{event['data']['id']}")).json["incident"]
    assert (shown["title"], shown["service"]) == (event["data"]["title"], event["data"]["service"])
    assert stack.alert("pagerduty", "resolved")["event"]["event_type"] == "incident.resolved"


async def test_another_story_begins_with_another_incident(stack: SimulatedStack) -> None:
    first = stack.alert("pagerduty")["event"]["data"]["id"]
    stack.begin("traffic-surge")
    second = stack.alert("pagerduty")["event"]["data"]
    assert second["id"] != first
    assert second["title"] == "checkout's p99 latency is above 1 s"


async def test_a_quiet_day_pages_nobody_and_an_unknown_scenario_is_refused(stack: SimulatedStack) -> None:
    with pytest.raises(NoSuchScenario, match="pool-exhausted"):
        stack.begin("flood")
    stack.begin(None)
    with pytest.raises(NothingWrong):
        stack.alert()


async def test_the_environment_is_what_the_settings_take(stack: SimulatedStack) -> None:
    from app.settings import AlertSettings, EscalationSettings, SourceSettings

    sources = SourceSettings.model_validate(stack.environment())
    assert sources.prometheus_url == stack.urls["prometheus"]
    assert sources.kubernetes.endswith("kubeconfig")
    registered = AlertSettings.model_validate(stack.environment()).services
    assert {each.name: each.critical for each in registered} == {
        "checkout": True,
        "payments": True,
        "inventory": False,
        "notifications": False,
    }
    assert EscalationSettings.model_validate(stack.environment()).pagerduty_api_url == stack.urls["pagerduty"]
