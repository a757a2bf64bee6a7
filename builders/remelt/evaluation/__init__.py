"""SER models that judge a dataset: encoders, models, training, splits and scores (extra: `remelt[ser]`).

Nothing here is imported with the command line; torch and its like load in the functions that use them.
"""
