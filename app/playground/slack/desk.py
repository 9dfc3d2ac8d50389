"""What the Web API works on: the workspace and everything around it that a call can touch."""

from __future__ import annotations

from collections.abc import Callable

from app.playground.slack.faults import Faults
from app.playground.slack.files import FileStore
from app.playground.slack.interactions import Interactions
from app.playground.slack.streams import Streams
from app.playground.slack.workspace import Workspace


class Desk:
    """The parts of one playground that share a workspace."""

    def __init__(
        self, workspace: Workspace, faults: Faults, later: Callable[[Callable[[], None]], None]
    ) -> None:
        self.workspace = workspace
        self.faults = faults
        self.streams = Streams(workspace)
        self.interactions = Interactions(workspace)
        self.files = FileStore(workspace, faults, later)
        self.open_socket: Callable[[], str] = lambda: ""
        """Makes the address of a new Socket Mode connection; the socket hub sets it."""
