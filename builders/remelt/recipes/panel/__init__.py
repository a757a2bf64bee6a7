"""Several annotators of one build: who they are, how they are run, and what their votes come to."""
