"""MMS and other CTC models through transformers: wav2vec 2.0, HuBERT, WavLM, ...

Pratap et al. 2023, "Scaling speech technology to 1,000+ languages" (MMS): one model with an adapter for each
language. Feng & Narayanan 2023 transcribe with MMS-1B.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...errors import InputError
from ...protocols import LoadAudio
from ..hf.models import HFModel
from . import inprocess, languages
from .base import RATE, AsrOptions, plain
from .inprocess import Clip, Heard, TorchRecogniser

ASR_SCHEME = "mms"
FORM = "mms/1b-all, mms/HUB_ID, mms/FOLDER"
TAKES = ("compute_type", "device", "batch", "threads")
SIZES = ("1b-all", "1b-fl102", "1b-l1107")

_ADAPTER = "adapter.{}.safetensors"
_USUAL = "eng"
# Attention grows with the square of the length, so longer clips are heard in parts that overlap.
_LONGEST, _PART, _CONTEXT = 40 * RATE, 30 * RATE, 4 * RATE


def create(spec: str, options: AsrOptions, load: LoadAudio) -> CTC:
    """The recogniser for `mms/1b-all` or the CTC model `mms/HUB_ID`, `mms/FOLDER`; see `asr.create`."""
    text = spec[len(ASR_SCHEME) + 1 :].strip()
    # More than a thousand adapters lie beside the weights; only one is needed.
    named = text in SIZES
    file = inprocess.find(f"facebook/mms-{text}" if named else text, ASR_SCHEME, ("adapter.*", "*fp32*"))
    return CTC(f"{ASR_SCHEME}/{text if named else file.name}", file, options, load)


class CTC(TorchRecogniser):
    """A CTC model as a recogniser: the likeliest token of each frame, repeats and blanks taken out.

    Raises:
        InputError: no CTC model, or it has no adapter for the language.
    """

    def __init__(self, name: str, file: HFModel, options: AsrOptions, load: LoadAudio) -> None:
        self.adapter, known = _adapter(name, file, options)
        super().__init__(name, file, options, load)
        self.parameters = plain({"task": options.task, "language": self.adapter, "compute_type": self.dtype})
        if not known and options.language not in (None, "auto"):
            self.notices.append(f"{name} has one language; the language {options.language!r} is not used")
        self._model: Any = None
        self._tokenizer: Any = None
        self._extractor: Any = None
        self._ratio = 320

    def read_model(self, dtype: Any) -> Sequence[str]:
        from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

        folder = self.file.folder
        more: dict[str, Any] = {"ignore_mismatched_sizes": True} if self.adapter else {}
        target = {"target_lang": self.adapter} if self.adapter else {}
        self._tokenizer = AutoTokenizer.from_pretrained(folder, **target)
        self._extractor = AutoFeatureExtractor.from_pretrained(folder)
        model, info = AutoModelForCTC.from_pretrained(
            folder, dtype=dtype, output_loading_info=True, **target, **more
        )
        self._ratio = int(getattr(model.config, "inputs_to_logits_ratio", self._ratio))
        self._model = model.to(self.device).eval()
        # The adapter brings the output layer of its language.
        replaced = ("lm_head.",) if self.adapter else ()
        return [key for key in info["missing_keys"] if not key.startswith(replaced) or not replaced]

    def drop_model(self) -> None:
        self._model = None

    def prepare(self, samples: Any) -> Clip:
        """The samples as the model wants them, normalised where it was trained so; shape (n,)."""
        found = self._extractor(samples, sampling_rate=RATE, return_tensors="pt", return_attention_mask=False)
        inputs = found.input_values[0]
        long = len(inputs) > _LONGEST
        if long or not self._extractor.return_attention_mask:
            # Without a mask the silence that fills up a shorter clip would be heard.
            return Clip(inputs, len(samples), object() if long else len(samples))
        return Clip(inputs, len(samples), "masked")

    def hear(self, clips: Sequence[Clip]) -> Sequence[Heard]:
        if len(clips) == 1 and clips[0].length > _LONGEST:
            return [self._hear_long(clips[0])]
        fitting = [clip for clip in clips if clip.length >= _shortest(self._model)]
        texts = iter(self._decode(self._likeliest([clip.inputs for clip in fitting])) if fitting else ())
        short = Heard("", ("too short for the model",))
        return [Heard(next(texts)) if clip in fitting else short for clip in clips]

    def _likeliest(self, inputs: Sequence[Any]) -> list[Any]:
        """The likeliest token of each frame, for each clip, without the frames that only fill up."""
        import torch

        sizes = torch.tensor([len(one) for one in inputs], device=self.device)
        batch = torch.nn.utils.rnn.pad_sequence(list(inputs), batch_first=True)
        more: dict[str, Any] = {}
        if self._extractor.return_attention_mask:
            more["attention_mask"] = (
                torch.arange(batch.shape[1], device=self.device)[None] < sizes[:, None]
            ).long()
        logits = self._model(batch.to(self.device, self._model.dtype), **more).logits
        frames = self._model._get_feat_extract_output_lengths(sizes).tolist()
        return [one[: int(n)].argmax(-1) for one, n in zip(logits, frames, strict=True)]

    def _decode(self, tokens: Sequence[Any]) -> list[str]:
        blank = self._tokenizer.pad_token_id
        special = {self._tokenizer.bos_token_id, self._tokenizer.eos_token_id, self._tokenizer.unk_token_id}
        # The tokenizer would write these out, and told to leave them out it loses the blanks too, without
        # which "ll" is "l".
        return [
            self._tokenizer.decode([blank if token in special else token for token in one.tolist()])
            for one in tokens
        ]

    def _hear_long(self, clip: Clip) -> Heard:
        """Hears a long clip in parts, and of each part counts what is not its context."""
        import torch

        kept = []
        for start in range(0, clip.length, _PART):
            first, last = max(0, start - _CONTEXT), min(clip.length, start + _PART + _CONTEXT)
            if last - start < _shortest(self._model):
                break
            tokens = self._likeliest([clip.inputs[first:last]])[0]
            skip = (start - first) // self._ratio
            kept.append(tokens[skip : skip + _PART // self._ratio])
        text = self._decode([torch.cat(kept)])[0]
        return Heard(text, ("heard in parts of 30 s",))


def _shortest(model: Any) -> int:
    """Samples below which the model's convolutions have nothing to work on."""
    size = 1
    for kernel, stride in zip(
        reversed(model.config.conv_kernel), reversed(model.config.conv_stride), strict=True
    ):
        size = (size - 1) * stride + kernel
    return int(size)


