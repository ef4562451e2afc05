"""Take from figshare's description of its API what the sandbox serves: `python extract_contract.py swagger.json`.

It writes contract.json, beside this file: the paths below, with the operations that the sandbox has, and the schemas
that these refer to, word for word.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ARTICLE = "/account/articles/{article_id}"
SERVED = {
    "/account": "get",
    "/account/licenses": "get",
    "/account/categories": "get",
    "/licenses": "get",
    "/categories": "get",
    "/account/articles": "get post",
    "/account/articles/search": "post",
    ARTICLE: "get put patch delete",
    f"{ARTICLE}/authors": "get put post",
    f"{ARTICLE}/authors/{{author_id}}": "delete",
    f"{ARTICLE}/categories": "get put post",
    f"{ARTICLE}/categories/{{category_id}}": "delete",
    f"{ARTICLE}/confidentiality": "get put delete",
    f"{ARTICLE}/embargo": "get put delete",
    f"{ARTICLE}/files": "get post",
    f"{ARTICLE}/files/{{file_id}}": "get post delete",
    f"{ARTICLE}/private_links": "get post",
    f"{ARTICLE}/private_links/{{link_id}}": "put delete",
    f"{ARTICLE}/publish": "post",
    f"{ARTICLE}/reserve_doi": "post",
    f"{ARTICLE}/unpublish": "post",
    "/articles": "get",
    "/articles/search": "post",
    "/articles/{article_id}": "get",
    "/articles/{article_id}/files": "get",
    "/articles/{article_id}/files/{file_id}": "get",
    "/articles/{article_id}/versions": "get",
    "/articles/{article_id}/versions/{version_id}": "get",
    "/articles/{article_id}/versions/{version_id}/confidentiality": "get",
    "/articles/{article_id}/versions/{version_id}/embargo": "get",
    "/articles/{article_id}/versions/{version_id}/files": "get",
    "/file/download/{file_id}": "get",
}
# Schemas of the upload service, which has no paths in the description.
UPLOADS = ("UploadInfo", "UploadFilePart")


def referred(value: Any) -> set[str]:
    """Return the names of all schemas that something refers to."""
    if isinstance(value, list):
        return set().union(*(referred(item) for item in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    names = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
    return names.union(*(referred(item) for item in value.values()))


def extracted(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a description that the sandbox serves."""
    paths: dict[str, Any] = {}
    for path, methods in SERVED.items():
        paths[path] = {method: whole["paths"][path][method] for method in methods.split()}
    schemas, wanted = {}, referred(paths) | set(UPLOADS)
    while wanted:
        name = wanted.pop()
        schemas[name] = whole["components"]["schemas"][name]
        wanted |= referred(schemas[name]) - schemas.keys()
    return {
        "openapi": whole["openapi"],
        "info": {"title": whole["info"]["title"], "version": whole["info"]["version"]},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": whole["components"]["securitySchemes"],
        },
    }


if __name__ == "__main__":
    document = extracted(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(__file__).with_name("contract.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
