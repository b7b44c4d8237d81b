"""Settings: where they come from, and which must not serve."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from server.app import create_app
from server.settings import Settings, SettingsError

SECRET = "x" * 32


def test_they_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTUDIO_PORT", "9000")
    monkeypatch.setenv("COSTUDIO_MAX_MESSAGE_BYTES", "1000")
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:////somewhere/else.db")
    settings = Settings()
    assert (settings.port, settings.max_message_bytes) == (9000, 1000)
    assert settings.resolved_database_url() == "sqlite+aiosqlite:////somewhere/else.db"


def test_they_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("COSTUDIO_PORT=9001\nUNRELATED=1\n")
    monkeypatch.chdir(tmp_path)
    assert Settings().port == 9001


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])
def test_development_mode_is_refused_off_loopback(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        create_app(Settings(dev=True, host=host, data_dir=tmp_path, jwt_secret=SECRET))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 32 bytes"):
        Settings(jwt_secret="short")


def test_no_secret_is_refused_outside_development(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="COSTUDIO_JWT_SECRET"):
        create_app(Settings(data_dir=tmp_path))


def test_development_generates_a_secret_once_for_the_owner_alone(tmp_path: Path) -> None:
    settings = Settings(dev=True, data_dir=tmp_path / "new")
    secret = settings.resolved_jwt_secret()
    assert len(secret) >= 32
    assert settings.resolved_jwt_secret() == secret
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["jwt-secret"]
    assert (tmp_path / "new" / "jwt-secret").stat().st_mode & 0o077 == 0


def test_a_secret_shows_in_no_representation() -> None:
    assert SECRET not in repr(Settings(jwt_secret=SECRET))


def test_a_database_that_is_not_supported_is_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, jwt_secret=SECRET, database_url="mysql://somewhere")
    with pytest.raises(SettingsError, match="DATABASE_URL: mysql"):
        create_app(settings)
