"""What the probes record: channels in the brain, clusters along them, and spikes that follow the task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onelight.synthetic.behaviour import Arrays, Floats, Moves, Task

SAMPLE_RATE = 30_000.0  # Hz
N_SITES = 384  # of a Neuropixels Phase 3A probe
REFERENCE_SITES = (36, 75, 112, 151, 188, 227, 264, 303, 340, 379)  # of its option 3, counted from 0: not recorded
SITES = np.setdiff1d(np.arange(N_SITES), REFERENCE_SITES)
TIP_TO_TOP = 3820.0  # um, from the deepest site to the highest
TEMPLATE_SAMPLES, TEMPLATE_CHANNELS, TROUGH = 82, 50, 40

# What a region's spikes follow: fractions of them evoked by stimulus, go cue, movement and reward. By the beginning of
# its acronym, the first that fits.
_TUNING: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...] = (
    (("VIS", "LG", "LP", "SC", "POL"), (0.22, 0.02, 0.04, 0.01)),
    (("MO", "ACA", "PL", "ORB", "ILA", "CP", "ACB", "GP", "SN", "MRN", "ZI", "SS"), (0.03, 0.06, 0.18, 0.03)),
    (("CA", "DG", "SUB", "POST", "LS"), (0.01, 0.02, 0.04, 0.08)),
    (("",), (0.03, 0.04, 0.06, 0.03)),
)
# From the surface down; a probe passes the cortex first. Regions not named lie below.
_ORDER = ("VIS", "MO", "ACA", "SS", "RSP", "PL", "AUD", "ORB", "ILA", "CA", "DG", "SUB", "POST", "LS")


@dataclass(frozen=True)
class Clusters:
    """The clusters of all probes; one row each, probe by probe and from the tip up.

    Parameters
    ----------
    probe : numpy.ndarray
        Row of the probe.
    depth : numpy.ndarray
        Distance from the tip in um.
    tuning : numpy.ndarray
        Fractions of spikes evoked by stimulus, go cue, movement and reward, of shape (clusters, 4).
    rate : numpy.ndarray
        Share of all spikes; the sum is 1.
    amplitude : numpy.ndarray
        Mean amplitude in uV.
    """

    probe: NDArray[np.int64]
    depth: Floats
    tuning: Floats
    rate: Floats
    amplitude: Floats


def site_positions() -> Floats:
    """Return x (across the shank) and y (from the tip up) of all 384 sites in um: four columns, a row every 20 um."""
    site = np.arange(N_SITES)
    return np.stack([np.array([43.0, 11.0, 59.0, 27.0])[site % 4], 20.0 * (site // 2)], axis=1)


def probe_regions(regions: tuple[str, ...], n_probes: int) -> list[list[str]]:
    """Return the regions along each probe, from the tip up.

    Examples
    --------
    >>> probe_regions(("CA1", "LP", "MOs", "VISp"), 2)
    [['CA1', 'VISp'], ['LP', 'MOs']]
    """
    ranked = sorted(regions, key=lambda region: (_rank(region), region))
    return [ranked[probe::n_probes][::-1] or [ranked[-1]] for probe in range(n_probes)]


def _rank(region: str) -> int:
    return next((rank for rank, name in enumerate(_ORDER) if region.startswith(name)), len(_ORDER))


def region_at(depth: Floats, regions: list[str]) -> list[str]:
    """Return the region at each distance from the tip; the regions divide a probe into equal parts."""
    row = np.minimum((depth / (TIP_TO_TOP + 1) * len(regions)).astype(np.int64), len(regions) - 1)
    return [regions[i] for i in row.tolist()]


def make_channels(n_probes: int) -> Arrays:
    """Return the attributes of the object ``channels``: 374 of each probe, without the reference sites."""
    site = np.tile(SITES, n_probes)
    return {
        "site": site.astype(np.int32),
        "rawRow": site.astype(np.float64),
        "probe": np.repeat(np.arange(n_probes, dtype=np.float64), len(SITES)),
        "sitePositions": site_positions()[site],
    }


def brain_locations(rng: np.random.Generator, regions: list[list[str]]) -> list[list[str]]:
    """Return a row of text per channel: position in um of the Allen atlas (ap, dv, lr), and the region's acronym."""
    rows = []
    for names in regions:
        top = np.array([rng.uniform(3000, 8500), rng.uniform(700, 1100), rng.uniform(3400, 5000)])
        height = site_positions()[SITES, 1]
        # Probes go down steeply, slightly backwards and sideways.
        place = top + (TIP_TO_TOP - height)[:, None] * [0.15, 0.985, 0.05]
        labels = region_at(height, names)
        rows += [[*(f"{x:.1f}" for x in at), name] for at, name in zip(place.tolist(), labels, strict=True)]
    return rows


