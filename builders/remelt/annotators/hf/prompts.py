"""From chat messages to the tokens that a transformers model goes on from."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...records import Message
from ..openai_plan import sendable


class Prompts:
    """A tokenizer with its chat template.

    A tokenizer without one gets the messages as plain text, with an empty line after each.

    Args:
        tokenizer: of transformers.
        notices: gets a sentence for each departure from the messages as they are.
    """

    def __init__(self, tokenizer: Any, notices: list[str]) -> None:
        self.tokenizer = tokenizer
        self._notices = notices
        self._chat = bool(tokenizer.chat_template)
        self._system = True
        if not self._chat:
            notices.append(
                "The tokenizer has no chat template; the model is given the messages as plain text, one "
                "after the other with an empty line between"
            )
        self._beginning = lru_cache(maxsize=16)(self._beginning_of)

    def text(self, messages: tuple[Message, ...], prefill: str = "") -> str:
        """The whole prompt, up to where the model goes on.

        Args:
            messages: the conversation; the model speaks next.
            prefill: the first characters of what it says.
        """
        chat = [{"role": m.role, "content": sendable(m.content)} for m in messages]
        if not self._chat:
            return "".join(f"{m['content']}\n\n" for m in chat) + sendable(prefill)
        return self._templated(chat) + sendable(prefill)

    def tokens(self, text: str) -> list[int]:
        """The token ids of a prompt; a template writes the special tokens itself."""
        return list(self.tokenizer(text, add_special_tokens=not self._chat)["input_ids"])

    def beginning(self, messages: tuple[Message, ...]) -> list[int]:
        """The tokens that all prompts with the same system messages begin with.

        It depends on these messages alone and not on what else is asked, so that a reply does not either.
        """
        shared = []
        for message in messages:
            if message.role != "system":
                break
            shared.append(message)
        return self._beginning(tuple(shared)) if shared else []

    def _beginning_of(self, shared: tuple[Message, ...]) -> list[int]:
        two = [self.tokens(self.text((*shared, Message("user", words)))) for words in ("I", '"No')]
        return two[0][: common(two)]

    def _templated(self, chat: list[dict[str, str]]) -> str:
        import jinja2

        if self._system:
            try:
                return self._render(chat)
            except jinja2.TemplateError:
                if not any(m["role"] == "system" for m in chat):
                    raise
        # Some templates know no system message: it becomes the beginning of the user's first one.
        said = "\n\n".join(m["content"] for m in chat if m["role"] == "system")
        rest = [m for m in chat if m["role"] != "system"]
        rest[0] = {**rest[0], "content": f"{said}\n\n{rest[0]['content']}"} if said else rest[0]
        rendered = self._render(rest)
        if self._system:
            self._system = False
            self._notices.append("The chat template takes no system message; it is put before the user's")
        return rendered

    def _render(self, chat: list[dict[str, str]]) -> str:
        # Templates of models that think aloud first know this switch; to others it means nothing.
        return str(
            self.tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        )


def common(sequences: list[list[int]]) -> int:
    """How many tokens several sequences have in common at their beginning.

    >>> common([[1, 2, 3], [1, 2, 4, 5]])
    2
    """
    shortest = min(len(s) for s in sequences)
    for place in range(shortest):
        if len({s[place] for s in sequences}) > 1:
            return place
    return shortest
