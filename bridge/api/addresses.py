"""Where a request comes from, also through proxies that are trusted to say so."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")
_MOST_HOPS = 20
_V6_SITE = 64


def client_address(request: web.Request, trusted: Sequence[Network]) -> str:
    """The address that asks: the peer, or where that is a trusted proxy the last one before it, and so on.

    Of X-Forwarded-For the right end is read, as far as trusted proxies have written it; the rest anybody may have.
    """
    address = request.remote or ""
    hops = [hop for line in request.headers.getall("X-Forwarded-For", []) for hop in line.split(",")]
    for hop in reversed(hops[-_MOST_HOPS:]):
        if not _is_in(_parsed(address), trusted):
            break
        before = _parsed(hop.strip())
        if before is None:
            break
        address = str(before)
    return address


def public_address(request: web.Request, trusted: Sequence[Network]) -> tuple[str, str]:
    """Scheme and host (with its port, as in Host) by which the client came; a trusted proxy says what it was asked for.

    Where several have written, the last one counts: the proxy that is next to us.
    """
    scheme, host = request.scheme, request.host
    if _is_in(_parsed(request.remote or ""), trusted):
        scheme = _last(request, "X-Forwarded-Proto").lower() or scheme
        host = _last(request, "X-Forwarded-Host") or host
    return scheme, host


def _last(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, [])).rpartition(",")[2].strip()


def is_local(request: web.Request) -> bool:
    """Whether somebody on this machine asks by itself: what a proxy passes on is from anywhere."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    peer = _parsed(request.remote or "")
    return peer is not None and peer.is_loopback


def counted_as(address: str) -> str:
    """What wrong tokens are counted by: an IPv4 address, and of IPv6 the network that one host may have for itself."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed) >> _V6_SITE << _V6_SITE, _V6_SITE)))
    return str(parsed or address)


def _parsed(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without its zone
    return address


def _is_in(address: _Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address.version == one.version and address in one for one in networks)
