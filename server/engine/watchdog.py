"""Ends the process when the engine hangs, since nothing else can: it holds the interpreter while it runs.

The kernel counts the process's own CPU time and kills it (SIGPROF) when the event loop has not been round for
too long; a suspended or overloaded machine does not count.
"""

import asyncio
import signal


async def watch_event_loop(limit_seconds: float) -> None:
    """Run for as long as the server does. `limit_seconds`: CPU time that one turn of the loop may take."""
    try:
        while True:
            signal.setitimer(signal.ITIMER_PROF, limit_seconds)
            await asyncio.sleep(min(1.0, limit_seconds / 2))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
