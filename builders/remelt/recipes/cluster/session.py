"""Ray for one run: started on this machine, or a cluster that is running already, and let go at the end."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ... import __version__
from ...errors import InputError, Interrupted
from ...offline import need_way_to
from .shards import FOLDER

ADDRESS = "RAY_ADDRESS"
_TOKEN = "token"
# Parts, not rows, go through Ray's own memory: names of parts there, and what was counted back.
_STORE_BYTES = 128 * 1024 * 1024
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Else what is left of a run that was stopped at once starts a second Ray, on all addresses.
    "RAY_ENABLE_AUTO_CONNECT": "0",
}
# Says, on every system, that this machine alone is meant: else Ray listens on all of its addresses.
_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_LONGEST_TEMPORARY = 30


@dataclass(frozen=True)
class Cluster:
    """Ray, connected to.

    Attributes:
        ray: the module.
        address: of the cluster; empty where Ray was started on this machine for this run.
        processors: how many Ray has.
        graphics: how many graphics processors Ray has.
    """

    ray: Any
    address: str
    processors: int
    graphics: int

    def everywhere(self, look: Callable[..., Any], *arguments: object) -> dict[str, Any]:
        """What a function returns on each machine of the cluster, by the machine's address."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        task = self.ray.remote(num_cpus=0, max_retries=1)(look)
        asked = {}
        for node in self.ray.nodes():
            if node["Alive"]:
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                place = f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
                asked[place] = task.options(scheduling_strategy=there).remote(*arguments)
        return dict(zip(asked, self.ray.get(list(asked.values())), strict=True))


@contextlib.contextmanager
def connect(address: str | None = None, workers: int | None = None) -> Iterator[Cluster]:
    """Connects to a running cluster, or starts Ray on this machine and ends it again.

    A Ray that this process is connected to already is used and left as it is. Nothing is reported to
    anybody, there is no dashboard, and a Ray that is started here listens on the loopback address alone.

    Args:
        address: of the cluster; None for what the environment variable RAY_ADDRESS says, and to start Ray
            here where it says nothing.
        workers: how many processes a Ray that is started here has; None for one for each processor.

    Raises:
        InputError: ray is not installed, or nobody is at the address.
    """
    address = (address or os.environ.get(ADDRESS) or "").strip()
    ray = require()
    if address and address not in ("local", "auto"):
        need_way_to(address if "://" in address else f"ray://{address}", f"The Ray cluster {address}")
    if ray.is_initialized():
        yield _cluster(ray, address)
        return
    folder = None if address else _temporary()
    with contextlib.nullcontext() if address else _loopback(ray):
        try:
            _start(ray, address, workers, folder)
            yield _cluster(ray, address)
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _loopback(ray: Any) -> Iterator[None]:
    """Keeps a Ray that is started meanwhile, and its processes, to the loopback address."""
    constants = ray._private.ray_constants
    before, clusters = os.environ.get(_CLUSTERS), constants.ENABLE_RAY_CLUSTER
    os.environ[_CLUSTERS], constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = clusters
        os.environ.pop(_CLUSTERS)
        if before is not None:
            os.environ[_CLUSTERS] = before


def require() -> Any:
    """The ray package.

    Raises:
        InputError: it is not installed; the message has the install line.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(f"--engine ray needs Ray ({error}): pip install 'remelt[ray]'") from error
    return ray


def _start(ray: Any, address: str, workers: int | None, folder: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        with _hush():
            if address:
                ray.init(address=address, **quiet)
            else:
                ray.init(
                    address="local",
                    num_cpus=workers,
                    include_dashboard=False,
                    object_store_memory=_STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                    **quiet,
                )
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = f"No Ray cluster at {address!r}" if address else "Ray does not start on this machine"
        raise InputError(f"{where}: {error}") from error


@contextlib.contextmanager
def _hush() -> Iterator[None]:
    """Keeps what Ray's own library writes to the terminal while it starts; it comes with an error alone."""
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        sys.stderr.flush()
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(terminal, said.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _temporary() -> str | None:
    """A folder for Ray's sockets and logs; None for Ray's own where the path is too long for a socket."""
    folder = tempfile.mkdtemp(prefix="remelt-ray-")
    if len(folder) <= _LONGEST_TEMPORARY:
        return folder
    os.rmdir(folder)
    return None


def _cluster(ray: Any, address: str) -> Cluster:
    has: Mapping[str, float] = ray.cluster_resources()
    return Cluster(ray, address, max(1, int(has.get("CPU", 1))), int(has.get("GPU", 0)))


def check_machines(cluster: Cluster, out: Path, *read: Path) -> None:
    """Makes sure that every machine of the cluster sees OUT and has this remelt.

    Args:
        cluster: connected to.
        out: the folder that all workers write to, absolute.
        read: what they read beside it, absolute.

    Raises:
        InputError: one does not; names it, and what it has.
    """
    path = out / ".remelt" / FOLDER / _TOKEN
    token = uuid4().hex
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(token, encoding="ascii")
        for place, seen in cluster.everywhere(_looker(), str(path), *map(str, read)).items():
            _judge(place, seen, token, out)
    except OSError as error:
        raise Interrupted(f"Cannot write to {out}: {error.strerror}") from error
    finally:
        path.unlink(missing_ok=True)


def _judge(place: str, seen: Mapping[str, str], token: str, out: Path) -> None:
    if seen["remelt"] != __version__:
        has = f"remelt {seen['remelt']}" if seen["remelt"] else "no remelt"
        raise InputError(
            f"The machine {place} has {has}, this one has {__version__}: every machine of the cluster needs "
            f"pip install 'remelt[ray]=={__version__}'"
        )
    if seen["token"] != token:
        why = seen["problem"] or "another folder is there"
        raise InputError(
            f"The machine {place} does not see OUT {out} ({why}): with --engine ray OUT lies on a file "
            "system that all machines of the cluster share, under one path"
        )
    if seen["missing"]:
        raise InputError(
            f"The machine {place} does not see {seen['missing']}: with --engine ray all machines of the "
            "cluster read the same files under the same paths"
        )


def _looker() -> Callable[..., dict[str, str]]:
    # Made in a function, so that Ray sends its code: a machine without remelt can say so.
    def look(path: str, *read: str) -> dict[str, str]:
        missing = next((one for one in read if not os.path.exists(one)), "")
        seen = {"remelt": "", "token": "", "problem": "", "missing": missing}
        try:
            from remelt import __version__ as version

            seen["remelt"] = version
        except ImportError:
            pass
        try:
            with open(path, encoding="ascii") as file:
                seen["token"] = file.read()
        except OSError as error:
            seen["problem"] = str(error.strerror)
        return seen

    return look
