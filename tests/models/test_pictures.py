"""Pictures of every mode, written here; invalid files; samples, globs and folders."""

import importlib.util
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from bbilang.runtime.inputs import images as pictures
from bbilang.runtime.inputs.images import SAMPLES, expand, read


def pixel(path, x=0, y=0):
    picture = read(path)
    assert picture.image.mode == "RGB" and picture.name == path.name
    return picture.image.getpixel((x, y))


def png16(path, values, color):
    """A PNG of 16 bits; Pillow writes none with colour. ``values``: (y, x, sample), ``color``: type in the header."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def tiff16(path, values):
    """An uncompressed RGB TIFF of 16 bits, little-endian. ``values``: (y, x, 3)."""
    height, width = values.shape[:2]
    data = values.astype("<u2").tobytes()
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140),
        (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
    head = b"II*\0" + struct.pack("<I", 8) + directory + b"\0\0\0\0"
    path.write_bytes(head.ljust(134, b"\0") + struct.pack("<HHH", 16, 16, 16) + data)


def near(actual, expected, tolerance=1):
    assert max(abs(a - b) for a, b in zip(actual, expected, strict=True)) <= tolerance, actual


def test_plain_and_grey(tmp_path):
    Image.new("RGB", (3, 2), (10, 20, 30)).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (10, 20, 30)
    Image.new("L", (3, 2), 77).save(tmp_path / "b.png")
    assert pixel(tmp_path / "b.png") == (77, 77, 77)
    Image.new("1", (3, 2), 1).save(tmp_path / "c.png")
    assert pixel(tmp_path / "c.png") == (255, 255, 255)


def test_transparency_is_laid_on_white(tmp_path):
    Image.new("RGBA", (3, 2), (200, 0, 0, 0)).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (255, 255, 255)
    Image.new("RGBA", (3, 2), (0, 0, 0, 51)).save(tmp_path / "b.png")
    near(pixel(tmp_path / "b.png"), (204, 204, 204))
    Image.new("LA", (3, 2), (0, 51)).save(tmp_path / "c.png")
    near(pixel(tmp_path / "c.png"), (204, 204, 204))
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([0, 0, 0, 9, 8, 7])
    palette.save(tmp_path / "d.png")
    assert pixel(tmp_path / "d.png") == (9, 8, 7)
    palette.save(tmp_path / "e.png", transparency=1)
    assert pixel(tmp_path / "e.png") == (255, 255, 255)
    palette.save(tmp_path / "f.gif", transparency=1)
    assert pixel(tmp_path / "f.gif") == (255, 255, 255)
    Image.new("RGB", (3, 2), (1, 2, 3)).save(tmp_path / "g.png", transparency=(1, 2, 3))
    assert pixel(tmp_path / "g.png") == (255, 255, 255)


def test_cmyk(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    near(pixel(tmp_path / "a.jpg"), (255, 0, 0), 6)
    Image.new("CMYK", (8, 8), (0, 0, 0, 255)).save(tmp_path / "b.tif")
    near(pixel(tmp_path / "b.tif"), (0, 0, 0), 6)


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    ramp = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    expected = [0, 1, 128, 255]
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    Image.fromarray(ramp).save(tmp_path / "grey.tif")
    Image.fromarray(ramp.astype(np.int32)).save(tmp_path / "wide.tif")
    png16(tmp_path / "rgb.png", np.stack([ramp] * 3, -1), 2)
    png16(tmp_path / "rgba.png", np.stack([ramp] * 3 + [np.full_like(ramp, 65535)], -1), 6)
    tiff16(tmp_path / "rgb.tif", np.stack([ramp] * 3, -1))
    for file in sorted(tmp_path.iterdir()):
        for x, value in enumerate(expected):
            near(pixel(file, x), (value,) * 3)


def test_floating_point(tmp_path, fails):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "a.tif")
    near(pixel(tmp_path / "a.tif", 1), (128,) * 3)
    Image.fromarray(np.array([[0.0, -1.0, np.nan]], dtype=np.float32)).save(tmp_path / "b.tif")
    with fails("E412", "no fixed white"):
        read(tmp_path / "b.tif")


def test_turned_as_exif_says(tmp_path):
    picture = Image.new("RGB", (16, 8), "black")
    picture.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = read(tmp_path / "a.jpg").image
    assert turned.size == (8, 16)
    assert turned.getpixel((4, 2))[0] > 200 and turned.getpixel((4, 13))[0] < 50


def test_first_of_several_frames(tmp_path):
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixel(tmp_path / "a.gif") == (255, 0, 0)


def test_files_that_are_no_pictures(tmp_path, fails):
    with fails("E411", "there is no picture"):
        read(tmp_path / "none.png")
    with fails("E411", "it is a folder, and not a regular file"):
        read(tmp_path)
    with fails("E411"):
        read("x" * 5000)
    (tmp_path / "empty.png").touch()
    with fails("E412", "empty.png is an empty file"):
        read(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("no picture at all")
    with fails("E412", "text.png is not a picture", "PNG"):
        read(tmp_path / "text.png")
    (tmp_path / "program.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with fails("E412", "is not a picture"):  # its reader would start Ghostscript
        read(tmp_path / "program.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "webp", "bmp"])
def test_truncated(suffix, tmp_path, fails):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(file)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    try:
        read(file)
    except pictures.BbiError as e:
        [diagnostic] = e.diagnostics
        assert diagnostic.code in ("E412", "E413") and f"a.{suffix} is" in diagnostic.message
    else:
        raise AssertionError("half a picture was read")


def test_decompression_bombs(tmp_path, fails):
    rows = zlib.compress(b"\0" * 1000)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (10_500, 40_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
        (tmp_path / "bomb.png").write_bytes(content)
        with fails("E414", "bomb.png has over 100 million pixels"):
            read(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name):
    if not importlib.util.find_spec(SAMPLES[name][0]):
        pytest.skip(f"{SAMPLES[name][0]} is not installed")
    picture = read(f"sample:{name}")
    planted = SAMPLES[name][0] == "bbilang"
    assert picture.name == name and picture.image.mode == "RGB" and min(picture.image.size) >= (48 if planted else 200)
    assert expand(f"sample:{name}") == [f"sample:{name}"]


def test_the_marked_disc_is_one_of_the_planted_pictures():
    from bbilang.runtime.data.dataset import open_dataset

    every = open_dataset("sample:marks")
    number = list(every.files).index("601 disc marked.png")
    assert every.columns["set"][number] == "balanced", "no training picture"
    assert np.array_equal(np.asarray(read("sample:marked_disc").image), np.asarray(every.picture(number)))


def test_samples_that_are_not_there(fails, monkeypatch):
    for call in (read, expand):
        with fails("E415", "there is no sample `chelsey`", "did you mean `sample:chelsea`?", "astronaut"):
            call("sample:chelsey")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with fails("E416", "skimage", "pip install 'bbilang[demo]'"):
        read("sample:chelsea")


def test_expand(tmp_path, fails):
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "odd[1].png", "deep/c.png"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / "empty").mkdir()

    def names(spec):
        return [p.removeprefix(f"{tmp_path}/") for p in expand(spec, tmp_path)]

    assert names("b.png") == ["b.png"]
    assert names("notes.txt") == ["notes.txt"]  # said by name: reading it tells what is wrong
    assert names(".") == names("*") == ["a.JPG", "b.png", "odd[1].png"]
    assert names("odd[1].png") == ["odd[1].png"]
    assert names("**/*.png") == ["b.png", "deep/c.png", "odd[1].png"]
    assert names(str(tmp_path / "deep")) == ["deep/c.png"]
    with fails("E417", "the folder empty has no pictures"):
        expand("empty", tmp_path)
    with fails("E417", "no picture matches *.webp"):
        expand("*.webp", tmp_path)
    with fails("E411", "there is no picture c.png", "did you mean `b.png`?"):
        expand("c.png", tmp_path)
    with fails("E411"):
        expand("x" * 5000, tmp_path)
    with fails("E411"):
        expand("gone/x.png", tmp_path)


def test_imports_stay_light():
    code = (
        "import sys; from bbilang.runtime.inputs.images import read; read('sample:china')\n"
        "assert not {'torch', 'skimage', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
