"""Tokens of a text: counted with the model's own encoding where its file can be had, else estimated.

`tiktoken` fetches an encoding's file from the network when it is first used and keeps it in
`TIKTOKEN_CACHE_DIR` (or a folder for temporary files). Where neither the file nor the network is there,
tokens are estimated from the text's bytes, and called an estimate wherever they are shown.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import offline

if TYPE_CHECKING:
    import tiktoken

PER_MESSAGE = 3
"""Tokens around each message of a conversation, its role not counted (one more), as OpenAI documents them."""
PER_REPLY = 3
"""Tokens with which every reply is begun, counted with the prompt."""
BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 to a token; MELD's bare utterances have 3.7 (o200k_base), prompts about them 3.9 to 4.1."""
PATIENCE = 5.0
"""Seconds to wait for an encoding's file from the network."""
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


@dataclass(frozen=True, slots=True)
class Counting:
    """How the tokens of a model are counted.

    Attributes:
        count: the number of tokens of a text.
        encoding: the encoding's name; None where tokens are estimated.
        problem: why they are estimated, as a sentence; empty where they are counted.
    """

    count: Callable[[str], int]
    encoding: str | None
    problem: str = ""

    @property
    def exact(self) -> bool:
        return self.encoding is not None


def counting(model: str, encoding: str | None = None, patience: float = PATIENCE) -> Counting:
    """How to count a model's tokens.

    Args:
        model: the model id.
        encoding: tiktoken's name of the model's encoding; None to ask tiktoken, which knows OpenAI's models.
        patience: seconds to wait for the encoding's file; later calls in this process do not wait again.

    >>> counting("my-own-model").problem
    "tokens are estimated: no encoding is known for 'my-own-model'"
    """
    name = encoding or encoding_of(model)
    if name is None:
        return Counting(estimated, None, f"tokens are estimated: no encoding is known for {model!r}")
    loaded = _loaded(name, patience)
    if isinstance(loaded, str):
        return Counting(
            estimated,
            None,
            f"tokens are estimated: the file of encoding {name} cannot be had ({loaded}); "
            "TIKTOKEN_CACHE_DIR names a folder that has it",
        )

    @functools.lru_cache(maxsize=512)
    def count(text: str) -> int:
        # The words of a corpus are never commands to the model, also where they look like its special tokens.
        return len(loaded.encode_ordinary(text))

    return Counting(count, name)


def encoding_of(model: str) -> str | None:
    """tiktoken's name of the encoding of one of OpenAI's models; None where it knows none.

    >>> encoding_of("gpt-4o-2024-08-06"), encoding_of("my-own-model")
    ('o200k_base', None)
    """
    import tiktoken.model

    try:
        return tiktoken.model.encoding_name_for_model(model)
    except KeyError:
        return None


def estimated(text: str) -> int:
    """Tokens of a text as far as they can be told without its encoding: one for every four bytes of UTF-8.

    >>> estimated("Oh my God, he's lost it.")
    6
    """
    return estimated_from(byte_length(text))


def estimated_from(size: int) -> int:
    """Tokens of a text of so many bytes, estimated."""
    return -(-size // BYTES_PER_TOKEN)


def byte_length(text: str) -> int:
    """Bytes of a text in UTF-8; an unpaired surrogate is sent as U+FFFD, which has as many as it."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@functools.cache
def _loaded(name: str, patience: float) -> tiktoken.Encoding | str:
    """The encoding, or why it cannot be had.

    tiktoken waits for the network without a limit, so the wait is ours; a slow download goes on beside the
    run and is there for the next one. A file that is here already is waited for however busy the machine is.
    """
    import tiktoken

    if offline.active() and not _is_here(name):
        return "remelt is offline"
    found: list[tiktoken.Encoding | str] = []

    def load() -> None:
        try:
            found.append(tiktoken.get_encoding(name))
        except (OSError, ValueError) as error:
            # What an HTTP library says of a missing network fills three lines.
            found.append(type(error).__name__ if isinstance(error, OSError) else str(error))

    thread = threading.Thread(target=load, name="tiktoken", daemon=True)
    thread.start()
    thread.join(None if _is_here(name) else patience)
    return found[0] if found else f"no answer in {patience:g} s"


def _is_here(name: str) -> bool:
    """Whether tiktoken keeps the encoding's file: under the sha1 of its address, in the first of these."""
    folder = (
        os.environ.get("TIKTOKEN_CACHE_DIR")
        or os.environ.get("DATA_GYM_CACHE_DIR")
        or os.path.join(tempfile.gettempdir(), "data-gym-cache")
    )
    key = hashlib.sha1(_ADDRESS.format(name).encode(), usedforsecurity=False).hexdigest()
    return os.path.isfile(os.path.join(folder, key))
