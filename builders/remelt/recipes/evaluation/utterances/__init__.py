"""What `systems.melt` and `systems.transcribe_vote` are made of: options, rows, training, analyses."""
