"""What an article says of itself: its fields, their defaults, and which values are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onelight.sandbox.answers import ApiError, bad_request, not_found

if TYPE_CHECKING:
    from onelight.sandbox.settings import Category, Settings

SHORTEST_TITLE = 3
LONGEST_TITLE = 1000
LONGEST_DESCRIPTION = 20_000

# Written as a word, read as a number and a word (figshare API, "ArticleCreate").
TYPES = {
    "figure": 1,
    "media": 2,
    "dataset": 3,
    "poster": 5,
    "journal contribution": 6,
    "presentation": 7,
    "thesis": 8,
    "software": 9,
    "online resource": 11,
    "preprint": 12,
    "book": 13,
    "conference contribution": 14,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

DEFAULTS: dict[str, Any] = {
    "title": "",
    "description": "",
    "is_metadata_record": False,
    "metadata_reason": "",
    "keywords": [],
    "references": [],
    "related_materials": [],
    "categories": [],
    "authors": [],
    "defined_type": TYPES["dataset"],
    "funding": "",
    "funding_list": [],
    "license": 1,
    "handle": "",
    "resource_doi": "",
    "resource_title": "",
    "timeline": {},
    "download_disabled": False,
    "group_id": None,
}

EXPECTED: dict[str, type] = {
    "title": str,
    "description": str,
    "is_metadata_record": bool,
    "metadata_reason": str,
    "tags": list,
    "keywords": list,
    "references": list,
    "related_materials": list,
    "categories": list,
    "categories_by_source_id": list,
    "authors": list,
    "defined_type": str,
    "funding": str,
    "license": int,
    "handle": str,
    "resource_doi": str,
    "resource_title": str,
    "timeline": dict,
    "download_disabled": bool,
    "group_id": int,
}
ITEMS: dict[str, type] = {
    "tags": str,
    "keywords": str,
    "references": str,
    "related_materials": dict,
    "categories": int,
    "categories_by_source_id": str,
    "authors": dict,
}
TYPE_WORDS: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    list: "array",
    dict: "object",
}


def must_be(name: str, value: object, kind: type) -> None:
    """Refuse a value of another type, in the words of the live service."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise bad_request(f"{name}: {value!r} is not of type '{TYPE_WORDS[kind]}'")


def cleaned(body: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the fields that a request sets, as they are stored. Authors are left as they were sent.

    Raises
    ------
    ApiError
        400 for a value of the wrong type or length, 404 for a category or licence that may not be set.
    """
    fields = {name: value for name, value in body.items() if name in EXPECTED}
    if not settings.strict_fields:
        fields = {name: value for name, value in fields.items() if value is not None}
    _check_types(fields)
    _check_lengths(fields, settings)
    if "tags" in fields:  # An older name of the same field.
        fields["keywords"] = [*fields.pop("tags"), *fields.get("keywords", [])]
    if "keywords" in fields:
        fields["keywords"] = list(dict.fromkeys(fields["keywords"]))
    if "categories_by_source_id" in fields:
        fields["categories"] = _by_source(fields.pop("categories_by_source_id"), settings)
    for number in fields.get("categories", []):
        allowed_category(number, settings)
    if "defined_type" in fields:
        fields["defined_type"] = _type_number(fields["defined_type"])
    if "license" in fields and all(fields["license"] != known.value for known in settings.licenses):
        raise not_found("License")
    return fields


def _check_types(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        must_be(name, value, EXPECTED[name])
        for item in value if name in ITEMS else ():
            must_be(name, item, ITEMS[name])


def _check_lengths(fields: dict[str, Any], settings: Settings) -> None:
    title = fields.get("title")
    if title is not None and settings.strict_fields and len(title) < SHORTEST_TITLE:
        raise bad_request(f"title: {title!r} is too short")
    if title is not None and len(title) > LONGEST_TITLE:
        raise bad_request("title: the text is too long")
    if len(fields.get("description", "")) > LONGEST_DESCRIPTION:
        raise bad_request("description: the text is too long")


def _type_number(name: str) -> int:
    if name not in TYPES:
        raise bad_request(f"defined_type: {name!r} is not one of {list(TYPES)!r}")
    return TYPES[name]


def _by_source(sources: list[str], settings: Settings) -> list[int]:
    known = {category.source_id: category.id for category in settings.categories}
    return [known.get(source, 0) for source in sources]


def allowed_category(number: int, settings: Settings) -> Category:
    """Return a category that an article may have; 404 for any other, as the live service answers."""
    for category in settings.categories:
        if category.id == number and category.is_selectable and category.is_allowed:
            return category
    raise ApiError(404, "EntityNotFound", f"Not allowed to set category {number}")
