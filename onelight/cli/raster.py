"""Spikes as a picture: dots in the terminal, or a PNG where matplotlib is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from onelight.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

# A braille character is 2 dots wide and 4 high; this is the bit of each dot, from the top row (Unicode 1.1, U+2800).
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def raster(times: np.ndarray[Any, Any], depths: np.ndarray[Any, Any], *, width: int = 72, height: int = 14) -> str:
    """Draw spikes with braille dots.

    Parameters
    ----------
    times : numpy.ndarray, shape (N,), seconds
        When.
    depths : numpy.ndarray, shape (N,), micrometres from the tip of the probe
        Where; the tip is at the bottom.
    width, height : int
        Characters.

    Returns
    -------
    str
        Lines of braille, with the range of both axes.
    """
    import numpy as np

    if len(times) == 0:
        return "(no spikes)"
    start, end, top = float(times.min()), float(times.max()), max(float(depths.max()), 1.0)
    counts, _, _ = np.histogram2d(
        depths, times, bins=(4 * height, 2 * width), range=((0, top), (start, max(end, start + 1e-9)))
    )
    # One dot where there are more spikes than in the typical bin that has any: every bin would be a grey wall.
    dots = (counts > (np.median(counts[counts > 0]) if counts.any() else 0))[::-1]
    lines = []
    for row in range(height):
        cells = dots[4 * row : 4 * row + 4].reshape(4, width, 2)
        codes = sum(cells[y, :, x].astype(int) * _BITS[y][x] for y in range(4) for x in range(2))
        label = f"{top:5.0f} µm" if row == 0 else f"{0:5.0f} µm" if row == height - 1 else " " * 8
        lines.append(f"{label} " + "".join(chr(0x2800 + int(code)) for code in codes))
    lines.append(" " * 9 + f"{start:.1f} s".ljust(width - 10) + f"{end:.1f} s".rjust(10))
    return "\n".join(lines)


def require_matplotlib() -> None:
    """Say how to install matplotlib where it is missing.

    Raises
    ------
    ConfigError
        If it cannot be imported.
    """
    try:
        import matplotlib  # noqa: F401, ICN001 - only to see whether it is there
    except ImportError as error:
        raise ConfigError("--plot needs matplotlib", hint='Install it: python -m pip install -e ".[plot]"') from error


def plot(times: np.ndarray[Any, Any], depths: np.ndarray[Any, Any], title: str, target: Path) -> None:
    """Draw spikes into a PNG file; parameters as for :func:`raster`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(times, depths, ".", markersize=1.5, color="black", alpha=0.6)
    axes.set(title=title, xlabel="time (s)", ylabel="distance from the tip (µm)")
    figure.savefig(target, dpi=150)
