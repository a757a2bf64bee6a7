"""Pseudo-labelled rows for the training folds of another corpus (Feng and Narayanan 2023)."""
