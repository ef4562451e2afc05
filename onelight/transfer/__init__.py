"""Moving bytes, and making sure of them: plan, then act.

A plan is data made by a pure look (:mod:`~onelight.transfer.plan`); a dry run prints it, a run does it. Whatever the
kind of repository, the same things hold here and nowhere else: a file is written beside its place, its size and md5
are compared, and only then it gets its name; what is whole is kept without a request; a broken transfer is continued;
one failure does not stop the others; and the outcome of every file is told.
"""

from onelight.transfer.compare import Compared, Mark, compare
from onelight.transfer.download import download
from onelight.transfer.ledger import Ledger
from onelight.transfer.outcome import Outcome, Progress, Silent, Status, Verified, raise_failures
from onelight.transfer.plan import (
    Conflict,
    Drop,
    Fetch,
    Keep,
    Put,
    Skip,
    packed,
    plan_download,
    plan_drops,
    plan_upload,
)
from onelight.transfer.upload import upload

__all__ = [
    "Compared",
    "Conflict",
    "Drop",
    "Fetch",
    "Keep",
    "Ledger",
    "Mark",
    "Outcome",
    "Progress",
    "Put",
    "Silent",
    "Skip",
    "Status",
    "Verified",
    "compare",
    "download",
    "packed",
    "plan_download",
    "plan_drops",
    "plan_upload",
    "raise_failures",
    "upload",
]
