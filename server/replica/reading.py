"""What a node says, where it says something plain."""

from server.protocol.structs import ANY, TYPE
from server.replica.nodes import Node
from server.replica.values import read_any

_MAP = b"\x01"
_STRING = 119


def is_map(node: Node) -> bool:
    return node.ref == TYPE and node.content == _MAP


def value_of(node: Node | None) -> object:
    """The plain value that a node holds; None if it holds none."""
    if node is None:
        return None
    content = node.content
    if content is None or node.ref != ANY or node.length != 1:
        return None
    if content[1] == _STRING and content[2] < 0x80:  # most are short texts
        return content[3:].decode()
    return read_any(content, 1)[0]
