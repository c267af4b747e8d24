"""Sounds as numbers: what is read is what was written, resampled without other tones, drawn where it sounds."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.samples import sounds
from bbilang.runtime.samples.synthesis import synthesized
from bbilang.runtime.sound import encode, files
from bbilang.runtime.sound.clip import Clip, as_heard, checked, framed, frames_of, resampled
from bbilang.runtime.sound.spectrogram import RANGE, extremes, levels, row_of, spectrogram, words_of

RATE = 16_000


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)[None]


def strongest(samples: np.ndarray, rate: int) -> float:
    power = np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1])))
    return float(power.argmax() * rate / samples.shape[1])


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_a_tone_and_its_level(rate):
    made = resampled(tone(440, rate=rate), rate, RATE)
    assert made.shape == (1, RATE // 2) and abs(strongest(made, RATE) - 440) < 3
    inner = slice(500, -500)
    assert np.abs(made[:, inner] - tone(440)[:, inner]).max() < 5e-3


def test_resampling_leaves_out_what_the_lower_rate_cannot_hold():
    assert np.abs(resampled(tone(10_000, rate=44_100), 44_100, RATE)[:, 500:-500]).max() < 5e-3


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_files_of_every_kind_are_read(suffix, tmp_path):
    library = pytest.importorskip("soundfile", reason="pip install 'bbilang[audio]'")
    path = tmp_path / f"tone{suffix}"
    library.write(path, np.repeat(tone(440, 1.0, 44_100).T, 2, 1), 44_100)
    clip = files.read(str(path))
    assert clip.rate == 44_100 and len(clip.samples) == 2 and abs(clip.seconds - 1) < 0.06
    assert abs(files.seconds_of(str(path)) - clip.seconds) < 1e-6
    heard = as_heard(clip, RATE, 1)
    assert heard.samples.shape[0] == 1 and abs(strongest(heard.samples, RATE) - 440) < 3


def test_frames_are_pieces_of_the_sound_in_order():
    samples = np.arange(14, dtype=np.float32).reshape(2, 7)
    assert frames_of(7 / RATE, RATE, 3) == 3
    cut = framed(samples, 3, 3)
    assert cut.shape == (2, 3, 3)
    whole = np.pad(samples, ((0, 0), (0, 2)))
    for channel in range(2):
        for frame in range(3):
            for y in range(3):
                assert cut[channel, y, frame] == whole[channel, 3 * frame + y]
    assert framed(samples, 3, 1).tolist() == [[[0], [1], [2]], [[7], [8], [9]]]


@pytest.mark.parametrize("hertz", [110, 440, 1760, 5000])
def test_a_tone_is_drawn_at_its_frequency(hertz):
    rows = levels(tone(hertz), RATE)[:, 20:-20].mean(1)
    assert abs(rows.argmax() - row_of(hertz, RATE)) < 2
    assert rows.max() > -8 and rows.min() < -50


def test_silence_is_drawn_as_silence():
    assert (levels(np.zeros((1, 800)), RATE) == -RANGE).all()
    assert spectrogram(np.zeros((1, 1)), RATE).shape[2] == 3
    assert words_of(np.zeros((1, 800)), RATE) == "0.05 s of silence"


def test_words_name_the_tone():
    assert words_of(tone(440), RATE) == "0.5 s, mostly one tone, strongest at 440 Hz"
    noise = np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32)
    assert "like noise" in words_of(noise, RATE)


def test_a_waveform_keeps_its_extremes():
    samples = np.zeros((1, 1000), np.float32)
    samples[0, 123], samples[0, 777] = 0.75, -0.5
    low, high = extremes(samples, 10)
    assert high.tolist() == [0, 0.75, *[0] * 8] and low.tolist() == [*[0] * 7, -0.5, 0, 0]
    assert len(extremes(samples[:, :3], 10)[0]) == 10


def test_sounds_of_a_page_are_equally_loud():
    quiet, loud = (encode.normalized(scale * tone(440)) for scale in (0.001, 1.9))
    assert np.allclose(quiet, loud, atol=1e-5) and abs(np.sqrt((loud**2).mean()) - encode.LOUDNESS) < 1e-4
    click = np.zeros((1, 8000), np.float32)
    click[0, 4000] = 0.01
    assert abs(encode.normalized(click).max() - encode.PEAK) < 1e-6  # not louder than full scale
    assert not encode.normalized(np.zeros((1, 8))).any()


def test_encoded_sounds_come_back(monkeypatch):
    samples = encode.sixteen_bits(tone(440))
    data, mime = encode.encoded(samples, RATE)
    assert mime == "audio/flac" and len(data) < samples.nbytes
    import soundfile

    assert (soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)[0].T == samples).all()
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    data, mime = encode.encoded(samples, RATE)
    assert mime == "audio/wav"
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnframes()) == (RATE, samples.shape[1])
        assert (np.frombuffer(file.readframes(10**6), "<i2") == samples[0]).all()


def test_samples_sound_as_they_are_described():
    for sound in sounds.CLIPS.values():
        made = synthesized(sound)
        assert made.shape == (1, round(sound.seconds * RATE)) and 0.1 < np.abs(made).max() <= 0.9
    melody = synthesized(sounds.CLIPS["melody"])
    for note in sounds.CLIPS["melody"].notes:
        piece = melody[:, round(note.start * RATE) : round((note.start + note.seconds) * RATE)]
        assert abs(1200 * np.log2(strongest(piece, RATE) / note.hertz)) < 30


def test_what_cannot_be_heard_is_refused(tmp_path):
    library = pytest.importorskip("soundfile", reason="pip install 'bbilang[audio]'")

    def refused(code: str, name: str, samples: np.ndarray, rate: int = RATE, **options: str) -> None:
        library.write(tmp_path / name, samples, rate, **options)
        with pytest.raises(BbiError) as caught:
            as_heard(files.read(str(tmp_path / name)), RATE, 1)
        assert caught.value.diagnostics[0].code == code and name in str(caught.value)

    refused("E425", "empty.wav", np.zeros((0, 1)))
    refused("E426", "slow.wav", np.zeros((500, 1)), 500)
    refused("E427", "broken.wav", np.full((500, 1), np.nan), subtype="FLOAT")
    (tmp_path / "notes.wav").write_text("not a sound")
    for read in (files.read, files.seconds_of):
        with pytest.raises(BbiError, match="E429"):
            read(str(tmp_path / "notes.wav"))
        with pytest.raises(BbiError, match="E411"):
            read(str(tmp_path / "missing.wav"))
    with pytest.raises(BbiError, match="E428"):
        checked(Clip("opera", np.zeros((1, 1000 * 601), np.int8), 1000))
    with pytest.raises(BbiError, match="E426"):
        as_heard(Clip("quad", np.zeros((4, 10), np.float32), RATE), RATE, 2)


def test_a_file_that_is_longer_than_its_header_says_is_no_trap(tmp_path):
    """The length is read from the header, and the samples are what there is."""
    pytest.importorskip("soundfile", reason="pip install 'bbilang[audio]'")
    path = tmp_path / "cut.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(RATE)
        file.writeframes(encode.sixteen_bits(tone(440)).tobytes())
    path.write_bytes(path.read_bytes()[:-6000])
    assert files.read(str(path)).samples.shape[1] == RATE // 2 - 3000


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(BbiError, match=r"E224.*bbilang\[audio\]|E224"):
        files.read("violin.wav")
