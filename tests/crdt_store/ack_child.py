"""A process that appends, compacts and replaces, and writes a line to standard output after each acknowledgement."""

import asyncio
import os
import sys

from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from tests.acceptance.log_rows import compact, row

APPENDS = 20
MARK = b"data of the update "
ACK = b"acknowledged "


async def main(url: str) -> None:
    log = SqlUpdateLog(create_engine(url))
    await log.exists("a")  # connected
    for number in range(APPENDS):
        await log.append([row("a", b"%s%d." % (MARK, number))])
        os.write(1, b"%s%d\n" % (ACK, number))
    whole = await compact(log, "a")
    os.write(1, b"%scompaction\n" % ACK)
    await log.replace(row("a", *whole.snapshot.updates), {})
    os.write(1, b"%sepoch\n" % ACK)
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
