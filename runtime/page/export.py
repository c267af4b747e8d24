"""Export a view to a file: a page, a Vega-Lite specification, a picture or a table."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from bbilang.grammar.files import path_of
from bbilang.runtime.files import check, write
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.page.html import render
from bbilang.runtime.vega.specification import picture_uris
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.view.long_table import long_table
from bbilang.runtime.view.model import Picture, View
from bbilang.runtime.view.styles import Styles

FORMATS = ("html", "json", "png", "svg", "pdf", "csv")
SUFFIX = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
OURS = re.compile(r"picture-[0-9a-f]{16}\.(png|jpg|webp|bin)")


def export(view: View, path: str | Path, format: str, styles: Styles, parents: bool = False) -> Path:
    """Write the view to ``path`` atomically, in one of ``FORMATS``, and return the path.

    ``json`` also writes the pictures, into the folder ``<name>_files`` beside it; png, svg, pdf show the start states.
    parents: create missing folders. Raises ValueError for another format, OSError where the file cannot be written.
    """
    path = path_of(path)
    if format == "json":
        return _json(view, path, styles, parents)
    makers: dict[str, Callable[[], bytes]] = {
        "html": lambda: render(view, styles).encode(),
        "csv": lambda: b"\xef\xbb\xbf" + long_table(view).encode(),
        "png": lambda: _converted(view, styles, "png"),
        "svg": lambda: _converted(view, styles, "svg"),
        "pdf": lambda: _converted(view, styles, "pdf"),
    }
    if format not in makers:
        raise ValueError(f"`{format}` is not a format; there are {', '.join(FORMATS)}")
    write(path, makers[format](), parents)
    return path


def _converted(view: View, styles: Styles, format: str) -> bytes:
    import vl_convert

    if format == "pdf":  # the converter knows no WebP
        view = replace(view, pictures=tuple(map(_png, view.pictures)))
    spec: JsonObject = specification(view, picture_uris(view), styles, live=False)
    if format == "png":
        return vl_convert.vegalite_to_png(spec, scale=2)
    if format == "pdf":
        return vl_convert.svg_to_pdf(_flat(vl_convert.vegalite_to_svg(spec)))
    return vl_convert.vegalite_to_svg(spec).encode()


def _flat(svg: str) -> str:
    """Return the same drawing with flatter groups: the converter to PDF refuses deep nesting."""
    for prefix, address in (("", "http://www.w3.org/2000/svg"), ("xlink", "http://www.w3.org/1999/xlink")):
        ElementTree.register_namespace(prefix, address)
    group = "{http://www.w3.org/2000/svg}g"

    def flatten(parent: ElementTree.Element) -> None:
        children: list[ElementTree.Element] = []
        for child in parent:
            flatten(child)
            if child.tag == group and set(child.attrib) <= {"class", "role", "aria-roledescription", "aria-hidden"}:
                children += child
            else:
                children.append(child)
        parent[:] = children

    root = ElementTree.fromstring(svg)
    flatten(root)
    return ElementTree.tostring(root, encoding="unicode")


def _png(picture: Picture) -> Picture:
    if picture.mime != "image/webp":
        return picture
    file = io.BytesIO()
    Image.open(io.BytesIO(picture.data)).save(file, "PNG")
    return replace(picture, data=file.getvalue(), mime="image/png")


def _json(view: View, path: Path, styles: Styles, parents: bool) -> Path:
    """Write pictures under the hash of their content, then the specification; earlier files stay until then."""
    folder = path.parent / f"{path.stem}_files"
    names = [_name(picture) for picture in view.pictures]
    spec = specification(view, [f"{folder.name}/{name}" for name in names], styles)
    text = json.dumps(spec, ensure_ascii=False, allow_nan=False)
    check(path, parents)  # before the folder of the pictures is made
    made: list[Path] = []
    new = not folder.exists()
    try:
        for name, picture in zip(names, view.pictures, strict=True):
            if not (folder / name).exists():
                write(folder / name, picture.data, parents=True)
                made.append(folder / name)
        write(path, text.encode(), parents)
    except OSError:
        for file in made:
            file.unlink(missing_ok=True)
        if new and folder.exists():
            folder.rmdir()
        raise
    for file in folder.iterdir() if folder.exists() else ():
        if OURS.fullmatch(file.name) and file.name not in names:
            file.unlink(missing_ok=True)
    return path


def _name(picture: Picture) -> str:
    return f"picture-{sha256(picture.data).hexdigest()[:16]}.{SUFFIX.get(picture.mime, 'bin')}"
