"""Labels given elsewhere come in, and utterances go out to be labelled."""
