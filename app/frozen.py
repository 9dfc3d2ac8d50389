"""What is told from one room to another and checked on the way in: values that nobody changes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A checked value. How to check it is worked out at its first use: a start would otherwise wait for a
    hundred of them, most of which a process needs late or never."""

    model_config = ConfigDict(frozen=True, defer_build=True)
