from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
from starlette.testclient import TestClient

from remelt.errors import Interrupted
from remelt.review.app import Clip, application
from remelt.review.judgements import Item, Turn
from remelt.review.session import Question, Session
from remelt.review.store import Store

from .builders import LABELS, session, store_at

ORIGIN = "http://127.0.0.1:8000"
HOSTILE = '</script><img src=x onerror=alert(1)> & "quoted"'
Client = Callable[..., TestClient]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with store_at(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(store: Store) -> Client:
    def make(asked: Session | None = None, clips: Any = lambda item: None, **options: Any) -> TestClient:
        host, key = options.pop("host", "127.0.0.1"), options.pop("key", "")
        sound = options.pop("sound", True)
        app = application(asked or session(store), clips, HOSTILE, host, key, sound)
        origin = options.pop("origin", ORIGIN)
        return TestClient(app, base_url=origin, headers={"origin": origin}, follow_redirects=False, **options)

    return make


def judge(page: TestClient, shown: dict[str, Any], choice: str, rater: str = "Ann", **more: Any) -> Any:
    item = shown["item"]
    said = {"rater": rater, "item": item["token"], "choice": choice, **more}
    return page.post("/api/judge", json={**said, "left": item.get("left"), "right": item.get("right")})


def test_the_first_page_speaks_of_sound_only_where_there_is_some(client: Client) -> None:
    for sound in (True, False):
        for page in (client(sound=sound).get("/"), client(sound=sound).get("/rate?rater=")):
            assert ("Headphones" in page.text) is ("hear or read" in page.text) is sound


def test_a_judgement_is_stored_before_the_next_item_comes(client: Client, store: Store) -> None:
    page = client()
    shown = page.get("/api/next?rater=Ann").json()
    assert shown["progress"] == {"done": 0, "open": 6}
    assert shown["undo"] is None
    answer = judge(page, shown, "left", seconds=2.5)
    assert answer.status_code == 200
    assert answer.json()["saved"] == 1
    assert answer.json()["progress"] == {"done": 1, "open": 5}
    assert answer.json()["item"]["token"] != shown["item"]["token"] == answer.json()["undo"]
    (stored,) = store.judgements()
    assert (stored.rater, stored.seconds) == ("Ann", 2.5)
    assert {"first": stored.first, "second": stored.second}[stored.choice] == shown["item"]["left"]
    undone = page.post("/api/undo", json={"rater": "ann", "item": shown["item"]["token"]}).json()
    assert undone["item"]["token"] == shown["item"]["token"]
    assert [j.choice for j in store.judgements()][1:] == ["withdrawn"]


def test_staying_with_an_item_serves_no_other(client: Client, store: Store) -> None:
    page = client(session(store, mode="label"))
    shown = page.get("/api/next?rater=Ann").json()
    said = judge(page, shown, "label", label="joy", confidence=2, note=" hm ", stay=True).json()
    assert said == {"saved": 1, "progress": {"done": 1, "open": 5}, "undo": shown["item"]["token"]}
    assert store.judgements()[0].note == "hm"
    back = page.post("/api/undo", json={"rater": "Ann", "item": said["undo"]}).json()
    assert back["item"]["earlier"] == {"label": "joy", "confidence": 2, "note": "hm"}


def test_nothing_tells_where_a_label_comes_from(client: Client, store: Store) -> None:
    named = Item("s/train/dia0_utt3", "train", "One.", "Ann", (Turn("Bo", "Before."),), "joy", "fear", 0)
    for mode in ("preference", "label"):
        question = Question(mode, ("original_label", "model-x"), LABELS)
        page = client(Session([named], store, question))
        told = page.get("/api/next?rater=Ann")
        texts = [told.text, page.get("/").text, page.get("/rate?rater=Ann").text]
        for word in ("original_label", "model-x", "dia0_utt3", "train"):
            assert not any(word in text for text in texts), word
        assert "first" not in told.text
        assert "second" not in told.text
        item = told.json()["item"]
        assert item["context"] == [{"speaker": "Bo", "text": "Before."}]
        if mode == "label":
            assert set(item) == {"token", "text", "speaker", "context", "clip"}
            assert "fear" not in told.text
        else:
            assert {item["left"], item["right"]} == {"joy", "fear"}


def test_what_people_wrote_is_escaped(client: Client) -> None:
    page = client()
    for path in ("/", f"/rate?rater={HOSTILE}", "/rate?rater=%3Cb%3E" + "x" * 70):
        text = page.get(path).text
        assert "<img" not in text
        assert "<b>" not in text
        assert "&lt;" in text
    rated = page.get("/rate", params={"rater": HOSTILE[:40]})
    assert rated.status_code == 200
    assert re.search(r'data-rater="&lt;/script&gt;&lt;img', rated.text)


def test_a_bad_name_is_told_where_it_is_typed(client: Client) -> None:
    answer = client().get("/rate?rater=%20")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "Bad name" in answer.text


def test_pages_load_nothing_from_elsewhere(client: Client) -> None:
    page = client()
    for path in (
        "/",
        "/rate?rater=Ann",
        "/static/review.js",
        "/static/review.css",
        "/api/next?rater=Ann",
        "/no",
    ):
        answer = page.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"https?://", answer.text)
        assert "<style" not in answer.text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<[^>]*\son\w+=", answer.text)
    assert page.get("/static/..%2fapp.py").status_code == 404
    assert page.get("/static/session.py").status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "192.168.1.5:8000", "", "[::", "127.0.0.1.nip.io"]
)
def test_other_host_names_are_refused(client: Client, host: str) -> None:
    answer = client().get("/api/next?rater=Ann", headers={"host": host})
    assert answer.status_code == 400
    assert "item" not in answer.text


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_this_machines_names_are_known(client: Client, host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9000", "null", "file://127.0.0.1:8000", ""]
)
def test_only_this_servers_pages_may_post(client: Client, store: Store, origin: str) -> None:
    page = client()
    shown = page.get("/api/next?rater=Ann").json()
    page.headers["origin"] = origin
    assert judge(page, shown, "left").status_code == 403
    del page.headers["origin"]
    assert judge(page, shown, "left").status_code == 403
    assert store.judgements() == []


