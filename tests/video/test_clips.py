"""Frames of videos and animated pictures: which are taken, what they show, when, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bbilang import BbiError, check, run
from bbilang.runtime.inputs import clips
from bbilang.runtime.view.media.films import film_times

SHOW = "input | present(image)"
SIDE, COUNT = 32, 12


def frames() -> list[Image.Image]:
    """A white column that moves by two pixels a frame, on a gradient."""
    made = []
    for number in range(COUNT):
        pixels = np.broadcast_to(np.linspace(20, 120, SIDE, dtype=np.uint8)[:, None, None], (SIDE, SIDE, 3)).copy()
        pixels[:, 2 * number : 2 * number + 4] = 255
        made.append(Image.fromarray(pixels))
    return made


def column_of(picture: Image.Image) -> float:
    """The middle of the white column, in frames."""
    bright = np.asarray(picture.convert("L"), float).mean(0)
    return (float(np.flatnonzero(bright > bright.max() - 40).mean()) - 1.5) / 2


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gif(tmp_path):
    first, *rest = frames()
    first.save(tmp_path / "walk.gif", save_all=True, append_images=rest, duration=[50, *[120] * (COUNT - 1)])
    return tmp_path / "walk.gif"


@pytest.fixture
def mp4(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "walk.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for picture in frames():
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return tmp_path / "walk.mp4"


def test_frames_of_a_gif(gif):
    names = clips.frames(str(gif), None, 120)
    assert [clips.frame_of(name) for name in names] == [(str(gif), number) for number in range(COUNT)]
    pictures = [clips.picture(name) for name in names]
    assert [column_of(picture.image) for picture in pictures] == pytest.approx(range(COUNT), abs=0.3)
    assert [picture.seconds for picture in pictures] == pytest.approx([0, *(0.05 + 0.12 * k for k in range(COUNT - 1))])
    assert pictures[1].name == "walk.gif, 0.05 s"


def test_frames_of_a_video(mp4):
    pictures = [clips.picture(name) for name in clips.frames(str(mp4), None, 120)]
    assert [column_of(picture.image) for picture in pictures] == pytest.approx(range(COUNT), abs=0.6)
    assert [picture.seconds for picture in pictures] == pytest.approx([0.1 * k for k in range(COUNT)])


@pytest.mark.parametrize("order", [[0, 5, 11], [11, 5, 0], [4, 4, 3, 9]])
def test_frames_in_any_order_are_those_of_one_run(gif, order):
    expected = [np.asarray(clips.picture(f"{gif}#frame={number}").image) for number in range(COUNT)]
    for number in order:
        assert (np.asarray(clips.read(str(gif), number)[0]) == expected[number]).all()


def test_a_file_that_is_replaced_is_read_again(gif):
    before = np.asarray(clips.read(str(gif), 3)[0])
    first, *rest = frames()[::-1]
    gif.unlink()
    first.save(gif, save_all=True, append_images=rest, duration=90)
    assert not (np.asarray(clips.read(str(gif), 3)[0]) == before).all()


@pytest.mark.parametrize(
    "every, most, numbers",
    [(None, 120, range(12)), (5, 120, [0, 5, 10]), (None, 5, [0, 3, 6, 9]), (None, 6, range(0, 12, 2)), (12, 2, [0])],
)
def test_which_frames_are_taken(gif, every, most, numbers):
    assert [clips.frame_of(name)[1] for name in clips.frames(str(gif), every, most)] == list(numbers)


def test_what_is_no_film_is_a_picture(gif, tmp_path):
    frames()[0].save(tmp_path / "still.gif")
    frames()[0].save(tmp_path / "still.png")
    (tmp_path / "both").mkdir()
    gif.rename(tmp_path / "both" / "walk.gif")
    for name in ("still.gif", "still.png"):
        assert check(f'input "{name}"\n{SHOW}').inputs == (name,)
    folder = check(f'input "both/"\n{SHOW}')  # of a folder, the first picture of each file
    assert [Path(name) for name in folder.inputs] == [Path("both/walk.gif")]


def test_the_text_chooses_the_frames(gif):
    program = check(f'set video(every=4)\ninput "walk.gif"\n{SHOW}')
    assert [clips.frame_of(name)[1] for name in program.inputs] == [0, 4, 8]


def refused(text, code):
    with pytest.raises(BbiError) as caught:
        run(text, cache=False, device="cpu")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code and diagnostic.span is not None, str(caught.value)
    return str(caught.value)


def test_too_many_frames(gif):
    said = refused(f'set video(every=1, most=5)\ninput "walk.gif"\n{SHOW}', "E439")
    assert "12 frames" in said and "every=3" in said


@pytest.mark.parametrize("name", ["song.mp4", "walk.gif", "walk.webm"])
def test_what_cannot_be_decoded(tmp_path, name):
    if not name.endswith("gif"):
        pytest.importorskip("av")
    (tmp_path / name).write_bytes(b"#EXTM3U\nhttp://127.0.0.1:9/stream.ts\n" * 20)  # a playlist, under another name
    refused(f'input "{name}"\n{SHOW}', "E438")


def test_a_video_that_is_cut_short(mp4):
    whole = mp4.read_bytes()
    mp4.write_bytes(whole[: len(whole) // 3])
    refused(f'input "walk.mp4"\n{SHOW}', "E438")


def test_without_pyav(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "walk.mp4").write_bytes(b"video")
    assert "bbilang[video]" in refused(f'input "walk.mp4"\n{SHOW}', "E437")


def test_a_page_does_not_overwrite_its_video(gif, monkeypatch, capsys):
    from bbilang.cli.app import main

    monkeypatch.chdir(gif.parent)
    (gif.parent / "a.bbi").write_text(f'input "walk.gif"\n{SHOW}\n')
    before = gif.read_bytes()
    assert main(["run", "a.bbi", "-o", "walk.gif", "--format", "html"]) != 0
    assert "would overwrite" in capsys.readouterr().err and gif.read_bytes() == before


def test_a_frame_of_another_video_is_another_input(gif):
    from bbilang.runtime.recall.identity import input_identity

    identities = {input_identity(f"{gif}#frame={number}") for number in (0, 1)}
    assert len(identities) == 2 and None not in identities


@pytest.mark.parametrize(
    "seconds, rate, times",
    [
        ([0.0, 0.5, 1.0], None, (0.0, 0.5, 1.0)),
        ([0.0, 0.5, 0.0, 0.25], None, (0.0, 0.5, 1.0, 1.25)),  # two films, one after the other
        ([None, 0.5], None, ()),
        ([None, None], 4, (0.0, 0.25)),
        ([0.0, 0.5], 4, (0.0, 0.25)),
        ([], None, ()),
    ],
)
def test_when_frames_are_shown(seconds, rate, times):
    assert film_times(seconds, rate) == times
