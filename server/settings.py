"""Settings: environment variables `COSTUDIO_…`, `DATABASE_URL`, `REDIS_URL`, and a `.env` file.

Frozen once read. A limit's name ends in its unit. Command-line options of `costudio serve` override them.
"""

import contextlib
import os
import secrets
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_BYTES = 32
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_SECRET_FILE = "jwt-secret"
_DATABASE_FILE = "costudio.db"


class SettingsError(Exception):
    """A setting that cannot be served with; the message names it and says what would do."""


MiB = 1024 * 1024
PositiveInt = Annotated[int, Field(gt=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Everything that can be chosen, with its default; descriptions are the reference documentation."""

    model_config = SettingsConfigDict(
        env_prefix="COSTUDIO_", env_file=".env", frozen=True, extra="ignore", populate_by_name=True
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data_dir: Path = Field(Path("data"), description="where the embedded database and the secret live")
    dev: bool = Field(
        False, description="development mode: plain room names, tokens for the asking; loopback only"
    )
    database_url: str | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="sqlite+aiosqlite:///path or postgresql+asyncpg://user:password@host/name;"
        " default: a file in the data directory",
    )
    redis_url: str | None = Field(
        None,
        validation_alias="REDIS_URL",
        description="not used yet: one node serves alone",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much to log")

    jwt_secret: SecretStr | None = Field(
        None,
        description=f"HS256 signing secret, at least {MIN_SECRET_BYTES} bytes; development generates one",
    )
    jwt_issuer: str = Field("costudio", description="the `iss` every token must carry")
    jwt_audience: str = Field("costudio", description="the `aud` every token must carry")
    jwt_leeway_seconds: float = Field(5, ge=0, description="clock difference tolerated in `exp` and `nbf`")
    jwt_secrets: dict[str, SecretStr] = Field(
        {},
        description='HS256 secrets by `kid`, as JSON {"2026-11": "…"}; the first signs, all of them verify',
    )
    jwt_public_key_file: Path | None = Field(
        None, description="PEM file with the public key (RSA, P-256 or Ed25519) of another issuer's tokens"
    )
    jwt_jwks_url: str | None = Field(None, description="where another issuer publishes its keys (JWKS)")
    jwks_max_age_seconds: PositiveSeconds = Field(
        3600, description="keys older than this are fetched anew; the old ones serve while that fails"
    )
    jwks_min_refresh_seconds: PositiveSeconds = Field(
        10, description="an unknown `kid` makes the keys be fetched anew, but no more often than this"
    )
    grants_are_authority: bool = Field(
        False, description="a token's `grants` alone decide, whatever memberships the database has"
    )
    default_role: Literal["none", "viewer", "commenter", "editor", "admin"] = Field(
        "editor", description="what a token without `grants` may do in rooms that belong to no project"
    )
    integer_subject_issuers: list[str] = Field(
        [], description="issuers, as a JSON list, whose integer `sub` is taken as the user's id"
    )
    ticket_seconds: PositiveSeconds = Field(30, description="how long a one-use ticket is valid")
    allowed_origins: list[str] = Field(
        [],
        description='origins of pages that may connect and call, as a JSON list ["https://app.example"];'
        " the server's own is always allowed, in development every page of this machine",
    )
    trusted_proxies: list[str] = Field(
        [], description="addresses or networks, as a JSON list, whose X-Forwarded-For is believed"
    )

    create_files: bool = Field(True, description="a file that does not exist is created by its first writer")
    plain_room_names: bool | None = Field(
        None, description="a name such as `notes/a.md` is a file of the default workspace; default: as `dev`"
    )
    default_workspace_id: PositiveInt = Field(1, description="the workspace of plain room names")
    room_linger_seconds: float = Field(
        60, ge=0, description="how long an empty room stays open, for who comes back"
    )

    max_message_bytes: PositiveInt = Field(16 * MiB, description="largest WebSocket message")
    max_unauthenticated_bytes: PositiveInt = Field(64 * 1024, description="the same before authentication")
    max_queued_bytes: PositiveInt = Field(
        MiB, description="what a Hocuspocus client sends before its token was looked at"
    )
    authentication_seconds: PositiveSeconds = Field(
        60, description="a Hocuspocus client that has shown no good token for so long is closed"
    )
    max_awareness_bytes: PositiveInt = Field(64 * 1024, description="largest awareness message")
    max_held_bytes: PositiveInt = Field(
        64 * 1024, description="updates of one connection kept while earlier ones are missing"
    )
    max_update_structs: PositiveInt = Field(1_000_000, description="structs and deletions in one update")
    max_document_bytes: PositiveInt = Field(
        256 * MiB, description="a document that has grown to this takes no more edits"
    )
    max_json_bytes: PositiveInt = Field(MiB, description="largest JSON body of a request")
    max_connections_per_user: PositiveInt = Field(5_000, description="open at once, on this node")
    max_connections_per_address: PositiveInt = Field(10_000, description="open at once, on this node")
    max_joins_per_minute_per_user: PositiveInt = Field(6_000, description="rooms entered, on this node")
    max_handshakes_per_minute_per_address: PositiveInt = Field(
        12_000, description="connections begun, before anybody knows whose they are"
    )
    max_messages_per_second_per_connection: PositiveInt = Field(
        10_000, description="beyond, the connection is read more slowly"
    )
    max_messages_per_second_per_user: PositiveInt = Field(
        20_000, description="the same, over all connections of a user"
    )
    throttled_close_seconds: PositiveSeconds = Field(
        60, description="a connection that has to be slowed down all the time is closed after this"
    )
    max_chat_messages_per_minute_per_user: PositiveInt = Field(
        6_000, description="messages that a JSON client's user writes in chats"
    )
    max_rooms_per_connection: PositiveInt = Field(
        500, description="rooms that a JSON or Hocuspocus client is in at once"
    )
    max_room_events: PositiveInt = Field(
        10_000, description="events of a room kept for JSON clients that come back"
    )
    chat_segment_messages: PositiveInt = Field(
        1_000,
        description="a thread with so many goes on in a new document, once no Yjs client is in its room",
    )
    chat_segment_bytes: PositiveInt = Field(
        4 * MiB, description="the same by bytes; ten times as much, and it does so whoever is there"
    )
    max_requests_per_minute_per_user: PositiveInt = Field(6_000, description="HTTP requests")
    max_requests_per_minute_per_address: PositiveInt = Field(
        12_000, description="HTTP requests, whosever they are"
    )
    max_failures_per_minute_per_address: PositiveInt = Field(
        300, description="tokens and tickets that were refused; beyond, those that are refused get 429"
    )
    broadcast_window_seconds: float = Field(
        0.04,
        ge=0,
        le=0.1,
        description="in a busy room edits leave together, after waiting for so long at most; 0: never",
    )
    max_outbox_bytes: PositiveInt = Field(
        4 * MiB,
        description="bytes a slow client may leave unread; beyond, it gets one diff when it has caught up",
    )
    max_uncommitted_bytes: PositiveInt = Field(
        64 * MiB, description="updates waiting for the disk; beyond, reading from sockets pauses"
    )
    max_empty_rooms_bytes: int = Field(
        256 * MiB,
        ge=0,
        description="about what empty rooms may take; beyond, the least recently used are closed at once",
    )
    max_memory_bytes: PositiveInt | None = Field(
        None,
        description="when the process takes more, it closes empty rooms and opens no others;"
        " default: three quarters of what the machine or its container has",
    )
    max_stale_bytes: PositiveInt = Field(
        64 * MiB,
        description="what clients of earlier epochs bring is kept aside up to this much for each document",
    )
    max_held_edits_bytes: PositiveInt = Field(
        64 * MiB,
        description="what others write to a locked document is kept up to this much until the lock ends",
    )
    max_held_edits_bytes_per_user: PositiveInt = Field(
        256 * MiB, description="the same of one user, in all locked documents together"
    )
    conflict_after_seconds: float = Field(
        5.0, ge=0, description="edits that cross within this are typing together, and no conflict"
    )
    max_conflict_characters: PositiveInt = Field(
        16 * MiB, description="what is kept of each file's conflicts, of both texts"
    )
    max_locks_per_user: PositiveInt = Field(5_000, description="locks held and waited for at once")
    max_lease_seconds: PositiveSeconds = Field(
        86_400, description="longest time that a lease may be asked for"
    )
    lock_lease_seconds: PositiveSeconds = Field(
        600, description="how long a lease lasts where none is asked for"
    )
    lock_session_seconds: float = Field(
        30,
        ge=5,
        description="a session's lock is renewed while its holder is connected, for so long each time",
    )
    lock_grace_seconds: float = Field(
        10, ge=0, description="a session's lock ends so long after its holder's last connection was closed"
    )
    lock_standing_days: PositiveInt | None = Field(
        None, description="a standing lock, as of Git LFS, ends after so many days; default: never"
    )
    trash_days: PositiveInt | None = Field(
        None, description="a deleted file is purged after so many days; default: only by an admin"
    )
    commit_window_seconds: float = Field(
        0.05,
        ge=0,
        le=0.1,
        description="in a busy server updates are stored together, after waiting for so long at most; 0: never",
    )
    compaction_max_updates: PositiveInt = Field(
        10_000, description="a document with so many updates beyond its snapshot gets a new one at once"
    )
    compaction_max_bytes: PositiveInt = Field(
        MiB, description="the same by bytes; or as many as the snapshot has, if that is more"
    )
    compaction_max_age_seconds: PositiveSeconds = Field(
        3600, description="no update of an open document stays out of its snapshot for longer"
    )
    compaction_quiet_seconds: PositiveSeconds = Field(
        5, description="a document that nobody wrote to for so long gets a snapshot if it is worth one"
    )
    compaction_job_seconds: PositiveSeconds = Field(
        60, description="longest time in which a snapshot must be made"
    )
    compaction_memory_bytes: PositiveInt | None = Field(
        None, description="address space of the process that makes snapshots; default: no limit"
    )
    history_seconds: PositiveSeconds = Field(
        60, description="longest time that a question about a document's past may take"
    )
    history_memory_bytes: PositiveInt | None = Field(
        None, description="address space of a process that works on a long past; default: no limit"
    )
    history_full_days: PositiveInt = Field(
        30, description="the history is kept in full for so many days; what is older is thinned"
    )
    history_step_seconds: PositiveInt = Field(
        3600, description="what one author wrote within such a step of time becomes one update then"
    )
    history_thinning_seconds: PositiveSeconds = Field(
        3600, description="how often a server looks for history that has become old"
    )
    max_versions_per_document: PositiveInt = Field(
        1000, description="named versions of a document, those of earlier epochs among them"
    )
    job_attempts: PositiveInt = Field(
        12, description="a job that has failed so often is not tried any more, but listed"
    )
    job_retry_seconds: PositiveSeconds = Field(
        1, description="after so long a job that failed is tried again; then after twice as long each time"
    )
    job_lease_seconds: PositiveSeconds = Field(
        30, description="a job that a process has begun is another's after so long"
    )
    job_poll_seconds: PositiveSeconds = Field(
        2, description="so often the server looks for jobs that other processes have written"
    )
    lagging_close_seconds: PositiveSeconds = Field(
        60, description="a client that stays behind is closed after this"
    )
    keepalive_seconds: PositiveSeconds = Field(
        20, description="a quiet client gets a frame at least this often"
    )
    presence_grace_seconds: float = Field(
        3, ge=0, le=60, description="who comes back so soon after the last connection was closed has not left"
    )
    silence_close_seconds: PositiveSeconds = Field(
        25, description="a client from which nothing came, not even a pong, is closed after this"
    )
    handshake_timeout_seconds: PositiveSeconds = Field(
        10, description="longest time to send a request's headers"
    )
    max_header_bytes: PositiveInt = Field(64 * 1024, description="largest request line and headers")
    engine_call_seconds: PositiveSeconds = Field(
        10, description="a call of the document engine that takes longer ends the process"
    )

    @field_validator("jwt_secret")
    @classmethod
    def _secret_is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"needs at least {MIN_SECRET_BYTES} bytes")
        return secret

    @property
    def plain_names_workspace_id(self) -> int | None:
        """The workspace that plain room names stand for, or None where they are refused."""
        plain = self.dev if self.plain_room_names is None else self.plain_room_names
        return self.default_workspace_id if plain else None

    def resolved_database_url(self) -> str:
        """The database to use."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.absolute() / _DATABASE_FILE}"

    def resolved_jwt_secret(self) -> str:
        """The signing secret. Raises SettingsError outside development when none is set."""
        if self.jwt_secret is not None:
            return self.jwt_secret.get_secret_value()
        if not self.dev:
            raise SettingsError(
                f"COSTUDIO_JWT_SECRET is not set: give it at least {MIN_SECRET_BYTES} random bytes,"
                " or use --dev on this machine alone"
            )
        return _development_secret(self.data_dir)

    def check_servable(self) -> None:
        """Raises SettingsError for combinations that must not serve."""
        if self.dev and self.host not in LOOPBACK_HOSTS:
            raise SettingsError(
                f"development mode hands out tokens to anyone, so it listens on loopback only, not on {self.host}"
            )


def make_data_dir(data_dir: Path) -> None:
    """Raises SettingsError where nothing can be written."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise SettingsError(f"cannot write to the data directory {data_dir}: {error.strerror}") from error


def _development_secret(data_dir: Path) -> str:
    """The secret kept in the data directory, generated at first use; safe against two processes at once."""
    file = data_dir / _SECRET_FILE
    if not file.exists():
        make_data_dir(data_dir)
        draft = data_dir / f".{_SECRET_FILE}-{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(MIN_SECRET_BYTES))
        with contextlib.suppress(FileExistsError):  # the other process was first: its secret is the one
            os.link(draft, file)
        draft.unlink()
    return file.read_text().strip()
