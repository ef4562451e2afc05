"""What a path means: sessions, datasets, and questions for them.

A data folder holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/`` (a *session*), and below it *datasets*, files named
``[collection/][#revision#/][_namespace_]object.attribute[_timescale][.extra]*.extension``. This package turns such
texts into frozen values and back (``names``), says of a text that is not strict ALF why not and what the nearest right
name is (``strict``), answers which datasets a question means (``ask``), and knows which names are safe (``safe``). It
opens no file.
"""

from onelight.alf.ask import Pattern, Query, date_filter, newest, range_filter, value_filter, wildcard
from onelight.alf.names import DATASET_FORM, SESSION_FORM, Dataset, Session, sharing_problems, split_path
from onelight.alf.safe import check_safe, printable, windows_problems
from onelight.alf.strict import nearest, nearest_name, session_remarks, strict_problems

__all__ = [
    "DATASET_FORM",
    "SESSION_FORM",
    "Dataset",
    "Pattern",
    "Query",
    "Session",
    "check_safe",
    "date_filter",
    "nearest",
    "nearest_name",
    "newest",
    "printable",
    "range_filter",
    "session_remarks",
    "sharing_problems",
    "split_path",
    "strict_problems",
    "value_filter",
    "wildcard",
    "windows_problems",
]
