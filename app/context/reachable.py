"""Where a repository that a catalog names may be: not at addresses that answer this machine alone.

A catalog is written by many. What they name may be inside the network, but neither this machine's own
services nor what a cloud tells its machines about themselves (their credentials, too).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit
from urllib.request import getproxies

from app.context.addresses import Address, AddressRefused

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str], Iterable[str]]

METADATA = frozenset(
    map(
        ipaddress.ip_address,
        # AWS, Azure, GCP and others answer at 169.254.169.254, which is link-local; these are not.
        ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    )
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def addresses_of(host: str) -> list[str]:
    """All addresses of a name, as this machine resolves it; none when it does not. Blocks."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(each[4][0]).partition("%")[0] for each in found})


def pinned(address: Address, *, resolve: Resolve = addresses_of) -> str | None:
    """Look where an address leads; for HTTP what git is told, so that it goes there and nowhere else: the
    name is not resolved once more, to something else. None where there is nothing to say.

    Behind a proxy, which resolves names itself, only what is an address already can be looked at.

    Raises:
        AddressRefused: it leads where no catalog may lead us.
    """
    scheme = urlsplit(address.url).scheme
    is_http = scheme in ("http", "https")
    parts = urlsplit(f"//{address.site}") if is_http else None
    name = (parts.hostname or "") if parts else address.site.strip("[]")
    found = list(resolve(name))
    for each in found:
        refuse(ipaddress.ip_address(each), local_too=address.local_too)
    if not found or parts is None or scheme in getproxies():
        return None
    port = parts.port or {"http": 80, "https": 443}[scheme]
    return f"{name}:{port}:{','.join(found)}"


def is_of_this_machine(address: Address) -> bool:
    """Whether an address says itself that it is here: a folder, `localhost`, or an address of loopback."""
    name = (urlsplit(f"//{address.site}").hostname or "").lower()
    if name in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refuse(ip: IP, *, local_too: bool) -> None:
    if isinstance(ip, ipaddress.IPv6Address):
        last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = ip.ipv4_mapped or ip.sixtofour or (last if ip in NAT64 else ip)
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in METADATA:
        raise AddressRefused("must not lead to addresses that a cloud's metadata and single links have")
    if ip.is_loopback and not local_too:
        raise AddressRefused("must not lead to this machine")
