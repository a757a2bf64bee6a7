"""A local server that speaks the Hugging Face Hub's routes for dataset repositories.

In a test it runs in a thread:

    with HubServer() as hub:
        HfApi(endpoint=hub.url, token=hub.token)   # or HF_ENDPOINT=hub.url in a process of its own

Clients need `HF_HUB_DISABLE_XET=1` (read when huggingface_hub is imported): large files go by LFS.
`hub.environment(folder)` has all the variables that a process of its own needs. `hub.repositories` holds what
was committed, `hub.requests` what was asked for, `hub.puts` how often each large file arrived in full.

Faults: `hub.fail("PUT", "/lfs/", status=503, times=2)` answers the next two matching requests so,
`hub.fail("PUT", "/lfs/", cut=1000)` closes the connection after so many bytes of the request's body.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from hub_faults import Asked, Fault, error, raised
from hub_repository import MAIN, BadCommit, Commit, Conflict, Repository, is_large

_REPO = "/{user}/{name}"


class HubServer:
    """The server in a thread of its own.

    Args:
        user: who the token belongs to.
        token: the one token that is known; others get a 401.
        role: `read` may not write.

    Attributes:
        url: the endpoint, once started.
        repositories: by `user/name`.
        requests: what was asked for, in order.
        puts: how often each large file (by sha256) arrived in full.
        received: bytes of large files that arrived, those of cut connections too.
    """

    def __init__(
        self, user: str = "user", token: str = "hf_local_token", role: Literal["write", "read"] = "write"
    ) -> None:
        self.user, self.token, self.role = user, token, role
        self.url = ""
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Asked] = []
        self.puts: Counter[str] = Counter()
        self.received = 0
        self._faults: list[Fault] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def fail(self, method: str, path: str, **how: Any) -> Fault:
        """Lets requests go wrong (see `Fault`)."""
        fault = Fault(method, path, **how)
        self._faults.append(fault)
        return fault

    def environment(self, home: Path) -> dict[str, str]:
        """The variables for a process that uses this server and no other, with its caches in a folder."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def add(self, name: str, files: Mapping[str, bytes] | None = None, private: bool = False) -> Repository:
        """A repository that is there already."""
        repository = Repository(name, private)
        if files:
            repository.put(files)
        self.repositories[name] = repository
        return repository

    def count(self, method: str, path: str) -> int:
        """How many requests came in that match."""
        return sum(one.method == method and bool(re.search(path, one.path)) for one in self.requests)

    # -- life ---------------------------------------------------------------------------------------

    def __enter__(self) -> HubServer:
        ready = threading.Event()

        def serve() -> None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
            runner = self._loop.run_until_complete(self._start())
            ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(runner.cleanup())
            self._loop.close()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        if not ready.wait(60):
            raise RuntimeError("the test server did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    async def _start(self) -> web.AppRunner:
        app = web.Application(client_max_size=2**30, middlewares=[self._outer])
        api, repo = f"/api/datasets{_REPO}", f"/datasets{_REPO}"
        app.add_routes(
            [
                web.get("/api/whoami-v2", self._whoami),
                web.post("/api/repos/create", self._create),
                web.post("/api/validate-yaml", self._validate),
                web.put(f"{api}/settings", self._settings),
                web.post(f"{api}/preupload/{{revision}}", self._preupload),
                web.post(f"{repo}.git/info/lfs/objects/batch", self._batch),
                web.put(f"/lfs{_REPO}/{{oid}}", self._put),
                web.post(f"/lfs{_REPO}/verify", self._verify),
                web.post(f"{api}/commit/{{revision}}", self._commit),
                web.get(f"{api}/refs", self._refs),
                web.post(f"{api}/branch/{{ref}}", self._branch),
                web.post(f"{api}/tag/{{revision}}", self._tag),
                web.delete(f"{api}/tag/{{ref}}", self._untag),
                web.get(f"{api}/commits/{{revision}}", self._commits),
                web.get(api, self._info),
                web.get(f"{api}/revision/{{revision}}", self._info),
                web.get(f"{api}/tree/{{revision}}", self._tree),
                web.get(f"{api}/tree/{{revision}}/{{path:.+}}", self._tree),
                web.post(f"{api}/paths-info/{{revision}}", self._paths),
                web.get(f"{repo}/resolve/{{revision}}/{{path:.+}}", self._file),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    # -- who, and what goes wrong -------------------------------------------------------------------

    @web.middleware
    async def _outer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        status = 0
        try:
            response = await self._answer(request, handler)
            status = response.status
        except web.HTTPException as refusal:
            status = refusal.status
            raise
        except ConnectionResetError:
            transport = request.transport
            assert transport is not None
            transport.close()
            return web.Response(status=499)
        finally:
            self.requests.append(Asked(request.method, request.path, status))
        return response

    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        fault = next((f for f in self._faults if f.draw(request.method, request.path)), None)
        if fault is not None and not fault.late:
            await fault.wait()
            if fault.cut:
                begun = await request.content.readexactly(fault.cut)
                self.received += len(begun)
            if not fault.status:
                raise ConnectionResetError
            return fault.answer()
        if (refused := self._refused(request)) is not None:
            return refused
        response: web.StreamResponse = await handler(request)
        if fault is not None:
            raise ConnectionResetError
        return response

    def _refused(self, request: web.Request) -> web.Response | None:
        """401 and 403, as the Hub gives them; the store of large files takes signed addresses instead."""
        path = request.path
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if path.startswith("/lfs/") and request.method == "PUT":
            return None
        if given and given != self.token:
            return error(401, "Invalid credentials in Authorization header", "")
        reads = request.method in ("GET", "HEAD") or "paths-info" in path or path.endswith("validate-yaml")
        if reads and path != "/api/whoami-v2":
            return None
        if not given:
            return error(401, "Invalid username or password.", "")
        if not reads and self.role == "read":
            return error(403, "You don't have the rights to write here.", "")
        owner = request.match_info.get("user", self.user)
        if not reads and owner != self.user:
            return error(403, f"You don't have the rights to write under the namespace {owner!r}.", "")
        return None

    def _repository(self, request: web.Request) -> Repository:
        name = f"{request.match_info['user']}/{request.match_info['name']}"
        repository = self.repositories.get(name)
        if repository is None or (repository.private and "Authorization" not in request.headers):
            raise raised(404, "Repository not found", "RepoNotFound")
        return repository

    def _at(self, request: web.Request) -> tuple[Repository, Commit]:
        repository = self._repository(request)
        commit = repository.resolve(request.match_info.get("revision", MAIN))
        if commit is None:
            raise raised(404, f"Invalid rev id: {request.match_info['revision']}", "RevisionNotFound")
        return repository, commit

    # -- writing ------------------------------------------------------------------------------------

    async def _whoami(self, request: web.Request) -> web.Response:
        access = {"accessToken": {"displayName": "local", "role": self.role}, "type": "access_token"}
        return web.json_response({"type": "user", "name": self.user, "orgs": [], "auth": access})

    async def _create(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        owner = wanted.get("organization") or self.user
        if owner != self.user:
            return error(403, f"You don't have the rights to create under the namespace {owner!r}.", "")
        name = f"{owner}/{wanted['name']}"
        address = f"{self.url}/datasets/{name}"
        if name in self.repositories:
            return web.json_response(
                {"error": "You already created this dataset repo", "url": address}, status=409
            )
        self.add(name, private=wanted.get("visibility") == "private")
        return web.json_response({"url": address, "name": name})

    async def _validate(self, request: web.Request) -> web.Response:
        from remelt.publishing.frontmatter import card_problems

        wrong = [{"message": problem} for problem in card_problems((await request.json())["content"])]
        return web.json_response({"errors": wrong, "warnings": []}, status=400 if wrong else 200)

    async def _settings(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        repository.private = (await request.json())["visibility"] == "private"
        return web.json_response({"private": repository.private})

    async def _preupload(self, request: web.Request) -> web.Response:
        _, commit = self._at(request)
        found = []
        for file in (await request.json())["files"]:
            path = file["path"]
            known = commit.files.get(path)
            large = known.large if known else is_large(path, file["size"])
            mode = "lfs" if large else "regular"
            oid = {} if known is None else {"oid": known.oid}
            found.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **oid})
        return web.json_response({"files": found})

    async def _batch(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        base = f"{self.url}/lfs/{repository.name}"
        objects: list[dict[str, Any]] = []
        for wanted in (await request.json())["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in repository.large:
                actions = {"upload": f"{base}/{wanted['oid']}", "verify": f"{base}/verify"}
                entry["actions"] = {name: {"href": address} for name, address in actions.items()}
            objects.append(entry)
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _put(self, request: web.Request) -> web.Response:
        content = await request.read()
        self.received += len(content)
        oid = request.match_info["oid"]
        if hashlib.sha256(content).hexdigest() != oid:
            return error(400, "The content does not have its sha256", "")
        self._repository_of_put(request).large[oid] = content
        self.puts[oid] += 1
        return web.Response()

    def _repository_of_put(self, request: web.Request) -> Repository:
        return self.repositories[f"{request.match_info['user']}/{request.match_info['name']}"]

    async def _verify(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        content = self._repository(request).large.get(wanted["oid"])
        return web.json_response({}, status=200 if content and len(content) == wanted["size"] else 404)

    async def _commit(self, request: web.Request) -> web.Response:
        repository, _ = self._at(request)
        branch = request.match_info["revision"]
        if branch not in repository.branches:
            return error(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        lines = [json.loads(line) for line in (await request.read()).splitlines() if line]
        try:
            made = repository.apply(branch, lines)
        except Conflict:
            return error(412, "A commit has happened since. Please refresh and try again.", "")
        except BadCommit as wrong:
            return error(400, str(wrong), "")
        address = f"{self.url}/datasets/{repository.name}/commit/{made.sha}"
        return web.json_response({"success": True, "commitOid": made.sha, "commitUrl": address})

    # -- branches and tags --------------------------------------------------------------------------

    async def _refs(self, request: web.Request) -> web.Response:
        return web.json_response(self._repository(request).refs())

    async def _branch(self, request: web.Request) -> web.Response:
        repository, name = self._repository(request), request.match_info["ref"]
        start = repository.resolve((await request.json()).get("startingPoint", MAIN))
        if name in repository.branches:
            return error(409, "Reference already exists", "")
        if start is None:
            return error(404, "Invalid rev id", "RevisionNotFound")
        repository.branches[name] = start.sha
        return web.json_response({})

    async def _tag(self, request: web.Request) -> web.Response:
        repository, commit = self._at(request)
        name = (await request.json())["tag"]
        if name in repository.tags:
            return error(409, "Tag reference exists already", "")
        repository.tags[name] = commit.sha
        return web.json_response({})

    async def _untag(self, request: web.Request) -> web.Response:
        del self._repository(request).tags[request.match_info["ref"]]
        return web.json_response({})

    async def _commits(self, request: web.Request) -> web.Response:
        repository, commit = self._at(request)
        date = "2026-01-01T00:00:00.000Z"
        listed = [
            {"id": one.sha, "title": one.message, "message": "", "authors": [], "date": date}
            for one in repository.history(commit.sha)
        ]
        return web.json_response(listed, headers={"X-Total-Count": str(len(listed))})

    # -- reading ------------------------------------------------------------------------------------

    async def _info(self, request: web.Request) -> web.Response:
        repository, commit = self._at(request)
        return web.json_response(
            {
                "_id": "0",
                "id": repository.name,
                "author": repository.name.split("/")[0],
                "sha": commit.sha,
                "private": repository.private,
                "gated": False,
                "disabled": False,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            }
        )

    async def _tree(self, request: web.Request) -> web.Response:
        repository, commit = self._at(request)
        folder = request.match_info.get("path", "")
        recursive = request.query.get("recursive", "").lower() in ("1", "true")
        found = repository.tree(commit, folder, recursive)
        if folder and not found:
            return error(404, f"{folder} does not exist on {commit.sha}", "EntryNotFound")
        return web.json_response(found)

    async def _paths(self, request: web.Request) -> web.Response:
        repository, commit = self._at(request)
        wanted = [str(path) for path in (await request.post()).getall("paths", [])]
        known = {entry["path"]: entry for entry in repository.tree(commit)}
        return web.json_response([known[path] for path in wanted if path in known])

    async def _file(self, request: web.Request) -> web.Response:
        _, commit = self._at(request)
        blob = commit.files.get(request.match_info["path"])
        if blob is None:
            return error(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.sha})
        headers = {"ETag": f'"{blob.oid}"', "X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
        span, size = request.http_range, len(blob.content)
        start, stop, _ = span.indices(size)
        if span.start is None and span.stop is None:
            return web.Response(body=blob.content, headers=headers)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return web.Response(status=206, body=blob.content[start:stop], headers=headers)
