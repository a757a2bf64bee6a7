"""The pages as a Starlette application."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import InputError, Interrupted
from .guard import App, Guard
from .judgements import NAME_LENGTH, NOTE_LENGTH, Item
from .session import Served, Session, StaleItem

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PAGES = Path(__file__).parent / "pages"
ASSETS = {"review.css": "text/css", "review.js": "text/javascript"}
MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Clip:
    """The sound or film of an item.

    Attributes:
        path: the file.
        kind: its media type, such as `audio/flac`.
        start, end: seconds into the file where the utterance begins and ends; None where the file holds
            nothing else.
    """

    path: Path
    kind: str
    start: float | None = None
    end: float | None = None


FindClip = Callable[[Item], "Clip | None"]


class Pages:
    """What the addresses of the review answer.

    Args:
        session: hands out items and takes judgements.
        clips: finds the sound of an item; None where it has none.
        title: what is reviewed, as raters see it.
        sound: whether any item can have sound.
    """

    def __init__(self, session: Session, clips: FindClip, title: str, sound: bool) -> None:
        import jinja2

        self._session = session
        self._clips = clips
        self._title = title
        self._sound = sound
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(PAGES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )

    async def start(self, request: Request) -> Response:
        """`/`: asks for the rater's name."""
        return self._page("start.html.j2", problem="", name="", sound=self._sound)

    async def rate(self, request: Request) -> Response:
        """`/rate?rater=NAME`: where judging happens; the script fills it."""
        text = request.query_params.get("rater", "")
        try:
            rater = self._session.rater(text)
        except InputError as error:
            name = text[:NAME_LENGTH]
            return self._page("start.html.j2", 400, problem=str(error), name=name, sound=self._sound)
        labels = json.dumps(self._session.question.labels)
        return self._page("rate.html.j2", rater=rater, labels=labels, review=self._session.name)

    async def asset(self, request: Request) -> Response:
        """`/static/NAME`: the style sheet and the script."""
        from starlette.responses import Response

        name = request.path_params["name"]
        if name not in ASSETS:
            return Response("No such file", 404)
        return Response((PAGES / name).read_bytes(), media_type=ASSETS[name])

    async def next(self, request: Request) -> Response:
        """`/api/next?rater=NAME`: the item to judge now."""
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(self._answer, self._next, dict(request.query_params))

    async def judge(self, request: Request) -> Response:
        """`POST /api/judge`: stores a judgement, then answers with the next item (unless `stay`)."""
        return await self._post(request, self._judge)

    async def undo(self, request: Request) -> Response:
        """`POST /api/undo`: takes the judgement of an item back, then answers with that item."""
        return await self._post(request, self._undo)

    async def clip(self, request: Request) -> Response:
        """`/clip/TOKEN`: an item's sound, whole or the range that the browser asks for."""
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import FileResponse, Response

        try:
            found = await run_in_threadpool(self._clip, request.path_params["token"])
        except (StaleItem, InputError):
            found = None
        if found is None or not found.path.is_file():
            return Response("No such clip", 404)
        return FileResponse(found.path, media_type=found.kind)

    def _clip(self, token: str) -> Clip | None:
        return self._clips(self._session.item(token))

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        from starlette.responses import HTMLResponse

        text = self._templates.get_template(template).render(
            title=self._title,
            mode=self._session.question.mode,
            name_length=NAME_LENGTH,
            note_length=NOTE_LENGTH,
            **values,
        )
        return HTMLResponse(text, status)

    async def _post(self, request: Request, work: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return JSONResponse({"error": f"More than {MOST_BYTES} bytes"}, 413)
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            return JSONResponse({"error": "Expected a JSON object"}, 400)
        return await run_in_threadpool(self._answer, work, said)

    def _answer(self, work: Callable[[dict[str, Any]], dict[str, Any]], said: dict[str, Any]) -> Response:
        """400: a value that cannot be; 409: load the next item; 421: it is for another review than this;
        503: not stored, send it again."""
        from starlette.responses import JSONResponse

        if said.get("review", self._session.name) != self._session.name:
            return JSONResponse({"error": "Another review is at this address now"}, 421)
        try:
            return JSONResponse(work(said))
        except StaleItem as error:
            return JSONResponse({"error": str(error)}, 409)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 400)
        except Interrupted:
            return JSONResponse({"error": "It could not be stored"}, 503)

    def _next(self, said: dict[str, Any]) -> dict[str, Any]:
        return self._state(self._rater(said))

    def _judge(self, said: dict[str, Any]) -> dict[str, Any]:
        rater = self._rater(said)
        number = self._session.judge(rater, said).number
        if said.get("stay") is True:
            return {"saved": number, **self._standing(rater)}
        return {"saved": number, **self._state(rater)}

    def _undo(self, said: dict[str, Any]) -> dict[str, Any]:
        rater = self._rater(said)
        self._session.undo(rater, said.get("item"))
        return self._state(rater)

    def _rater(self, said: dict[str, Any]) -> str:
        return self._session.rater(str(said.get("rater") or ""))

    def _standing(self, rater: str) -> dict[str, Any]:
        return {"progress": self._session.progress(rater), "undo": self._session.last(rater)}

    def _state(self, rater: str) -> dict[str, Any]:
        served = self._session.next(rater)
        return {"item": None if served is None else self._shown(served), **self._standing(rater)}

    def _shown(self, served: Served) -> dict[str, Any]:
        """What the browser is told of an item; nothing of where its labels come from."""
        item = served.item
        shown: dict[str, Any] = {
            "token": served.token,
            "text": item.text,
            "speaker": item.speaker,
            "context": [{"speaker": turn.speaker, "text": turn.text} for turn in item.context],
            "clip": self._clip_address(served),
        }
        if self._session.question.mode == "preference":
            return {**shown, "left": served.left, "right": served.right}
        if served.earlier is not None:
            before = served.earlier
            shown["earlier"] = {
                "label": before.label,
                "confidence": before.confidence,
                "note": before.note,
            }
        return shown

    def _clip_address(self, served: Served) -> dict[str, str] | None:
        try:
            clip = self._clips(served.item)
        except InputError:
            return None
        if clip is None:
            return None
        address = f"/clip/{quote(served.token)}{_fragment(clip)}"
        return {"url": address, "kind": clip.kind.partition("/")[0]}


