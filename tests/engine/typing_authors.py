"""Updates of people who type."""

from pycrdt import Doc, Text, TransactionEvent


def typed(text: str, *, client_id: int) -> list[bytes]:
    """An update for each character, each of which builds on the one before."""
    updates: list[bytes] = []
    doc: Doc[Text] = Doc(client_id=client_id)
    root = doc.get("text", type=Text)

    def note(event: TransactionEvent) -> None:
        updates.append(event.update)

    subscription = doc.observe(note)
    for character in text:
        root += character
    doc.unobserve(subscription)
    return updates


def said(text: str, *, client_id: int) -> bytes:
    """One update that builds on nothing."""
    doc: Doc[Text] = Doc({"text": Text(text)}, client_id=client_id)
    return doc.get_update()
