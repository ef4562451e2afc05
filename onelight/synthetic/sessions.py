"""Which sessions there are, and how large: the 39 of the published dataset, and three small ones to practise with."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from onelight.errors import AlfError, ConfigError

_WORD = re.compile(r"\w[\w-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class SessionSpec:
    """What one synthetic session is like.

    Parameters
    ----------
    subject, date : str
        Name of the mouse and day of the recording, as in the path.
    n_trials : int
        Number of trials; it does not depend on `scale`.
    duration : float
        Seconds of recording. A session is longer when its trials and the passive part behind them take longer.
    n_clusters, n_spikes : int
        Clusters and (on average) spikes on all probes together.
    regions : tuple of str
        Acronyms of the brain regions that the probes pass, in any order.
    probes : tuple of str
        One tag per probe, as in the name of its raw file.
    scale : float
        Fraction of the clusters, spikes and samples that is written; 1 is the size of the real session.

    Raises
    ------
    AlfError
        If a name cannot be part of an ALF path.
    ConfigError
        If a number is not positive, or there is no probe or region.

    Examples
    --------
    >>> SessionSpec("Cori", "2016-12-14", 214, 2702.6, 1085, 10_000_000).path
    'nicklab/Subjects/Cori/2016-12-14/001'
    """

    subject: str
    date: str
    n_trials: int
    duration: float
    n_clusters: int
    n_spikes: int
    regions: tuple[str, ...] = ("VISp", "CA1", "LP", "MOs")
    probes: tuple[str, ...] = ("K1", "K2")
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in (self.subject, *self.probes):
            if not _WORD.fullmatch(name):
                raise AlfError(f"{name!r} cannot be part of a path", hint="Use letters, digits, '_' and '-'")
        if not _DATE.fullmatch(self.date):
            raise AlfError(f"{self.date!r} is not a date", hint="Write it as 2016-12-14")
        sizes = (self.n_trials, self.duration, self.n_clusters, self.n_spikes, self.scale)
        if not all(math.isfinite(size) and size > 0 for size in sizes) or not (self.probes and self.regions):
            raise ConfigError(f"{self.path} has a size that is not positive", hint="Give every number above 0")

    @property
    def path(self) -> str:
        """The session, as a path below the data root."""
        return f"nicklab/Subjects/{self.subject}/{self.date}/001"

    def scaled(self, factor: float) -> SessionSpec:
        """Return the same session with this fraction of its clusters, spikes and samples.

        Examples
        --------
        >>> DEMO[0].scaled(0.5).scale == DEMO[0].scale / 2
        True
        """
        return replace(self, scale=self.scale * factor)


# subject, date, seconds, trials, clusters, million spikes, regions. Seconds, trials and clusters are those of the
# published sessions; spikes are counted in three of them, and estimated from the sizes of the files in the others.
_TABLE = """
Cori 2016-12-14 2702.6 214 1085 10.0 ACA CA3 DG LS MOs SUB VISp root
Cori 2016-12-17 3147.4 251 1146 10.4 CA1 POST VISl VISpm root
Cori 2016-12-18 3834.4 228 1089 21.5 CA1 DG LP MG MRN NB POST SPF VISam VISp root
Forssmann 2017-11-01 3114.8 249 2073 13.3 ACA CA1 DG LGd LSr MOs SUB TH VISa VISp VPL
Forssmann 2017-11-02 3044.3 254 1569 10.5 ACA CA1 DG MOs OLF ORB PL SUB VISa root
Forssmann 2017-11-04 3471.9 290 1435 8.3 AUD CA1 SSp TH root
Forssmann 2017-11-05 3123.1 252 1029 8.0 CA3 CP EPd LD PIR SSp VPL root
Hench 2017-06-15 3260.0 250 1707 23.5 CA1 CA3 DG ILA LD LP LSr MOs PL PO SUB TT VISa VISp root
Hench 2017-06-16 3914.6 372 1364 18.1 CA1 CA3 LD LSr ORBm PL TH TT VISam VISl VPL
Hench 2017-06-17 4083.4 447 1591 21.5 CA1 DG GPe MB MRN POL POST SCm SCsg VISl VISp VISrl root
Hench 2017-06-18 3719.9 342 1409 12.2 CP LSc LSr MOp PT root
Lederberg 2017-12-05 3446.3 340 1219 11.8 ACA CA1 DG LGd LH MD MOs PL SUB VISam VISp root
Lederberg 2017-12-06 3386.9 300 1262 24.2 ACA CA1 DG LGd MB MOs MRN MS PL RN SCm SCs VISam ZI root
Lederberg 2017-12-07 3195.3 268 1228 7.9 CA1 MOs MRN ORB PAG RSP SCm SCs VISp root
Lederberg 2017-12-08 3581.8 404 1134 12.9 BLA CA3 GPe LGd MB VPM ZI root
Lederberg 2017-12-09 3128.1 280 977 7.4 CA3 LGd MB SSp SSs TH root
Lederberg 2017-12-10 2894.1 224 727 5.7 LD MEA RT VPL VPM root
Lederberg 2017-12-11 3497.4 316 1350 10.7 ACB CA3 CP LGd OT SI SNr TH ZI root
Moniz 2017-05-15 3229.3 247 806 15.0 APN CA1 DG LP POL SUB VISam VISpm root
Moniz 2017-05-16 3036.7 235 1144 15.4 CA1 DG LGd LP MG SPF SUB TH VISa VISp root
Moniz 2017-05-18 2761.1 124 795 13.2 LD MOp SSp VAL root
Muller 2017-01-07 4077.8 444 1109 14.7 ACA ACB IC MOs MRN PL RSP SCsg TT VISp root
Muller 2017-01-08 2820.1 151 1455 8.5 CA1 DG LP PO VISam root
Muller 2017-01-09 2982.7 187 1426 7.2 CA1 CA2 MRN RSP SCig SCsg VISpm VISrl root
Radnitz 2017-01-08 3318.8 261 1266 12.6 ACA DP ILA MOs MRN PL RSP SCig SCsg TT VISp root
Radnitz 2017-01-09 3028.4 178 1161 8.0 MOs MRN SCig VISp root
Radnitz 2017-01-10 3656.8 253 1251 17.8 ACA ACB CA1 DG LD LP MOs PL PO VISam root
Radnitz 2017-01-11 2846.7 142 860 11.9 APN CA1 DG LP MRN POL RSP SCig SCsg VISpm root
Radnitz 2017-01-12 3155.6 128 1147 11.6 CP MOp SSp root
Richards 2017-10-29 2647.7 143 1461 8.9 ACA CA1 CL DG LP LS MD MOs PO RSP SUB VISa VPM root
Richards 2017-10-30 2999.0 237 1251 9.5 CA3 MOs OLF ORB POST SCm SNr TH
Richards 2017-10-31 2968.3 260 778 4.8 MOs MRN OLF ORB PAG RSP SCm SCs root
Richards 2017-11-01 2760.8 191 854 8.4 CA1 CA3 CP EP LGd SNr VPM ZI root
Richards 2017-11-02 3242.5 296 928 8.9 BMA COA LP MB PO RT root
Tatum 2017-12-06 3432.3 311 1425 17.2 ACA CA1 DG LGd LH LP LS MD MOs RSP TH VISam root
Tatum 2017-12-07 3202.5 258 1409 10.4 CA MOs MRN PL SCm SCsg VISam root
Tatum 2017-12-08 3338.8 181 1907 14.2 MB MOs ORB PAG RSP SCm SCs VISam root
Tatum 2017-12-09 2986.7 199 1041 13.1 BLA CA3 GPe LGd SNr root
Theiler 2017-10-11 3222.3 343 1793 9.4 ACA CA1 DG ILA LP MOs PL SUB VISam VISp root
"""


def _parse(line: str) -> SessionSpec:
    subject, date, seconds, trials, clusters, million_spikes, *regions = line.split()
    # The tags of the raw files differ from session to session; these are the known ones, and the common ones.
    probes = ("M2", "V1") if subject == "Cori" else ("K1", "K2")
    n_spikes = round(float(million_spikes) * 1e6)
    return SessionSpec(subject, date, int(trials), float(seconds), int(clusters), n_spikes, tuple(regions), probes)


def _shortened(spec: SessionSpec, duration: float, scale: float) -> SessionSpec:
    n_spikes = round(spec.n_spikes * duration / spec.duration)
    return replace(spec, duration=duration, n_spikes=n_spikes, scale=scale)


#: The 39 published sessions of 10 mice, each with two probes (the real ones have one to three).
STEINMETZ: tuple[SessionSpec, ...] = tuple(_parse(line) for line in _TABLE.split("\n") if line)

#: Three of them with all their trials, in 26 minutes instead of 45 to 52 and with a fortieth of the data: about 18 MB.
DEMO: tuple[SessionSpec, ...] = tuple(
    _shortened(spec, 1560.0, 0.025)
    for spec in STEINMETZ
    if spec.path.split("/")[2:4] in (["Cori", "2016-12-14"], ["Cori", "2016-12-17"], ["Forssmann", "2017-11-01"])
)
