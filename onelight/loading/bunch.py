"""Bunch: what an object of a session becomes in memory, a dictionary whose names are attributes too."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Reduced = tuple[type["Bunch"], tuple[()], None, None, Iterator[tuple[str, Any]]]

_LONGEST_VALUE = 60  # characters of a value in the repr: name and value together fit a terminal of 80 columns


class Bunch(dict[str, Any]):
    """A dictionary that can also be asked by attribute: ``trials["intervals"]`` is ``trials.intervals``.

    Attributes are read, set and deleted like items. A name that is also a method of dictionaries means the stored
    value as soon as there is one, as in the first ONE light: with a dataset ``spikes.items``, ``spikes.items`` is
    that dataset. Items, ``dict(bunch)``, iteration, copying and pickling never depend on such names, and
    ``dict.items(bunch)`` still is the method. Names with two leading underscores are never datasets.

    Examples
    --------
    >>> trials = Bunch(response_choice=[1, -1, 0])
    >>> trials.response_choice
    [1, -1, 0]
    >>> trials.subject = "Cori"
    >>> sorted(trials)
    ['response_choice', 'subject']
    >>> trials
    Bunch with 2 values
      response_choice  [1, -1, 0]
      subject          'Cori'
    """

    # No __dict__: the classical `self.__dict__ = self` is a reference cycle, and would keep gigabytes of arrays
    # alive until the garbage collector happens to run.
    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:  # what was stored
        if not name.startswith("__") and dict.__contains__(self, name):
            return dict.__getitem__(self, name)
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:  # reached only when nothing was found
        there = ", ".join(sorted(map(str, self))) or "nothing"
        raise AttributeError(f"no {name!r} here; there is: {there}", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            self.__getattr__(name)
        del self[name]

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(name for name in self if isinstance(name, str) and name.isidentifier())]

    def __repr__(self) -> str:
        if not len(self):
            return "Bunch, empty"
        names = {name: _one_line(name) for name in self}
        width = max(map(len, names.values()))
        lines = [f"  {names[name]:<{width}}  {_summary(value)}" for name, value in dict.items(self)]
        return "\n".join([f"Bunch with {_counted(len(self), 'value')}", *lines])

    def copy(self) -> Bunch:
        """Return a new Bunch of the same values, which are not copied themselves.

        Examples
        --------
        >>> Bunch(a=1).copy().a
        1
        """
        return type(self)(self)

    def __copy__(self) -> Bunch:
        return type(self)(self)

    def __reduce_ex__(self, protocol: object) -> Reduced:
        # The inherited one asks self.items(), which may be a dataset here.
        return type(self), (), None, None, iter(dict.items(self))


def _one_line(name: object) -> str:
    text = str(name)
    return text if text.isprintable() else repr(text)


def _summary(value: object) -> str:
    """Return one short line: the form of arrays and tables, the name of a file, else the beginning of the repr."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Bunch):
        return f"Bunch with {_counted(len(value), 'value')}"
    if isinstance(summary := getattr(value, "summary", None), str):  # of a description
        return _shortened(summary)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and hasattr(value, "columns"):
        return f"{_counted(shape[0], 'row')} × {_counted(shape[1], 'column')}"
    if isinstance(shape, tuple) and hasattr(value, "dtype"):
        return f"{shape} {_shortened(str(value.dtype))}"
    return _shortened(" ".join(reprlib.repr(value).split()))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
