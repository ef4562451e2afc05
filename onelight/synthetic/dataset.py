"""Sessions as files: every name of the published dataset, with what belongs under it."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onelight.errors import ConfigError, NoSpace
from onelight.synthetic import behaviour, recording
from onelight.synthetic.sessions import DEMO
from onelight.synthetic.writing import npy_bytes, tsv_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onelight.synthetic.behaviour import Arrays
    from onelight.synthetic.sessions import SessionSpec

_INSERTION = (
    "entry_point_rl",
    "entry_point_ap",
    "vertical_angle",
    "horizontal_angle",
    "axial_angle",
    "distance_advanced",
)


def write_dataset(
    root: Path,
    *,
    seed: int = 2019,
    sessions: Sequence[SessionSpec] = DEMO,
    optional: bool = True,
    scale: float = 1.0,
) -> list[Path]:
    """Write a data root in the form of the dataset of Steinmetz et al. 2019.

    The same arguments write the same bytes, on every computer with the same NumPy. A session's content depends on the
    seed and its own specification only, not on the sessions beside it.

    Parameters
    ----------
    root : pathlib.Path
        Folder to write into; made if it is not there. Files of the same names are replaced.
    seed : int, optional
        Where the numbers come from; 0 or more.
    sessions : sequence of SessionSpec, optional
        What to write: `DEMO` (three sessions), `STEINMETZ` (all 39), or your own.
    optional : bool, optional
        Whether to write ``eye.blink.npy``, which one published copy of the dataset has and the other has not. With
        two probes, a session has 56 files with it and 55 without.
    scale : float, optional
        Multiplies the scale of every session: fraction of the clusters, spikes and samples to write.

    Returns
    -------
    list of pathlib.Path
        The files, sorted: ``root/nicklab/Subjects/SUBJECT/DATE/001/alf/object.attribute.extension``.

    Raises
    ------
    ConfigError
        If the seed or scale is no such number, or a session is given twice.
    NoSpace
        If the folder cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from onelight.synthetic import STEINMETZ
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_dataset(pathlib.Path(folder), sessions=STEINMETZ[:2], optional=False, scale=0.001)
    ...     len(files), files[0].name
    (110, 'Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy')
    """
    if seed < 0:
        raise ConfigError(f"{seed} cannot be a seed", hint="Give 0 or a positive whole number")
    if len({spec.path for spec in sessions}) < len(sessions):
        raise ConfigError("The same session is given twice", hint="Give each subject and date once")
    written: list[Path] = []
    for spec in sessions:
        folder = Path(root, *spec.path.split("/"), "alf")
        for name, content in _files(spec.scaled(scale), seed, optional=optional):
            written.append(folder / name)
            _write(folder / name, content)
    return sorted(written)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise NoSpace(f"{path} cannot be written: {error.strerror or error}", hint="Choose another folder") from error


def _files(spec: SessionSpec, seed: int, *, optional: bool) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every file of a session."""

    def rng(part: str) -> np.random.Generator:
        # Each part draws from a stream of its own: a change to one leaves the bytes of the others as they are.
        return np.random.Generator(np.random.PCG64([seed, zlib.crc32(f"{spec.path}/{part}".encode())]))

    task = behaviour.make_task(rng("trials"), spec.n_trials)
    moves = behaviour.make_moves(rng("moves"), task)
    licks = behaviour.make_licks(rng("licks"), task)
    passive = behaviour.plan_passive(task, spec.duration)
    duration = float(passive.spontaneous[-1, 1])
    regions = recording.probe_regions(spec.regions, len(spec.probes))
    number = max(len(spec.probes), round(spec.n_clusters * spec.scale))
    clusters = recording.make_clusters(rng("clusters"), number, regions)
    n_spikes = max(1, round(spec.n_spikes * spec.scale * duration / spec.duration))
    spikes = recording.make_spikes(rng("spikes"), clusters, task, moves, n_spikes=n_spikes, duration=duration)
    arrays: Arrays = {
        **_named("trials", task.arrays()),
        "wheelMoves.intervals": moves.intervals,
        "wheelMoves.type": moves.kind,
        "licks.times": licks,
        "spontaneous.intervals": passive.spontaneous,
        **behaviour.passive_arrays(rng("passive"), passive, spec.scale),
        **behaviour.sampled_arrays(rng("sampled"), task, moves, licks, duration=duration, scale=spec.scale),
        **_named("channels", recording.make_channels(len(spec.probes))),
        **_named("clusters", recording.cluster_arrays(rng("templates"), clusters)),
        **_named("spikes", spikes),
        "probes.sitePositions": recording.site_positions(),
        **{f"{_raw_name(spec, i)}.lf.timestamps": recording.lfp_sync(duration, i) for i in range(len(spec.probes))},
    }
    if not optional:
        del arrays["eye.blink"]
    yield from ((f"{name}.npy", npy_bytes(array)) for name, array in arrays.items())
    locations = recording.brain_locations(rng("atlas"), regions)
    yield "channels.brainLocation.tsv", tsv_bytes(["ccf_ap", "ccf_dv", "ccf_lr", "allen_ontology"], locations)
    yield from _probe_tables(rng("probes"), spec)


def _named(name: str, attributes: Arrays) -> Arrays:
    return {f"{name}.{attribute}": array for attribute, array in attributes.items()}


def _raw_name(spec: SessionSpec, probe: int) -> str:
    """Return the name of a probe's raw files as SpikeGLX gives it; not an ALF name, and in the dataset all the same."""
    return f"{spec.subject}_{spec.date}_{spec.probes[probe]}_g0_t0.imec"


def _probe_tables(rng: np.random.Generator, spec: SessionSpec) -> Iterator[tuple[str, bytes]]:
    probes = range(len(spec.probes))
    yield "probes.description.tsv", tsv_bytes(["description"], [["Neuropixels Phase3A opt3"] for _ in probes])
    names = [[f"{_raw_name(spec, i)}.ap.bin"] for i in probes]
    yield "probes.rawFilename.tsv", tsv_bytes(["rawFilename"], names)
    low, high = [-3000, -4000, 60, 0, 0, 3500], [3000, 3000, 90, 360, 90, 4500]  # um, um, degrees x 3, um
    rows = [[f"{x:.1f}" for x in rng.uniform(low, high).tolist()] for _ in probes]
    yield "probes.insertion.tsv", tsv_bytes(_INSERTION, rows)
