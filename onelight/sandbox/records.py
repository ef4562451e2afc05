"""How articles and files look in answers; reads the state, changes nothing."""

from __future__ import annotations

import functools
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from onelight.sandbox.fields import DEFAULTS, TYPE_NAMES
from onelight.sandbox.restrictions import IN_PLACE, hides_files, restricted
from onelight.sandbox.state import now_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Container

    from onelight.sandbox.context import Context
    from onelight.sandbox.settings import Category

# Statuses in which the content of a file is whole and its md5 is known.
STORED = ("moving_to_final", "available")


class Shown(NamedTuple):
    """One state of an article: its draft, or a published version of it."""

    id: int
    fields: dict[str, Any]
    created: int
    modified: int
    doi: str
    version: int  # of the draft: the last that is visible, 0 for none
    published: int  # 0 for never
    is_draft: bool
    account_id: int
    shows: dict[str, Any]  # what is restricted, and what the control endpoint wants to be seen


def stamp(ms: int) -> str:
    """Return a time as figshare writes it."""
    return datetime.fromtimestamp(ms // 1000, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def draft(ctx: Context, row: sqlite3.Row) -> Shown:
    """Return an article as its owner edits it, from its row."""
    fields = {**DEFAULTS, **json.loads(row["fields"])}
    last = ctx.state.row(
        "SELECT version, published FROM versions WHERE article_id = ? AND visible <= ? ORDER BY version DESC LIMIT 1",
        row["id"],
        now_ms(),
    )
    version, published = (0, 0) if last is None else (last["version"], last["published"])
    shows = json.loads(row["shows"])
    doi = doi_of(ctx, shows, row["id"], version) if version else row["doi"]
    fields.update({name: shows[name] for name in IN_PLACE if name in shows})
    ids = {"account_id": row["account_id"], "shows": shows}
    return Shown(row["id"], fields, row["created"], row["modified"], doi, version, published, is_draft=True, **ids)


def doi_of(ctx: Context, shows: dict[str, Any], article_id: int, version: int) -> str:
    """Return the DOI of a version: as all have it, or as the control endpoint gave it to the article."""
    pattern: str = shows.get("doi") or ctx.settings.doi
    return pattern.replace("{article_id}", str(article_id)).replace("{version}", str(version))


def published(ctx: Context, row: sqlite3.Row) -> Shown:
    """Return a version as the public sees it, from the row of its article and version joined."""
    shows = json.loads(row["shows"])
    doi = doi_of(ctx, shows, row["article_id"], row["version"])
    fields = {**DEFAULTS, **json.loads(row["fields"])}
    fields.update({name: shows[name] for name in IN_PLACE if name in shows})
    when = row["published"]
    ids = {"account_id": row["account_id"], "shows": shows}
    return Shown(row["article_id"], fields, row["created"], when, doi, row["version"], when, is_draft=False, **ids)


# ---------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------


def file_record(ctx: Context, row: sqlite3.Row) -> dict[str, Any]:
    """Return a file as the public sees it ("PublicFile")."""
    known = row["status"] in (*STORED, "ic_failure") and not ctx.settings.md5_never and row["md5_from"] <= now_ms()
    return {
        "id": row["id"],
        "name": row["name"],
        "size": row["size"],
        "is_link_only": bool(row["link"]),
        "download_url": row["link"] or f"{ctx.origins.api}/files/{row['id']}",
        "supplied_md5": row["supplied_md5"],
        "computed_md5": row["md5"] if known else "",
        "mimetype": row["mimetype"],
    }


def private_file_record(ctx: Context, row: sqlite3.Row) -> dict[str, Any]:
    """Return a file as its owner sees it ("PrivateFile"); a linked one has no address to upload to."""
    record = file_record(ctx, row)
    record["status"] = row["status"]
    record["viewer_type"] = ""
    record["preview_state"] = "preview_not_available"
    record["is_attached_to_public_version"] = bool(row["public"])
    if not row["link"]:
        is_open = row["status"] == "created" or not ctx.settings.clear_upload_url
        record["upload_url"] = f"{ctx.origins.upload}/upload/{row['token']}" if is_open else ""
        record["upload_token"] = row["token"]
    return record


_DRAFT_FILES = "FROM files f WHERE f.article_id = ? AND f.attached = 1"
_VERSION_FILES = "FROM version_files v JOIN files f ON f.id = v.file_id WHERE v.article_id = ? AND v.version = ?"


def files_of(ctx: Context, shown: Shown, limit: int, offset: int = 0) -> list[sqlite3.Row]:
    """Return the rows of an article's files, oldest first."""
    source, keys = _files_source(shown)
    return ctx.state.rows(f"SELECT f.* {source} ORDER BY f.id LIMIT ? OFFSET ?", *keys, limit, offset)


def _files_source(shown: Shown) -> tuple[str, tuple[int, ...]]:
    return (_DRAFT_FILES, (shown.id,)) if shown.is_draft else (_VERSION_FILES, (shown.id, shown.version))


# ---------------------------------------------------------------------------------------------------------------
# Articles
# ---------------------------------------------------------------------------------------------------------------


def article_record(ctx: Context, shown: Shown) -> dict[str, Any]:
    """Return an article as lists show it ("Article")."""
    own, public = ctx.origins.own_article(shown.id), ctx.origins.article(shown.id)
    page = f"{ctx.origins.api}/articles/{TYPE_NAMES[shown.fields['defined_type']].replace(' ', '_')}/_/{shown.id}"
    published_date = stamp(shown.published) if shown.published else None
    return {
        "id": shown.id,
        "title": shown.fields["title"],
        "doi": shown.doi,
        "handle": shown.fields["handle"],
        "url": own if shown.is_draft else public,
        "published_date": published_date,
        "thumb": "",
        "defined_type": shown.fields["defined_type"],
        "defined_type_name": TYPE_NAMES[shown.fields["defined_type"]],
        "group_id": shown.fields["group_id"],
        "url_private_api": own,
        "url_public_api": public,
        "url_private_html": f"{ctx.origins.api}/account/articles/{shown.id}",
        "url_public_html": f"{page}/{shown.version}" if shown.version else page,
        "timeline": _timeline(shown),
        "resource_title": shown.fields["resource_title"],
        "resource_doi": shown.fields["resource_doi"],
        "created_date": stamp(shown.created),
        "modified_date": stamp(shown.modified),
    }


def searched_record(ctx: Context, shown: Shown) -> dict[str, Any]:
    """Return an article as searches show it ("ArticleWithProject"); there are no projects here."""
    return {**article_record(ctx, shown), "project_id": None}


def complete_record(ctx: Context, shown: Shown) -> dict[str, Any]:
    """Return an article with all there is to say ("ArticleComplete", "ArticleCompletePrivate").

    Of its files only the first are shown, of its folders all.
    """
    record = article_record(ctx, shown)
    fields = shown.fields
    source, keys = _files_source(shown)
    size, links = ctx.state.rows(f"SELECT TOTAL(f.size), TOTAL(f.link != '') {source}", *keys)[0]
    record.update({name: fields[name] for name in _AS_STORED})
    record.update(
        {
            "figshare_url": record["url_public_html"],
            "files": [file_record(ctx, row) for row in files_of(ctx, shown, ctx.settings.files_in_article)],
            "tags": fields["keywords"],
            "categories": category_records(ctx, fields["categories"]),
            "license": next((x._asdict() for x in ctx.settings.licenses if x.value == fields["license"]), None),
            "size": int(size),
            "has_linked_file": bool(links),
            "version": shown.version,
            "status": "public" if shown.version else "draft",
            "is_public": bool(shown.version),
            "citation": _citation(shown),
            **restricted(shown.shows),
        }
    )
    if ctx.settings.show_folders:
        rows = ctx.state.rows(f"SELECT f.id, f.folder {source} AND f.folder != '' ORDER BY f.id", *keys)
        record["folder_structure"] = {str(row["id"]): row["folder"] for row in rows}
    if shown.is_draft:
        status = shown.shows.get("curation_status", "approved" if shown.version else "")
        record.update(account_id=shown.account_id, curation_status=status, group_resource_id=None)
    elif hides_files(shown.shows):
        del record["files"]
    return record


_AS_STORED = (
    "description",
    "is_metadata_record",
    "metadata_reason",
    "keywords",
    "references",
    "related_materials",
    "custom_fields",
    "authors",
    "funding",
    "funding_list",
    "download_disabled",
)


def category_records(ctx: Context, chosen: Container[int] | None = None) -> list[dict[str, Any]]:
    """Return categories ("Category"): those of an article, or all."""
    paths = _paths(ctx.settings.categories)
    known = ctx.settings.categories
    return [_category_record(item, paths[item.id]) for item in known if chosen is None or item.id in chosen]


@functools.lru_cache(maxsize=4)
def _paths(categories: tuple[Category, ...]) -> dict[int, str]:
    """Return where in the tree each category is: the numbers from the top down to its own."""
    above = {category.id: category.parent_id for category in categories}
    paths: dict[int, str] = {}
    for number in above:
        steps, place = [], number
        while place in above:
            steps.append(f"/{place}")
            place = above[place]
        paths[number] = "".join(reversed(steps))
    return paths


def _category_record(category: Category, path: str) -> dict[str, Any]:
    return {
        "id": category.id,
        "title": category.title,
        "parent_id": category.parent_id,
        "path": path,
        "source_id": category.source_id,
        "taxonomy_id": 100,
    }


def _timeline(shown: Shown) -> dict[str, str]:
    timeline: dict[str, str] = dict(shown.fields["timeline"])
    if shown.published:
        timeline["posted"] = stamp(shown.published).rstrip("Z")
    return timeline


def _citation(shown: Shown) -> str:
    names = "; ".join(author["full_name"] for author in shown.fields["authors"])
    year = stamp(shown.published or shown.created)[:4]
    kind = TYPE_NAMES[shown.fields["defined_type"]].capitalize()
    return f"{names} ({year}). {shown.fields['title']}. figshare sandbox. {kind}. {shown.doi}".strip()
