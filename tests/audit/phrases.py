"""Phrases about a voice as models write them into MELT's fields, each with the level a person reads there.

One phrase a line, its level before the colon; `?` where it says nothing of the level.
"""

from __future__ import annotations

from collections.abc import Iterator

PITCH = """
high: High
high: high-pitched
high: High pitched
high: Slightly higher than normal
high: slightly raised
high: Higher than usual, with excitement
high: Elevated pitch with a hint of sarcasm
high: Elevated, reflecting surprise
high: raised
high: Moderate to high
high: Medium-high
high: Mid to high
high: medium to high, with rising intonation at the end
high: shrill
high: squeaky and excited
high: Above average
high: A bit higher than her normal speaking voice
high: rising
high: Rising pitch, indicating a question
high: Gradually rising
high: high, with fluctuations
high: High and energetic, with upward inflections
high: not low but high
high: falsetto
high: Bright and cheerful
high: very high, almost screeching
high: pitch rises with disbelief
high: Higher pitch than usual, but soft volume
high: more elevated than before
high: Heightened, with sharp peaks
high: Slightly elevated, indicating surprise
high: Mid to high-range
high: Starts off normal but rises sharply
high: Varies, rising with excitement
high: Consistently high
low: Low
low: low-pitched
low: Lower than usual
low: a bit lower
low: Slightly lower to convey sadness
low: deep
low: Deep and calm
low: deeper than normal
low: low to medium
low: Low to moderate
low: Low-medium
low: lowered
low: Low, steady
low: falling
low: Descending, conveying resignation
low: dropping slightly
low: low, rising slightly at the end
low: Low and monotone
low: a low, gravelly tone
low: below average
low: Not high, rather low
low: less high than usual
low: Low pitch, high volume
low: gruff
low: volume high, pitch low
low: Rather low, not raised at all
low: Low to mid-range
low: uncharacteristically low
low: At a lower register
mid: medium
mid: Moderate
mid: Moderate pitch
mid: Mid-range
mid: midrange
mid: Normal
mid: Normal, conversational pitch
mid: Average with slight variations
mid: neutral
mid: Steady and even
mid: monotone
mid: flat
mid: starts low and rises
mid: Starts high and then drops
mid: begins high, falling toward the end
mid: fluctuating
mid: Varied, with emphasis on key words
mid: Varying
mid: low to high
mid: ranging from low to high
mid: neither high nor low
mid: Not too high, not too low
mid: isn't very high
mid: isn’t particularly low
mid: not overly high
mid: medium, with occasional high peaks
mid: Moderate with a slight rise at the end
mid: Rising at the end
mid: Even, without rising
mid: as usual
mid: Natural, not raised
mid: dynamic
mid: High at first, then low
mid: doesn't fluctuate
mid: Mid-range with slight inflection
mid: Higher towards the end of the sentence
mid: high, shrill, then falling
?: sarcastic
?: Warm and inviting
?: n/a
?: Unclear
?: 220 Hz
?: disbelief
"""

