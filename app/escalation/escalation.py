"""Calling people: a note and the next level on PagerDuty's own incident, an event for those of other sources.

Each is done once for one investigation and reason, also when the process dies in between: what is to be sent
is decided and stored first, and each step finds out whether it was done already. Nothing here acknowledges
an incident, except `acknowledge`, which belongs behind a person's button.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.escalation.models import (
    PAGERDUTY,
    Escalated,
    EscalationFailed,
    EscalationNotConfigured,
    Incident,
    Intents,
    Why,
)
from app.escalation.wire import PagerDutyWire
from app.settings import EscalationSettings

ATTEMPTS = 3
WAIT_SECONDS = 1.0
LONGEST_NOTE = 2000
LONGEST_SUMMARY = 1024
LONGEST_DEDUP = 255
"""The last two are limits of events: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/"""

SEVERITIES = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "warning", "P5": "info"}

REASONS: dict[Why, str] = {
    "low_confidence": "The automatic diagnosis is not sure of the cause.",
    "budget": "The automatic diagnosis ran out of its budget.",
    "timeout": "The automatic diagnosis ran out of time.",
    "failure": "The automatic diagnosis failed.",
    "unseen": "What was found could not be shown: the thread of the incident cannot be reached.",
    "asked": "Somebody in the incident's thread asked for it.",
}


class Escalation:
    """Escalates through one PagerDuty account. `mask` takes secrets out of what is sent."""

    def __init__(
        self,
        settings: EscalationSettings,
        intents: Intents,
        *,
        mask: Callable[[str], str],
        from_address: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._intents = intents
        self._mask = mask
        self._wire = PagerDutyWire(settings, from_address=from_address)
        self._sleep = sleep

    async def escalate(self, incident: Incident, *, why: Why, explanation: str = "", dedup: str) -> Escalated:
        """Call somebody, once for `why` and `dedup` (the investigation's id).

        Raises:
            EscalationNotConfigured: no credentials for this kind of incident; names what to set.
            EscalationFailed: nobody was called, or that is not known; calling again goes on from there.
        """
        self._require(incident)
        # Two who find nothing done yet would both page.
        async with self._intents.alone():
            return await self._once(incident, why, explanation, dedup)

    async def _once(self, incident: Incident, why: Why, explanation: str, dedup: str) -> Escalated:
        key = f"{dedup}/{why}"
        stored = await self._intents.find(key)
        if stored is None:
            plan = await self._patiently(lambda: self._plan(incident, why, explanation, dedup))
            about = self._mask(incident.named)
            stored = await self._intents.begin(key, {**plan, **({"about": about} if about else {})})
        if stored.outcome is not None:
            return Escalated(**{**stored.outcome, "repeated": True})
        done = replace(await self._carry_out(stored.plan), about=stored.plan.get("about", ""))
        outcome = {"status": done.status, "said": done.said, "link": done.link, "about": done.about}
        await self._intents.finish(key, outcome)
        return done

    async def acknowledge(self, incident: Incident, *, by: str, dedup: str) -> Escalated:
        """A person pressed the button: say in PagerDuty that somebody has it. Raises as `escalate` does."""
        self._require(incident)
        async with self._intents.alone():
            return await self._acknowledge(incident, by, dedup)

    async def _acknowledge(self, incident: Incident, by: str, dedup: str) -> Escalated:
        if incident.source != PAGERDUTY:
            event = {"event_action": "acknowledge", "dedup_key": _dedup_key(dedup)}
            await self._patiently(lambda: self._wire.enqueue(event))
            return Escalated("acknowledged", "acknowledged what the agent had sent to PagerDuty")
        note = self._note(f"Acknowledged in Slack by {by}.", incident.link, f"{dedup}/acknowledged")
        change = {"status": "acknowledged"}
        await self._patiently(lambda: self._wire.update(incident.incident_key, change))
        await self._patiently(lambda: self._add_note(incident.incident_key, note))
        return Escalated("acknowledged", "acknowledged the incident in PagerDuty")

    def _require(self, incident: Incident) -> None:
        if incident.source == PAGERDUTY and self._settings.pagerduty_api_token is None:
            raise EscalationNotConfigured(
                "Nobody was called: set PAGERDUTY_API_TOKEN to a token that may write, to escalate incidents "
                "of PagerDuty's own."
            )
        if incident.source != PAGERDUTY and self._settings.pagerduty_routing_key is None:
            raise EscalationNotConfigured(
                f"Nobody was called: set PAGERDUTY_ROUTING_KEY to page about incidents of {incident.source}."
            )

    async def _plan(self, incident: Incident, why: Why, explanation: str, dedup: str) -> Mapping[str, Any]:
        told = " ".join(filter(None, (REASONS[why], explanation)))
        if incident.source != PAGERDUTY:
            return {"event": self._event(incident, told, dedup)}
        return {
            "incident_id": incident.incident_key,
            "note": self._note(told, incident.link, f"{dedup}/{why}", found=incident.found),
            # Whoever has it lacks nothing but what was found.
            **({"told": True} if why == "unseen" else await self._whereto(incident.incident_key)),
        }

    async def _whereto(self, incident_id: str) -> Mapping[str, Any]:
        """The configured policy when the incident is not on it yet, else the next level of its own."""
        known = await self._wire.incident(incident_id)
        policy = _policy(known)
        wanted = self._settings.pagerduty_policy_id
        link = str(known.get("html_url") or "") or None
        if known.get("status") == "resolved":
            return {"resolved": True, "link": link}
        if wanted and wanted != policy:
            return {"policy": wanted, "link": link}
        if not policy:
            return {"link": link}
        return {"level": next_level(await self._wire.levels(policy), _assigned(known)), "link": link}

    async def _carry_out(self, plan: Mapping[str, Any]) -> Escalated:
        if event := plan.get("event"):
            await self._patiently(lambda: self._wire.enqueue(event))
            return Escalated("paged", "sent an event to PagerDuty, which pages the routing key's service")
        incident_id, link = plan["incident_id"], plan.get("link")
        # The note last: where it stands, all before it was done.
        if await self._patiently(lambda: self._is_noted(incident_id, plan["note"])):
            return Escalated("paged" if _change(plan) else "noted", _said(plan), link)
        change = _change(plan)
        if change and not await self._patiently(lambda: self._move(incident_id, plan)):
            change, plan = None, {"note": plan["note"], "resolved": True}
        await self._patiently(lambda: self._add_note(incident_id, plan["note"]))
        return Escalated("paged" if change else "noted", _said(plan), link)

    async def _move(self, incident_id: str, plan: Mapping[str, Any]) -> bool:
        """Unless the incident is there already: putting it there again would page the same people again.

        False when it has been resolved meanwhile, and so pages nobody.
        """
        known = await self._wire.incident(incident_id)
        if known.get("status") == "resolved":
            return False
        if _policy(known) == plan.get("policy"):
            return True
        if level := plan.get("level"):
            levels, assigned = await self._wire.levels(_policy(known)), _assigned(known)
            if any(user in assigned and each >= level for each, user in levels):
                return True
        await self._wire.update(incident_id, _change(plan) or {})
        return True

    async def _add_note(self, incident_id: str, note: str) -> None:
        if not await self._is_noted(incident_id, note):
            await self._wire.add_note(incident_id, note)

    async def _is_noted(self, incident_id: str, note: str) -> bool:
        """By the reference in its last line, which is of this investigation and reason alone."""
        reference = note.rsplit("\n", 1)[-1]
        return any(reference in each for each in await self._wire.notes(incident_id))

    async def _patiently(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """A step that may be repeated, a few times while PagerDuty is busy or away."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await step()
            except EscalationFailed as error:
                if not error.passing:
                    raise
                await self._sleep(WAIT_SECONDS * 2 ** (attempt - 1))
        return await step()

    def _note(self, told: str, link: str | None, reference: str, *, found: str = "") -> str:
        lines = [f"SRE Agent: {told}", found, f"Investigation: {link}" if link else ""]
        text = self._mask("\n".join(filter(None, lines)))
        return f"{text[:LONGEST_NOTE]}\nReference: sre-agent/{reference}"

    def _event(self, incident: Incident, told: str, dedup: str) -> Mapping[str, Any]:
        link = [{"href": incident.link, "text": "Investigation"}] if incident.link else []
        return {
            "event_action": "trigger",
            "dedup_key": _dedup_key(dedup),
            "client": "SRE Agent",
            "links": link,
            "payload": {
                "summary": self._mask(incident.title)[:LONGEST_SUMMARY] or "incident",
                "source": incident.service or incident.source,
                "severity": SEVERITIES.get(incident.severity, "warning"),
                "component": incident.service or "",
                "custom_details": {
                    "why": self._mask(told)[:LONGEST_NOTE],
                    "alert source": incident.source,
                    "severity": incident.severity,
                    **({"found": self._mask(incident.found)[:LONGEST_NOTE]} if incident.found else {}),
                },
            },
        }


def next_level(levels: Sequence[tuple[int, str]], assigned: frozenset[str]) -> int | None:
    """The level above the lowest on which one of the `assigned` is on call; the first when none of them is;
    None when there is none above."""
    known = sorted({level for level, _ in levels})
    theirs = [level for level, user in levels if user in assigned]
    if not theirs:
        return known[0] if known else None
    return next((level for level in known if level > min(theirs)), None)


def _assigned(incident: Mapping[str, Any]) -> frozenset[str]:
    assignments = incident.get("assignments") or []
    return frozenset(str((each.get("assignee") or {}).get("id", "")) for each in assignments)


def _policy(incident: Mapping[str, Any]) -> str:
    return str((incident.get("escalation_policy") or {}).get("id", ""))


def _change(plan: Mapping[str, Any]) -> dict[str, Any] | None:
    if policy := plan.get("policy"):
        return {"escalation_policy": {"id": policy, "type": "escalation_policy_reference"}}
    level = plan.get("level")
    return {"escalation_level": level} if level else None


def _said(plan: Mapping[str, Any]) -> str:
    if plan.get("policy"):
        return "handed the incident to the configured escalation policy in PagerDuty, with a note"
    if plan.get("level"):
        return f"escalated the incident to level {plan['level']} in PagerDuty, with a note"
    if plan.get("told"):
        return "added a note in PagerDuty"
    if plan.get("resolved"):
        return "added a note in PagerDuty; the incident is resolved there, so nobody was paged"
    return "added a note in PagerDuty; there is no higher level, so nobody else was paged"


def _dedup_key(dedup: str) -> str:
    """One alert for one investigation, whatever the reasons: a second adds to it and pages nobody anew."""
    return f"sre-agent/{dedup}"[:LONGEST_DEDUP]
