"""Brings what a thread made elsewhere: on request, after the same person's yes, once.

First it is said what would be done; the yes, the plan and what came of it are stored one after the other,
each before the next step, so that a turn that is tried again goes on where it broke off. The files stay in
the thread whatever comes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.agent.answer import Answer, Offer
from app.agent.links import keep_known_links
from app.context.addresses import AddressRefused, of_service
from app.context.catalog import Catalog
from app.conversations.models import Turn
from app.conversations.ordering import (
    Order,
    confirms,
    declines,
    is_about_knowledge,
    order_in,
    repo_words,
)
from app.delivery import repository
from app.delivery.github import PullRequests
from app.delivery.models import (
    DeliveryFailed,
    DeliveryNotConfigured,
    File,
    Kind,
    Parcel,
    Way,
    listed,
)
from app.delivery.repository import Artifact, Delivery
from app.settings import DeliverySettings
from app.storage.audit import write_audit
from app.storage.engine import alone, begin
from app.tools.masking import mask
from app.workflows.rendering import todos

T = TypeVar("T")

ATTEMPTS = 3
WAIT_SECONDS = 1.0
LONGEST_ALONE = 180
"""Seconds in which one delivery is as a rule over."""
STAYS = "What I made stays attached in this thread."
DELIVERY = "delivery:"
CHOSEN_LATE = f"That proposal is over, so I did nothing. {STAYS} Ask again to have it brought elsewhere."
TOO_EARLY = f"You said yes before I had said what I would do, so I did nothing. {STAYS} Please ask again."


@dataclass(frozen=True)
class Courier:
    """`knowledge_repo` is the address of the knowledge repo; `link` gives the address of a thread."""

    engine: AsyncEngine
    settings: DeliverySettings
    github_api_url: str
    catalog: Callable[[], Catalog]
    knowledge_repo: str | None = None
    link: Callable[[str, str], str | None] = lambda channel, ts: None
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What can be ordered here, for whoever has just been handed a file."""
        ways = []
        if self.settings.github_write_token is not None:
            ways.append(Offer("Open a pull request", "open a pull request"))
        if self.settings.notion_token is not None:
            ways.append(Offer("Put it in Notion", "put it in Notion"))
        return tuple(ways)

    async def answer(self, turn: Turn) -> Answer | None:
        """What is answered to a message that orders a delivery, or says yes or no to one; None for others."""
        words = turn.question
        if turn.envelope.answers and not turn.envelope.answers.startswith(DELIVERY):
            return None
        if (order := order_in(words)) is not None:
            try:
                return await self._propose(turn, order)
            except (DeliveryFailed, DeliveryNotConfigured) as error:
                return Answer(f"{error.sentence} {STAYS}")
        said = None
        if confirms(words):
            said = await self._confirmed(turn)
        elif declines(words):
            said = await self._declined(turn)
        if turn.envelope.answers:
            said = said or CHOSEN_LATE
        return Answer(said) if said else None

    # -- before the yes --------------------------------------------------------------------------------------

    async def _propose(self, turn: Turn, order: Order) -> Answer | None:
        session = turn.session.id
        async with begin(self.engine) as connection:
            made = await repository.last_made(connection, session)
            if not made:
                return None
            target = self._target(turn, order)
            self._way(order.kind, target)
            ids = [each.id for each in made]
            before = await repository.done_before(connection, session, order.kind, target, ids)
            if before is not None and before.outcome is not None:
                return Answer(f"That is there already. {_told(before.outcome)}")
            # One that another attempt has asked for already stands as it did then.
            asked = await repository.ask(
                connection,
                session_id=session,
                turn_id=turn.id,
                user_id=turn.user_id,
                kind=order.kind,
                target=target,
                artifact_ids=ids,
            )
        return _proposal(asked, tuple(map(_file, made)))

    def _target(self, turn: Turn, order: Order) -> str:
        """`owner/name`, or the id of the page.

        Raises:
            DeliveryFailed: nobody said or knows where.
        """
        if order.kind == "notion_page":
            return self.settings.notion_parent_page_id or ""
        if is_about_knowledge(order.where):
            return self._slug(self.knowledge_repo, "The knowledge repo")
        named = repo_words(order.where)
        service = self.catalog().get(named or _service_of(turn))
        if service is None:
            known = f"The catalog knows no `{named}`" if named else "I do not know for which service this is"
            raise DeliveryFailed(
                f"{known}. Say **open a pull request in** and a service's name, or **in the knowledge repo**."
            )
        return self._slug(service.repo, f"{service.name}'s repo")

    def _slug(self, address: str | None, what: str) -> str:
        if not address:
            raise DeliveryFailed(f"{what} is not known, so I cannot open a pull request there.")
        try:
            found = of_service(address, self.github_api_url)
        except AddressRefused as error:
            raise DeliveryFailed(f"{what} is no repository on GitHub: {error.sentence}") from error
        if not found.is_on(self.github_api_url):
            raise DeliveryFailed(f"{what} is not on the GitHub that I know, so I cannot open one there.")
        return found.slug

    def _way(self, kind: Kind, target: str) -> Way:
        """Raises:
        DeliveryNotConfigured: naming what to set.
        """
        settings = self.settings
        if kind == "pull_request":
            if settings.github_write_token is None:
                raise DeliveryNotConfigured(
                    "I cannot open pull requests here: GITHUB_WRITE_TOKEN is not set, a token that may write "
                    "contents and pull requests."
                )
            return PullRequests(self.github_api_url, target, settings.github_write_token, mask)
        if settings.notion_token is None or not settings.notion_parent_page_id:
            missing = "NOTION_TOKEN" if settings.notion_token is None else "NOTION_PARENT_PAGE_ID"
            raise DeliveryNotConfigured(f"I cannot make pages in Notion here: {missing} is not set.")
        # Notion's client costs memory that only who delivers there needs.
        from app.delivery.notion import DraftPages  # noqa: PLC0415

        return DraftPages(settings.notion_api_url, target, settings.notion_token, mask)

    # -- the yes ---------------------------------------------------------------------------------------------

    async def _confirmed(self, turn: Turn) -> str | None:
        async with begin(self.engine) as connection:
            delivery = await repository.confirmed_in(connection, turn.id)
            if delivery is None:
                proposed = await self._proposed(connection, turn)
                if proposed is None:
                    return None
                if turn.created_at < proposed.created_at:
                    return TOO_EARLY
                if proposed.asked_by != turn.user_id:
                    return "Only the person who asked for it can say yes to that; they have to ask again now."
                delivery = await repository.confirm(connection, proposed.id, turn.id)
                if delivery is None:
                    return None
                await self._audit(connection, "delivery_confirmed", turn, delivery, None)
        return await self._deliver(turn, delivery)

    async def _declined(self, turn: Turn) -> str | None:
        async with begin(self.engine) as connection:
            if (before := await repository.declined_in(connection, turn.id)) is not None:
                return _told(before)
            proposed = await self._proposed(connection, turn)
            if proposed is None:
                return None
            left = {"said": f"Then I leave it. {STAYS}", "link": None, "declined_in": str(turn.id)}
            await repository.finish(connection, proposed.id, left)
        return _told(left)

    async def _proposed(self, connection: AsyncConnection, turn: Turn) -> Delivery | None:
        """What the message says yes or no to: what was said last, and what its button stands under."""
        proposed = await repository.proposed(connection, turn.session.id, turn.id)
        if proposed is not None and turn.envelope.answers not in ("", _name(proposed)):
            return None
        return proposed

    async def _deliver(self, turn: Turn, delivery: Delivery) -> str:
        """Carry it out, or go on with what another attempt of this turn began."""
        # Two who find nothing done yet would both open one.
        async with begin(self.engine) as holding:
            await alone(holding, f"delivery:{delivery.id}", seconds=LONGEST_ALONE)
            async with begin(self.engine) as connection:
                current = await repository.confirmed_in(connection, turn.id) or delivery
                made = await repository.artifacts(connection, current.artifact_ids)
                origin = await repository.origin(connection, turn.session.id)
            if current.outcome is None:
                thread = self.link(turn.session.channel_id, turn.session.thread_ts)
                outcome = await self._once(current, Parcel(origin, tuple(map(_file, made)), thread))
                async with begin(self.engine) as connection:
                    action = "delivery" if outcome["link"] else "delivery_failed"
                    if await repository.finish(connection, current.id, outcome):
                        await self._audit(connection, action, turn, current, outcome)
            else:
                outcome = current.outcome
        return _told(outcome)

    async def _once(self, delivery: Delivery, parcel: Parcel) -> Mapping[str, Any]:
        try:
            way = self._way(delivery.kind, delivery.target)
            plan = delivery.plan
            if plan is None:
                planned = await self._patiently(lambda: way.plan(parcel))
                async with begin(self.engine) as connection:
                    plan = await repository.plan(connection, delivery.id, planned)
            decided = plan
            delivered = await self._patiently(lambda: way.carry_out(parcel, decided))
        except (DeliveryFailed, DeliveryNotConfigured) as error:
            return {"said": _words(f"That did not work: {error.sentence} {STAYS}"), "link": None}
        return {"said": _words(delivered.said), "link": delivered.link}

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """A step that may be repeated, a few times while the other side is busy or away."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await step()
            except DeliveryFailed as error:
                if not error.passing:
                    raise
                await self.sleep(WAIT_SECONDS * 2 ** (attempt - 1))
        return await step()

    async def _audit(
        self, connection: Any, action: str, turn: Turn, delivery: Delivery, outcome: Mapping[str, Any] | None
    ) -> None:
        session = turn.session
        state = session.workflow_state or {}
        said = " ".join(filter(None, (outcome["said"], outcome["link"]))) if outcome else None
        artifacts = ", ".join(map(str, delivery.artifact_ids))
        await write_audit(
            connection,
            action,
            thread_ts=session.thread_ts,
            channel_id=session.channel_id,
            user_id=turn.user_id,
            service_name=_service_of(turn),
            workflow=state.get("title"),
            input_text=f"{delivery.kind} to {delivery.target}: artifacts {artifacts}",
            response_text=said,
            trace_id=turn.trace_id,
        )


def _service_of(turn: Turn) -> str | None:
    """The service that the thread's workflow is about, else that of the thread."""
    state = turn.session.workflow_state or {}
    known = (state.get("facts") or {}).get("service")
    name = known.get("name") if isinstance(known, dict) else None
    return str(name) if name else turn.session.service_name


