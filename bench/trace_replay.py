"""`make bench-trace`: recorded edits a second through a running server, and how long an author waits for 'saved'.

The server is the real one with its default settings: SQLite, every commit synced to disk, in a temporary folder
(`TMPDIR` chooses the disk). Figures are printed; nothing else is written.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import anyio

from tests.interop.node_client import NodeClient, NodeDriver, node_driver
from tests.npm_packages import ROOT, install_packages
from tests.server_process import ServerProcess, running_server

TRACES = ROOT / "tests" / "data" / "editing-traces"
AGENT_CLIENT_IDS = {"friendsforever": (1, 2)}
REPLAY_SECONDS = 600.0


async def main(latency_edits: int) -> None:
    install_packages(ROOT / "tests" / "interop")
    print(f"{'trace':<18}{'authors':>8}{'edits':>8}{'seconds':>9}{'edits/s':>9}")
    with tempfile.TemporaryDirectory(prefix="costudio-bench-") as folder:
        async with running_server(Path(folder)) as server, node_driver() as driver:
            for name in ("sveltecomponent", "friendsforever"):
                edits, seconds, authors = await _replay(server, driver, name)
                print(f"{name:<18}{authors:>8}{edits:>8}{seconds:>9.2f}{edits / seconds:>9.0f}")
            author = await _join(server, driver, "bench/latency", "alice")
            latencies = await author.echo_latencies_ms(latency_edits)
    percentiles = statistics.quantiles(latencies, n=100)
    print(f"\necho latency, {latency_edits} edits one at a time: ", end="")
    print(f"p50 {percentiles[49]:.2f} ms, p95 {percentiles[94]:.2f} ms")


async def _replay(server: ServerProcess, driver: NodeDriver, name: str) -> tuple[int, float, int]:
    """Edits, seconds from the first one sent to the last one's echo, and authors."""
    client_ids = AGENT_CLIENT_IDS.get(name, ())
    users = ("alice", "bob")[: max(1, len(client_ids))]
    authors = [await _join(server, driver, f"bench/{name}", user) for user in users]
    async with anyio.create_task_group() as tasks:
        for agent, author in enumerate(authors):
            tasks.start_soon(_type_and_wait, author, name, agent if client_ids else None, client_ids)
    stats = [await author.stats() for author in authors]
    first = min(each.first_sent_ms or 0 for each in stats)
    last = max(each.last_confirmed_ms or 0 for each in stats)
    for author in authors:
        await author.destroy()
    return sum(each.edits for each in stats), (last - first) / 1000, len(authors)


async def _type_and_wait(
    author: NodeClient, name: str, agent: int | None, client_ids: tuple[int, ...]
) -> None:
    await author.replay(TRACES / f"{name}.json.gz", agent=agent, client_ids=client_ids)
    await author.wait_confirmed(timeout_seconds=REPLAY_SECONDS)


async def _join(server: ServerProcess, driver: NodeDriver, room: str, user: str) -> NodeClient:
    token = await server.token(user)
    return await (await driver.connect(server.websocket_url, room, name=user, token=token)).synced()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency-edits", type=int, default=500, help="how many single edits to time")
    anyio.run(main, parser.parse_args().latency_edits)
