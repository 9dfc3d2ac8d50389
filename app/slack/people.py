"""Who is speaking, and whether the agent answers them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.conversations.models import Incoming
from app.frozen import Frozen
from app.slack.client import Clock, SlackRefused, SlackUnavailable, ask

log = structlog.get_logger(__name__)

FRESH = 15 * 60.0
"""Seconds a person is believed to be who they were."""
STALE = 24 * 3600.0
"""Seconds they still are while Slack cannot be asked."""
MOST_PEOPLE = 10_000


class Person(Frozen):
    """A user as Slack describes them. `teams` are the workspaces they belong to."""

    user_id: str
    name: str
    teams: frozenset[str]
    is_guest: bool = False
    is_bot: bool = False
    is_deleted: bool = False


class People:
    """Users by id, remembered for a while; of many who ask for one at once, one asks Slack."""

    def __init__(
        self, client: AsyncWebClient, *, clock: Clock = time.monotonic, most: int = MOST_PEOPLE
    ) -> None:
        self._client, self._clock, self._most = client, clock, most
        self._known: OrderedDict[str, tuple[float, Person]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Person]] = {}

    async def person(self, user_id: str) -> Person:
        """Look a user up.

        Raises:
            SlackRefused: `user_not_found`, `missing_scope` and the like.
            SlackUnavailable: when Slack cannot be asked and nothing recent is known.
        """
        at, known = self._known.get(user_id, (0.0, None))
        if known and self._clock() - at < FRESH:
            return known
        if user_id not in self._asking:
            self._asking[user_id] = asyncio.create_task(self._ask(user_id))
            self._asking[user_id].add_done_callback(lambda _: self._asking.pop(user_id, None))
        try:
            return await asyncio.shield(self._asking[user_id])
        except SlackUnavailable:
            if known and self._clock() - at < STALE:
                return known
            raise

    async def _ask(self, user_id: str) -> Person:
        answer = await ask("users.info", self._client.users_info(user=user_id))
        person = _person(answer["user"])
        self._known[user_id] = (self._clock(), person)
        self._known.move_to_end(user_id)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return person


async def ids_of(client: AsyncWebClient, emails: Sequence[str]) -> tuple[str, ...]:
    """The ids of the people of these addresses; who is unknown is left out, and all of them when Slack cannot
    be asked or the app lacks `users:read.email`.

    https://docs.slack.dev/reference/methods/users.lookupByEmail
    """
    found: list[str] = []
    for email in emails:
        try:
            answer = await ask("users.lookupByEmail", client.users_lookupByEmail(email=email))
        except (SlackRefused, SlackUnavailable) as error:
            log.info("address_not_known", reason=error.sentence)
            continue
        found.append(str(answer["user"]["id"]))
    return tuple(dict.fromkeys(found))


class Admission:
    """The rules of who is answered: workspaces, channels, guests. What is not known is refused.

    `allowed_teams` empty means the agent's own workspace; `allowed_channels` empty means all. Direct messages
    are no channel: there the person alone decides.
    """

    def __init__(
        self,
        people: People,
        *,
        home_team: str,
        allowed_teams: Collection[str] = (),
        allowed_channels: Collection[str] = (),
        allow_guests: bool = False,
    ) -> None:
        self.people = people
        self._teams = frozenset(allowed_teams) or frozenset({home_team})
        self._channels = frozenset(allowed_channels)
        self._guests = allow_guests

    async def refuses(self, incoming: Incoming) -> str | None:
        """The one sentence to tell somebody who is not answered; None for everybody else.

        Raises:
            SlackUnavailable: when nobody can say who it is; the event is then delivered again.
        """
        in_channel = not incoming.channel_id.startswith("D")
        if in_channel and self._channels and incoming.channel_id not in self._channels:
            return "I do not answer in this channel; an administrator decides where (SLACK_ALLOWED_CHANNELS)."
        home = incoming.envelope.speaker_team_id or ""
        if home.startswith("T") and home not in self._teams:  # an enterprise's own id says nothing
            return STRANGER
        try:
            person = await self.people.person(incoming.user_id)
        except SlackRefused as refused:
            if refused.error in ("user_not_found", "user_not_visible"):
                return STRANGER
            return f"I cannot find out who you are ({refused.error}) and do not answer; tell my operators."
        return self._refuses(person)

    def _refuses(self, person: Person) -> str | None:
        if person.is_bot or person.is_deleted:
            return "I answer people, not other apps."
        if not person.teams & self._teams:
            return STRANGER
        if person.is_guest and not self._guests:
            return "I answer full members of this workspace and no guests (SLACK_ALLOW_GUESTS)."
        return None


STRANGER = (
    "I answer members of my own workspace; yours is not among those allowed here (SLACK_ALLOWED_TEAMS)."
)


def _person(user: dict[str, object]) -> Person:
    profile = user.get("profile")
    shown = profile if isinstance(profile, dict) else {}
    grid = user.get("enterprise_user")
    more = grid.get("teams") if isinstance(grid, dict) else None
    own = {str(user["team_id"])} if user.get("team_id") else set()
    return Person(
        user_id=str(user["id"]),
        name=str(shown.get("display_name") or user.get("real_name") or user.get("name") or user["id"]),
        teams=frozenset(own | {str(team) for team in more or ()}),
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        # Slackbot speaks for whoever set a reminder, a guest perhaps, and Slack does not call it a bot.
        is_bot=bool(user.get("is_bot")) or user["id"] == "USLACKBOT",
        is_deleted=bool(user.get("deleted")),
    )
