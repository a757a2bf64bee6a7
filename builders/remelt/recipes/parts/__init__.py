"""A build in parts: a table corpus of any size in memory that does not grow with it."""
