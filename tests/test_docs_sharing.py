"""docs/sharing-on-figshare.md: every command in it is typed as it stands, and answers as it says.

``WRITE_DOCS=1`` writes the answers into the document instead of comparing them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onelight.sandbox import Sandbox
from onelight.synthetic import write_dataset

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "sharing-on-figshare.md"
ADDRESS = "http://127.0.0.1:8765"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the commands are typed into a POSIX shell")


def plain(text: str, box: Sandbox, folder: Path) -> str:
    """Return an answer without what differs from one day, and one computer, to the next."""
    text = text.replace(box.api_url.removesuffix("/v2"), ADDRESS).replace(f"{folder}/", "/home/you/")
    text = re.sub(r"(?<=in )\d+\.\d s(, [\d.]+ \w+/s)?", "0.5 s", text)
    text = re.sub(
        r"\(20\d\d\)|(?<=year = \{)20\d\d|(?<=Lovelace)20\d\d", lambda year: re.sub(r"\d{4}", "2026", year[0]), text
    )
    return re.sub(r"(?<=month = )\w{3}", "nov", text)


def typed(command: str, folder: Path, box: Sandbox) -> str:
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / "onelight"
    if not program.exists():
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onelight "$@"\n')
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "ONELIGHT_FIGSHARE_API": box.api_url,
        "FIGSHARE_TOKEN": box.token,
        "ONELIGHT_CONFIG_DIR": str(folder / ".one"),
        "ONELIGHT_INDEX_MAX_AGE": "0",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )
    return plain(done.stdout, box, folder)


def bytes_in_all(text: str) -> str:
    """Leave out how large an article is: its tables have some bytes more or less in another version of pyarrow."""
    return re.sub(r"(files, )[0-9.]+ kB", r"\1… kB", text)


def test_the_way_from_a_folder_to_a_doi_is_as_the_document_says(tmp_path: Path) -> None:
    root = tmp_path / "dataroot"
    for path in write_dataset(root, optional=False, scale=0.001):
        if "imec" in path.name:  # their names are not strict ALF, and scan would say so at length
            path.unlink()
    (tmp_path / "corrected").mkdir()
    wrong = np.load(root / "nicklab/Subjects/Cori/2016-12-14/001/alf/trials.included.npy")
    np.save(tmp_path / "corrected" / "trials.included.npy", ~wrong)
    text = DOCUMENT.read_text(encoding="utf-8")
    found: list[tuple[str, str]] = []
    with Sandbox(tmp_path / "box") as box:

        def run(block: re.Match[str]) -> str:
            if block[1] == "toml":
                (root / "one.toml").write_text(block[2], encoding="utf-8")
                return block[0]
            shown: list[str] = []
            status = "0"
            for command in re.findall(r"^\$ (.*)$", block[2], re.MULTILINE):
                if command == "echo $?":
                    answer = f"{status}\n"
                else:
                    answer = typed(f"{command}\necho :$?", tmp_path, box)
                    answer, _, status = answer.rpartition(":")
                    status = status.strip()
                shown.append(f"$ {command}\n{answer.rstrip()}".rstrip())
            new = "\n".join(shown) + "\n"
            found.append((block[2], new))
            return f"```console\n{new}```\n"

        written = re.sub(r"^```(\w+)\n(.*?)^```\n", run, text, flags=re.MULTILINE | re.DOTALL)
    if os.environ.get("WRITE_DOCS"):
        DOCUMENT.write_text(written, encoding="utf-8")
    for said, came in found:
        assert bytes_in_all(came) == bytes_in_all(said)
    assert len(found) > 8
