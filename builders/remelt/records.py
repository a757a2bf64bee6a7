"""The frozen records that travel through remelt: an utterance, a request, a reply, an annotation, a drop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Stage = Literal["selection", "annotation", "resolution"]
Status = Literal["valid", "invalid", "refused", "error"]


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def utterance_key(corpus: str, split: str, dialogue: int | str, utterance: int | str) -> str:
    """The one id of an utterance; `diaX_uttY` alone is not unique across the splits of MELD.

    >>> utterance_key("meld", "train", 0, 3)
    'meld/train/dia0_utt3'
    """
    return f"{corpus}/{split}/dia{dialogue}_utt{utterance}"


def canonical_json(value: object) -> str:
    """One JSON text per value: sorted keys, no spaces, Unicode kept.

    >>> canonical_json({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return _canonical.encode(value)


def digest(value: object) -> str:
    """The sha256 (64 hexadecimal digits) of a value's canonical JSON.

    Unpaired surrogates, which some corpora carry, are hashed as such instead of raising.
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


class _LastDigest:
    """`digest` that knows the last object it was given: all requests of a run share one schema."""

    def __init__(self) -> None:
        self._last: tuple[object, str] = (None, "")

    def __call__(self, value: object) -> str:
        known, found = self._last
        if known is not value:
            found = digest(value)
            self._last = (value, found)
        return found


_schema_digests = _LastDigest()


@dataclass(frozen=True, slots=True)
class Rating:
    """What one person said of an utterance, before anybody combined it with others.

    Attributes:
        rater: the corpus's name for the person.
        labels: the labels chosen, in the corpus's own names, lower case; several where the corpus allows it.
        attributes: dimensions that were rated, such as arousal, on the corpus's own scale.
    """

    rater: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a corpus, as its reader found it.

    Attributes:
        id: the key, such as `meld/train/dia0_utt3` (see `utterance_key`).
        text: the words as they stand in the file.
        text_repaired: the words with broken encoding mended; None where nothing was broken.
        label: the corpus's own emotion label in lower case; None where it has none.
        start, end: seconds from the start of the recording; None where unknown or unreadable.
        clip: path of the clip relative to the corpus folder; None without media.
        clip_duration: seconds of the clip itself, where it was measured; of the part between `clip_start`
            and `clip_end` where the utterance is a part of it.
        flags: names of the defects found in this row, sorted.
        source: file name and line of the row, for messages (`train_sent_emo.csv:12`).
        sex: the speaker's, `female` or `male`; None where the corpus does not say.
        session: the recording session, by which folds are made; None where there is none.
        clip_start, clip_end: seconds into the clip file where the utterance begins and ends; None where the
            file holds nothing else.
        ratings: each rater's own verdict, in the corpus's order; empty where only a result is published.
        attributes: dimensions such as arousal, valence and dominance, on the corpus's own scale.
    """

    id: str
    corpus: str
    split: str
    dialogue_id: int | str
    utterance_id: int | str
    speaker: str
    text: str
    text_repaired: str | None = None
    label: str | None = None
    sentiment: str | None = None
    season: int | None = None
    episode: int | None = None
    start: float | None = None
    end: float | None = None
    clip: str | None = None
    clip_duration: float | None = None
    flags: tuple[str, ...] = ()
    source: str = ""
    sex: str | None = None
    session: str | None = None
    clip_start: float | None = None
    clip_end: float | None = None
    ratings: tuple[Rating, ...] = ()
    attributes: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def duration(self) -> float | None:
        """Seconds between the time stamps, to the millisecond; None without time stamps."""
        if self.start is None or self.end is None:
            return None
        return round(self.end - self.start, 3)

    @property
    def words(self) -> str:
        """The text to work with: the repaired copy where the file's text was broken."""
        return self.text if self.text_repaired is None else self.text_repaired


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message; role is `system`, `user` or `assistant`."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Request:
    """What is asked about one utterance. Its key decides whether it was answered before.

    Attributes:
        annotator: the annotator's name as given on the command line (`openai/gpt-4o-2024-08-06`).
        model: the model id sent to the server.
        endpoint: who answers: the base URL, `local`, `mock`, or the sha256 of a replayed file.
        schema: the JSON Schema (2020-12) of the answer.
        parameters: temperature, seed, max_tokens and the like; None values are not sent.
        prefill: the assistant's first characters where prefill is used, else empty.
        prompt_hash: sha256 over the prompt file and the repair prompt; empty where no prompt is used.
    """

    utterance: Utterance
    annotator: str
    model: str
    endpoint: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prefill: str = ""
    prompt_hash: str = ""

    @cached_property
    def key(self) -> str:
        """sha256 over everything that shapes the answer, the utterance's id included.

        Two utterances with the same words are two requests: at a temperature above 0 each gets a
        reply of its own.
        """
        return digest(
            [
                self.utterance.id,
                self.model,
                self.endpoint,
                [[m.role, m.content] for m in self.messages],
                self.prompt_hash,
                self.schema_hash,
                dict(self.parameters),
                self.prefill,
            ]
        )

    @cached_property
    def schema_hash(self) -> str:
        return _schema_digests(self.schema)


@dataclass(frozen=True, slots=True)
class Reply:
    """One raw reply, as it is journaled and published.

    Attributes:
        raw: the reply's text, untouched (with prefill: what the server returned, prefill not added).
        attempt: 0 for the first question, 1 for the first repair turn, and so on.
        model: the model id the server reported, else the one asked for.
        means: how structure was asked for: json_schema, json_object, grammar, prefill, prompt, scoring,
            replay, mock.
        failure: `refused` or `error` where there is no answer to parse; empty otherwise.
        detail: the refusal's or the error's text, or what is notable (dropped parameters).
        finish_reason: stop, length, content_filter, or as the server says.
        input_tokens, output_tokens: as the server counts them; None where it does not.
        cached_tokens: how many of the input tokens came from the server's cache.
        reasoning_tokens: how many of the output tokens were thought and not said.
        cost: US dollars; None where no price is known.
        seconds: wall time of the request.
        created: UTC time in ISO 8601, to the second.
        tries: requests sent for this attempt, transport retries included.
        label_logprobs: natural log-probabilities of the labels where the annotator gives them, as a JSON
            object (`{"joy": -0.11, "neutral": -2.4}`; labels it does not mention are unlikely); else empty.
    """

    request_key: str
    utterance_id: str
    attempt: int
    raw: str
    model: str
    means: str
    failure: Literal["", "refused", "error"] = ""
    detail: str = ""
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    seconds: float = 0.0
    created: str = ""
    tries: int = 1
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    label_logprobs: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request will take, before it is sent.

    Attributes:
        input_tokens: tokens of the messages and the schema, as good as they can be counted beforehand.
        output_tokens: tokens of the reply at most; None where nothing limits them.
        cost: US dollars that the answer can cost at most, with a bound on the input tokens that no
            tokenizer passes; None where the price or the limit is not known.
        exact: whether the input was counted with the model's own encoding.
    """

    input_tokens: int
    output_tokens: int | None
    cost: float | None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a server says of its limits; None where it says nothing.

    Attributes:
        requests, tokens: allowed in one minute.
        requests_left, tokens_left: still allowed at this moment.
        requests_reset, tokens_reset: seconds until they are all allowed again.
    """

    requests: float | None = None
    tokens: float | None = None
    requests_left: float | None = None
    tokens_left: float | None = None
    requests_reset: float | None = None
    tokens_reset: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `answers.check` says of a reply: the parsed answer, or why there is none.

    Attributes:
        status: valid, invalid, refused or error.
        answer: the parsed JSON object (also of an invalid answer, where it parsed); None otherwise.
        label: the label in lower case, only where the status is valid.
        problems: why the answer is not valid, one sentence each; empty when valid.
        notes: what was tolerated: `code_fence`, `text_around_json`, `label_case`, ...
        flags: what to know of a valid answer: `character_mismatch`, ...
    """

    status: Status
    answer: Mapping[str, Any] | None = None
    label: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Voice:
    """What was heard in an utterance's clip.

    Attributes:
        utterance_id: whose clip it is.
        seconds: length of the decoded sound; None where it could not be read.
        flags: names of the faults of the sound (`clipped`, `silent`, ...), sorted.
        measures: column name -> value, such as `f0_semitone_mean`; None where the sound has no such value.
        levels: `pitch_level`, `loudness_level`, `rate_level` -> low, mid or high; None where not measured.
        transcript: what a recogniser heard; None where none was asked.
    """

    utterance_id: str
    seconds: float | None = None
    flags: tuple[str, ...] = ()
    measures: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    levels: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    transcript: str | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """A request with all its replies and the verdict on each, first to last; the last one counts."""

    request: Request
    replies: tuple[Reply, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def utterance(self) -> Utterance:
        return self.request.utterance

    @property
    def verdict(self) -> Verdict:
        return self.verdicts[-1]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one source said of an utterance.

    Attributes:
        source: the annotator's name, or the rater's.
        label: in the label set's names; None where the source gave no usable answer.
        kind: whether a model or a person said it.
        probabilities: label -> share of the source's belief, adding up to 1; empty where it does not tell.
    """

    source: str
    label: str | None
    kind: Literal["model", "human"] = "model"
    probabilities: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What several votes on an utterance come to.

    Attributes:
        utterance_id: whose votes they are.
        label: None where the rule does not decide.
        rule: the rule's name (`majority`, `dawid_skene`, ...).
        decided_by: how the label came about (`majority`, `plurality`, `tie:first`, `human:ann`, ...); empty
            where it did not.
        share: the label's part of the votes that counted, in [0, 1]; without a label that of the leading
            one; None without votes.
        entropy: of `distribution`, in bits; None without votes.
        distribution: label -> share, adding up to 1; labels without any share may be left out.
        votes: every vote, in the order of the sources, those without a label too.
        reason: why there is no label (`no_votes`, `quorum`, `no_majority`, `tie`, `rejected`,
            `no_rater`, `disagreement`); empty with one.
        detail: the reason as a sentence.
    """

    utterance_id: str
    label: str | None
    rule: str
    decided_by: str = ""
    share: float | None = None
    entropy: float | None = None
    distribution: Mapping[str, float] = field(default_factory=dict, hash=False)
    votes: tuple[Vote, ...] = ()
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """An utterance that does not reach the dataset, with every reason.

    Attributes:
        reasons: rule names one can count by (`duration`, `words`, `speaker`, `invalid_answer`, ...).
        details: one sentence per reason, in the same order (`0.917 s is under 0.961 s`).
    """

    utterance: Utterance
    stage: Stage
    reasons: tuple[str, ...]
    details: tuple[str, ...]
