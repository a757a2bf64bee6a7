"""The voice: audio in, its quality, pitch and loudness, levels of both, and word error rates."""
