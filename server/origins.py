"""Which pages may talk to the server: a browser says in `Origin` whose page it is that asks. PURE."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import idna

from server.settings import LOOPBACK_HOSTS

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SECURE = {"ws": "http", "wss": "https"}
"""A WebSocket's origin is that of its page."""


class Origin(NamedTuple):
    """Scheme and host in lower case, the host in ASCII, without the dot of a root; port None: the scheme has none."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "Origin | None":
        """`scheme://host[:port]`; None for anything else, `null` as well."""
        match = _ORIGIN.fullmatch(text)
        return cls.of(match[1], match[2]) if match else None

    @classmethod
    def of(cls, scheme: str, authority: str) -> "Origin | None":
        """Of a scheme and `host[:port]`, as in a Host header."""
        match = _AUTHORITY.fullmatch(authority)
        host = _ascii_host(match[1]) if match else None
        if match is None or host is None:
            return None
        scheme = scheme.lower()
        scheme = _SECURE.get(scheme, scheme)
        port = int(match[2]) if match[2] else _DEFAULT_PORTS.get(scheme)
        return cls(scheme, host, port) if port is None or port < 1 << 16 else None

    def __str__(self) -> str:
        """As browsers write it."""
        port = "" if self.port in (None, _DEFAULT_PORTS.get(self.scheme)) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def is_loopback(self) -> bool:
        """A page of this machine."""
        return self.host.strip("[]") in LOOPBACK_HOSTS


class OriginPolicy:
    """The server's own pages, the origins that are allowed, in development those of this machine."""

    def __init__(self, allowed_origins: Iterable[str], *, dev: bool) -> None:
        """Raises ValueError, naming the setting, for what is no origin."""
        self.allowed = frozenset(map(_checked, allowed_origins))
        self._dev = dev

    def allows(self, origin: str | None, host: str, scheme: str) -> bool:
        """`origin` and `host` as the headers say; `scheme` is that of the request.

        No Origin: it is not a browser. That is allowed, since nothing works without a token.
        """
        if origin is None:
            return True
        page, own = Origin.parse(origin), Origin.of(scheme, host)
        if page is None:
            return False
        if self._dev and not (own is not None and own.is_loopback):
            return False  # a foreign name that resolves to this machine
        return page == own or page in self.allowed or (self._dev and page.is_loopback)

    def refusal(self, scope: Mapping[str, Any]) -> str | None:
        """Why this handshake is to be answered 403; None: it may go on."""
        origins = _values(scope, b"origin")
        hosts = _values(scope, b"host")
        if len(origins) > 1 or len(hosts) > 1:
            return "more than one Origin or Host header"
        origin, host = (values[0] if values else None for values in (origins, hosts))
        if self.allows(origin, host or "", scope["scheme"]):
            return None
        return f"pages of {origin} may not connect to {scope['scheme']}://{host} (allowed_origins)"


def _checked(text: str) -> Origin:
    origin = Origin.parse(text)
    if origin is None:
        raise ValueError(f"COSTUDIO_ALLOWED_ORIGINS: {text!r} is not scheme://host or scheme://host:port")
    return origin


def _ascii_host(host: str) -> str | None:
    try:
        host = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return None
    host = host.removesuffix(".")
    return host if _HOST.fullmatch(host) else None


def _values(scope: Mapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
