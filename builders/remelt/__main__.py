"""`python -m remelt` is `remelt`."""

from .cli import main

main()
