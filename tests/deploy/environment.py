"""What a manifest may set: variables that the program knows, in values it would take."""

from __future__ import annotations

from collections.abc import Mapping

from app.settings import Settings, secret_variables, variables

OF_OTHERS = frozenset({"MPLCONFIGDIR", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PATH"})
"""Read by Python and its libraries."""
PREFIX_OF_OTHERS = "OTEL_"


def unknown(names: object) -> set[str]:
    """Of some variables those that nobody reads: a spelling mistake in a manifest is silent otherwise."""
    assert isinstance(names, Mapping | set | frozenset | list | tuple)
    return {
        name
        for name in names
        if name not in variables() and name not in OF_OTHERS and not str(name).startswith(PREFIX_OF_OTHERS)
    }


def wrong(values: Mapping[str, str]) -> list[str]:
    """What the program would say at its start of the values that are written in a manifest."""
    ours = {name: value for name, value in values.items() if name in variables()}
    elsewhere = {name for name in ours if name.endswith(("_PATH", "_FILE", "_DIR", "_HOME", "_SERVERS"))}
    try:
        Settings.load(env_file=None, **{name: ours[name] for name in ours.keys() - elsewhere})
    except Exception as error:
        return str(error).splitlines()
    return []


def secrets_in(values: Mapping[str, str]) -> set[str]:
    """Variables that hold a secret, written where everybody reads them."""
    return {name for name, value in values.items() if name in secret_variables() and value}
