"""The shape of what Slack sends, as far as anything here looks at it: what has none is nobody's event.

Slack's own shapes: https://docs.slack.dev/apis/events-api and
https://docs.slack.dev/reference/interaction-payloads
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from app.frozen import Frozen

ChannelId = Annotated[str, Field(pattern=r"^[CDG][A-Z0-9]{1,40}$")]
UserId = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{1,40}$")]
TeamId = Annotated[str, Field(pattern=r"^[TE][A-Z0-9]{1,40}$")]
Ts = Annotated[str, Field(pattern=r"^[0-9]{1,12}\.[0-9]{1,9}$")]


class Part(Frozen):
    """Some fields of an object of Slack's; it has more of them."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class _Event(Part):
    type: str


class _EventCallback(Part):
    type: Literal["event_callback"]
    event: _Event


class _Action(Part):
    action_id: str
    block_id: str | None = None


class _BlockActions(Part):
    type: Literal["block_actions"]
    actions: list[_Action] = Field(min_length=1)


class _View(Part):
    type: str
    callback_id: str


class _ViewAnswered(Part):
    type: Literal["view_submission", "view_closed"]
    view: _View


class _Handshake(Part):
    type: Literal["url_verification"]
    challenge: str


_KINDS = TypeAdapter[Any](
    Annotated[_EventCallback | _BlockActions | _ViewAnswered | _Handshake, Field(discriminator="type")]
)


class _Person(Part):
    id: UserId
    team_id: TeamId | None = None


class _Team(Part):
    id: TeamId


class _Container(Part):
    channel_id: ChannelId | None = None
    message_ts: Ts | None = None
    thread_ts: Ts | None = None


class _Message(Part):
    ts: Ts | None = None
    thread_ts: Ts | None = None


class _Channel(Part):
    id: ChannelId


class _Click(Part):
    user: _Person
    team: _Team | None = None
    container: _Container | None = None
    message: _Message | None = None
    channel: _Channel | None = None


class Click(Part):
    """Who clicked an element of which message; `thread_ts` is the message itself where it begins a thread."""

    user_id: str
    team_id: str | None
    channel_id: str
    message_ts: str
    thread_ts: str


def oddity(payload: Any) -> str | None:
    """Where a payload is of no shape that anything here looks at, without a word of it; None when it has one.

    Pure.
    """
    try:
        _KINDS.validate_python(payload)
    except ValidationError as error:
        return where(error)
    return None


def where(error: ValidationError) -> str:
    """The place of the first field that is wrong."""
    return ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"])) or "type"


def person_in(body: Mapping[str, Any]) -> tuple[str, str | None]:
    """The user's id and the id of the workspace they are in.

    Raises:
        ValidationError: the payload does not say who it is.
    """
    read = _Click.model_validate({"user": body.get("user"), "team": body.get("team")})
    return read.user.id, read.user.team_id or (read.team.id if read.team else None)


def click_in(body: Mapping[str, Any]) -> Click:
    """A `block_actions` payload.

    Raises:
        ValidationError: it does not say who clicked, or where.
    """
    read = _Click.model_validate(body)
    user_id, team_id = person_in(body)
    container, message = read.container or _Container(), read.message or _Message()
    ts = container.message_ts or message.ts
    return Click.model_validate(
        {
            "user_id": user_id,
            "team_id": team_id,
            "channel_id": container.channel_id or (read.channel.id if read.channel else None),
            "message_ts": ts,
            "thread_ts": container.thread_ts or message.thread_ts or ts,
        }
    )
