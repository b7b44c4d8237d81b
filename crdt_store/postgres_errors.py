"""What went wrong in PostgreSQL, asyncpg or on the way there, in terms of the store."""

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from crdt_store.database import Conflict
from crdt_store.update_log import LogUnavailable

_CONFLICTS = ("40001", "40P01")  # serialization failure, deadlock
# Connection exceptions, admin and crash shutdown, starting up, idle for too long.
_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
_DATA_EXCEPTION = "22"
FAULTS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


def unavailable(error: BaseException) -> LogUnavailable:
    """The error that stands for one of FAULTS; it does not need its cause."""
    return (Conflict if is_conflict(error) else LogUnavailable)(describe(error))


def is_conflict(error: BaseException) -> bool:
    """Whether the server refused it, and the connection is as good as before."""
    return isinstance(error, IntegrityError) or _sqlstate(error) in _CONFLICTS


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, ConnectionError) or _sqlstate(error).startswith(_LOST)


def is_refusal(error: BaseException) -> bool:
    """Whether it is the server's answer: what it was asked for is not done."""
    return bool(_sqlstate(error)) and not is_lost(error)


def _sqlstate(error: BaseException) -> str:
    """https://www.postgresql.org/docs/current/errcodes-appendix.html; empty if the server did not speak."""
    return getattr(_original(error), "sqlstate", None) or ""


def describe(error: BaseException) -> str:
    """What went wrong, without a word of what was to be stored."""
    original = _original(error)
    sqlstate = _sqlstate(error)
    kind = f"{type(original).__name__} {sqlstate}".rstrip()
    if sqlstate.startswith(_DATA_EXCEPTION) or not original.args:  # such messages quote the value
        return kind
    return f"{kind}: {original.args[0]}"


def _original(error: BaseException) -> BaseException:
    """The driver's error, without the two coats that SQLAlchemy puts on it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error
