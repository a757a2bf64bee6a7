"""Sound in: every container and format beside the samples it was made from, cuts, and what is missing."""

from __future__ import annotations

import importlib
import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remelt.errors import InputError
from remelt.voice import decoding, optional
from remelt.voice.audio import AudioError, Source, flac, read, seconds

from ..bad_audio import encoded, make, mp4, tone, write_mp4

av = pytest.importorskip("av")
pytest.importorskip("soxr")


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(tmp_path_factory.mktemp("bad"))


def lag(sound: np.ndarray, reference: np.ndarray) -> int:
    """By how many samples a sound comes late, from the peak of the cross-correlation."""
    size = 1 << (len(sound) + len(reference)).bit_length()
    product = np.fft.rfft(sound, size) * np.fft.rfft(reference, size).conj()
    peak = int(np.fft.irfft(product, size).argmax())
    return peak if peak < size // 2 else peak - size


def contain(path: Path, samples: np.ndarray, codec: str, rate: int, layout: str = "mono") -> Path:
    """Writes samples (n,) or (channels, n) with one of FFmpeg's codecs, as the file's name says."""
    planes = np.atleast_2d(samples)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64_000 * len(planes)
        frame = av.AudioFrame.from_ndarray(planes.copy(), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def plain(path: Path, samples: np.ndarray, rate: int = 16_000, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def sine(hertz: float, rate: int, length: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * length)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampling_keeps_a_tone_where_it_was(tmp_path: Path, rate: int) -> None:
    sound = read(plain(tmp_path / "x.wav", sine(1000, rate), rate, "FLOAT"))
    assert (sound.rate, sound.source_rate, sound.samples.dtype) == (16_000, rate, np.float32)
    assert len(sound.samples) == 16_000
    assert sound.seconds == 1.0
    inside = slice(400, -400)
    assert np.abs(sound.samples - sine(1000, 16_000))[inside].max() < 1e-4


def test_what_lies_over_8_khz_does_not_fold_down(tmp_path: Path) -> None:
    sound = read(plain(tmp_path / "x.wav", sine(10_000, 48_000), 48_000, "FLOAT"))
    inside = sound.samples[400:-400]
    assert 20 * np.log10(np.sqrt(np.mean(inside**2))) < -100
    assert sound.peak == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("subtype", "error"),
    [("PCM_U8", 1e-2), ("PCM_16", 1e-4), ("PCM_24", 1e-6), ("ULAW", 2e-2), ("DOUBLE", 1e-7)],
)
def test_sample_formats(tmp_path: Path, subtype: str, error: float) -> None:
    sound = read(plain(tmp_path / "x.wav", tone(), subtype=subtype))
    assert np.abs(sound.samples - tone()).max() < error


def test_channels_are_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(), 0.5 * tone()], axis=1)
    sound = read(plain(tmp_path / "x.wav", both, subtype="FLOAT"))
    assert sound.channels == 2
    assert np.allclose(sound.samples, 0.75 * tone(), atol=1e-6)
    assert sound.peak == pytest.approx(np.abs(tone()).max())
    six = np.zeros((6, 48_000), np.float32)
    six[2] = sine(440, 48_000)
    sound = read(contain(tmp_path / "x.mkv", six, "flac", 48_000, "5.1"))
    assert sound.channels == 6
    assert np.abs(sound.samples - sine(440, 16_000) / 6)[400:-400].max() < 1e-3


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3", "AIFF", "RF64"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_plain_files_are_aligned(tmp_path: Path, kind: str, rate: int) -> None:
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(encoded(tone(2, rate), kind, rate=rate))
    sound = read(path)
    assert lag(sound.samples, tone(2)) == 0
    assert len(sound.samples) == 32_000
    assert seconds(path) == pytest.approx(2)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("x.mp4", "aac"), ("x.m4a", "aac"), ("x.mov", "aac"), ("x.mkv", "aac"), ("x.m4a", "alac"),
     ("x.avi", "pcm_s16le"), ("x.webm", "libopus")],
)  # fmt: skip
@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_containers_are_aligned(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    if codec == "libopus" and rate != 48_000:
        pytest.skip("Opus has 48 kHz only")
    if name == "x.mkv" and int(av.__version__.partition(".")[0]) < 18:
        pytest.skip("FFmpeg before 8.1 overlooks the encoder's delay in Matroska")
    sound = read(contain(tmp_path / name, tone(2, rate), codec, rate))
    assert sound.source_rate == rate
    assert lag(sound.samples, tone(2)) == 0
    assert 0 <= len(sound.samples) - 32_000 < 400
    if name.endswith((".mp4", ".m4a", ".mov")):
        assert len(sound.samples) == 32_000


@pytest.mark.parametrize("name", ["x.aac", "x.avi"])
def test_containers_that_do_not_tell_of_the_encoders_delay_keep_it(tmp_path: Path, name: str) -> None:
    sound = read(contain(tmp_path / name, tone(2, 48_000), "aac", 48_000), rate=48_000)
    assert lag(sound.samples, tone(2, 48_000)) == 1024


def test_real_clips_as_mp4_are_aligned_with_the_wav(test_data: Path, tmp_path: Path) -> None:
    clips = sorted((test_data / "ravdess").rglob("*.wav"))[::24]
    assert len(clips) == 5
    for clip in clips:
        samples, rate = soundfile.read(clip, dtype="float32", always_2d=True)
        mono = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
        write_mp4(tmp_path / "x.mp4", mono, rate, {}, video=True)
        sound, original = read(tmp_path / "x.mp4"), read(clip)
        assert lag(sound.samples, original.samples) == 0
        assert len(sound.samples) == len(original.samples)
        assert np.corrcoef(sound.samples, original.samples)[0, 1] > 0.99


@pytest.mark.parametrize("start", [0.3, 5.0])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("x.wav", ""), ("x.flac", ""), ("x.ogg", ""), ("x.mp3", ""), ("x.m4a", "alac"), ("x.mp4", "aac"),
     ("x.mkv", "aac"), ("x.avi", "aac")],
)  # fmt: skip
def test_a_cut_is_the_part_of_the_whole(tmp_path: Path, name: str, codec: str, start: float) -> None:
    rate = 48_000
    path, samples = tmp_path / name, tone(7, rate)
    if codec:
        contain(path, samples, codec, rate)
    else:
        plain(path, samples, rate)
    whole = read(path, rate=rate).samples
    first, last = round(start * rate), round((start + 1.3777) * rate)
    part = read(Source(path, start, start + 1.3777), rate=rate)
    assert part.flags == ()
    assert len(part.samples) == last - first
    # AAC fills what it left out with noise, and the noise depends on where decoding began.
    assert np.abs(part.samples - whole[first:last]).max() < (1e-3 if name == "x.mp4" else 1e-6)
    assert lag(part.samples, whole[first:last]) == 0


