"""Why something may not be written into the tree."""

from server.replica.reasons import Reason


class Kind(Reason):
    """Reasons, for people and tests (docs/tree.md)."""

    BAD_ID = "bad_id", "a key of `files` that is no file's id"
    BAD_PATH = "bad_path", "what is no path, and cannot be made one"
    WRONG_TYPE = "wrong_type", "not a value that may stand there"
    UNKNOWN = "unknown", "a field or root that a tree does not have"
    LOCKED = "locked", "somebody else has locked the path, what is above or below it, or where it is to go"
    REMOVED = "removed", "what a file cannot be without"
    GONE = "gone", "it hangs on what is deleted or was refused"
    TANGLED = "tangled", "it stands among too many concurrent insertions"
