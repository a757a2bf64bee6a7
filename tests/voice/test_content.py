"""What a file is by its first bytes: found in a time that does not depend on them, and never waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remelt.voice import cache, content
from remelt.voice.audio import AudioError, Source, read, seconds

from ..bad_audio import encoded, tone, within


@pytest.mark.parametrize(
    "head",
    [
        b"<html>",
        b" \n\t<HTML lang='en'>",
        b"<!doctype   html>",
        b"<!-- a --><!-- b -->\n<!DOCTYPE html>",
        b'<?xml version="1.0"?>\n<!-- > --> <html>',
        b'<!-- a --><?XML version="1.0"?><body>',
        b"<!---->" * 60 + b"<script>",
    ],
)
def test_html_is_told_whatever_stands_before_it(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(head)
    assert content.look(tmp_path / "x.wav").flag == "clip_is_html"


@pytest.mark.parametrize(
    "head",
    [
        b"<!-- <html> -->",
        b"<!-- never closed <html>",
        b'<?xml version="1.0" <html',
        b"<htmlx>",
        b"text <html>",
        b"<!---->" * 60,
    ],
)
def test_other_text_is_not_html(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(head)
    assert content.look(tmp_path / "x.wav").flag == "clip_is_text"


@pytest.mark.parametrize("part", [b"<!---->", b"<!---->\n", b"<!-- -->  ", b"<?xml>"])
def test_many_comments_take_no_longer_than_few(tmp_path: Path, part: bytes) -> None:
    (tmp_path / "x.wav").write_bytes((part * 73)[:511] + b"x")
    with within(30):
        assert content.look(tmp_path / "x.wav").flag == "clip_is_text"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "x.wav"
    os.mkfifo(pipe)
    with within(30):
        for source in (Source(pipe), Source(pipe, 0.5, 1.0)):
            with pytest.raises(AudioError, match=r"x\.wav: cannot be opened: not a regular file") as caught:
                read(source)
            assert caught.value.flag == "clip_unreadable"
            assert seconds(source) is None
        with pytest.raises(OSError, match="not a regular file"):
            content.is_cut_short(pipe)
        assert cache.content_hash(pipe) is None


def test_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.wav").symlink_to("/dev/zero")
    with within(30):
        assert cache.content_hash(tmp_path / "x.wav") is None
        assert seconds(tmp_path / "x.wav") is None


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "whole.wav").write_bytes(encoded(tone()))
    (tmp_path / "x.wav").symlink_to(tmp_path / "whole.wav")
    assert seconds(tmp_path / "x.wav") == 2
    assert cache.content_hash(tmp_path / "x.wav") == cache.content_hash(tmp_path / "whole.wav")
