"""uvicorn with our protocol classes: the one place that configures it."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from fastapi import FastAPI
from uvicorn import Config

from server.limits.peers import Peers
from server.settings import Settings, SettingsError
from server.transport.http_protocol import http_protocol
from server.transport.picows_protocol import websocket_protocol

LISTEN_BACKLOG = 4096
"""A thousand clients come back at once after a restart; Node's 511 dropped half of them (bench)."""

_CLOSE_SECONDS, _SHUTDOWN_SECONDS = 3, 4
"""A socket waits for the answer to its close frame; the server, a little longer, for all of them."""

_MAPPED_NETWORK = int(IPv6Network("::ffff:0:0/96").network_address)


def uvicorn_config(app: FastAPI, settings: Settings) -> Config:
    """How the server runs. No access log: a request line may hold a token.

    Raises SettingsError for proxies that are no addresses.
    """
    proxies = trusted_networks(settings.trusted_proxies)
    return Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=http_protocol(
            handshake_timeout_seconds=settings.handshake_timeout_seconds,
            max_header_bytes=settings.max_header_bytes,
            peers=Peers(settings.max_connections_per_address, proxies),
        ),
        ws=websocket_protocol(close_timeout_seconds=_CLOSE_SECONDS),
        lifespan="on",
        backlog=LISTEN_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=proxies,
    )


def trusted_networks(proxies: Iterable[str]) -> list[str]:
    """What uvicorn is to trust: addresses and networks, those of IPv4 also as a socket for both kinds shows them.

    uvicorn takes the rightmost X-Forwarded-For that none of them is. Raises SettingsError for all else: `*` would
    have it take the leftmost one, which anybody can make up.
    """
    try:
        networks = list(map(ip_network, proxies))
    except ValueError as error:
        raise SettingsError(f"COSTUDIO_TRUSTED_PROXIES: {error}") from error
    mapped = [_mapped(network) for network in networks if isinstance(network, IPv4Network)]
    return list(map(str, [*networks, *mapped]))


def _mapped(network: IPv4Network) -> IPv6Network:
    return IPv6Network((_MAPPED_NETWORK | int(network.network_address), 96 + network.prefixlen))
