"""What the sandbox does, one switch for each behaviour of figshare that a client can meet.

The defaults are the behaviour of the live service as far as it has been observed. Where it has not been, the switch
says "not observed", and a client must not depend on it.

What a switch means stands beside its default, and nowhere else: `onelight sandbox --list` prints it from here
(switches.py). What goes wrong on purpose, and how often, is in faults.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

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


# A part of the list that figshare has: fields of research (ANZSRC 2020) around neuroscience, and those above them.
# The numbers by which articles name them are made up, as they differ from one portal to another.
CATEGORIES = (
    Category(24184, "Biological Sciences", 0, "31", is_selectable=False),
    Category(24190, "Biochemistry and cell biology", 24184, "3101", is_selectable=False),
    Category(24192, "Cell development, proliferation and death", 24190, "310102"),
    Category(24199, "Signal transduction", 24190, "310111"),
    Category(24204, "Bioinformatics and computational biology", 24184, "3102", is_selectable=False),
    Category(24205, "Bioinformatic methods development", 24204, "310201"),
    Category(24206, "Biological network analysis", 24204, "310202"),
    Category(24208, "Genomics and transcriptomics", 24204, "310204"),
    Category(24211, "Statistical and quantitative genetics", 24204, "310207"),
    Category(24240, "Genetics", 24184, "3105", is_selectable=False),
    Category(24243, "Epigenetics", 24240, "310504"),
    Category(24244, "Gene expression", 24240, "310505"),
    Category(24270, "Zoology", 24184, "3109", is_selectable=False),
    Category(24272, "Animal behaviour", 24270, "310901"),
    Category(24277, "Animal neurobiology", 24270, "310906"),
    Category(24364, "Biomedical and Clinical Sciences", 0, "32", is_selectable=False),
    Category(24380, "Clinical sciences", 24364, "3202", is_selectable=False),
    Category(24401, "Psychiatry (incl. psychotherapy)", 24380, "320221"),
    Category(24402, "Radiology and organ imaging", 24380, "320222"),
    Category(24455, "Medical physiology", 24364, "3208", is_selectable=False),
    Category(24456, "Cell physiology", 24455, "320801"),
    Category(24457, "Human biophysics", 24455, "320802"),
    Category(24458, "Systems physiology", 24455, "320803"),
    Category(24466, "Neurosciences", 24364, "3209", is_selectable=False),
    Category(24468, "Autonomic nervous system", 24466, "320901"),
    Category(24469, "Cellular nervous system", 24466, "320902"),
    Category(24470, "Central nervous system", 24466, "320903"),
    Category(
        24471,
        "Computational neuroscience (incl. mathematical neuroscience and theoretical neuroscience)",
        24466,
        "320904",
    ),
    Category(24472, "Neurology and neuromuscular diseases", 24466, "320905"),
    Category(24473, "Peripheral nervous system", 24466, "320906"),
    Category(24475, "Sensory systems", 24466, "320907"),
    Category(24478, "Neurosciences not elsewhere classified", 24466, "320999"),
    Category(24481, "Clinical trials of a closed portal", 24466, "320998", is_allowed=False),
    Category(24510, "Ophthalmology and optometry", 24364, "3212", is_selectable=False),
    Category(24511, "Ophthalmology", 24510, "321201"),
    Category(24514, "Vision science", 24510, "321204"),
    Category(24520, "Pharmacology and pharmaceutical sciences", 24364, "3214", is_selectable=False),
    Category(24521, "Basic pharmacology", 24520, "321401"),
    Category(24902, "Engineering", 0, "40", is_selectable=False),
    Category(24920, "Biomedical engineering", 24902, "4003", is_selectable=False),
    Category(24924, "Biomedical imaging", 24920, "400304"),
    Category(24925, "Biomedical instrumentation", 24920, "400305"),
    Category(24929, "Neural engineering", 24920, "400309"),
    Category(25500, "Information and Computing Sciences", 0, "46", is_selectable=False),
    Category(25520, "Computer vision and multimedia computation", 25500, "4603", is_selectable=False),
    Category(25526, "Image processing", 25520, "460306"),
    Category(25528, "Pattern recognition", 25520, "460308"),
    Category(25529, "Video processing", 25520, "460309"),
    Category(25540, "Data management and data science", 25500, "4605", is_selectable=False),
    Category(25541, "Data engineering and data science", 25540, "460501"),
    Category(25542, "Data mining and knowledge discovery", 25540, "460502"),
    Category(25600, "Machine learning", 25500, "4611", is_selectable=False),
    Category(25603, "Deep learning", 25600, "461103"),
    Category(25604, "Neural networks", 25600, "461104"),
    Category(25605, "Reinforcement learning", 25600, "461105"),
    Category(25900, "Mathematical Sciences", 0, "49", is_selectable=False),
    Category(25930, "Statistics", 25900, "4905", is_selectable=False),
    Category(25931, "Applied statistics", 25930, "490501"),
    Category(25932, "Biostatistics", 25930, "490502"),
    Category(26400, "Psychology", 0, "52", is_selectable=False),
    Category(26420, "Biological psychology", 26400, "5202", is_selectable=False),
    Category(26421, "Behavioural genetics", 26420, "520201"),
    Category(26422, "Behavioural neuroscience", 26420, "520202"),
    Category(26423, "Cognitive neuroscience", 26420, "520203"),
    Category(26426, "Psychophysiology", 26420, "520206"),
    Category(26440, "Cognitive and computational psychology", 26400, "5204", is_selectable=False),
    Category(26441, "Cognition", 26440, "520401"),
    Category(26442, "Decision making", 26440, "520402"),
    Category(26443, "Learning, motivation and emotion", 26440, "520403"),
    Category(26444, "Memory and attention", 26440, "520404"),
    Category(26446, "Sensory processes, perception and performance", 26440, "520406"),
)

LICENSES = (
    License(1, "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    License(2, "CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    License(3, "MIT", "https://opensource.org/licenses/MIT"),
    License(4, "GPL", "https://www.gnu.org/licenses/gpl.html"),
    License(5, "GPL 2.0+", "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html"),
    License(6, "GPL 3.0+", "https://www.gnu.org/licenses/gpl-3.0.html"),
    License(7, "Apache 2.0", "https://www.apache.org/licenses/LICENSE-2.0.html"),
)


def _about(means: str, unit: str, alias: str = "", least: int = 0) -> dict[str, Any]:
    """Return what is known of a switch: its meaning, how its value is written, a short name, the least value."""
    return {"means": means, "unit": unit, "alias": alias, "least": least}


@dataclass(frozen=True)
class Settings:
    """Every behaviour that can be switched; what each one means stands beside it.

    Examples
    --------
    >>> Settings(part_size=1000, md5_late_ms=2000).part_size
    1000
    """

    part_size: int = field(
        default=10 * MIB,
        metadata=_about(
            "Bytes of each part of an upload but the last. Kept with each upload once begun.",
            "size",
            alias="parts",
            least=1,
        ),
    )
    page_default: int = field(default=10, metadata=_about("Rows of a list when none are asked for.", "count", least=1))
    page_max: int = field(default=1000, metadata=_about("The most rows that may be asked for.", "count", least=1))
    files_in_article: int = field(
        default=10,
        metadata=_about("Files that an article's own answer shows; its list of files has all of them.", "count"),
    )
    json_as_html: bool = field(
        default=True,
        metadata=_about("The JSON of a created article or file is labelled text/html, as figshare does.", "switch"),
    )
    update_body: bool = field(
        default=False, metadata=_about("A 205 carries JSON, as the specification says; figshare sends none.", "switch")
    )
    entity_id: bool = field(
        default=True,
        metadata=_about("The answer to a new article names its number; otherwise only its address does.", "switch"),
    )
    complete_as_html: bool = field(
        default=True,
        metadata=_about("The 202 of a completed upload has a page of HTML as body, otherwise nothing.", "switch"),
    )
    location_404_ms: int = field(
        default=0,
        metadata=_about(
            "The address of a new file answers 404 for so long (seen by WaterButler).", "ms", alias="new-404"
        ),
    )
    short_put_hang_seconds: float = field(
        default=60.0,
        metadata=_about(
            "A part that stops before its end keeps its request waiting so long, then 408.", "seconds", alias="hang"
        ),
    )
    long_put_status: int = field(
        default=413, metadata=_about("Answer to a part longer than announced. Not observed.", "status")
    )
    complete_pending_status: int = field(
        default=202,
        metadata=_about(
            "Answer to a completion while parts are missing; the file stays `created`. Not observed.", "status"
        ),
    )
    status_delay_ms: int = field(
        default=20,
        metadata=_about(
            "Time that a file spends in `ic_checking`, and again in `moving_to_final`.", "ms", alias="check-time"
        ),
    )
    stuck_moving: bool = field(
        default=False,
        metadata=_about(
            "No file ever leaves `moving_to_final`, though its md5 is there (seen by UoA-eResearch).", "switch"
        ),
    )
    md5_never: bool = field(default=False, metadata=_about("`computed_md5` stays empty for ever.", "switch"))
    md5_late_ms: int = field(
        default=0,
        metadata=_about(
            "`computed_md5` comes so long after a file is available: of all, or of those the fault md5-late takes.",
            "ms",
            alias="md5-late",
        ),
    )
    check_md5: bool = field(
        default=True, metadata=_about("A stated md5 that is not the content's ends in `ic_failure`.", "switch")
    )
    clear_upload_url: bool = field(
        default=True, metadata=_about("`upload_url` is empty once an upload is complete.", "switch")
    )
    duplicate_names: bool = field(
        default=True, metadata=_about("A second file of the same name gets a second id; otherwise 400.", "switch")
    )
    empty_file_status: int = field(
        default=400,
        metadata=_about(
            "Answer to a file of 0 bytes, which figshare does not take. The number is not observed.", "status"
        ),
    )
    show_folders: bool = field(
        default=True, metadata=_about("Articles have `folder_structure`; older instances do not.", "switch")
    )
    owner_is_author: bool = field(
        default=True,
        metadata=_about("The owner of the token becomes an author of each new article, unasked.", "switch"),
    )
    author_email: bool = field(
        default=False,
        metadata=_about(
            "An author may come with an email; figshare has refused that with 422 (seen by fairly).", "switch"
        ),
    )
    strict_fields: bool = field(
        default=True,
        metadata=_about("null for a text, and a title of fewer than 3 characters, are refused with 400.", "switch"),
    )
    publish_requires: tuple[str, ...] = field(
        default=("title", "description", "authors", "categories", "keywords", "files"),
        metadata=_about("What an article must have to be published.", "names"),
    )
    version_fields: tuple[str, ...] = field(
        default=("title", "authors", "license", "files"),
        metadata=_about(
            "A change in one of these makes publication a new version; any other changes the last one in place.",
            "names",
        ),
    )
    publish_lag_ms: int = field(
        default=0,
        metadata=_about(
            "A new version is invisible to the public for so long after the answer to publish.",
            "ms",
            alias="publish-lag",
        ),
    )
    search_lag_ms: int = field(
        default=0,
        metadata=_about(
            "A search does not find an article that was changed so short a time ago (seen by figshare-rs).",
            "ms",
            alias="search-lag",
        ),
    )
    review: bool = field(
        default=False,
        metadata=_about(
            "Publication is only a submission, as at institutions that review; the control endpoint approves it.",
            "switch",
        ),
    )
    delete_published: bool = field(
        default=False,
        metadata=_about("A published article may be deleted; an ordinary account may not (403).", "switch"),
    )
    unpublish: bool = field(
        default=False,
        metadata=_about("A published article may be made a draft again; an ordinary account may not (403).", "switch"),
    )
    doi: str = field(
        default="10.5072/m9.figshare.{article_id}.v{version}",
        metadata=_about("The DOI of a version. 10.5072 is DataCite's prefix for tests: it resolves nowhere.", "text"),
    )
    unauthorised_status: int = field(
        default=403,
        metadata=_about("Answer to a missing or wrong token: 403 on figshare, 401 in its documentation.", "status"),
    )
    bearer: bool = field(
        default=False,
        metadata=_about("`Authorization: Bearer TOKEN` is taken as well as `token TOKEN`. Not observed.", "switch"),
    )
    file_limit: int = field(default=500, metadata=_about("Files in an article.", "count", alias="files", least=1))
    quota: int = field(default=20 * GIB, metadata=_about("Bytes of unpublished files in an account.", "size"))
    maximum_file_size: int = field(default=20 * GIB, metadata=_about("Bytes of one file.", "size", alias="file-size"))
    file_limit_status: int = field(
        default=422, metadata=_about("Answer when an article is full. Not observed.", "status")
    )
    quota_status: int = field(
        default=403, metadata=_about("Answer when the quota would be exceeded. Not observed.", "status")
    )
    file_size_status: int = field(
        default=422, metadata=_about("Answer to a file that is too large. Not observed.", "status")
    )
    signature_seconds: int = field(
        default=10,
        metadata=_about(
            "How long the signed address of a file is good; 0 for one that is never good. Not observed.", "seconds"
        ),
    )
    signed_head_status: int = field(
        default=403, metadata=_about("Answer to HEAD on a signed address, whose signature is for GET.", "status")
    )
    private_length: bool = field(
        default=False,
        metadata=_about("An unpublished file is sent with Content-Length; figshare sends chunks without.", "switch"),
    )
    private_refusal_status: int = field(
        default=403, metadata=_about("Answer when an unpublished file is asked for without a right to it.", "status")
    )
    disabled_status: int = field(
        default=403,
        metadata=_about(
            "Answer when a file is asked for whose article has its downloads disabled. Not observed.", "status"
        ),
    )
    private_links: bool = field(
        default=True, metadata=_about("`?private_link=` opens the files of an unpublished article.", "switch")
    )
    latency_ms: int = field(
        default=0, metadata=_about("Every request waits so long before it is handled.", "ms", alias="latency")
    )
    latency_api_ms: int = field(
        default=0, metadata=_about("The same, in addition, for the API.", "ms", alias="latency-api")
    )
    latency_upload_ms: int = field(
        default=0, metadata=_about("The same, in addition, for the uploads.", "ms", alias="latency-upload")
    )
    latency_download_ms: int = field(
        default=0, metadata=_about("The same, in addition, for the signed downloads.", "ms", alias="latency-download")
    )
    retry_after_seconds: int = field(
        default=1,
        metadata=_about(
            "What the fault 429 asks for in `Retry-After`; 0 for no such header.", "seconds", alias="retry-after"
        ),
    )
    slow_rate: int = field(
        default=100_000,
        metadata=_about("Bytes per second of an answer that the fault slow takes.", "size", alias="slow", least=1),
    )
    lost_seconds: float = field(
        default=30.0,
        metadata=_about("How long the fault lost keeps a connection open without an answer.", "seconds", alias="lost"),
    )
    categories: tuple[Category, ...] = field(
        default=CATEGORIES,
        metadata=_about(
            "The categories there are, by number. Setting one that only groups others, or is not allowed, answers 404.",
            "categories",
        ),
    )
    licenses: tuple[License, ...] = field(
        default=LICENSES, metadata=_about("The licences there are, by number.", "licenses")
    )
