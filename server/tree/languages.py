"""The language of a file, by the ending of its path, where nobody has said it."""

MAX_LANGUAGE_CHARACTERS = 64
PLAIN = "plaintext"

_BY_ENDING = {
    "c": "cpp",
    "cc": "cpp",
    "cpp": "cpp",
    "cxx": "cpp",
    "h": "cpp",
    "hpp": "cpp",
    "inl": "cpp",
    "cs": "csharp",
    "py": "python",
    "json": "json",
    "uplugin": "json",
    "uproject": "json",
    "ini": "ini",
    "hlsl": "hlsl",
    "usf": "hlsl",
    "ush": "hlsl",
    "md": "markdown",
    "markdown": "markdown",
}


def language_of(path: str) -> str:
    """As editors (Monaco, VS Code) call it."""
    name = path.rpartition("/")[2]
    return _BY_ENDING.get(name.rpartition(".")[2].lower(), PLAIN) if "." in name else PLAIN
