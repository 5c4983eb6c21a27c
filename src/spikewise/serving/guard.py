"""Who may ask: the names by which the server may be called, pages that may call it, and the token."""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from spikewise.errors import ConfigError
from spikewise.serving.errors import Refusal

__all__ = ["SHORTEST_TOKEN", "Guard", "is_loopback"]

SHORTEST_TOKEN: Final = 16
_OPEN: Final = frozenset({"/v2/health/live", "/v2/health/ready"})
"""Ask for no token: what starts and watches servers has none, and they say only that the server is there."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="spikewise", Basic realm="spikewise"'}


class Guard(NamedTuple):
    """The checks that stand before every answer."""

    token: str | None = None
    """None asks for none."""
    hosts: frozenset[str] = frozenset()
    """Names, beside addresses and localhost, by which the server may be called."""

    @classmethod
    def of(cls, token: str | None, hosts: Iterable[str] = ()) -> "Guard":
        """With a token that is long enough.

        Raises:
            ConfigError: it is too short, or cannot stand in a header.
        """
        if token is not None and (
            len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token
        ):
            raise ConfigError(
                f"A token has at least {SHORTEST_TOKEN} printable ASCII characters without spaces; make one with: "
                "python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        return cls(token, frozenset(host.lower() for host in hosts))

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Let a request pass.

        A browser sends the name that it was given: a page whose own name was bent to this address (DNS rebinding) is
        told by it. Addresses cannot be bent.

        Raises:
            Refusal: it may not.
        """
        host = headers.get("host", "")
        if not self._known(host):
            raise Refusal(
                421, "The server does not answer to this Host. Call it by its address, or start it with --allow-host."
            )
        origin = headers.get("origin")
        if origin is not None and not self._same(origin, host):
            raise Refusal(403, "Pages of another origin may not call this server.")
        if self.token is not None and path not in _OPEN and not self._knows_token(headers.get("authorization", "")):
            raise Refusal(
                401, "A token is needed: Authorization: Bearer TOKEN (in a browser: as password).", _CHALLENGE
            )

    def _known(self, host: str) -> bool:
        name = _name_of(host)
        return name == "localhost" or name in self.hosts or _address(name) is not None

    def _same(self, origin: str, host: str) -> bool:
        scheme, found, rest = origin.lower().partition("://")
        if scheme not in ("http", "https") or not found:
            return False
        # Behind a proxy the Host may have lost its port; the name is what tells origins apart there.
        return rest == host.lower() or _name_of(rest) in self.hosts

    def _knows_token(self, said: str) -> bool:
        kind, _, value = said.partition(" ")
        if kind.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                value = ""
        elif kind.lower() != "bearer":
            value = ""
        return hmac.compare_digest(value.strip().encode(), (self.token or "").encode())


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _name_of(host: str) -> str:
    """Host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
