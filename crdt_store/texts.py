"""Texts that every database can keep: PostgreSQL has no NUL, UTF-8 no surrogates, an index no long key."""

from crdt_store.update_log import BadDocumentName

MAX_NAME_BYTES = 2500  # as UTF-8; a key of an index of PostgreSQL has 2704 at most
_MAX_ERROR_CHARACTERS = 500
_REPLACEMENT = "\ufffd"


def check_name(name: str) -> None:
    """Raises BadDocumentName."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise BadDocumentName("a document's name has half a surrogate pair") from None
    if b"\0" in encoded:
        raise BadDocumentName("a document's name has a NUL")
    if len(encoded) > MAX_NAME_BYTES:
        raise BadDocumentName(f"a document's name has {len(encoded)} bytes, {MAX_NAME_BYTES} at most")


def storable_error(error: str) -> str:
    """The text, cut and without what cannot be kept."""
    text = error[:_MAX_ERROR_CHARACTERS].replace("\0", _REPLACEMENT)
    return "".join(_REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in text)
