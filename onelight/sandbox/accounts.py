"""Whose the articles are: the accounts, each with a token, an author, and room of its own."""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlite3

    from onelight.sandbox.settings import Settings
    from onelight.sandbox.state import State

# The number of the first account; the next ones follow it. An owner as an author has the number of the account.
FIRST = 4_000_001


class Account(NamedTuple):
    """One account.

    Parameters
    ----------
    id : int
        Its number.
    name : str
        The full name of its owner.
    token : str
        What its owner shows.
    quota, max_files : int or None
        Bytes of unpublished files, files in an article; None for what the settings say.
    """

    id: int
    name: str
    token: str
    quota: int | None = None
    max_files: int | None = None

    def room(self, settings: Settings) -> int:
        """Return how many bytes of unpublished files this account may have."""
        return settings.quota if self.quota is None else self.quota

    def file_limit(self, settings: Settings) -> int:
        """Return how many files an article of this account may have."""
        return settings.file_limit if self.max_files is None else self.max_files

    @property
    def first_name(self) -> str:
        """All of the name but its last word."""
        return self.name.rpartition(" ")[0]

    @property
    def last_name(self) -> str:
        """The last word of the name."""
        return self.name.rpartition(" ")[2]

    @property
    def email(self) -> str:
        """An address that leads nowhere."""
        if self.id == FIRST:
            return "owner@sandbox.invalid"
        return f"{re.sub('[^a-z0-9]+', '.', self.name.lower()).strip('.') or 'owner'}.{self.id}@sandbox.invalid"

    def as_author(self) -> dict[str, Any]:
        """Return the owner as an author."""
        return author(self.id, self.first_name, self.last_name, is_active=True)


def author(
    number: int, first_name: str, last_name: str, orcid_id: str = "", *, is_active: bool = False
) -> dict[str, Any]:
    """Return an author as answers show one ("Author")."""
    full_name = f"{first_name} {last_name}".strip()
    return {
        "id": number,
        "full_name": full_name,
        "first_name": first_name,
        "last_name": last_name,
        "is_active": is_active,
        "url_name": full_name.replace(" ", "_") or "_",
        "orcid_id": orcid_id,
    }


class Accounts:
    """All accounts.

    Parameters
    ----------
    state : State
        Where they are kept; the token of the first one is the state's own.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._others = [_account(row) for row in state.rows("SELECT * FROM accounts ORDER BY id")]

    @property
    def first(self) -> Account:
        """The account that every sandbox has."""
        return Account(FIRST, "Rehearsal Owner", self._state.token)

    def all(self) -> list[Account]:
        """Return all accounts, the first one first."""
        return [self.first, *self._others]

    def by_token(self, token: str) -> Account | None:
        """Return the account that a token opens."""
        shown = token.encode()
        found = [account for account in self.all() if hmac.compare_digest(account.token.encode(), shown)]
        return found[0] if found else None

    def by_id(self, number: int) -> Account | None:
        """Return the account with a number."""
        return next((account for account in self.all() if account.id == number), None)

    def add(self, name: str, quota: int | None = None, max_files: int | None = None) -> Account:
        """Make another account.

        Raises
        ------
        ValueError
            If its name is empty, or a limit is no limit.
        """
        if not name.strip():
            raise ValueError("name: an account needs a name")
        for limit in (quota, max_files):
            if limit is not None and limit < 0:
                raise ValueError(f"{limit} is no limit")
        number = self.all()[-1].id + 1
        account = Account(number, " ".join(name.split()), secrets.token_hex(32), quota, max_files)
        self._state.run("INSERT INTO accounts VALUES (?, ?, ?, ?, ?)", *account)
        self._others.append(account)
        return account


def _account(row: sqlite3.Row) -> Account:
    return Account(row["id"], row["name"], row["token"], row["quota"], row["max_files"])
