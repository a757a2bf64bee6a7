"""The parts of `recipes.migrate`: the sample, what is asked about it, and what the answers say."""
