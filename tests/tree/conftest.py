"""Stock Yjs, as for chats."""

from tests.chat.conftest import yjs, yjs_process

__all__ = ["yjs", "yjs_process"]
