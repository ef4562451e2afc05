"""What the mouse sees and does: trials, wheel, licks, eye, face, and the passive part behind the task.

Times are seconds on the one clock of the session. Every value is rounded to a tenth of a millisecond or coarser, so
that a last bit that differs between processors does not reach the files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Arrays = dict[str, NDArray[Any]]

CONTRASTS = (0.0, 0.25, 0.5, 1.0)
FIRST_START = 62.9  # s
PASSIVE_MIN = 100.0  # s, for everything behind the task
WHEEL_RATE, EYE_RATE, FACE_RATE = 2500.0, 100.0, 40.0  # Hz

# Fractions, near those of the published trials.
_BLANK, _ONE_SIDED = 0.25, 0.35  # of the trials show nothing, or one stimulus
_REPEATED = 0.9  # of the errors at trials with a blank side lead to the same trial again
_HELD_STILL = {True: 0.6, False: 0.06}  # of the trials without and with a stimulus
_TIREDNESS = 0.5  # more of them are held still when the mouse has had enough
_FLINCHED = 0.3  # of the pauses between trials
_EVEN = 0.5


@dataclass(frozen=True)
class Task:
    """The trials of a session, one row each; times in s.

    Parameters
    ----------
    intervals : numpy.ndarray
        Start and end, of shape (trials, 2).
    stimulus, go_cue, response, feedback : numpy.ndarray
        Times within the trials, in this order.
    left, right : numpy.ndarray
        Contrasts of the two stimuli, in `CONTRASTS`.
    choice : numpy.ndarray
        1 left, -1 right, 0 no movement.
    outcome : numpy.ndarray
        1 reward, -1 noise.
    repetition : numpy.ndarray
        How often the same stimuli were shown in a row, from 1.
    included : numpy.ndarray of bool
        Whether the mouse was engaged.
    """

    intervals: Floats
    stimulus: Floats
    go_cue: Floats
    response: Floats
    feedback: Floats
    left: Floats
    right: Floats
    choice: Floats
    outcome: Floats
    repetition: Floats
    included: NDArray[np.bool_]

    @property
    def end(self) -> float:
        """End of the last trial."""
        return float(self.intervals[-1, 1])

    def arrays(self) -> Arrays:
        """Return the attributes of the object ``trials``."""
        return {
            "intervals": self.intervals,
            "visualStim_times": self.stimulus,
            "visualStim_contrastLeft": self.left,
            "visualStim_contrastRight": self.right,
            "goCue_times": self.go_cue,
            "response_times": self.response,
            "response_choice": self.choice,
            "feedback_times": self.feedback,
            "feedbackType": self.outcome,
            "repNum": self.repetition,
            "included": self.included,
        }


@dataclass(frozen=True)
class Moves:
    """Movements of the wheel in order of time: (start, end) in s, kind 0 flinch, 1 left, 2 right, and way in ticks."""

    intervals: Floats
    kind: Floats
    ticks: Floats


@dataclass(frozen=True)
class Passive:
    """The parts of a recording behind its task; every part is (start, end) in s."""

    spontaneous: Floats
    sparse_noise: tuple[float, float]
    replay: tuple[float, float]


def make_task(rng: np.random.Generator, n_trials: int) -> Task:
    """Return trials that follow the two-stimulus task: the higher contrast is right, none asks to hold still."""
    left, right, choice, outcome, repetition, included = _decisions(rng, n_trials)
    quiet = np.clip(rng.lognormal(math.log(1.4), 0.65, n_trials), 0.33, 8.2)
    cue_delay = rng.uniform(0.49, 1.19, n_trials)
    reaction = np.clip(rng.lognormal(math.log(0.3), 0.6, n_trials), 0.08, 1.48)
    reaction[choice == 0] = 1.5  # s: then the trial counts as no movement
    feedback_delay = rng.uniform(0.002, 0.04, n_trials)
    rest = np.where(outcome > 0, 0.97, rng.uniform(0.97, 1.1, n_trials))
    steps = [quiet, cue_delay, reaction, feedback_delay, rest, np.full(n_trials, 0.995)]
    ends = FIRST_START + np.cumsum(np.stack(steps, axis=1)).reshape(n_trials, len(steps))
    start = np.concatenate([[FIRST_START], ends[:-1, -1]])
    stimulus, go_cue, response, feedback, end = (_round(ends[:, i]) for i in range(5))
    intervals = np.stack([_round(start), end], axis=1)
    return Task(intervals, stimulus, go_cue, response, feedback, left, right, choice, outcome, repetition, included)


def _decisions(rng: np.random.Generator, n_trials: int) -> tuple[Any, ...]:
    """Return contrasts, choices, outcomes, repetitions and engagement; an error at an easy trial repeats it."""
    tired_from = n_trials * rng.uniform(0.82, 0.95)  # mice stop working before the session stops
    draws = rng.random((n_trials, 4)).tolist()
    shown = [_stimuli(rng) for _ in range(n_trials)]
    rows: list[tuple[float, float, int, int, int, bool]] = []
    for i, (still, side, luck, stay) in enumerate(draws):
        left, right, repetition = *shown[i], 1
        if rows and rows[-1][3] < 0 and 0 in rows[-1][:2] and stay < _REPEATED:
            left, right, repetition = rows[-1][0], rows[-1][1], rows[-1][4] + 1
        engaged = i < tired_from
        choice = _choice(left, right, still - (0 if engaged else _TIREDNESS), side)
        correct = (left > right) - (left < right)
        rewarded = choice == correct if left != right or not left else choice != 0 and luck < _EVEN
        rows.append((left, right, choice, 1 if rewarded else -1, repetition, engaged))
    columns = np.array([row[:5] for row in rows], dtype=np.float64).T
    return (*columns, np.array([row[5] for row in rows], dtype=np.bool_))


def _stimuli(rng: np.random.Generator) -> tuple[float, float]:
    """Return two contrasts: nothing, one side, or both sides; equal ones are rare."""
    what, side, a, b = rng.random(4).tolist()
    high, low = CONTRASTS[1 + int(3 * a)], CONTRASTS[int(4 * b)]
    if what < _BLANK:
        return 0.0, 0.0
    if what < _BLANK + _ONE_SIDED:
        low = 0.0
    return (high, low) if side < _EVEN else (low, high)


def _choice(left: float, right: float, still: float, side: float) -> int:
    """Return 1, -1 or 0 for a mouse that sees contrast differences and rarely misses a stimulus."""
    if still < _HELD_STILL[not left and not right]:
        return 0
    return 1 if side < 1 / (1 + math.exp(-6 * (left - right) + 0.2)) else -1


def make_moves(rng: np.random.Generator, task: Task) -> Moves:
    """Return the turns that answer the trials, and flinches between some of them."""
    turned = task.choice != 0
    start = task.response[turned] - rng.uniform(0.05, 0.07, turned.sum())
    length = rng.uniform(0.15, 0.4, turned.sum())
    flinched = rng.random(len(turned)) < _FLINCHED
    flinch = task.intervals[flinched, 1] + rng.uniform(0.1, 0.5, flinched.sum())
    choice = task.choice[turned]
    ticks = np.concatenate([choice * rng.uniform(70, 130, len(choice)), rng.uniform(-12, 12, len(flinch))])
    kind = np.concatenate([np.where(choice > 0, 1.0, 2.0), np.zeros(len(flinch))])
    begins = np.concatenate([start, flinch])
    intervals = _round(np.stack([begins, begins + np.concatenate([length, rng.uniform(0.05, 0.3, len(flinch))])], 1))
    order = np.argsort(begins, kind="stable")
    return Moves(intervals[order], kind[order], np.rint(ticks[order]))


def make_licks(rng: np.random.Generator, task: Task) -> Floats:
    """Return times of licks: bouts of about 7 Hz after each reward, and a few at other times."""
    rewards = task.feedback[task.outcome > 0]
    bout = np.cumsum(rng.uniform(0.11, 0.17, (len(rewards), 8)), axis=1)
    taken = np.arange(8) < rng.integers(3, 9, (len(rewards), 1))
    others = rng.uniform(FIRST_START, task.end, 2 + len(rewards) // 4)
    return _round(np.sort(np.concatenate([(rewards[:, None] + bout)[taken], others])))


def plan_passive(task: Task, duration: float) -> Passive:
    """Divide the time behind the task; where there is little of it, the recording becomes longer than asked."""
    end = task.end
    length = max(duration - end, PASSIVE_MIN)
    a, b, c, d = (round(end + part * length, 4) for part in (0.08, 0.48, 0.58, 0.92))
    quiet = [[0.0, round(FIRST_START - 1, 4)], [end, a], [b, c], [d, round(end + length, 4)]]
    return Passive(np.array(quiet), (a, b), (c, d))


def passive_arrays(rng: np.random.Generator, passive: Passive, scale: float) -> Arrays:
    """Return the objects of the passive part: sparse noise, and a replay of the stimuli and sounds of the task."""
    n_squares = max(40, round(20_000 * scale))
    # Not in order of time, as published: squares are listed by position.
    squares = rng.uniform(*passive.sparse_noise, n_squares)
    position = rng.integers(0, [10, 36], (n_squares, 2)) * 10.0 - [45.0, 175.0]
    by_position = np.lexsort((position[:, 1], position[:, 0]))
    stimuli = [_stimuli(rng) for _ in range(80)]
    return {
        "sparseNoise.times": _round(squares)[by_position],
        "sparseNoise.positions": position[by_position],
        "passiveBeeps.times": _spread(rng, passive, 20),
        "passiveValveClick.times": _spread(rng, passive, 20),
        "passiveWhiteNoise.times": _spread(rng, passive, 20),
        "passiveVisual.times": _spread(rng, passive, len(stimuli)),
        "passiveVisual.contrastLeft": np.array([left for left, _ in stimuli]),
        "passiveVisual.contrastRight": np.array([right for _, right in stimuli]),
    }


def _spread(rng: np.random.Generator, passive: Passive, number: int) -> Floats:
    return _round(np.sort(rng.uniform(*passive.replay, number)))


def sampled_arrays(
    rng: np.random.Generator, task: Task, moves: Moves, licks: Floats, *, duration: float, scale: float
) -> Arrays:
    """Return what is sampled at a fixed rate, with two sync points: wheel, lick sensor, eye, face."""
    # The video is 25 to 60 times slower than the wheel, so five times less of it is left out.
    video = min(1.0, 5 * scale)
    wheel_times, wheel_sync = _clock(duration, WHEEL_RATE * scale, 0.013)
    lick_times, lick_sync = _clock(duration, WHEEL_RATE * scale, 0.013)
    face_times, face_sync = _clock(duration, FACE_RATE * video, 0.482)
    return {
        "wheel.position": _wheel(wheel_times, moves),
        "wheel.timestamps": wheel_sync,
        "lickPiezo.raw": _piezo(rng, lick_times, licks),
        "lickPiezo.timestamps": lick_sync,
        "face.motionEnergy": _motion_energy(rng, face_times, moves, licks),
        "face.timestamps": face_sync,
        **_eye(rng, *_clock(duration, EYE_RATE * video, 0.117), task),
    }


def _clock(duration: float, rate: float, first: float) -> tuple[Floats, Floats]:
    """Return the time of every sample, and the sync points: first and last sample (from 0) and their times."""
    number = max(2, int((duration - first) * rate))
    last = round(first + (number - 1) / rate, 4)
    return np.linspace(first, last, number), np.array([[0.0, first], [number - 1.0, last]])


def _wheel(times: Floats, moves: Moves) -> NDArray[np.float32]:
    corners = np.concatenate([[times[0]], moves.intervals.ravel()])
    after = np.cumsum(moves.ticks)
    ticks = np.concatenate([[0.0], np.stack([after - moves.ticks, after], axis=1).ravel()])
    position: NDArray[np.float32] = np.rint(np.interp(times, corners, ticks)).astype(np.float32)
    return position


def _piezo(rng: np.random.Generator, times: Floats, licks: Floats) -> NDArray[np.float32]:
    volts = 0.01 * rng.standard_normal(len(times))
    at = np.clip(np.searchsorted(times, licks), 0, len(times) - 1)
    volts[at] += 0.5
    return np.round(volts, 4).astype(np.float32)


def _motion_energy(rng: np.random.Generator, times: Floats, moves: Moves, licks: Floats) -> NDArray[np.float32]:
    energy = 800.0 + 150.0 * rng.standard_normal(len(times))
    for events, size in ((moves.intervals[:, 0], 2500.0), (licks, 900.0)):
        energy += size * _decay(times, events, 0.4)
    return np.round(np.maximum(energy, 0), 1).astype(np.float32)


def _eye(rng: np.random.Generator, times: Floats, sync: Floats, task: Task) -> Arrays:
    slow = np.interp(times, np.linspace(times[0], times[-1], 200), rng.standard_normal(200))
    area = 420.0 + 60.0 * slow + 70.0 * _decay(times, task.feedback, 1.5) + 6.0 * rng.standard_normal(len(times))
    saccades = np.sort(rng.uniform(times[0], times[-1], 400))
    gaze = [320.0, 240.0] + [9.0, 4.0] * rng.standard_normal((401, 2))
    position = gaze[np.searchsorted(saccades, times)] + 0.3 * rng.standard_normal((len(times), 2))
    blinks = np.sort(rng.uniform(times[0], times[-1], 60))
    # Some published sessions have a sync point for every frame.
    every_frame = np.stack([np.arange(len(times), dtype=np.float64), _round(times)], axis=1)
    return {
        "eye.area": np.round(np.maximum(area, 50.0), 2).astype(np.float32),
        "eye.xyPos": np.round(position, 2).astype(np.float32),
        "eye.blink": _decay(times, blinks, 0.2) > math.exp(-1),
        "eye.timestamps": every_frame if len(task.choice) % 2 else sync,
    }


def _decay(times: Floats, events: Floats, seconds: float) -> Floats:
    """Return 1 at each event, falling to 1/e within `seconds`; 0 before the first one."""
    last = np.concatenate([[-np.inf], events])[np.searchsorted(events, times, side="right")]
    decayed: Floats = np.exp((last - times) / seconds)
    return decayed


def _round(seconds: Floats) -> Floats:
    rounded: Floats = np.round(seconds, 4)
    return rounded
