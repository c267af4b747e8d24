"""Tables as datasets: delimiters, encodings, columns of words and numbers, missing files, paths that leave."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest
from drawn import encoded, write

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data import rows as rows_module
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.peek import peek


def refused(code: str, *words: str):
    return pytest.raises(BbiError, match="(?s)" + ".*".join([code, *words]))


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, {"a.png": encoded(1), "b.png": encoded(2), "sub/c.png": encoded(3, size=(20, 10))})


def table(folder, text, name="photos.csv", encoding="utf-8", **options):
    (folder / name).write_bytes(text.encode(encoding))
    return open_dataset(name, folder, **options)


def test_rows_are_examples(folder):
    data = table(folder, "file,label,weight,room\nsub/c.png,dog,1.5,007\na.png,cat,,008\na.png,7,-2e3,\n")
    assert data.files.tolist() == ["sub/c.png", "a.png", "a.png"]
    assert data.labels.tolist() == ["dog", "cat", "7"]
    assert data.columns["room"].tolist() == ["007", "008", ""], "numbers with leading zeros are codes"
    weight = data.columns["weight"]
    assert weight.dtype == np.float64 and weight[[0, 2]].tolist() == [1.5, -2000] and math.isnan(weight[1])
    assert data.columns["width"].tolist() == [20, 16, 16]
    assert list(data.columns) == ["file", "label", "weight", "room", "width", "height"]


def test_labels_are_words_and_numbers_missing(folder):
    data = table(folder, "file,label,x,y,z\na.png,3,NaN,none,1\nb.png,4,N/A,cat,nan\n")
    assert data.labels.tolist() == ["3", "4"]
    assert data.columns["x"].tolist() == ["", ""] and data.columns["y"].tolist() == ["none", "cat"]
    assert data.columns["z"].dtype == np.float64


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(folder, delimiter):
    rows = [["file", "label", "note"], ["a.png", "cat", '"one, two; three"'], ["b.png", "dog", "3,5"]]
    if delimiter == ",":
        rows[2][2] = '"3,5"'
    data = table(folder, "\n".join(delimiter.join(row) for row in rows))
    assert data.columns["note"].tolist() == ["one, two; three", "3,5"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(folder, encoding):
    data = table(folder, "file,label\na.png,Lärche 🌲\n", encoding=encoding)
    assert data.labels.tolist() == ["Lärche 🌲"] and data.files.tolist() == ["a.png"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cells_of_several_lines(folder, end):
    data = table(folder, end.join(["file,label", 'a.png,"a', 'b"', "", "b.png,c", ""]))
    assert data.labels.tolist() == [f"a{end}b", "c"]


def test_json_lines(folder):
    lines = [{"file": "a.png", "label": 3, "n": 1}, {"file": "b.png", "ok": True, "box": [1, 2], "n": None},
             {"file": "b.png", "label": "line\u2028two", "ok": False, "n": 10**400}]  # fmt: skip
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    data = table(folder, text, "photos.jsonl")
    assert data.labels.tolist() == ["3", "", "line\u2028two"]
    assert data.columns["ok"].tolist() == ["", "true", "false"]
    assert data.columns["box"].tolist() == ["", "[1, 2]", ""]
    assert data.columns["n"][0] == 1 and np.isnan(data.columns["n"][1]) and data.columns["n"][2] == np.inf


def test_usual_names_of_columns(folder):
    data = table(folder, "Image,Category,split\na.png,x,train\nb.png,y,\n")
    assert data.labels.tolist() == ["x", "y"] and data.split.tolist() == ["train", ""]


def test_columns_by_option(folder):
    text = "file,kind,fold\na.png,x,1\nb.png,y,2\n"
    data = table(folder, text, label="kind", split="fold")
    assert data.labels.tolist() == ["x", "y"] and data.split.tolist() == ["1", "2"]
    with refused("E457", "did you mean `kind`"):
        table(folder, text, label="kinds")


def test_files_are_recognized_and_may_lack_their_ending(folder):
    data = table(folder, "key,name\na,cat\nb,dog\nsub/c,bird\n")
    assert data.files.tolist() == ["a.png", "b.png", "sub/c.png"]
    assert data.columns["key"].tolist() == ["a", "b", "sub/c"]
    mixed = table(folder, "file\na\nb.png\nsub/c\n")
    assert mixed.files.tolist() == ["a.png", "b.png", "sub/c.png"]


def test_labels_of_folders_where_the_table_has_none(folder):
    write(folder, {"sub/dog/d.png": encoded(4), "sub/cat/e.png": encoded(5)})
    data = table(folder, "file,n\nsub/dog/d.png,1\nsub/cat/e.png,2\n")
    assert data.labels.tolist() == ["dog", "cat"]


def test_missing_files_are_named_and_counted(folder):
    text = "file\na.png\nx1.png\nx2.png\nx3.png\nx4.png\nx4.png\n"
    with refused("E454", "4 of the 5 files", "x1.png, x2.png, x3.png and 1 more"):
        table(folder, text)
    with refused("E454", "4 of the 5 files"):
        peek("photos.csv", folder)


@pytest.mark.parametrize(
    "name", ["../secret.png", "sub/../../secret.png", "/etc/hostname.png", "~/secret.png", "..\\secret.png"]
)
def test_a_table_does_not_leave_its_folder(tmp_path, name):
    folder = write(tmp_path / "in", {"a.png": encoded(1)})
    write(tmp_path, {"secret.png": encoded(2)})
    for look in (lambda: table(folder, f"file\na.png\n{name}\n"), lambda: peek("photos.csv", folder)):
        with refused("E455", "example 2", "outside of the table's folder"):
            look()


def test_a_link_in_a_table_stays_in_the_root(tmp_path):
    folder = write(tmp_path / "in", {"a.png": encoded(1)})
    write(tmp_path, {"secret.png": encoded(2)})
    (folder / "b.png").symlink_to(tmp_path / "secret.png")
    assert len(table(folder, "file\na.png\nb.png\n")) == 2
    with refused("E455", "b.png"):
        open_dataset("photos.csv", folder, folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\na.png,cat,3\n", "line 2 has 3 cells, and the first line 2"),
        ('file,label\na.png,"cat\n', "line 2 cannot be read"),
        ("file,file\na.png,cat\n", "two columns `file`"),
        ("", "is empty"),
        ("cat,3\ndog,4\n", "no column with names of pictures"),
        ("file,label\n,cat\n", "example 1 has no file"),
        ("file\na\0.png\n", "NUL"),
    ],
)
def test_tables_that_cannot_be_read(folder, text, words):
    with refused("E453", words):
        table(folder, text)


def test_more_tables_that_cannot_be_read(folder):
    with refused("E453", "not text in UTF-8: line 3"):
        table(folder, "file,label\na.png,x\nb.png,Lärche\n", encoding="latin-1")
    with refused("E453", "line 2 is not JSON"):
        table(folder, '{"file": "a.png"}\nnot JSON', "photos.jsonl")
    with refused("E453", "line 1 is not an object"):
        table(folder, "[" * 3 + "]" * 3, "photos.jsonl")
    with refused("E453", "line 1 is not JSON"):
        table(folder, "[" * 100_000, "photos.jsonl")
    with refused("E451", "no pictures"):
        table(folder, "file,label\n")


def test_a_large_table_is_looked_at_in_part(folder, monkeypatch):
    (folder / "photos.csv").write_text("file,label\n" + 'a.png,"c\nat"\n' * 4000, encoding="utf-8")
    monkeypatch.setattr("bbilang.runtime.data.peek.LOOKED_AT", {"table": 9999})
    seen = peek("photos.csv", folder)
    assert not seen.exact and abs(seen.count - 4000) < 40
    assert seen.columns["label"].values is None, "further values may follow"
    assert len(open_dataset("photos.csv", folder)) == 4000


def test_one_long_cell_does_not_fill_the_memory(folder):
    """Padded to the longest word, the column would take 4 x 100,000 x 20,000 bytes."""
    data = table(folder, "file,note\n" + "a.png,\n" * 20_000 + f"b.png,{'long ' * 20_000}\n")
    note = data.columns["note"]
    assert note.nbytes < 1 << 20 and len(note[-1]) == 99_999
    found = data.filter(("compare", "!=", ("column", "note"), ("constant", "x")))
    assert len(found.dataset) == 1 and found.undefined == 20_000


def test_parquet_names_its_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with refused("E459", "bbilang\\[tables\\]"):
        (folder / "photos.parquet").write_bytes(b"PAR1")
        peek("photos.parquet", folder)


def test_parquet(folder):
    arrow = pytest.importorskip("pyarrow", reason="without the extra tables")
    from pyarrow import parquet

    columns = {"file": ["a.png", "sub/c.png"], "label": [3, 4], "x": [0.5, None], "image": [b"1", b"2"]}
    parquet.write_table(arrow.table(columns), folder / "photos.parquet")
    data = open_dataset("photos.parquet", folder)
    assert data.labels.tolist() == ["3", "4"] and list(data.columns) == ["file", "label", "x", "width", "height"]
    assert data.columns["x"][0] == 0.5 and np.isnan(data.columns["x"][1])
    (folder / "photos.parquet").write_bytes(b"PAR1 and no more")
    with refused("E453", "not a table in Parquet"):
        peek("photos.parquet", folder)


def test_values_of_parquet_become_plain():
    import datetime
    import decimal

    assert rows_module._cell(decimal.Decimal("1.5")) == 1.5
    assert rows_module._cell(datetime.date(2026, 1, 2)) == "2026-01-02"
    assert rows_module._is_bytes("large_binary") and not rows_module._is_bytes("string")


TOKENS = ["file", "label", "a.png", "sub/c.png", *',;/~{}[]"|12.', "\t", "\n", "\r\n", "é", "\ufeff", "\0", "\u2028",
          "..", '{"file": "a.png"}\n', '{"file": 3}\n', "1e999", "a.png,1\n"]  # fmt: skip


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_any_bytes_are_a_table_or_refused(folder, name):
    random = np.random.default_rng(0)
    codes = set()
    for number in range(400):
        words = "".join(TOKENS[k] for k in random.integers(0, len(TOKENS), random.integers(0, 14)))
        head = "file,label\n" if number % 2 and name == "t.csv" else ""
        (folder / name).write_bytes((head + words).encode(["utf-8", "utf-16", "latin-1"][number % 3], "replace"))
        try:
            codes.add("read" if len(open_dataset(name, folder)) else "empty")
        except BbiError as failure:
            codes.add(failure.diagnostics[0].code)
    assert codes >= {"read", "E453"} and codes <= {"read", "E451", "E453", "E454", "E455"}
