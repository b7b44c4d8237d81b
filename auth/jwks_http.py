"""Fetching an issuer's published keys over HTTP."""

import ipaddress
from collections.abc import Awaitable, Callable

import anyio
import httpx

from auth.jwks import FetchFailed

TIMEOUT_SECONDS = 5.0
MAX_BODY_BYTES = 1024 * 1024


def http_fetch(
    url: str, *, transport: httpx.AsyncBaseTransport | None = None
) -> Callable[[], Awaitable[bytes]]:
    """A `fetch` for Jwks. Raises ValueError for anything but https, or http on this machine alone.

    Redirects are not followed: trust is in the address that was set.
    """
    address = _checked(url)
    tls = httpx.create_ssl_context()  # reading the certificates takes a while, so once

    async def fetch() -> bytes:
        try:
            with anyio.fail_after(TIMEOUT_SECONDS):
                async with httpx.AsyncClient(verify=tls, transport=transport) as client:
                    return await _get(client, address)
        except TimeoutError as error:
            raise FetchFailed(f"no answer within {TIMEOUT_SECONDS:g} s") from error
        except httpx.HTTPError as error:
            raise FetchFailed(f"{type(error).__name__}: {error}") from error

    return fetch


async def _get(client: httpx.AsyncClient, url: httpx.URL) -> bytes:
    # Uncompressed, so that a few bytes cannot become gigabytes before they are counted.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    body = bytearray()
    async with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code != httpx.codes.OK:
            raise FetchFailed(f"the answer was {answer.status_code}")
        async for part in answer.aiter_raw():
            body += part
            if len(body) > MAX_BODY_BYTES:
                raise FetchFailed(f"the answer is over {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _checked(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError("not a URL") from error
    if not address.host or address.userinfo:
        raise ValueError("needs a host, and no user or password")
    if address.scheme != "https" and not (address.scheme == "http" and _is_this_machine(address.host)):
        raise ValueError("must begin with https://; http:// is for this machine alone")
    return address


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
