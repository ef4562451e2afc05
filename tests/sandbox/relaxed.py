"""figshare's description of its API, and what answers are held to by it (contract.json, see README.md).

The description is wrong or silent in places. What is not held to it, and why:

* it states no server: the address of the API is taken off before a path is looked up;
* errors have no schema but 403's, whose `code` is a number: every error is held to it, with a text as code, because
  that is what the live service sends;
* the upload service has schemas, but no paths;
* 202, 204 and 205 have no JSON, whatever is said of them: the live service sends HTML or nothing;
* a linked file has no `upload_url` and no `upload_token`, and a file need not have a `mimetype`;
* `entity_id` may be missing, as it has been on the live service;
* null may stand for any text, number, truth value or object: nullability is not declared, and the live service sends
  null for a `group_id`, a `published_date` and others;
* the `files` of an article may be missing: they are when readers may not see them;
* the value of a custom field is an object: on the live service it is a text or a list of texts;
* JSON may be labelled as HTML.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator

CONTRACT = json.loads((Path(__file__).parent / "contract.json").read_text(encoding="utf-8"))
SCHEMAS = CONTRACT["components"]["schemas"]
PATHS = {
    re.compile(re.sub(r"\{.*?\}", "[^/]+", path)): (path, operations) for path, operations in CONTRACT["paths"].items()
}


def relaxed(schema):
    """Return JSON Schema for OpenAPI 3.0: references below `$defs`, and null beside every type but an array's."""
    if isinstance(schema, list):
        return [relaxed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"anyOf": [{"$ref": "#/$defs/" + schema["$ref"].rpartition("/")[2]}, {"type": "null"}]}
    converted = {key: relaxed(value) for key, value in schema.items() if key not in ("format", "example", "x-tag")}
    if isinstance(converted.get("type"), str) and converted["type"] != "array":
        converted["type"] = [converted["type"], "null"]
    if "enum" in converted:
        converted["enum"] = [*converted["enum"], None]
    return converted


DEFINITIONS = {name: relaxed(schema) for name, schema in SCHEMAS.items()}
DEFINITIONS["PrivateFile"]["required"] = ["is_attached_to_public_version", "preview_state", "viewer_type"]
DEFINITIONS["LocationWarnings"]["required"] = ["location", "warnings"]
DEFINITIONS["ErrorMessage"]["properties"]["code"] = {"type": "string"}
DEFINITIONS["ErrorMessage"]["required"] = ["code", "message"]
DEFINITIONS["CustomArticleField"]["properties"]["value"] = {"type": ["string", "array", "object", "null"]}
DEFINITIONS["ArticleComplete"]["required"].remove("files")


def check(schema, value):
    """Hold a value to a schema."""
    Draft202012Validator({**relaxed(schema), "$defs": DEFINITIONS}).validate(value)
