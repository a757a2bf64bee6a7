"""The sizes of the networks, from the system's options."""

from __future__ import annotations

from ....evaluation.models.conversation import ConversationOptions
from .settings import MeritsSettings


def sizes(settings: MeritsSettings) -> ConversationOptions:
    """The options of the models."""
    return ConversationOptions(settings.hidden, settings.gru, settings.heads, settings.dropout)
