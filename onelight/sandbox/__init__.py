"""A figshare-compatible server on this computer, for rehearsal and for tests.

It is no copy of figshare: it plays what an uploading or downloading client meets, with the quirks of the live
service, and nothing else (no search, no collections, no projects, no web pages).

::

    with Sandbox("~/figshare-rehearsal") as box:
        print(box.api_url, box.article_id, box.token)

Importing this package imports starlette and uvicorn; nothing else of ONE light does.
"""

from __future__ import annotations

from onelight.sandbox.context import Origins
from onelight.sandbox.faults import Faults
from onelight.sandbox.server import Sandbox
from onelight.sandbox.settings import Category, License, Settings

__all__ = ["Category", "Faults", "License", "Origins", "Sandbox", "Settings"]
