"""People judge a dataset in a browser: which of two labels fits better, or which label of the list."""
