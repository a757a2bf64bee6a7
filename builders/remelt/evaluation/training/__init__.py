"""One training loop for all models: `fit`, `predict`, their options and what a run leaves behind.

Import `training.loop` inside functions; it loads torch.
"""
