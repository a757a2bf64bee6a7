"""What `systems.pseudo_sentiment` is made of: splits, pre-training, the chain of stages, its tables."""