def _adapter(name: str, file: HFModel, options: AsrOptions) -> tuple[str | None, list[str]]:
    """The language whose adapter is to be used (None for a model without), and all that there are."""
    config, vocabulary = (_read(file, part) for part in ("config.json", "vocab.json"))
    if config.get("model_type") == "whisper":
        raise InputError(f"{file.name} is no CTC model but a Whisper model; name it whisper/{file.name}")
    known = [language for language, tokens in vocabulary.items() if isinstance(tokens, dict)]
    if not known or not config.get("adapter_attn_dim"):
        return None, []
    language = languages.match(options.asked_language or _USUAL, known, name)
    _fetch(file, language)
    return language, known


def _fetch(file: HFModel, language: str) -> None:
    """Downloads the adapter of a language where it is missing."""
    path = _ADAPTER.format(language)
    if (file.folder / path).is_file():
        return
    import httpx2
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    problem = "it is not in the folder"
    if "/" in file.name:
        try:
            hf_hub_download(file.name.partition("@")[0], path, revision=file.version)
            return
        except (HfHubHTTPError, HFValidationError, httpx2.HTTPError, OSError) as error:
            problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
    raise InputError(f"{file.name} lacks the adapter {path} of the language {language!r}: {problem}")


def _read(file: HFModel, name: str) -> dict[str, Any]:
    path = file.folder / name
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}
