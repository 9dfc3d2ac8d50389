"""Next steps only look: a table of ways to slip an order in, one of ordinary steps, and every combination."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.investigations.orders import LOOKING
from app.investigations.steps import acts, looking

ATTEMPTS = [
    # Another joint between two clauses.
    ("Check logs & restart payments", "Check logs."),
    ("Check logs + restart payments", "Check logs."),
    ("Check logs | restart payments", "Check logs."),
    ("Check logs / restart payments", "Check logs."),
    ("Check logs -> restart payments", "Check logs."),
    ("Check logs => restart payments", "Check logs."),
    ("Check logs → restart payments", "Check logs."),
    ("Check logs… restart payments", "Check logs."),
    ("Check logs (restart payments if needed)", "Check logs."),
    ("Check logs [restart payments]", "Check logs."),
    ("Check logs “restart payments”", "Check logs."),
    ("Check logs ✅ restart payments", "Check logs."),
    ("Check logs 2) restart payments", "Check logs 2."),
    ("Check logs, restart payments", "Check logs."),
    ("Check logs. Restart payments.", "Check logs."),
    ("Check logs - restart payments", "Check logs."),
    ("Check logs plus restart payments", "Check logs."),
    ("Check logs then immediately restart payments", "Check logs."),
    ("Check logs and, if still slow, restart payments", "Check logs."),
    ("Inspect; kubectl delete pod x", None),
    ("Inspect the pod; kubectl delete pod x", "Inspect the pod."),
    ("Inspect/delete pod x", None),
    ("Check: delete the pods", None),
    # No joint at all.
    ("Check logs restart payments", None),
    ("Check logs immediately restart payments", None),
    ("Check the logs of payments kill pod payments-7f", None),
    ("Look at the dashboard rollback 1.14", None),
    ("Page the DBA restart carts-db", None),
    ("Inspect node-7 drain node-7", None),
    ("Verify the flag disable new-cart", None),
    ("Compare p99 with p50 redeploy 1.14", None),
    ("Review dashboards delete pod x", None),
    ("Check restart payments", None),
    ("Check logs re-start payments", None),
    ("Check logs RESTART payments", None),
    ("Check whether it is stuck restart payments", None),
    ("Check errors, latency restart payments", "Check errors."),
    ("Check logs scale payments", None),
    # A verb nobody thought of.
    ("Review and approve the rollback", None),
    ("Review the rollback and approve it", "Review the rollback."),
    ("Review and merge PR 412", None),
    ("Check the pods and nuke them", "Check the pods."),
    ("Check the pods and zap the slow ones", "Check the pods."),
    ("Review the runbook and follow its steps", "Review the runbook."),
    ("Check the cache. Flush it.", "Check the cache."),
    ("Look at the deploy, roll it back", "Look at the deploy."),
    ("Check the flag and turn new-cart off", "Check the flag."),
    ("Check memory and take a heap dump", "Check memory."),
    ("Verify the config and update checkout", "Verify the config."),
    ("Check replicas and scale checkout to 10", "Check replicas."),
    ("Check replicas and scale up", "Check replicas."),
    ("Inspect node-7 and drain it", "Inspect node-7."),
    ("Check queries and kill 4711", "Check queries."),
    ("Compare both versions and redeploy 1.14", "Compare both versions."),
    # Doing it by the way.
    ("Verify the fix by redeploying 1.14", "Verify the fix."),
    ("Verify the fix by nuking the cache", "Verify the fix."),
    ("Check errors after restarting payments", "Check errors."),
    ("Check latency while draining node-7", "Check latency."),
    ("Verify recovery via restarting the pods", "Verify recovery."),
    ("Check the logs, deleting old pods", "Check the logs."),
    ("Verify it with a rollback", "Verify it."),
    ("Verify the fix with a rollback to 1.14", "Verify the fix."),
    # Somebody else is to do it.
    ("Page the DBA and have them kill the query", "Page the DBA."),
    ("Page the DBA and get the query killed", "Page the DBA."),
    ("Page the DBA to kill the query", "Page the DBA."),
    ("Page the DBA so they can kill the query", "Page the DBA."),
    ("Page the DBA: the query must be killed", "Page the DBA."),
    ("Page the DBA, who should drop the index", "Page the DBA."),
    ("Page the DBA for a restart of carts-db", "Page the DBA."),
    ("Page payments and ask them to roll back", "Page payments."),
    ("Page payments and let them restart checkout", "Page payments."),
    ("Page payments and make sure the pods are restarted", "Page payments."),
    # Under a condition, or with a purpose.
    ("Check memory; if high restart the pod", "Check memory."),
    ("Check memory and if it is high restart the pod", "Check memory."),
    ("Check whether it is stuck and restart it", "Check whether it is stuck."),
    ("Check the limit before you raise it", "Check the limit."),
    ("Look at the pool to increase it", "Look at the pool."),
    ("Check the pods; you must immediately drain node-7", "Check the pods."),
    ("Check errors once payments is restarted", "Check errors."),
    ("Check the alert, and once confirmed roll checkout back", "Check the alert."),
    ("Page on-call; they need to fail over the database", "Page on-call."),
    ("Check for stuck pods and get rid of them", "Check for stuck pods."),
    ("Check latency, then go ahead with the rollback", "Check latency."),
    ("Check it and proceed with the rollback", "Check it."),
    ("Page SRE about restarting payments", "Page SRE."),
    ("Check lag and let payments be restarted", "Check lag."),
    ("Look to restart payments", None),
    ("Check logs\nrestart payments", "Check logs."),
    ("Verify the failover by failing over carts-db", "Verify the failover."),
    # Written to be read otherwise than compared.
    ("Check logs and RESTART payments", "Check logs."),
    ("Check logs and re-start payments", "Check logs."),
    ("Check logs and réstart payments", "Check logs."),
    ("Check logs and ｒｅｓｔａｒｔ payments", "Check logs."),
    ("Check logs and rest\u0430rt payments", "Check logs."),
    ("Check logs and restart_payments", "Check logs."),
    ("Check logs and also quickly restart payments", "Check logs."),
    ("Check logs and `restart payments`", "Check logs."),
]

GOOD = [
    "Check the pool of payments.",
    "Compare 01:00 to 02:00 and look at p99.",
    "Verify open connections, idle connections and resets.",
    "Check idle connections, open connections and open files.",
    "Check restart counts and OOM kills of checkout since 02:11 UTC.",
    "Review the runbook “HighErrorRate”.",
    "Review the deploy checkout 1.15.0 (0a7c3fba) of 02:09 UTC against the symptom.",
    "Compare errors and latency of checkout by version before and after 02:11 UTC.",
    "Inspect errors, latency and limits of payments since 02:11 UTC.",
    "Check the limits of payments (pool, threads, memory, connections) against their use since 02:11 UTC.",
    "Compare what holds connections, threads and memory of payments with the hour before 02:11 UTC.",
    "Compare the traffic to checkout since 02:11 UTC with the same hour of last week.",
    "Look which callers or routes of checkout grew.",
    "Verify which certificate payments serves, and until when it is valid.",
    "Inspect pods, nodes and cluster events of checkout since 02:11 UTC.",
    "Page whoever is on call for payments, and say that checkout suffers from it.",
    "Check traces by hand: it could not be looked at.",
    "Check errors, latency and traffic of checkout since 02:11 UTC on its dashboard.",
    "Review whether to roll back v2.3.1.",
    "Check whether the pods should be restarted.",
    "Look at the change history and release notes of 1.15.0.",
    "Check when the last deploy, config change or flag change happened.",
    "Inspect the rollout status and update history of checkout.",
    "Verify that the rollback of 02:30 took effect.",
    "Check why pods keep restarting.",
    "Look at slow queries, lock waits and kill statements in the log.",
    "Check disk usage, run queue and load average of node-7.",
    "Review the error budget and burn rate of checkout.",
    "Check if the flag new-cart was switched on at 14:02.",
    "Look for a recent deploy or failover of payments.",
    "Check the time to first byte and the time to recover.",
    "Page the DBA on call about the locks on carts.",
    "Compare memory before and after the restart at 02:05.",
    "Verify DNS, TLS and proxy settings of the gateway.",
    "Look at the dashboard “Checkout: payments”.",
    "Check that replicas are in sync and that failover is possible.",
    "Check the pods' limits, requests and throttling.",
    "Review pull request 412, which changed the pool.",
    "Check for new messages such as “cannot open file”.",
    "Verify whether payments answers 200 to /healthz.",
    "Look at the top 5 routes by errors: /pay, /cart, /search.",
    "Look first at p99, then at the queue length.",
    "Review what restarted the pods at 02:05.",
    "Inspect the connection pool: size, use, waits and timeouts.",
    "Check `rate(http_requests_total{code=~\"5..\"}[5m])` by pod.",
    "Check in Grafana whether latency fell after the deploy.",
    "Check scaling, throttling and evictions of the last hour.",
    "Compare the change in traffic with the drop in errors.",
    "Compare connection counts before and after the deploy.",
    "Check which query holds the lock on carts.",
    "Look into whether autoscaling reached its limit.",
    "Check load balancer logs for 502s.",
    "Page Bjørn about the 300 µs and 5µs spikes of Zürich.",
    "Inspect the release pipeline's last run.",
    "Check how many pods were restarted, evicted or rescheduled.",
    "Compare traffic with the same time last week to see whether it grew.",
    "Verify whether the pods need to be restarted.",
    "Check whether the restart of payments helped",
    "Review the rollback runbook",
    "Compare error rate before and after the deploy",
    "Check the payments restart script.",
    "Check pod restart counts.",
    "Review payments failover readiness.",
    "Inspect node drain progress.",
    "Check disk write throughput.",
    "Review hotfix 1.15.1 of checkout.",
    "Review rollback v1.14.",
    "Check the last failover of carts-db.",
    "Check recent restart activity of checkout.",
    "Verify that pods restart cleanly.",
    "Verify that workers drain connections.",
    "Check why pods restart under load.",
    "Check which pods restart hourly.",
    "Check the kill switch of new-cart.",
    "Check whether payments restart loops began at 02:05.",
    "Look for OOM kill events.",
    "Check Kafka rebalance storms.",
    "Review the Postgres upgrade path.",
    "Compare checkout scale events with traffic.",
    "Check error drop after 02:30.",
    "Check delete requests to carts.",
    "Inspect deploy markers on the dashboard.",
    "Check the time since the last restart of payments.",
    "Review what the rollback changed.",
    "Check canary deploy health.",
]  # fmt: skip


@pytest.mark.parametrize(("step", "looks"), ATTEMPTS)
def test_an_order_within_a_looking_step_is_left_out_or_put_up_for_review(
    step: str, looks: str | None
) -> None:
    assert looking(step) == (looks or f"Review: {step}")
    assert looking(looking(step)) == looking(step)
    assert not acts(looking(step))


@pytest.mark.parametrize("step", GOOD)
def test_an_ordinary_step_stays_as_it_is(step: str) -> None:
    assert looking(step) == step


def test_the_tables_are_large_enough_to_mean_something() -> None:
    assert len(ATTEMPTS) >= 60
    assert len(GOOD) >= 40


HEADS = (
    "Check logs",
    "Inspect node-7",
    "Look at the pods of checkout",
    "Page the DBA",
    "Compare p99 with p50",
)
JOINTS = (
    " & ", " + ", "; ", ", ", ". ", ": ", " - ", " – ", " → ", " / ", " and ", " or ", " then ", " and then ", ", and ",
    " so ", " (", " | ", " to ", "\u2026 ", " ⇒ ", " and if it is bad, ", " and you should ", " and please ",
    " and have somebody ", " followed by: ",
)  # fmt: skip
ADVERBS = ("", "immediately ", "now ", "just ", "quickly and quietly ", "please ", "also ")
VERBS = (
    "restart", "Restart", "RESTART", "re-start", "reboot", "redeploy", "kill", "delete", "drain", "cordon", "evict",
    "revert", "undo", "purge", "flush", "truncate", "disable", "approve", "merge", "rotate", "revoke", "patch",
    "recreate", "resize", "kubectl delete", "terminate", "wipe", "scale", "deploy", "update", "stop", "reset",
)  # fmt: skip
OBJECTS = ("payments", "it", "them", "the pods", "pod x-7f", "1.14", "all replicas", "everything", "node-7")


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.sampled_from(HEADS),
    st.sampled_from(JOINTS),
    st.sampled_from(ADVERBS),
    st.sampled_from(VERBS),
    st.sampled_from(OBJECTS),
)
def test_however_an_order_is_joined_it_is_not_passed_on(
    head: str, joint: str, adverb: str, verb: str, what: str
) -> None:
    step = f"{head}{joint}{adverb}{verb} {what}"
    looks = looking(step)

    assert looks == f"Review: {step}" or verb not in looks, step
    assert looking(looks) == looks


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from([*HEADS, *JOINTS, *VERBS, *OBJECTS]), max_size=9).map("".join)
)
def test_whatever_is_said_the_step_begins_by_looking_and_is_settled(text: str) -> None:
    looks = looking(text)

    assert not looks or looks.split(":")[0].split()[0].strip("!?.,;").lower().startswith(LOOKING)
    assert not acts(looks)
    assert looking(looks) == looks