def test_another_host_needs_the_key_once(client: Client, store: Store) -> None:
    origin = "http://192.168.1.5:8000"
    page = client(host="0.0.0.0", key="s3cret", origin=origin)
    for path in ("/", "/?key=wrong", "/api/next?rater=Ann", "/static/review.js", "/clip/x"):
        refused = page.get(path)
        assert refused.status_code == 403
        assert "s3cret" not in refused.text
    page.cookies.set("remelt_00000000", "s3cret")
    assert page.get("/").status_code == 403
    entered = page.get("/rate?rater=Ann&key=s3cret")
    assert (entered.status_code, entered.headers["location"]) == (303, "/rate?rater=Ann")
    assert {"HttpOnly", "SameSite=Lax"} <= set(entered.headers["set-cookie"].split("; "))
    shown = page.get("/api/next?rater=Ann").json()
    assert judge(page, shown, "same").status_code == 200
    assert len(store.judgements()) == 1
    assert page.get("/", headers={"host": "evil.example"}).status_code == 400


def test_requests_that_make_no_sense_change_nothing(client: Client, store: Store) -> None:
    page = client()
    shown = page.get("/api/next?rater=Ann").json()
    assert judge(page, shown, "up").json()["error"].startswith("Bad choice 'up', expected one of ['left'")
    assert judge(page, shown, "left", rater="").status_code == 400
    for body in (b"", b"[]", b"\xff", b"[" * 60_000, b'{"rater": "Ann"'):
        assert page.post("/api/judge", content=body).status_code == 400
    assert page.post("/api/judge", content=b" " * 70_000).status_code == 413
    assert page.post("/api/judge", json={"rater": "Ann", "item": "x", "choice": "left"}).status_code == 409
    assert page.post("/api/undo", json={"rater": "Ann", "item": None}).status_code == 409
    assert page.get("/api/judge").status_code == 405
    assert page.get("/api/next").status_code == 400
    assert store.judgements() == []


def test_a_full_disk_is_told_and_the_click_can_be_sent_again(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = client()
    shown = page.get("/api/next?rater=Ann").json()
    with monkeypatch.context() as patched:

        def full(judgement: object) -> None:
            raise Interrupted("disk full at /secret/place")

        patched.setattr(store, "add", full)
        answer = judge(page, shown, "left")
        assert answer.status_code == 503
        assert "secret" not in answer.text
        assert page.get("/api/next?rater=Ann").json()["progress"] == {"done": 0, "open": 6}
    assert judge(page, shown, "left").status_code == 200
    assert len(store.judgements()) == 1


def test_clips_are_served_whole_and_in_parts(client: Client, store: Store, tmp_path: Path) -> None:
    sound = tmp_path / "anger-take-1.wav"
    sound.write_bytes(bytes(range(256)))
    page = client(clips=lambda item: Clip(sound, "audio/wav", 1.5, 4.0))
    clip = page.get("/api/next?rater=Ann").json()["item"]["clip"]
    address, _, fragment = clip["url"].partition("#")
    assert (fragment, clip["kind"]) == ("t=1.5,4", "audio")
    whole = page.get(address)
    assert whole.content == bytes(range(256))
    assert whole.headers["content-type"] == "audio/wav"
    assert "anger" not in json.dumps(dict(whole.headers))
    part = page.get(address, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert page.get("/clip/" + "0" * 64).status_code == 404
    sound.unlink()
    assert page.get(address).status_code == 404
