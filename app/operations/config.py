"""The settings as they may be shown: of a secret whether it is set, of an address no credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from app.operations.models import Setting
from app.settings import GROUPS, Settings, secret_variables
from app.tools.masking import mask

Shown = str | int | float | bool | list[str] | None


def shown(settings: Settings) -> dict[str, dict[str, Setting]]:
    """By group and variable."""
    secrets = secret_variables()
    told: dict[str, dict[str, Setting]] = {}
    for name, group in GROUPS.items():
        values = getattr(settings, name)
        told[name] = {
            str(field.validation_alias): _setting(
                getattr(values, key),
                secret=str(field.validation_alias) in secrets,
                default=key not in values.model_fields_set,
            )
            for key, field in group.model_fields.items()
        }
    return told


def _setting(value: Any, *, secret: bool, default: bool) -> Setting:
    is_set = value not in (None, (), "")
    return Setting(value=None if secret else _shown(value), is_set=is_set, secret=secret, default=default)


def _shown(value: Any) -> Shown:
    match value:
        case SecretStr():  # of a group whose field nobody called secret
            return None
        case None | bool() | int() | float():
            return value
        case tuple() | list():
            return [_text(str(each)) for each in value]
        case Path():
            return str(value)
        case _:
            return _text(str(value))


def _text(value: str) -> str:
    # An entry of SERVICE_REGISTRY holds an address between bars.
    return mask("|".join(without_credentials(part) for part in value.split("|")))


def without_credentials(value: str) -> str:
    """An address without user, password, query and fragment; any other text as it is."""
    if "://" not in value:
        return value
    try:
        parts = urlsplit(value)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(an address)"
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"[{host}]{port}" if ":" in host else host + port, parts.path, "", ""))
