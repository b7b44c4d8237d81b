"""Stock Hocuspocus providers of three releases, and Tiptap on them, against a real server."""

import subprocess

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from tests.interop.node_client import HERE
from tests.server_process import ServerProcess

SCRIPT = str(HERE / "clients" / "hocuspocus.mjs")


async def command(server: ServerProcess, scenario: str, room: str) -> list[str]:
    url = server.websocket_url.removesuffix("/ws") + "/hocuspocus"
    return ["node", SCRIPT, scenario, url, room, await server.token("alice")]


@pytest.mark.parametrize("scenario", ["releases", "hundred", "denied", "tiptap"])
async def test_stock_hocuspocus_clients_find_all_they_expect(
    server: ServerProcess, room: str, scenario: str
) -> None:
    with anyio.fail_after(40):
        done = await anyio.run_process(await command(server, scenario, room), check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


async def test_what_a_provider_takes_for_saved_survives_kill_nine(
    own_server: ServerProcess, room: str
) -> None:
    async with await anyio.open_process(
        await command(own_server, "typist", room), stderr=subprocess.DEVNULL
    ) as typist:
        assert typist.stdin is not None
        assert typist.stdout is not None
        with anyio.fail_after(30):
            for letter in "abcdefgh":
                await typist.stdin.send(f"{letter}\n".encode())
            said = ""
            async for chunk in TextReceiveStream(typist.stdout):
                said += chunk
                if "saved 8\n" in said:
                    break
            await own_server.kill()
            await typist.stdin.send(b"i\nj\n")
            await own_server.start()
            await typist.stdin.aclose()
            async for chunk in TextReceiveStream(typist.stdout):
                said += chunk
    assert said.endswith("text abcdefghij\n")
