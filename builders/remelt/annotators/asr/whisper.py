"""Whisper of any size through transformers (Radford et al. 2023).

Feng & Narayanan 2023 transcribe with large-v2, de Oliveira et al. 2023 with base and tiny, Dutta & Ganapathy
2025 with large-v3; these are names here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...protocols import LoadAudio
from ..hf.models import HFModel
from . import inprocess, languages
from .base import RATE, AsrOptions, plain
from .inprocess import Clip, Heard, TorchRecogniser

ASR_SCHEME = "whisper"
FORM = "whisper/large-v2, whisper/HUB_ID, whisper/FOLDER"
TAKES = ("beam", "temperature", "task", "prompt", "compute_type", "device", "batch", "threads")
SIZES = (
    "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en", "large", "large-v2",
    "large-v3", "large-v3-turbo",
)  # fmt: skip

_WINDOW = 30 * RATE
_MULTILINGUAL = 51_865
# What OpenAI's checkpoints hold beside the weights that transformers reads.
_LEAVE = ("flax_model*", "tf_model*", "*fp32*")


def create(spec: str, options: AsrOptions, load: LoadAudio) -> Whisper:
    """The recogniser for `whisper/SIZE`, `whisper/HUB_ID` or `whisper/FOLDER`; see `asr.create`."""
    text = spec[len(ASR_SCHEME) + 1 :].strip()
    file = inprocess.find(f"openai/whisper-{text}" if text in SIZES else text, ASR_SCHEME, _LEAVE)
    name = f"{ASR_SCHEME}/{text if text in SIZES else file.name}"
    return Whisper(name, file, options, load)


class Whisper(TorchRecogniser):
    """A Whisper model; clips of up to 30 s are heard in batches, longer ones alone, window by window.

    Raises:
        InputError: no Whisper model, or it does not know the language or the task.
    """

    def __init__(self, name: str, file: HFModel, options: AsrOptions, load: LoadAudio) -> None:
        super().__init__(name, file, options, load)
        known = _languages(file.folder)
        if not known and options.task == "translate":
            raise InputError(f"Bad task 'translate': {name} knows English only")
        asked = options.asked_language
        self._detects = bool(known) and asked is None
        self.language = languages.match(asked, known or ["en"], name) if asked else None
        self._multilingual = bool(known)
        self.parameters = plain(
            {
                "task": options.task,
                "language": self.language or (None if known else "en"),
                "beam": options.beam,
                "temperature": options.temperature,
                "compute_type": self.dtype,
                "prompt": options.prompt,
            }
        )
        self._model: Any = None
        self._tokenizer: Any = None
        self._extractor: Any = None
        self._prompt: Any = None

    def read_model(self, dtype: Any) -> Sequence[str]:
        from transformers import (
            WhisperFeatureExtractor,
            WhisperForConditionalGeneration,
            WhisperTokenizer,
        )

        folder = self.file.folder
        self._tokenizer = WhisperTokenizer.from_pretrained(folder)
        self._extractor = WhisperFeatureExtractor.from_pretrained(folder)
        model, info = WhisperForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, output_loading_info=True
        )
        self._model = model.to(self.device).eval()
        if self.options.prompt:
            ids = self._tokenizer.get_prompt_ids(self.options.prompt, return_tensors="pt")
            self._prompt = ids.to(self.device)
        return list(info["missing_keys"])

    def drop_model(self) -> None:
        self._model = self._prompt = None

    def prepare(self, samples: Any) -> Clip:
        """Log-mel features, shape (bands, frames): 3,000 frames of 10 ms, or as many as a long clip has."""
        long = len(samples) > _WINDOW
        found = self._extractor(
            samples,
            sampling_rate=RATE,
            return_tensors="pt",
            truncation=not long,
            padding="longest" if long else "max_length",
        )
        # A long clip's windows end where its own pauses are, so it is heard alone.
        return Clip(found.input_features[0], len(samples), object() if long else "short")

    def hear(self, clips: Sequence[Clip]) -> Sequence[Heard]:
        import torch

        long = clips[0].length > _WINDOW
        features = torch.stack([clip.inputs for clip in clips]).to(self.device, self._model.dtype)
        spoken = self._spoken(features)
        more: dict[str, Any] = {}
        if self._multilingual:
            more = {"language": spoken, "task": self.options.task}
        if long:
            # Where a window ends is told by the time stamps.
            more |= {"return_timestamps": True, "attention_mask": features.new_ones(features.shape[::2])}
        if self._prompt is not None:
            more["prompt_ids"] = self._prompt
        if self.options.temperature:
            more |= {"do_sample": True, "temperature": self.options.temperature}
        else:
            more["do_sample"] = False
        tokens = self._model.generate(
            features, num_beams=self.options.beam, stopping_criteria=[self._stop], **more
        )
        texts = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        notes = ("heard in windows of 30 s",) if long else ()
        told = [(f"language {s}", *notes) for s in spoken] if self._detects else [notes] * len(clips)
        return [Heard(text, note) for text, note in zip(texts, told, strict=True)]

    def _spoken(self, features: Any) -> list[str]:
        """The language of each clip."""
        if self.language or not self._multilingual:
            return [self.language or "en"] * len(features)
        tokens = self._model.detect_language(features[..., :3000])
        names = self._tokenizer.convert_ids_to_tokens(tokens.flatten().tolist())
        return [name.strip("<|>") for name in names]

    def _stop(self, tokens: Any, scores: Any, **_: Any) -> Any:
        """Ends a generation when the run is ended."""
        import torch

        return torch.full((len(tokens),), self.stopped.is_set(), dtype=torch.bool, device=tokens.device)


def _languages(folder: Path) -> list[str]:
    """The languages that a model can be told of; none for an English one.

    Raises:
        InputError: this is no Whisper model.
    """
    config = _read(folder / "config.json")
    if config.get("model_type") != "whisper":
        raise InputError(
            f"{folder.name} is no Whisper model but {config.get('model_type')!r} (CTC models: mms/HUB_ID)"
        )
    generation = _read(folder / "generation_config.json")
    known = [token.strip("<|>") for token in generation.get("lang_to_id") or {}]
    multilingual = config.get("vocab_size", 0) >= _MULTILINGUAL
    if generation.get("is_multilingual", multilingual) and not known:
        raise InputError(
            f"generation_config.json of {folder.name} names no languages (`lang_to_id`), as those of older "
            "checkpoints; put the one of the openai/whisper model that it was made from in its place"
        )
    return known if generation.get("is_multilingual", True) else []


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}
