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
RELATIONS = (
    *("IsCitedBy", "Cites", "IsSupplementTo", "IsSupplementedBy", "IsContinuedBy", "Continues", "Describes"),
    *("IsDescribedBy", "HasMetadata", "IsMetadataFor", "HasVersion", "IsVersionOf", "IsNewVersionOf"),
    *("IsPreviousVersionOf", "IsPartOf", "HasPart", "IsPublishedIn", "IsReferencedBy", "References", "IsDocumentedBy"),
    *("Documents", "IsCompiledBy", "Compiles", "IsVariantFormOf", "IsOriginalFormOf", "IsIdenticalTo", "IsReviewedBy"),
    *("Reviews", "IsDerivedFrom", "IsSourceOf", "IsRequiredBy", "Requires", "IsObsoletedBy", "Obsoletes"),
)
IDENTIFIERS = (
    *("ARK", "arXiv", "bibcode", "DOI", "EAN13", "EISSN", "Handle", "IGSN", "ISBN", "ISSN", "ISTC", "LISSN", "LSID"),
    *("PMID", "PURL", "UPC", "URL", "URN", "w3id"),
)
TYPE_NAMES = {number: name for name, number in TYPES.items()}

DEFAULTS: dict[str, Any] = {
    "title": "",
    "description": "",
    "is_metadata_record": False,
    "metadata_reason": "",
    "keywords": [],
    "references": [],
    "related_materials": [],
    "custom_fields": [],
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
    "custom_fields": dict,
    "custom_fields_list": list,
    "funding": str,
    "funding_list": list,
    "license": int,
    "doi": str,
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
    "custom_fields_list": dict,
    "funding_list": dict,
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
    if "license" in fields:
        fields["license"] = _license(fields["license"], settings)
    fields.pop("doi", None)  # An ordinary account may send one, and it counts for nothing ("ArticleCreate").
    _rewrite_lists(fields)
    return fields


def _rewrite_lists(fields: dict[str, Any]) -> None:
    """Give the lists of things the form in which they are read."""
    if "funding_list" in fields:
        fields["funding_list"] = [_funding(number, item) for number, item in enumerate(fields["funding_list"], 1)]
    if "related_materials" in fields:
        materials = enumerate(fields["related_materials"], 1)
        fields["related_materials"] = [_related(number, item) for number, item in materials]
    custom = dict(fields.pop("custom_fields", {}))
    for item in fields.pop("custom_fields_list", ()):
        must_be("custom_fields_list: name", item.get("name"), str)
        custom[item["name"]] = item.get("value")
    if custom:
        fields["custom_fields"] = [_custom(number, *item) for number, item in enumerate(custom.items(), 1)]


def _license(number: int, settings: Settings) -> int:
    """Return the number of a licence; 0, the default of the specification, is the first there is."""
    if number == 0:
        return settings.licenses[0].value if settings.licenses else 0
    if all(number != known.value for known in settings.licenses):
        raise not_found("License")
    return number


def _funding(number: int, item: dict[str, Any]) -> dict[str, Any]:
    """Return a grant ("FundingInformation") from a number, or from a title."""
    known: dict[str, type] = {"id": int, "title": str}
    for name, kind in known.items():
        if name in item:
            must_be(f"funding_list: {name}", item[name], kind)
    if not item.get("title") and "id" not in item:
        raise bad_request("funding_list: 'title' is a required property")
    record = {"id": number, "title": "", "grant_code": "", "funder_name": "", "url": "", "is_user_defined": 1}
    record.update({name: item[name] for name in known if name in item})
    return {**record, "is_user_defined": int("id" not in item)}


def _related(number: int, item: dict[str, Any]) -> dict[str, Any]:
    """Return a related material ("RelatedMaterial"), with what is the default where nothing is said."""
    record: dict[str, Any] = {
        "id": number,
        "identifier": "",
        "title": "",
        "relation": "References",
        "identifier_type": "URL",
        "is_linkout": False,
    }
    for name, default in record.items():
        if name in item:
            must_be(f"related_materials: {name}", item[name], type(default))
    record.update({name: item[name] for name in record if name in item})
    for name, known in (("relation", RELATIONS), ("identifier_type", IDENTIFIERS)):
        if record[name] not in known:
            raise bad_request(f"related_materials: {record[name]!r} is not one of {list(known)!r}")
    is_doi = record["identifier_type"] == "DOI"
    return {**record, "link": f"https://doi.org/{record['identifier']}" if is_doi else record["identifier"]}


def _custom(number: int, name: str, value: object) -> dict[str, Any]:
    """Return a custom field ("CustomArticleField"); here every name is one that there is."""
    if not isinstance(value, (str, list, dict, type(None))):
        raise bad_request(f"custom_fields: {value!r} is not of type 'string'")
    return {
        "name": name,
        "value": value,
        "field_type": "text",
        "settings": {},
        "order": number,
        "is_mandatory": False,
    }


def _check_types(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        must_be(name, value, EXPECTED[name])
        for item in value if name in ITEMS else ():
            must_be(name, item, ITEMS[name])
    for name, value in fields.get("timeline", {}).items():
        must_be(f"timeline: {name}", value, str)


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
