"""Whether a push to a repository concerns an address we read from."""

from __future__ import annotations

from app.context.addresses import SLUG, AddressRefused, parse


def concerns(full_name: str, address: str | None) -> bool:
    """Whether the address is that of `owner/name`; a catalog may give that alone, and case means nothing."""
    if not address:
        return False
    try:
        slug = address if SLUG.fullmatch(address) else parse(address).slug
    except AddressRefused:
        return False
    return slug.lower() == full_name.lower()
