"""How a build in parts is done, and who does the parts."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError, bad_value

ENGINES = ("local", "ray")
# Rows of the corpus in one part, where nobody says.
ROWS = 20_000
# A corpus with more rows is built in parts without being asked for.
AUTOMATIC = 200_000


@dataclass(frozen=True, slots=True)
class PartOptions:
    """How a build in parts is done.

    Attributes:
        rows: rows of the corpus in one part; None for 20,000. What is published does not depend on it.
        engine: `local`, one part after the other in this process, or `ray`, several at once by Ray's workers.
        workers: how many workers Ray starts; None for one for each processor.
        address: of a running Ray cluster; None to start Ray on this machine.

    Raises:
        InputError: a value that cannot be used.
    """

    rows: int | None = None
    engine: str = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise InputError(bad_value("engine", self.engine, ENGINES))
        for name in ("rows", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"Bad {name} of a build in parts {value!r}, expected a whole number from 1")
        if self.engine == "local":
            for name in ("workers", "address"):
                if getattr(self, name) is not None:
                    raise InputError(
                        f"{name} {getattr(self, name)!r} has no effect with the local engine; it is for Ray"
                    )

    @property
    def size(self) -> int:
        """Rows of the corpus in one part."""
        return self.rows or ROWS