def test_an_open_cut_and_its_length(tmp_path: Path) -> None:
    for path in (plain(tmp_path / "x.wav", tone(10, 44_100), 44_100), tmp_path / "x.mp4"):
        if path.suffix == ".mp4":
            contain(path, tone(10, 44_100), "aac", 44_100)
        assert len(read(Source(path, 2.5), rate=44_100).samples) == 7.5 * 44_100
        assert len(read(Source(path, None, 2.5), rate=44_100).samples) == 2.5 * 44_100
        assert len(read(Source(path, 2.5, 4)).samples) == 24_000
        assert seconds(Source(path, 2.5, 4)) == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["x.flac", "x.mp4"])
def test_a_cut_goes_to_its_place_without_decoding_what_lies_before(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(tone(20), "FLAC") if name == "x.flac" else mp4(tone(20), video=False))
    sound = read(Source(path, 17, 18))
    data = bytearray(path.read_bytes())
    data[len(data) // 10 : len(data) // 10 + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(data)
    assert np.array_equal(read(Source(path, 17, 18)).samples, sound.samples)
    with pytest.raises(AudioError, match="damaged") as caught:
        read(path)
    assert caught.value.flag == "clip_unreadable"


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.opus", "x.mp3", "x.mp4"])
def test_blocks_leave_no_seams(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, samples = tmp_path / name, tone(3, 48_000)
    if name == "x.mp4":
        contain(path, samples, "aac", 48_000)
    elif name == "x.opus":
        path.write_bytes(encoded(samples, "OGG", "OPUS", 48_000))
    else:
        plain(path, samples, 48_000)
    whole = read(path)
    monkeypatch.setattr(decoding, "_BLOCK", 5000)
    again = read(path)
    assert len(whole.samples) == len(again.samples) == 48_000
    assert np.abs(whole.samples - again.samples).max() < 1e-6
    assert whole.peak == pytest.approx(again.peak, abs=1e-6)


def test_lengths_that_a_header_does_not_state(tmp_path: Path) -> None:
    streamed = bytearray(encoded(tone(4), "FLAC"))
    streamed[21] &= 0xF0
    streamed[22:26] = bytes(4)
    mp3 = encoded(tone(5), "MP3")
    assert b"Xing" in mp3[:200]
    headless = mp3[mp3.index(mp3[:2], 100) :]
    tagged = b"ID3\x04\x00\x00\x00\x00\x08\x00" + bytes(1024) + headless
    piped = bytearray(encoded(tone(2)))
    piped[4:8] = piped[40:44] = b"\xff" * 4
    cases = {"x.flac": (streamed, 4), "x.mp3": (headless, 5), "y.mp3": (tagged, 5), "x.wav": (piped, 2)}
    for name, (data, length) in cases.items():
        (tmp_path / name).write_bytes(data)
        sound = read(tmp_path / name)
        assert sound.seconds == pytest.approx(length, abs=0.1), name
        assert sound.flags == ()
    assert seconds(tmp_path / "x.flac") is None
    assert seconds(tmp_path / "x.mp3") is None


@pytest.mark.parametrize(
    ("name", "codec"),
    [("x.aac", "aac"), ("x.mkv", "aac"), ("x.avi", "aac"), ("x.webm", "libopus"), ("x.opus", "libopus")],
)
def test_a_file_that_was_cut_off_gives_what_there_is(tmp_path: Path, name: str, codec: str) -> None:
    path = contain(tmp_path / name, tone(4, 48_000), codec, 48_000)
    whole = read(path)
    assert whole.flags == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = read(path)
    assert part.flags == ("clip_truncated",)
    assert 1 < part.seconds < 3
    assert np.abs(part.samples - whole.samples[: len(part.samples)])[:-400].max() < 1e-3


def test_flac_keeps_16_bit_samples_and_its_bytes(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(-32768, 32768, 16_000, dtype=np.int16)
    numbers[:2] = -32768, 32767
    data = flac(read(plain(tmp_path / "x.wav", numbers)).samples)
    kept, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == 16_000
    assert np.array_equal(kept, numbers)
    assert flac(numbers / 32768) == data
    loud, _ = soundfile.read(io.BytesIO(flac(np.array([3.0, -3.0, np.nan, 0.5]))), dtype="int16")
    assert loud.tolist() == [32767, -32768, 0, 16384]


def test_lengths_by_header(tmp_path: Path) -> None:
    path = plain(tmp_path / "x.wav", tone(2, 44_100), 44_100)
    assert seconds(path) == 2
    assert seconds(Source(path, 0.5)) == 1.5
    assert seconds(Source(path, 1.5, 9.0)) == 0.5
    assert seconds(Source(path, 1.5, 1.0)) is None
    assert seconds(tmp_path / "none.wav") is None
    assert seconds(contain(tmp_path / "x.aac", tone(), "aac", 16_000)) is None
    (tmp_path / "x.mp4").write_bytes(mp4(tone(2)))
    assert seconds(tmp_path / "x.mp4") == pytest.approx(2, abs=1e-3)
    assert seconds(contain(tmp_path / "x.mkv", tone(), "aac", 16_000)) == pytest.approx(2, abs=0.1)


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http:x.mp4", "concat:a|b.mp4", "Wörter 100%.mp4", "-i.mp4"):
        Path(name).write_bytes(mp4(tone(0.5), video=False))
        assert read(name).seconds == 0.5


def test_errors_name_the_file_and_survive_a_process(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav: there is no such file") as caught:
        read(tmp_path / "none.wav")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.flag, str(again)) == ("clip_missing", str(caught.value))
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudioError, match="cannot be opened"):
        read(tmp_path / "folder.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="there is no such file"):
        read(tmp_path / "link.wav")
    with pytest.raises(InputError, match="Bad rate 0"):
        read(tmp_path / "none.wav", rate=0)
    with pytest.raises(AudioError, match="bad start nan"):
        read(Source(plain(tmp_path / "x.wav", tone()), float("nan")))


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        if name in ("av", "soxr"):
            raise ImportError(f"No module named {name!r}")
        return importlib.import_module(name)

    monkeypatch.setattr(optional, "import_module", absent)
    assert read(plain(tmp_path / "x.wav", tone())).seconds == 2
    with pytest.raises(InputError, match=r"soxr.*pip install 'remelt\[voice\]'") as caught:
        read(plain(tmp_path / "y.wav", tone(2, 48_000), 48_000))
    assert not isinstance(caught.value, AudioError)
    (tmp_path / "x.mp4").write_bytes(mp4(tone()))
    with pytest.raises(InputError, match=r"x.mp4: reading this file needs PyAV.*remelt\[voice\]") as caught:
        read(tmp_path / "x.mp4")
    assert not isinstance(caught.value, AudioError)
    (tmp_path / "bad.wav").write_bytes(encoded(tone())[:20])
    with pytest.raises(AudioError, match="cannot be decoded; libsndfile"):
        read(tmp_path / "bad.wav")


@pytest.mark.parametrize("cut", [(None, 0.5), (0.1, 0.5), (0.1, None), (1.9, 2.4), (30.0, 31.0)])
def test_a_cut_of_a_bad_file_is_an_error_of_ours_or_a_sound(
    bad_files: dict[str, Path], cut: tuple[float | None, float | None]
) -> None:
    cut_short = 0
    for path in bad_files.values():
        source = Source(path, *cut)
        length = seconds(source)
        assert length is None or math.isfinite(length)
        try:
            assert len(read(source).samples)
        except AudioError:
            cut_short += 1
    assert 20 < cut_short <= len(bad_files)


def test_an_undecodable_file_is_not_the_fault_of_the_cut(bad_files: dict[str, Path]) -> None:
    with pytest.raises(AudioError) as caught:
        read(Source(bad_files["damaged.aac"], 0.1, 0.5))
    assert caught.value.flag == "clip_unreadable"


@pytest.mark.parametrize(
    "stated",
    ["01.62n000000", "nan:nan:nan", "00:00:nan", "00:00:inf", "00:00:-02.0", "1e3:00:00", "::", "٠٠:٠٠:٠٢"],
)
def test_a_damaged_length_in_matroska_is_no_length(tmp_path: Path, stated: str) -> None:
    path = contain(tmp_path / "x.mkv", tone(2, 48_000), "aac", 48_000)
    assert seconds(path) == pytest.approx(2, abs=0.1)
    place = re.search(rb"\d\d:\d\d:\d\d\.\d{9}", path.read_bytes())
    assert place is not None
    data = bytearray(path.read_bytes())
    data[place.start() : place.end()] = stated.encode().ljust(len(place[0]))
    path.write_bytes(data)
    assert seconds(path) is None
    sound = read(path)
    assert sound.flags == ()
    assert sound.seconds == pytest.approx(2, abs=0.1)
