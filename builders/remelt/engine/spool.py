"""Requests on disk: those that wait for hours need no memory."""

from __future__ import annotations

import io
import pickle
import tempfile
from array import array
from pathlib import Path
from typing import Any

from ..errors import Interrupted
from ..records import Request


class Spool:
    """Requests by their number, in a file that vanishes with the run.

    The schema, which all requests of a run share, stays one object.

    Args:
        folder: where the file lies.

    Raises:
        Interrupted: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._file = tempfile.TemporaryFile(dir=folder, prefix="requests-")  # noqa: SIM115
        except OSError as error:
            raise Interrupted(f"Cannot write to {folder}: {error.strerror}") from error
        self._ends = array("q", [0])
        self._shared: list[Any] = []

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, request: Request) -> int:
        """Stores a request; returns its number.

        Raises:
            Interrupted: the disk is full.
        """
        content = io.BytesIO()
        pickler = _Pickler(content, self._shared, request.schema)
        # The key travels along: it is a hash over everything, and others ask for it again and again.
        pickler.dump((request, request.key))
        try:
            self._file.seek(self._ends[-1])
            self._file.write(content.getbuffer())
        except OSError as error:
            raise Interrupted(f"Cannot write to {self._folder}: {error.strerror}") from error
        self._ends.append(self._ends[-1] + len(content.getbuffer()))
        return len(self) - 1

    def get(self, number: int) -> Request:
        """The request with this number."""
        start, end = self._ends[number], self._ends[number + 1]
        self._file.seek(start)
        request, key = _Unpickler(io.BytesIO(self._file.read(end - start)), self._shared).load()
        request.__dict__["key"] = key
        assert isinstance(request, Request)
        return request

    def close(self) -> None:
        self._file.close()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, shared: list[Any], schema: object) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._shared, self._schema = shared, schema

    def persistent_id(self, value: Any) -> int | None:
        if value is not self._schema:
            return None
        for place, known in enumerate(self._shared):
            if known is value:
                return place
        self._shared.append(value)
        return len(self._shared) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: list[Any]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        return self._shared[pid]