def _fragment(clip: Clip) -> str:
    """The part of a longer recording, as a media fragment (W3C Media Fragments 1.0, section 4.2.1).

    >>> _fragment(Clip(Path("a.wav"), "audio/wav", 1.5, 4.25))
    '#t=1.5,4.25'
    """
    if clip.start is None and clip.end is None:
        return ""
    return f"#t={clip.start or 0:.10g}" + ("" if clip.end is None else f",{clip.end:.10g}")


def application(
    session: Session, clips: FindClip, title: str, host: str, key: str = "", sound: bool = True
) -> App:
    """The whole application.

    Args:
        session: see `Session`.
        clips: finds the sound of an item.
        title: what is reviewed.
        host: the address that the server is bound to.
        key: see `Guard`.
        sound: whether any item can have sound.

    Raises:
        InputError: Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError as error:
        raise InputError(
            f"The review page needs Starlette ({error}); install it with: pip install 'remelt[review]'"
        ) from None
    pages = Pages(session, clips, title, sound)
    routes = [
        Route("/", pages.start),
        Route("/rate", pages.rate),
        Route("/static/{name}", pages.asset),
        Route("/api/next", pages.next),
        Route("/api/judge", pages.judge, methods=["POST"]),
        Route("/api/undo", pages.undo, methods=["POST"]),
        Route("/clip/{token}", pages.clip),
    ]
    return Guard(Starlette(routes=routes), host, key)
