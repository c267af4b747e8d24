"""The wheel contains the tree's files under bbilang and nothing else, built from the tree or from the sdist."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from bbilang.runtime.page.script import DETAILS, DRAW, FILES, FILM, POINTS, SOUNDS, SPACE, VEGA, script

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = {
    "bbilang": "bbilang",
    "grammar": "bbilang/grammar",
    "compiler": "bbilang/compiler",
    "runtime": "bbilang/runtime",
    "specs": "bbilang/specs",
}
LINKS = {f"bbilang/{name}" for name in ("grammar", "compiler", "runtime", "specs")}
LEFT_OUT = {"__pycache__", ".DS_Store"}


def files_of(folder: Path) -> list[Path]:
    """Relative paths of the files below, links not followed."""
    listed = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    linked = {path.name for path in folder.iterdir() if path.is_symlink()}
    return sorted(p for p in listed if not LEFT_OUT & set(p.parts) and p.parts[0] not in linked and p.suffix != ".pyc")


def placed(tree: Path) -> dict[str, Path]:
    """Path in the wheel -> file of the tree."""
    pairs = ((root, tree / name, path) for name, root in FOLDERS.items() for path in files_of(tree / name))
    return {f"{root}/{path.as_posix()}": folder / path for root, folder, path in pairs}


def test_every_package_is_listed():
    """One that is missing would work in an editable install and be left out of the wheel."""
    folders = {str(Path(file).parent).replace("/", ".") for file in placed(ROOT) if file.endswith(".py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders


def test_every_extra_and_dependency_is_constrained():
    """`make` installs the versions that the suite is green with."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if line and not line.startswith("#")}
    extras = PROJECT["project"]["optional-dependencies"]
    required = [*PROJECT["project"]["dependencies"], *extras["demo"], *extras["docs"], *extras["test"]]
    assert {line.partition(">=")[0].lower() for line in required} == pinned


class Built(NamedTuple):
    tree: Path  # a copy of the repository, from which it was all built
    wheel: Path
    sdist: Path
    again: Path  # the wheel built from the sdist


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two wheels and the sdist, built without a network; from a copy, so that no `build` or `egg-info` is left."""
    pytest.importorskip("build", reason="without the test extra")
    version = getattr(__import__("setuptools"), "__version__", "0") if find_spec("setuptools") else "0"
    if int(version.partition(".")[0]) < 77:
        pytest.skip("without the test extra: setuptools>=77")
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "tree"
    tree.mkdir()
    for name in (*FOLDERS, "tests", "scripts", "docs"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, tree / path.name)

    def build(*options):
        command = [sys.executable, "-m", "build", "--no-isolation", *options, str(tree)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    build("--outdir", str(folder / "both"))  # the sdist, and the wheel from the sdist
    build("--wheel", "--outdir", str(folder / "wheel"))
    [sdist], [again], [wheel] = (folder.glob(p) for p in ("both/*.tar.gz", "both/*.whl", "wheel/*.whl"))
    return Built(tree, wheel, sdist, again)


def content(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names))
        return {name: archive.read(name) for name in names if ".dist-info/" not in name}


def test_the_wheel_is_the_tree(built):
    actual, expected = content(built.wheel), placed(built.tree)
    assert set(actual) == set(expected)
    for name, file in expected.items():
        assert actual[name] == file.read_bytes(), name


def test_the_wheel_says_what_it_is(built):
    with zipfile.ZipFile(built.wheel) as archive:
        names = [name.partition(".dist-info/")[2] for name in archive.namelist() if ".dist-info/" in name]
        assert {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"} <= set(names)
        points = archive.read(next(n for n in archive.namelist() if n.endswith("entry_points.txt"))).decode()
    assert "bbi = bbilang.entry:main" in points and "[bbilang.ops]" in points


def test_the_wheel_works_where_there_is_no_tree(built, tmp_path):
    """Grammar, registry and descriptions find their files; in isolated mode nothing of the tree is on the path."""
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import bbilang.grammar.parse, bbilang.registry
from bbilang.runtime.models.registry import MODELS
from bbilang.runtime.models.descriptions import describe
bbilang.registry.registry()
print(*(describe(name).flops for name in MODELS))
from bbilang.cli.examples import texts
print(*texts())
print(*{{module.__file__ for name, module in sys.modules.items() if name.startswith("bbilang.")}}, sep="\\n")
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    flops, examples, *files = done.stdout.splitlines()
    assert examples.split() == sorted(path.stem for path in (ROOT / "specs").glob("*.bbi"))
    assert all(int(number) > 0 for number in flops.split())
    assert files and all(Path(file).is_relative_to(tmp_path) for file in files)


def test_the_sdist_makes_the_same_wheel(built):
    assert content(built.again) == content(built.wheel)


def test_the_sdist_has_the_tree_once(built):
    with tarfile.open(built.sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
        assert not [member.name for member in archive if member.issym() or member.islnk()]
    assert not [name for name in names if any(name.startswith(f"{link}/") for link in LINKS)]
    for name in FOLDERS:
        assert {f"{name}/{path.as_posix()}" for path in files_of(built.tree / name)} <= set(names)
    required = {"pyproject.toml", "LICENSE", "Makefile", "constraints.txt", "tests/conftest.py"}
    assert required <= set(names)
    assert not [name for name in names if name.endswith(".pyc") or name.startswith((".", "build/"))]


def test_every_script_is_in_the_page():
    """A file that is never included would be dead, and a name without a file would fail only when a page is made."""
    folder = ROOT / "runtime" / "page" / "js"
    names = [*FILES, *DRAW, *POINTS, *DETAILS, *SOUNDS, *SPACE, *FILM, VEGA]
    assert sorted(names) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.js"))
    text = script(vega=False, points=True, details=True, sounds=True, film=True, space=True) + script(vega=True)
    assert all(folder.joinpath(name).read_text("utf-8").strip() in text for name in names)