def make_clusters(rng: np.random.Generator, number: int, regions: list[list[str]]) -> Clusters:
    """Return clusters spread along the probes, whose rates are log-normal: few units fire most of the spikes."""
    probe = np.sort(np.arange(number) % len(regions))
    depth = np.round(rng.uniform(20.0, TIP_TO_TOP - 20.0, number), 3)
    depth = depth[np.lexsort((depth, probe))]
    names = [region_at(depth[i : i + 1], regions[probe[i]])[0] for i in range(number)]
    tuning = np.array([_tuning(name) for name in names]) * rng.uniform(0.2, 1.6, (number, 4))
    rate = np.clip(rng.lognormal(0.0, 1.0, number), 0.1, 12.0)
    amplitude = np.clip(rng.lognormal(math.log(90.0), 0.4, number), 30.0, 500.0)
    return Clusters(probe, depth, tuning, rate / rate.sum(), amplitude)


def _tuning(region: str) -> tuple[float, ...]:
    return next(tuning for names, tuning in _TUNING if region.startswith(names))


def cluster_arrays(rng: np.random.Generator, clusters: Clusters) -> Arrays:
    """Return the attributes of the object ``clusters``."""
    number = len(clusters.depth)
    heights = site_positions()[SITES, 1]
    nearest = np.abs(clusters.depth[:, None] - heights).argmin(axis=1) + rng.integers(0, 2, number)
    peak = np.minimum(nearest, len(SITES) - 1)
    site = SITES[peak]
    # Where the template is given: a window of sites, which hangs over the end of the probe as the published ones do.
    window = np.maximum(site - TEMPLATE_CHANNELS // 2, 0)[:, None] + np.arange(TEMPLATE_CHANNELS)
    waveforms, duration = _templates(rng, clusters.amplitude, site[:, None] - window)
    return {
        "_phy_annotation": rng.choice([1.0, 2.0, 3.0], number, p=[0.2, 0.7, 0.1]),
        "depths": clusters.depth,
        "originalIDs": _original_ids(rng, clusters.probe),
        "peakChannel": peak + clusters.probe * len(SITES) + 1.0,  # from 1, over the channels of all probes
        "probes": clusters.probe.astype(np.float64),
        "templateWaveformChans": (window + N_SITES * clusters.probe[:, None]).astype(np.float64),  # from 0
        "templateWaveforms": waveforms,
        "waveformDuration": duration,
    }


def _templates(rng: np.random.Generator, amplitude: Floats, distance: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return waveforms of shape (clusters, 82, 50), and samples from trough to peak on the peak channel."""
    sample = np.arange(TEMPLATE_SAMPLES) - TROUGH
    width = np.clip(rng.lognormal(math.log(16.0), 0.35, (len(amplitude), 1)), 7.0, 32.0)
    trough = -np.exp(-0.5 * (sample / 2.5) ** 2)
    shape = trough + 0.35 * np.exp(-0.5 * ((sample - width) / (width / 3)) ** 2)
    spread = np.exp(-np.abs(distance) / rng.uniform(3.0, 8.0, (len(amplitude), 1)))
    waveforms = np.round((amplitude[:, None] * shape)[:, :, None] * spread[:, None, :], 3)
    on_peak = np.round(shape, 6)
    return waveforms, (on_peak.argmax(axis=1) - on_peak.argmin(axis=1)).astype(np.float64)


def _original_ids(rng: np.random.Generator, probe: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the numbers that the clusters had before noise was removed: ascending within each probe, with gaps."""
    step = rng.integers(1, 4, len(probe))
    ids = np.cumsum(step)
    first = np.searchsorted(probe, probe)  # row of the first cluster of the same probe
    return (ids - ids[first]).astype(np.uint32)


def make_spikes(
    rng: np.random.Generator, clusters: Clusters, task: Task, moves: Moves, *, n_spikes: int, duration: float
) -> Arrays:
    """Return the attributes of the object ``spikes``, in order of time.

    A spike is either one of the ongoing ones, which follow the slow ups and downs of the whole brain, or evoked by one
    event of one trial; how likely which is, is the tuning of its cluster.
    """
    cluster = np.repeat(np.arange(len(clusters.rate)), rng.poisson(n_spikes * clusters.rate))
    # 0 to 3: evoked by the first to last kind of event; 4: ongoing.
    cause = (rng.random(len(cluster))[:, None] >= np.cumsum(clusters.tuning, axis=1)[cluster]).sum(axis=1)
    times = _ongoing(rng, len(cluster), duration)
    for kind, (events, weights, latency, spread) in enumerate(_evoking(task, moves)):
        at = np.flatnonzero(cause == kind)
        if len(events):
            drawn = rng.choice(events, len(at), p=weights / weights.sum())
            times[at] = drawn + latency + spread * rng.standard_exponential(len(at))
    # Times are samples of the raw recording. That also removes what processors may disagree about.
    sample = np.clip(np.rint(times * SAMPLE_RATE), 1, np.floor(duration * SAMPLE_RATE))
    order = np.argsort(sample, kind="stable")
    cluster = cluster[order]
    depth = clusters.depth[cluster] + 8.0 * rng.standard_normal(len(cluster))
    amplitude = clusters.amplitude[cluster] * (1 + 0.1 * rng.standard_normal(len(cluster)))
    return {
        "times": sample[order] / SAMPLE_RATE,
        "clusters": cluster.astype(np.uint32),
        "depths": np.round(np.clip(depth, 0.0, TIP_TO_TOP), 1).astype(np.float32),
        "amps": np.round(np.maximum(amplitude, 10.0), 2),
    }


def _ongoing(rng: np.random.Generator, number: int, duration: float) -> Floats:
    """Return times of spikes whose rate goes up and down within a second, by about a third, for all clusters alike."""
    knots = np.linspace(0.0, duration, max(4, int(2 * duration)))
    rate = np.exp(0.35 * rng.standard_normal(len(knots) - 1))
    expected = np.concatenate([[0.0], np.cumsum(rate)])
    times: Floats = np.interp(rng.random(number) * expected[-1], expected, knots)
    return times


def _evoking(task: Task, moves: Moves) -> list[tuple[Floats, Floats, float, float]]:
    """Return events, how much each of them evokes, latency and spread in s: stimulus, go cue, movement, reward."""
    contrast = task.right + 0.3 * task.left + 1e-3  # the probes are on the left side of the brain
    turns = moves.intervals[moves.kind > 0, 0]
    rewards = task.feedback[task.outcome > 0]
    return [
        (task.stimulus, contrast, 0.04, 0.07),
        (task.go_cue, np.ones(len(task.go_cue)), 0.015, 0.04),
        (turns, np.ones(len(turns)), -0.08, 0.12),
        (rewards, np.ones(len(rewards)), 0.05, 0.25),
    ]


def lfp_sync(duration: float, probe: int) -> NDArray[Any]:
    """Return first and last sample (from 0) of a probe's LFP at 2500 Hz, and their times; probes start one by one."""
    first = 0.0004 + 0.0312 * probe
    number = int((duration - first) * 2500.0)
    return np.array([[0.0, first], [number - 1.0, round(first + (number - 1) / 2500.0, 4)]])
