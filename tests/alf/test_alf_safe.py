"""Which paths are refused because they could do harm, and how a text from outside is shown."""

from __future__ import annotations

import ntpath
import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelight.alf import check_safe, printable, windows_problems
from onelight.errors import UnsafeData

# The table of hostile names: facts/transfer-faults.md D1, and what Windows makes of names that POSIX holds harmless.
UNSAFE = [
    "",
    ".",
    "..",
    "./",
    "./x",
    "x/.",
    "../x",
    "a/../x",
    "a/../../x",
    "a/..",
    "/",
    "/etc/x",
    "//host/share/x",
    "a//b",
    "a/",
    "C:\\x",
    "C:x",
    "C:/x",
    "\\\\host\\share\\x",
    "\\x",
    "a/C:\\x",
    "a/\\h\\s",
    "..\\x",
    "..\\\\x",
    "a\\..\\..\\x",
    "\\\\?\\C:\\x",
    "\\\\.\\NUL",
    "\uff0e\uff0e/x",  # fullwidth dots
    "a/\uff0e\uff0e/x",
    "\u2025/x",  # two dot leader: ".." in NFKC
    "a/\u2024\u2024/x",  # one dot leaders
    "a\uff0fb",  # fullwidth slash
    "a\uff3cb",  # fullwidth backslash
    "a/.. /x",
    "a/ ../x",
    "a/... /x",
    "a/.../x",
    "a. /x",
    "a./x",
    " a/x",
    "a:stream/x",
    "a/x.npy:stream",
    "a\0b",
    "a\nb",
    "a\tb",
    "a\rb",
    "a\x1b[2Jb",
    "a\x7fb",
    "a\x9b2Jb",
    "a\ud800b",
    "a/" + "b" * 256,
    "a/" + "é" * 128,
]


@pytest.mark.parametrize("path", UNSAFE)
def test_a_path_that_could_leave_its_folder_is_refused(path: str) -> None:
    """Row D1."""
    with pytest.raises(UnsafeData, match="refused") as caught:
        check_safe(path)
    str(caught.value).encode()
    assert str(caught.value).isprintable()


@given(st.text(st.sampled_from("ab.: /\\\uff0e\uff0f\u2025~C"), max_size=12))
def test_what_is_let_through_stays_below_its_folder_on_every_system(path: str) -> None:
    """Row D1."""
    try:
        check_safe(path)
    except UnsafeData:
        return
    assert posixpath.normpath(posixpath.join("/root", path)) == f"/root/{path}"
    assert ntpath.normpath(ntpath.join("C:\\root", path)) == "C:\\root\\" + path.replace("/", "\\")


@pytest.mark.parametrize(
    "path",
    [
        "nicklab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy",
        "nicklab/Subjects/Cori/2016-12-14/001/alf/probe00/#2024-05-06#/_ibl_spikes.times.npy",
        "nicklab/Subjects/Cori/2016-12-14/001/alf/café.times.npy",
        "nicklab/Subjects/Cori/2016-12-14/001/alf/a b.c%20d.npy",
        "a/..b/c",
        "a/.hidden",
    ],
)
def test_the_names_of_real_datasets_are_let_through(path: str) -> None:
    check_safe(path)


@given(st.text())
@example("a\u2028b")
@example("a\u202eb")
def test_a_text_from_outside_is_shown_without_control_characters(text: str) -> None:
    """Row D4."""
    shown = printable(text)
    assert all(char.isprintable() or char.isspace() for char in shown)
    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown
    assert len(shown) < 2000
    shown.encode()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("a/spi?kes.times.npy", "the name has ?, which Windows cannot hold"),
        ("a/nul/spikes.times.npy", "'nul' is the name of a device on Windows"),
        ("a/COM1.times.npy", "'COM1.times.npy' is the name of a device on Windows"),
        ("a/spikes~old.times.npy", ""),
        ("a/console.times.npy", ""),
    ],
)
def test_what_windows_cannot_hold_is_told(path: str, problem: str) -> None:
    assert windows_problems(path) == ([problem] if problem else [])