def _file(made: Artifact) -> File:
    return File(
        made.id, made.file_name, made.title, made.media_type, made.content, todos(made.content), made.faults
    )


def _name(delivery: Delivery) -> str:
    return f"{DELIVERY}{delivery.id}"


def _proposal(delivery: Delivery, files: tuple[File, ...]) -> Answer:
    if delivery.kind == "pull_request":
        where = f"in **{delivery.target}** with {listed(files)}, on a branch of its own"
        said = f"I would open a pull request {where}."
    else:
        pages = "a draft page" if len(files) == 1 else f"{len(files)} draft pages"
        said = f"I would make {pages} in Notion of {listed(files)}."
    if any(file.faults for file in files):
        said += " It is **not valid** as it is, which I say there too."
    yes = "Open it" if delivery.kind == "pull_request" else "Put it there"
    return Answer(
        f"{said} Say **yes** and I do it; only you can, and only now.",
        offers=tuple(Offer(each, each.lower(), _name(delivery)) for each in (yes, "Leave it")),
    )


def _words(said: str) -> str:
    """Titles and other people's words are in it: they lead nowhere and show no secret."""
    return keep_known_links(mask(said), frozenset())


def _told(outcome: Mapping[str, Any]) -> str:
    link = outcome.get("link")
    return f"{outcome['said']} [Look at it]({link})" if link else str(outcome["said"])
