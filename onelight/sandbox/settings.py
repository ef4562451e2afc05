"""What the sandbox does, one switch for each behaviour of figshare that a client can meet.

The defaults are the behaviour of the live service as far as it has been observed. Where it has not been, the field
says "not observed", and a client must not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MIB = 2**20
GIB = 2**30


class Category(NamedTuple):
    """One entry of the list of categories.

    Parameters
    ----------
    id : int
        Number by which an article names the category.
    title : str
        Text for people.
    parent_id : int
        The category above, 0 at the top.
    source_id : str
        Number in the ANZSRC 2020 fields of research.
    is_selectable : bool
        False for the upper levels, which only group others.
    is_allowed : bool
        False for one that is listed but that this account may not use, as happens on the live service.
    """

    id: int
    title: str
    parent_id: int
    source_id: str
    is_selectable: bool = True
    is_allowed: bool = True


class License(NamedTuple):
    """One entry of the list of licences; `value` is the number by which an article names it."""

    value: int
    name: str
    url: str


CATEGORIES = (
    Category(24184, "Biological Sciences", 0, "31", is_selectable=False),
    Category(24277, "Animal neurobiology", 24184, "310902"),
    Category(24364, "Biomedical and Clinical Sciences", 0, "32", is_selectable=False),
    Category(24466, "Neurosciences", 24364, "3209", is_selectable=False),
    Category(24470, "Central nervous system", 24466, "320903"),
    Category(24475, "Sensory systems", 24466, "320907"),
    Category(24478, "Neurosciences not elsewhere classified", 24466, "320999"),
    Category(24481, "Clinical trials of a closed portal", 24466, "320998", is_allowed=False),
)

LICENSES = (
    License(1, "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    License(2, "CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    License(3, "MIT", "https://opensource.org/licenses/MIT"),
)


@dataclass(frozen=True)
class Settings:
    """Every behaviour that can be switched.

    Parameters
    ----------
    part_size : int
        Bytes of each part of an upload but the last; 10 MiB on the live service. Kept with each upload once begun.
    page_default, page_max : int
        Rows of a list when none are asked for, and the most that may be asked for (figshare API, November 2024).
    files_in_article : int
        Files that an article's own answer shows; the `/files` list has all of them (same change).
    json_as_html : bool
        The JSON of a created article or file is labelled `text/html`, as the live service does.
    update_body : bool
        A 205 carries JSON, as the specification says; the live service sends none.
    complete_as_html : bool
        The 202 of a completed upload has a page of HTML as body, otherwise nothing.
    location_404_ms : int
        The address of a new file answers 404 for so long (seen by WaterButler).
    short_put_hang_seconds : float
        A part that stops before its end keeps its request waiting so long, then is answered 408.
    long_put_status : int
        Answer to a part longer than announced. Not observed.
    complete_pending_status : int
        Answer to a completion while parts are missing; the file stays `created`. The number is not observed.
    status_delay_ms : int
        Time that a file spends in each of `ic_checking` and `moving_to_final`; the md5 comes after the first.
    stuck_moving : bool
        Files never leave `moving_to_final`, though their md5 is there (seen by UoA-eResearch).
    md5_never : bool
        `computed_md5` stays empty for ever.
    check_md5 : bool
        A stated md5 that is not the content's ends in `ic_failure`.
    clear_upload_url : bool
        `upload_url` is empty once an upload is complete.
    duplicate_names : bool
        A second file of the same name gets a second id; otherwise 400.
    empty_file_status : int
        Answer to a file of 0 bytes, which figshare does not take. The number is not observed.
    show_folders : bool
        Articles have `folder_structure`; older instances do not.
    owner_is_author : bool
        The owner of the token becomes an author of each new article, unasked.
    strict_fields : bool
        null for a text, and a title of fewer than 3 characters, are refused with 400.
    publish_requires : tuple of str
        What an article must have to be published.
    version_fields : tuple of str
        A change in one of these makes publication a new version; any other changes the last version in place.
    publish_lag_ms : int
        A new version is invisible to the public for so long after the answer to publish.
    delete_published : bool
        A published article may be deleted; for ordinary accounts it may not (403).
    unauthorised_status : int
        Answer to a missing or wrong token: 403 on the live service, 401 in its documentation.
    file_limit, quota, maximum_file_size : int
        Files in an article, bytes of unpublished files, bytes of one file.
    file_limit_status, quota_status, file_size_status : int
        Answers when one of these would be exceeded. Not observed.
    signature_seconds : int
        How long the signed address of a file is good; 0 for one that is never good. Not observed.
    signed_head_status : int
        Answer to HEAD on a signed address, whose signature is for GET.
    private_length : bool
        The content of an unpublished file is sent with Content-Length; the live service sends chunks without.
    private_refusal_status : int
        Answer when an unpublished file is asked for without a right to it.
    private_links : bool
        `?private_link=` opens the files of an unpublished article.
    categories : tuple of Category
        The categories there are. Setting one that is not selectable or not allowed answers 404.
    licenses : tuple of License
        The licences there are.
    """

    part_size: int = 10 * MIB
    page_default: int = 10
    page_max: int = 1000
    files_in_article: int = 10
    json_as_html: bool = True
    update_body: bool = False
    complete_as_html: bool = True
    location_404_ms: int = 0
    short_put_hang_seconds: float = 60.0
    long_put_status: int = 413
    complete_pending_status: int = 202
    status_delay_ms: int = 20
    stuck_moving: bool = False
    md5_never: bool = False
    check_md5: bool = True
    clear_upload_url: bool = True
    duplicate_names: bool = True
    empty_file_status: int = 400
    show_folders: bool = True
    owner_is_author: bool = True
    strict_fields: bool = True
    publish_requires: tuple[str, ...] = ("title", "description", "authors", "categories", "keywords", "files")
    version_fields: tuple[str, ...] = ("title", "authors", "license", "files")
    publish_lag_ms: int = 0
    delete_published: bool = False
    unauthorised_status: int = 403
    file_limit: int = 500
    quota: int = 20 * GIB
    maximum_file_size: int = 20 * GIB
    file_limit_status: int = 422
    quota_status: int = 403
    file_size_status: int = 422
    signature_seconds: int = 10
    signed_head_status: int = 403
    private_length: bool = False
    private_refusal_status: int = 403
    private_links: bool = True
    categories: tuple[Category, ...] = CATEGORIES
    licenses: tuple[License, ...] = LICENSES