LOUDNESS = """
high: loud
high: Loud!
high: LOUD
high: loud and clear
high: Louder than usual
high: Slightly louder than normal
high: Loudly, almost shouting
high: shouting
high: Yelling in frustration
high: raised voice
high: Raised
high: booming
high: Moderately loud
high: Moderate to loud
high: medium-high volume
high: high
high: elevated
high: Not whispering, but loud
high: not only loud but piercing
high: not just loud: deafening
high: at the top of her lungs
high: exclaiming
high: forceful
high: Strong and assertive
high: a bit loud
high: somewhat raised
high: increasing in volume
high: looooud
high: growing louder
high: Intense
high: loud—nearly a scream
high: far from quiet; she is screaming
high: Loud (shouted)
high: above normal
high: calm at first glance, yet loud
high: no longer quiet; loud
high: Moderate, slightly raised in frustration
high: Slightly louder than conversational
high: A little above normal
high: Elevated but not shouting
high: Voice raised for emphasis
high: She speaks up
high: unusually loud
low: soft
low: Softly spoken
low: soft-spoken
low: quiet
low: Quieter than usual
low: hushed
low: whisper
low: Whispered
low: almost a whisper
low: barely above a whisper
low: barely audible
low: Low
low: low volume
low: Low to medium
low: Soft to moderate
low: soft but intense
low: Soft, yet firm
low: gentle
low: Gentle and soothing
low: muted
low: subdued
low: lowered
low: a little lower than normal
low: not as loud as usual
low: less loud than before
low: no louder than a whisper
low: under her breath
low: muttering
low: fading
low: not loud but soft
low: softer than a normal conversation
low: more quiet than loud
low: Quiet, not raised
low: slightly muffled
low: High pitch, low volume
low: Below conversational level, hushed
low: Low, almost under his breath
low: Drops to a whisper
low: Average to slightly soft
low: decreasing
low: toned-down
mid: medium
mid: moderate
mid: Moderate volume
mid: Normal
mid: normal speaking volume
mid: Average
mid: conversational
mid: Conversational volume, not too loud
mid: not loud
mid: Not very loud
mid: isn't loud
mid: not too quiet
mid: neither loud nor soft
mid: Moderate, but firm
mid: steady
mid: firm but not loud
mid: starts loud, then softens
mid: Soft at first but then loud
mid: starts soft, gradually getting louder
mid: from a whisper to a shout
mid: softer at the beginning, louder at the end
mid: fluctuating
mid: Moderate with occasional shouts
mid: audible
mid: without shouting
mid: alternating between loud and soft
mid: no shouting
mid: hardly raised
mid: medium, never shouting
mid: regular
mid: not particularly loud, but intense
mid: At a normal level
mid: not unduly loud
mid: calm, steady
?: sarcastic tone
?: playful
?: ...
?: unknown
?: not normal
"""

RHYTHM = """
high: fast
high: Fast-paced
high: fast paced
high: quick
high: Quick and energetic
high: rapid
high: Rapid-fire
high: brisk
high: Hurried
high: rushed
high: slightly rushed
high: slightly faster than normal
high: Faster than usual
high: moderate to fast
high: Moderately fast
high: Medium-fast
high: speeding up
high: accelerating
high: Quickened by excitement
high: energetic
high: snappy
high: breathless
high: Upbeat and lively
high: high tempo
high: not slow, quite fast
high: Rapid, tripping over his words
high: abrupt and short
high: fast but not rushed
high: Quickly spoken with no pauses
low: slow
low: slow, drawn-out
low: Slow and deliberate
low: drawn out
low: slower than usual
low: slightly slower
low: Slow to moderate
low: slow-moderate
low: leisurely
low: unhurried
low: not fast, slow
low: hesitant, with pauses
low: sloooow
low: dragging
low: less rapid than usual
low: slowing down
low: deliberate
low: Halting
low: slow pace, high pitch
low: relaxed and slow
low: unhurried and even
low: Paused and thoughtful
low: A bit on the slow side
low: Irregular, with pauses
low: Slowed for emphasis
low: deliberately slow
mid: moderate
mid: Moderate pace
mid: medium
mid: normal
mid: Normal speed
mid: steady
mid: Steady, conversational pace
mid: even
mid: measured
mid: average speed, not rushed
mid: not rushed
mid: not too fast
mid: neither fast nor slow
mid: starts slow, then speeds up
mid: begins quickly and slows down
mid: quick at first, then slow
mid: varied
mid: erratic
mid: moderate, with a slight pause at the end
mid: natural
mid: moderate with brief pauses
mid: slow to fast
mid: regular rhythm
mid: doesn't rush
mid: Even-paced
mid: Steady and calm
mid: Slow to build, then quickens
mid: Slow start, picking up speed
mid: no rush
?: sad
?: unclear
"""


def phrases() -> Iterator[tuple[str, str, str | None]]:
    """Dimension, text and expected level of every phrase."""
    for dimension, lines in (("pitch", PITCH), ("loudness", LOUDNESS), ("rhythm_speed", RHYTHM)):
        for line in lines.strip().splitlines():
            level, text = line.split(": ", 1)
            yield dimension, text, None if level == "?" else level
