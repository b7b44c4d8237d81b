"""Paths: what they are made, when two are the same, and which one is free."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.tree.languages import language_of
from server.tree.paths import MAX_PATH_CHARACTERS, BadPath, PathIndex, folded, normal_path

NAMES = st.text(st.sampled_from("aAbß.é ()2"), min_size=1, max_size=4).filter(lambda name: name.strip("."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@pytest.mark.parametrize(
    ("text", "path"),
    [("/a//b/./c/", "a/b/c"), ("a\\b", "a/b"), ("e\u0301", "\u00e9"), ("a" * 512, "a" * 512)],
)
def test_a_path_that_can_be_is_normalised(text: str, path: str) -> None:
    assert normal_path(text) == path
    assert normal_path(path) == path


@pytest.mark.parametrize("text", ["", "/", "..", "a/../b", "a" * 513, "a\nb", "a\u200eb", "." * 3000])
def test_a_path_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(BadPath):
        normal_path(text)


@given(st.text(max_size=600))
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    try:
        path = normal_path(text)
    except BadPath:
        return
    assert normal_path(path) == path == unicodedata.normalize("NFC", path)
    assert len(path) <= MAX_PATH_CHARACTERS


@given(st.lists(st.tuples(PATHS, st.booleans()), max_size=20))
def test_no_two_files_have_one_path_and_none_is_where_a_folder_is(
    wanted: list[tuple[str, bool]],
) -> None:
    index, files, folders = PathIndex(), [], []
    for number, (path, is_file) in enumerate(wanted):
        if is_file:
            files.append(index.free_for_file(path))
            index.add_file(str(number), files[-1])
        elif index.folder_at(free := index.free_for_folder(path)) is None:
            folders.append(free)
            index.add_folder(free)
    keys = [folded(path) for path in files]
    assert len(set(keys)) == len(keys)
    for other in (*keys, *map(folded, folders)):
        assert not any(other.startswith(key + "/") for key in keys)
    assert not set(keys) & set(map(folded, folders))
    for path in files:
        index.remove_file(path)
    for path in folders:
        index.remove_folder(path)
    assert not any(index.is_taken(path) for path in (*files, *folders))


def test_a_long_name_gets_shorter_for_its_number() -> None:
    index = PathIndex()
    for path in ("a" * 509 + ".md", "b" * 510 + "/a", "c" * 512):
        index.add_file("x", path)
        free = index.free_for_file(path)
        assert len(free) <= MAX_PATH_CHARACTERS
        assert not index.is_taken(free)


@pytest.mark.parametrize(
    ("path", "language"),
    [("a/B.CPP", "cpp"), ("Shaders/x.usf", "hlsl"), ("a.b/README", "plaintext"), ("Game.uproject", "json")],
)
def test_the_language_goes_by_the_ending(path: str, language: str) -> None:
    assert language_of(path) == language
