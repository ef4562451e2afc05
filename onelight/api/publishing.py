"""The fifth part of One: what is shared is compared, described, published and cited."""

from __future__ import annotations

import builtins
from pathlib import Path

from onelight.api.sharing import Sharing
from onelight.description import Description, Difference
from onelight.errors import ReadOnlyRepository, RepositoryError
from onelight.repository import Citation, Publication, PublishableRepository
from onelight.transfer import Compared, compare


class Publishing(Sharing):
    """Publication, and what has to be known before it and after."""

    def status(self, root: Path | str | None = None) -> builtins.list[Compared]:
        """Compare a local folder, the repository and what the public sees, by size and md5.

        Parameters
        ----------
        root : Path or str, optional
            The data root; without it only repository and public are compared.

        Returns
        -------
        list of Compared
            One for each file of any side, and for each that a broken run has left; nothing differs if
            ``all(one.is_clean for one in …)``.

        Raises
        ------
        AccessDenied, ReadOnlyRepository
            If the repository cannot be looked into.
        RepositoryNotFound
            If there is no such folder.
        """
        repository = self._writable()
        local = self.scan(root, md5=True).index if root is not None else None
        stored = repository.stored()
        indexed = repository.committed()
        public = repository.published() if isinstance(repository, PublishableRepository) else None
        return compare(local, stored, indexed, public, repository.leftovers())

    def missing_for_publication(self) -> builtins.list[str]:
        """Return what the repository still needs before it can be published; empty if nothing."""
        return self._publishable().missing_for_publication()

    def publish(self, root: Path | str | None = None) -> Publication:
        """Publish the repository. This cannot be undone.

        Parameters
        ----------
        root : Path or str, optional
            The data root: nothing is published unless the repository holds exactly what is there.

        Returns
        -------
        Publication
            The public address, version and DOI.

        Raises
        ------
        RepositoryError
            If something that publication needs is missing, or the repository differs from the folder; nothing is
            published then.
        """
        repository = self._publishable()
        if root is not None:
            wrong = [one for one in self.status(root) if one.local is not None and one.local.value != "="]
            if wrong:
                raise RepositoryError(
                    f"'{repository.name}' is not what {root} holds: of {len(wrong)} files that is not so, the first is"
                    f" {wrong[0].path} ({wrong[0].why})",
                    hint=f"Nothing was published. See all of it: onelight status {root}",
                )
        published = repository.publish()
        self._current.expire()
        return published

    def description(self) -> Description:
        """Return what the repository says of itself: title, authors, keywords and so on."""
        return self._publishable().description()

    def unpublished(self) -> builtins.list[Difference]:
        """Return what the draft says of itself otherwise than what is public; empty if nothing was published."""
        return self._publishable().unpublished()

    def compare_description(self, description: Description) -> builtins.list[Difference]:
        """Return in which fields the repository says something else; a field that is empty says nothing."""
        return self._publishable().compare_description(description)

    def set_description(self, description: Description, *, how_to_download: bool = False) -> builtins.list[str]:
        """Say this of the repository, as far as it differs.

        Parameters
        ----------
        description : Description
            What it is to say; see :func:`onelight.read_description` for the file that people write.
        how_to_download : bool
            Add to its text how to get the data with ONE light, unless that stands there already.

        Returns
        -------
        list of str
            Names of the fields that were changed.

        Raises
        ------
        ConfigError
            If a category or licence is not one that the account may use; the message has those that are near.
        """
        return self._publishable().set_description(description, how_to_download=how_to_download)

    def choices(self, field: str) -> builtins.list[str]:
        """Return what there is to choose from for ``categories`` or ``licenses`` of a description."""
        return self._publishable().choices(field)

    def reserve_doi(self) -> str:
        """Return the DOI that the first version will have."""
        return self._publishable().reserve_doi()

    def cite(self) -> Citation:
        """Return how the repository is cited, as text and for BibTeX.

        Raises
        ------
        RepositoryError
            If it is of a kind that has no publication.
        """
        found = self._repository.cite()
        if found is None:
            raise RepositoryError(
                f"the repository '{self._repository.name}' is of type {self._repository.kind}: it has no publication",
                hint="Cite what its owners ask for; a figshare repository can be cited",
            )
        return found

    def _publishable(self) -> PublishableRepository:
        if isinstance(self._repository, PublishableRepository):
            return self._repository
        raise ReadOnlyRepository(
            f"the repository '{self._repository.name}' is of type {self._repository.kind}: it has no draft",
            hint="What is uploaded there is public at once for those who may read it",
        )
