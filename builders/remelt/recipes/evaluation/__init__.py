"""Training and testing of SER models on old and on new labels; one system, one module of `systems`."""
