"""Names that people read."""

import pytest
from pydantic import TypeAdapter, ValidationError

from server.access.texts import DisplayName, Key

NAME: TypeAdapter[str] = TypeAdapter(DisplayName)
KEY: TypeAdapter[str] = TypeAdapter(Key)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Level design ", "Level design"),
        ("Cafe\u0301", "Café"),
        ("Ночь 🌙", "Ночь 🌙"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("שלום\u200e!", "שלום\u200e!"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("e\u0301" * 200, "é" * 200),
    ],
)
def test_a_name_is_composed_and_trimmed(given: str, kept: str) -> None:
    assert NAME.validate_python(given) == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "\u200b",
        "x" * 201,
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "\u202egnp.exe",
        "a\u2066b",
        "a\ud800",
    ],
)
def test_what_does_not_read_as_it_is_written_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


@pytest.mark.parametrize("key", ["", "x" * 129, "a\0b", "a\ud800"])
def test_what_no_database_takes_is_no_key(key: str) -> None:
    with pytest.raises(ValidationError):
        KEY.validate_python(key)
    assert KEY.validate_python("auth0|5f7c\u202e") == "auth0|5f7c\u202e"
