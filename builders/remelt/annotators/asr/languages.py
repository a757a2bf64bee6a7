"""Language codes: ISO 639-1 (`en`), which Whisper uses, and ISO 639-3 (`eng`), which MMS uses."""

from __future__ import annotations

from collections.abc import Collection

from ...errors import InputError

_PAIRS = (
    "af afr, am amh, ar ara, as asm, az azj, be bel, bg bul, bn ben, bs bos, ca cat, cs ces, cy cym, da dan, "
    "de deu, el ell, en eng, es spa, et est, eu eus, fa fas, fi fin, fr fra, ga gle, gl glg, gu guj, ha hau, "
    "he heb, hi hin, hr hrv, hu hun, hy hye, id ind, is isl, it ita, ja jpn, jw jav, ka kat, kk kaz, km khm, "
    "kn kan, ko kor, ky kir, ln lin, lo lao, lt lit, lv lav, mk mkd, ml mal, mn mon, mr mar, ms zlm, mt mlt, "
    "my mya, ne npi, nl nld, no nob, pa pan, pl pol, ps pus, pt por, ro ron, ru rus, sd snd, si sin, sk slk, "
    "sl slv, sn sna, so som, sq sqi, sr srp, sv swe, sw swh, ta tam, te tel, tg tgk, th tha, tl tgl, tr tur, "
    "uk ukr, ur urd, uz uzb, vi vie, yo yor, zh cmn"
)
_LONG = dict(pair.split() for pair in _PAIRS.split(", "))
_SHORT = {long: short for short, long in _LONG.items()}


def match(language: str, known: Collection[str], what: str) -> str:
    """A language as a model names it.

    Args:
        language: an ISO 639 code of two or three letters, or the model's own name.
        known: the model's names.
        what: the model, for the message.

    Raises:
        InputError: the model does not know it, or knows it in several scripts.

    >>> match("en", ["eng", "deu"], "a model"), match("deu", ["en", "de"], "a model")
    ('eng', 'de')
    >>> match("ur", ["eng", "urd-script_arabic"], "a model")
    'urd-script_arabic'
    """
    code = language.strip().lower()
    candidates = (language.strip(), code, _LONG.get(code, code), _SHORT.get(code, code))
    for candidate in candidates:
        if candidate in known:
            return candidate
    scripts = [name for name in known if name.partition("-")[0] in candidates]
    if len(scripts) == 1:
        return scripts[0]
    choices = scripts or sorted(known)
    shown = choices[:20]
    more = f" and {len(choices) - len(shown)} more" if len(choices) > len(shown) else ""
    raise InputError(f"Bad language {language!r} for {what}, expected one of {shown!r}{more}")
