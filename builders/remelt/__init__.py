"""remelt: relabel speech-emotion corpora with language models; publish, audit and regenerate the result."""

__version__ = "0.1.0"
