"""Features that are computed, not learnt: MFCC, eight hand-crafted ones, GeMAPS and eGeMAPS.

They are asked for where a speech encoder is (`--speech mfcc`) and have one layer. Those of a whole clip have
one step and can be joined with `+` into one vector: `alqurashi` stands for `mfcc-mean+handcrafted+gemaps`,
the input of Alqurashi et al. 2024. Each clip is computed by itself. They come as they are; a model that uses
them standardises them with what it saw in training (`models.hierarchy.Standardised`).

openSMILE's licence allows research only and covers the features made with it; the names that end in `-afx`
are afx-audio's (MIT) values of the same functionals, which are near to openSMILE's, not equal.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, bad_value
from ...records import digest
from ..examples import RATE
from ..optional import package

if TYPE_CHECKING:
    from torch import nn

Samples = NDArray[np.float32]
# Of what is computed: a change means that cached features are computed anew.
VERSION = 1
OPENSMILE_NOTICE = (
    "Computed with openSMILE, whose licence allows research only and covers the features extracted with it: "
    "neither they nor a model trained on them may be used commercially without a licence of audEERING."
)
HANDCRAFTED = (
    "mean_abs", "std", "rms_mean", "rms_std", "pause_share", "harmonic_mean", "autocorrelation_max",
    "autocorrelation_std",
)  # fmt: skip
_COEFFICIENTS = 39
_DELTA_COEFFICIENTS = 13
# librosa's default frame. On less sound than one, its inverse transform gives back memory that nobody filled.
_FRAME = 2048
# openSMILE's and afx-audio's longest frame, 60 ms; on less sound they have no values.
_LEAST = RATE * 60 // 1000
_LARGEST = float(np.finfo(np.float16).max)
# What eGeMAPSv02 has and GeMAPSv01b has not (Eyben et al. 2016, section 3).
_EXTENDED = ("spectralFlux", "mfcc", "F2bandwidth", "F3bandwidth", "equivalentSoundLevel")
_INSTALL = {
    "opensmile": "pip install 'remelt[opensmile]' (for research only: see its licence)",
    "afx_audio": "pip install afx-audio",
}


@dataclass(frozen=True)
class Computed:
    """One kind of features, ready to compute.

    Attributes:
        columns: names of the numbers of a step.
        compute: mono sound at 16 kHz of at least `least` samples -> (steps, columns).
        versions: of the libraries.
        least: samples; shorter sound is filled up with zeros at its end.
        notice: what to know about the licence.
    """

    columns: tuple[str, ...]
    compute: Callable[[Samples], NDArray[Any]]
    versions: Mapping[str, str]
    least: int = 1
    notice: str = ""


@dataclass(frozen=True)
class _Kind:
    """How one kind is made.

    Attributes:
        make: loads its library.
        once: whether a clip has one step; else it has one for each frame.
    """

    make: Callable[[], Computed]
    once: bool = field(default=True)


def _librosa() -> tuple[Any, dict[str, str]]:
    return package("librosa"), {"librosa": version("librosa")}


def _mfcc(mean: bool, deltas: bool) -> Computed:
    """39 coefficients, or 13 with their first and second differences.

    librosa's defaults: frames of 2,048 samples (128 ms) every 512 (32 ms), centred, filled up with zeros; 128
    mel bands; power in decibels; orthonormal DCT-II. Differences over nine frames, the outermost repeated.
    """
    librosa, versions = _librosa()
    count = _DELTA_COEFFICIENTS if deltas else _COEFFICIENTS

    def compute(samples: Samples) -> NDArray[Any]:
        found = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=count)
        if deltas:
            orders = [librosa.feature.delta(found, order=order, mode="nearest") for order in (1, 2)]
            found = np.concatenate([found, *orders])
        rows: NDArray[Any] = np.asarray(found.mean(axis=1, keepdims=True) if mean else found).T
        return rows

    names = [f"mfcc{number}" for number in range(count)]
    if deltas:
        names += [f"{order}_{name}" for order in ("delta", "delta2") for name in names[:count]]
    return Computed(tuple(names), compute, versions)


def _handcrafted() -> Computed:
    """Eight numbers for energy, pauses, harmonics, pitch and central values (Alqurashi et al. 2024)."""
    librosa, versions = _librosa()

    def compute(samples: Samples) -> NDArray[Any]:
        loud = np.abs(samples).mean(dtype=np.float64)
        rms = librosa.feature.rms(y=samples)[0].astype(np.float64)
        whole = np.pad(samples, (0, max(0, _FRAME - len(samples))))
        harmonic = librosa.effects.hpss(whole)[0][: len(samples)]
        limit = 0.45 * loud
        clipped = np.sign(samples) * np.maximum(np.abs(samples) - limit, 0.0)
        correlated = librosa.autocorrelate(clipped.astype(np.float64))
        return np.array(
            [
                [
                    loud,
                    samples.std(dtype=np.float64),
                    rms.mean(),
                    rms.std(),
                    (rms <= 0.4 * rms.mean()).mean(),
                    1000 * harmonic.mean(dtype=np.float64),
                    1000 * correlated.max() / len(correlated),
                    correlated.std(),
                ]
            ]
        )

    return Computed(HANDCRAFTED, compute, versions)


def _smile(features: str, level: str, mean: bool = False) -> Computed:
    opensmile = package("opensmile", _INSTALL["opensmile"])
    smile = opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, features),
        feature_level=getattr(opensmile.FeatureLevel, level),
    )

    def compute(samples: Samples) -> NDArray[Any]:
        found = np.asarray(smile(samples, RATE)[0].T)
        return found.mean(axis=0, keepdims=True) if mean else found

    versions = {"opensmile": version("opensmile")}
    return Computed(tuple(smile.feature_names), compute, versions, _LEAST, OPENSMILE_NOTICE)


def _afx(extended: bool) -> Computed:
    afx = package("afx_audio", _INSTALL["afx_audio"])
    columns = tuple(
        name for name in afx.EGEMAPS_NAMES if extended or not any(part in name for part in _EXTENDED)
    )

    def compute(samples: Samples) -> NDArray[Any]:
        found = afx.egemaps(samples, RATE)
        return np.array([[found[name] for name in columns]])

    return Computed(columns, compute, {"afx-audio": version("afx-audio")}, _LEAST)


_FUNCTIONALS, _DESCRIPTORS = "Functionals", "LowLevelDescriptors"
_KINDS: Mapping[str, _Kind] = {
    "mfcc": _Kind(lambda: _mfcc(mean=False, deltas=False), once=False),
    "mfcc-delta": _Kind(lambda: _mfcc(mean=False, deltas=True), once=False),
    "mfcc-mean": _Kind(lambda: _mfcc(mean=True, deltas=False)),
    "mfcc-delta-mean": _Kind(lambda: _mfcc(mean=True, deltas=True)),
    "handcrafted": _Kind(_handcrafted),
    "gemaps": _Kind(lambda: _smile("GeMAPSv01b", _FUNCTIONALS)),
    "gemaps-afx": _Kind(lambda: _afx(extended=False)),
    "gemaps-lld": _Kind(lambda: _smile("GeMAPSv01b", _DESCRIPTORS), once=False),
    "gemaps-lld-mean": _Kind(lambda: _smile("GeMAPSv01b", _DESCRIPTORS, mean=True)),
    "egemaps": _Kind(lambda: _smile("eGeMAPSv02", _FUNCTIONALS)),
    "egemaps-afx": _Kind(lambda: _afx(extended=True)),
    "egemaps-lld": _Kind(lambda: _smile("eGeMAPSv02", _DESCRIPTORS), once=False),
}
# Joined features of the published system, and the same without openSMILE's functionals.
_JOINED: Mapping[str, str] = {
    "alqurashi": "mfcc-mean+handcrafted+gemaps",
    "alqurashi-lld": "mfcc-mean+handcrafted+gemaps-lld-mean",
    "alqurashi-afx": "mfcc-mean+handcrafted+gemaps-afx",
}
NAMES: tuple[str, ...] = (*_KINDS, *_JOINED)


def known(name: str) -> bool:
    """Whether a name stands for classical features, joined ones included.

    >>> known("egemaps"), known("mfcc-mean+handcrafted"), known("wav2vec2-base")
    (True, True, False)
    """
    return name in _JOINED or all(part in _KINDS for part in name.split("+"))


def create(name: str) -> Classical:
    """An encoder of classical features.

    Args:
        name: one of `NAMES`, or several with one step joined by `+`.

    Raises:
        InputError: no such features, features joined that have a step per frame, or a package is missing.
    """
    parts = _JOINED.get(name, name).split("+")
    for part in parts:
        if part not in _KINDS:
            raise InputError(bad_value("classical features", part, NAMES))
        if len(parts) > 1 and not _KINDS[part].once:
            choices = [each for each, kind in _KINDS.items() if kind.once]
            raise InputError(
                f"Bad features {name!r}: {part!r} has a step per frame; what can be joined is {choices!r}"
            )
    return Classical(name, {part: _KINDS[part].make() for part in parts})


class Classical:
    """Computes features; see `base.Encoder`.

    Args:
        name: as asked for.
        parts: kind -> how it is computed.

    Attributes:
        columns: names of the numbers of a step.
        notices: on licences.
    """

    kind = "speech"
    layers = 1

    def __init__(self, name: str, parts: Mapping[str, Computed]) -> None:
        self.name, self._parts = name, dict(parts)
        self.columns = tuple(column for part in parts.values() for column in part.columns)
        self.width = len(self.columns)
        self.notices: tuple[str, ...] = tuple(
            dict.fromkeys(part.notice for part in parts.values() if part.notice)
        )
        versions = {kind: {"columns": part.columns, **part.versions} for kind, part in parts.items()}
        self.identity = digest({"version": VERSION, "parts": versions})

    def encode(self, items: Sequence[Any]) -> list[NDArray[np.float16]]:
        """The features of sounds, each computed by itself.

        Args:
            items: mono sounds at 16 kHz, float32 of shape (samples,).

        Returns:
            For each an array of shape (1, steps, width).

        Raises:
            InputError: a sound without samples, or with values that are no numbers.
        """
        return [self._encoded(np.asarray(item, np.float32)) for item in items]

    def _encoded(self, samples: Samples) -> NDArray[np.float16]:
        if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
            raise InputError(
                f"{self.name} needs sound of shape (samples,) with one finite sample or more, got "
                f"{samples.shape} with {int((~np.isfinite(samples)).sum())} that are no numbers"
            )
        found = []
        with warnings.catch_warnings():
            # librosa warns of sounds shorter than its frame, which it fills up with zeros.
            warnings.filterwarnings("ignore", message="n_fft=", category=UserWarning)
            for part in self._parts.values():
                filled = np.pad(samples, (0, max(0, part.least - len(samples))))
                found.append(np.asarray(part.compute(filled), np.float64))
        # Half precision, in which features are kept, has no larger numbers.
        joined = np.clip(np.concatenate(found, axis=1), -_LARGEST, _LARGEST)
        return joined[None].astype(np.float16)

    def remark(self, item: Any) -> str:
        """Says where a sound had to be filled up."""
        least = max(part.least for part in self._parts.values())
        return f"filled up to {1000 * least // RATE} ms" if len(item) < least else ""

    def inputs(self, items: Sequence[Any]) -> list[NDArray[Any]]:
        """
        Raises:
            InputError: always; nothing in it can be trained.
        """
        raise InputError(f"{self.name} has no weights to train; use it frozen")

    def tunable(self) -> nn.Module:
        """
        Raises:
            InputError: always; nothing in it can be trained.
        """
        raise InputError(f"{self.name} has no weights to train; use it frozen")
