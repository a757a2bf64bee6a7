"""Answers that follow their JSON Schema while they are written (llguidance)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import AnnotatorError
from ..local import with_lengths
from ..openai_plan import named_schema

# One way to write an answer: a small model would fill a reply with spaces and line ends.
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammars:
    """Makes matchers for schemas; one for each reply that is being written.

    Args:
        tokenizer: of transformers; a fast one.
        vocabulary: size of the model's output.
        ends: tokens that end a reply.

    Raises:
        AnnotatorError: llguidance cannot use this tokenizer.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: list[int]) -> None:
        import llguidance.hf

        self._vocabulary = vocabulary
        try:
            self.tokens = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=ends or None)
        except ValueError as error:
            raise AnnotatorError(
                f"This model's tokenizer cannot be constrained ({error}); "
                "use --answer-format prefill or prompt"
            ) from error
        self._made: dict[str, Any] = {}

    def matcher(self, schema: Mapping[str, Any], schema_hash: str) -> Any:
        """A fresh matcher.

        Raises:
            AnnotatorError: llguidance cannot enforce the schema.
        """
        if schema_hash not in self._made:
            self._made[schema_hash] = self._compile(schema)
        return self._made[schema_hash].deep_copy()

    def allowed(self, matcher: Any) -> Any:
        """Which tokens may come next: an array of zeros and ones, one for each of the vocabulary."""
        import numpy as np

        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        found = np.unpackbits(bits, bitorder="little")[: self._vocabulary]
        if matcher.is_error():
            raise AnnotatorError(f"llguidance cannot go on: {matcher.get_error()[:300]}")
        return np.pad(found, (0, self._vocabulary - len(found)))

    def _compile(self, schema: Mapping[str, Any]) -> Any:
        from llguidance import LLMatcher

        plain = named_schema(with_lengths(schema))["schema"]
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(plain), overrides=_LAYOUT)
        matcher = LLMatcher(self.tokens, grammar, log_level=0)
        if matcher.is_error():
            raise AnnotatorError(
                f"llguidance cannot enforce the answer's schema: {matcher.get_error()[:300]}"
            )
        return matcher
