"""Where callbacks may go."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

_LONGEST = 2000
_METADATA: Final = frozenset({IPv4Address("168.63.129.16")})
"""A cloud's own services at an address that counts as public (Azure); the others' are link-local or private."""
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is given out. Outside lie site-local addresses, a network's own NAT64 (64:ff9b:1::/48), and old ways
to write IPv4 addresses (::10.0.0.1, ::ffff:0:10.0.0.1), which Python takes for global ones."""


def is_public(address: str) -> bool:
    """Whether an IP address is on the Internet: not private, loopback, link-local, multicast or a cloud's own.

    An IPv6 address that leads to an IPv4 one is as that one is. False for what is no address.
    """
    try:
        return all(_is_public(one) for one in _meant(ip_address(address)))
    except ValueError:
        return False


def wrong_url(url: str, *, allow_private: bool) -> str | None:
    """What is wrong with a callback's URL as far as it can be seen, None if nothing is.

    A host that is a name is looked at again when it is connected to, by its addresses.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is no URL"
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "it should begin with https:// (or http://), and name a host"
    if parts.username is not None or parts.password is not None:
        return "it should hold no user or password: receivers know us by the signature"
    if (
        len(url) > _LONGEST
        or parts.fragment
        or not url.isascii()
        or any(c.isspace() or not c.isprintable() for c in url)
    ):
        return f"it should have at most {_LONGEST} characters, all of them ASCII, no blanks and no #fragment"
    if not allow_private and (
        host == "localhost" or host.endswith(".localhost") or (_is_address(host) and not is_public(host))
    ):
        return "it leads to a private or loopback address: `webhooks: {allow_private: true}` in recbridge.yml allows it"
    return None


def host_of(url: str) -> str:
    """What may stand in logs of a callback's URL: neither path nor query, which may hold somebody's secret."""
    parts: SplitResult = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _meant(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    yield address
    if isinstance(address, IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(IPv4Address(int(address) & 0xFFFF_FFFF))
        yield from (one for one in inner if one is not None)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return True  # the address that it stands for is looked at
        if address not in _UNICAST and address not in _NAT64:
            return False
    return address.is_global and not address.is_multicast and address not in _METADATA
