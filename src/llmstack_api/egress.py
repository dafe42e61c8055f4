"""Which addresses that users wrote may be reached: the public ones, and what the operator allowed."""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import httpx

from llmstack_api.errors import AddressRefusedError, StartError

_MAX_PORT: Final = 65_535
_IPV4_REFUSED: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
_IPV6_GLOBAL: Final = IPv6Network("2000::/3")
_IPV6_REFUSED: Final = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_METADATA_IPV4: Final = tuple(
    IPv4Network(network)
    for network in ("100.100.100.200/32", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.192/32")
)
_METADATA_IPV6: Final = tuple(
    IPv6Network(network) for network in ("fd00:ec2::/32", "fd20:ce::254/128", "fe80::/10")
)
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?", re.IGNORECASE)

Address = IPv4Address | IPv6Address


# --- what is allowed -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """What addresses from users may reach although it is private. A port of None is every port."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[IPv4Network | IPv6Network, int | None], ...] = ()

    def admits_host(self, host: str, port: int) -> bool:
        """Tell whether a name is allowed, whatever it resolves to."""
        name = host.rstrip(".").lower()
        return (name, None) in self.hosts or (name, port) in self.hosts

    def admits_address(self, address: Address, port: int) -> bool:
        """Tell whether an address is in an allowed network."""
        return any(address in network and allowed in {None, port} for network, allowed in self.networks)


def parse_egress(text: str) -> Egress:
    """Read `LLMSTACK_EGRESS_ALLOW`.

    Raises:
        StartError: it names the first wrong entry.
    """
    hosts: set[tuple[str, int | None]] = set()
    networks: list[tuple[IPv4Network | IPv6Network, int | None]] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        target, port = _split_port(entry)
        try:
            networks.append((ip_network(target), port))
        except ValueError as error:
            if "/" in target or ":" in target or _is_numeric(target) or not _HOST.fullmatch(target):
                raise _wrong_entry(entry, str(error)) from None
            hosts.add((target.rstrip(".").lower(), port))
    return Egress(hosts=frozenset(hosts), networks=tuple(networks))


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        target, bracket, rest = entry[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _wrong_entry(entry, "write [address]:port")
        port = rest[1:] if rest else None
    elif entry.count(":") == 1:
        target, _, port = entry.partition(":")
    else:
        target, port = entry, None
    if port is None:
        return target, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
        raise _wrong_entry(entry, "the port must be a number from 1 to 65535")
    return target, int(port)


def _wrong_entry(entry: str, reason: str) -> StartError:
    return StartError(
        f"LLMSTACK_EGRESS_ALLOW: {entry!r} is neither a host nor a CIDR, with or without a port: {reason}"
    )


# --- judging ---------------------------------------------------------------------------------------------


def check_url(url: str | httpx.URL, egress: Egress) -> None:
    """Judge an address that a user wrote by what is written; what a name resolves to is judged at connect.

    Any port may be reached: what listens on a public address is its owner's affair.

    Raises:
        AddressRefusedError: malformed, not http(s), with a user name, or literal and not public.
    """
    parsed = parse_url(url)
    host = host_of(parsed)
    if ":" in host or _is_canonical(host):
        if reason := refusal(host, port_of(parsed), egress=egress, named=False):
            raise AddressRefusedError(f"The address {host} is refused: it {reason}.")
    elif _is_numeric(host):
        raise AddressRefusedError(f"The address {host} is refused: write it as four decimal numbers.")


def parse_url(url: str | httpx.URL) -> httpx.URL:
    """Read a URL, of http or https, with a host and without a user name.

    Raises:
        AddressRefusedError: it is not like that.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefusedError(f"The address is malformed: {error}") from None
    if parsed.scheme not in {"http", "https"}:
        raise AddressRefusedError("The address must start with http:// or https://.")
    if parsed.userinfo:
        raise AddressRefusedError("The address must not hold a user name or password.")
    if not 0 < port_of(parsed) <= _MAX_PORT:
        raise AddressRefusedError(f"The address has no valid port: {parsed.port}.")
    host = host_of(parsed)
    if ":" not in host and not _HOST.fullmatch(host):
        raise AddressRefusedError("The address has no valid host name.")
    return parsed


def host_of(url: httpx.URL) -> str:
    """Give the host as it is resolved: ASCII, lower case, IPv6 without brackets."""
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    """Give the port that a URL means."""
    return url.port if url.port is not None else 443 if url.scheme == "https" else 80


def _is_canonical(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_numeric(host: str) -> bool:
    # The C library reads 127.1, 0x7f.1 and 2130706433 as addresses too.
    try:
        socket.inet_aton(host.rstrip("."))
    except OSError:
        return False
    return True


def refusal(text: str, port: int, *, egress: Egress, named: bool) -> str | None:
    """Say why an address must not be reached; `named` means that the operator allowed its name."""
    try:
        address = ip_address(text)
    except ValueError:
        return "is no plain IP address"
    if isinstance(address, IPv6Address) and address.scope_id:
        return "is bound to a network interface"
    if any(_is_metadata(form) for form in _forms(address)):
        return "is a metadata or link-local address"
    if named or any(egress.admits_address(form, port) for form in (address, _unmapped(address))):
        return None
    return None if _is_public(address) else "is not public (LLMSTACK_EGRESS_ALLOW can allow it)"


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _forms(address: Address) -> list[Address]:
    """Give the address and every IPv4 address that it may stand for."""
    forms: list[Address] = [address]
    if isinstance(address, IPv6Address):
        forms += [form for form in (address.ipv4_mapped, address.sixtofour) if form]
        if address in _COMPATIBLE or any(address in network for network in _NAT64):
            forms.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return forms


def _is_metadata(address: Address) -> bool:
    networks = _METADATA_IPV4 if isinstance(address, IPv4Address) else _METADATA_IPV6
    return any(address in network for network in networks)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _IPV4_REFUSED)
    return address in _IPV6_GLOBAL and not any(address in network for network in _IPV6_REFUSED)
