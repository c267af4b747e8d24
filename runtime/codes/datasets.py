"""The codes of datasets: folders, tables and archives of pictures."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code
from bbilang.runtime.codes.example_texts import RUN

MEAN = "block6a.expand.channel | across(photos) | mean(example) | top(8) | present(bars)"

DISSECT = "block6a.expand.neuron | dissect(photos) | max(segment) | top(8) | present(bars)"


def _dataset(name: str) -> str:
    return f'dataset photos = "{name}"\n{MEAN}'


DATASETS: Final[dict[str, Code]] = {
    "E450": Code(
        "a dataset that is not there, or is none",
        "A dataset is a folder of pictures, a table (.csv, .jsonl, .parquet) or an archive (.tar, .tar.gz, .zip). "
        "Names start in the folder of the text.",
        _dataset("no_such_folder/"),
        f"$ ls photos/\n{RUN}",
        needs="no such folder",
    ),
    "E451": Code(
        "an empty dataset",
        "The folder or archive has no pictures, the table no rows, or no example meets the conditions. Hidden files "
        "and files that do not end like pictures are not examples.",
        _dataset("documents/"),
        f"$ ls photos/cats/\n{RUN}",
        needs="a folder without pictures",
    ),
    "E452": Code(
        "a dataset of which nothing can be read",
        "Files that cannot be read are left out, counted and named. Where none is left there is nothing to show: the "
        "message says what is wrong with the first ones.",
        _dataset("half_copied/"),
        f"$ cp --recursive original/ photos/\n{RUN}",
        needs="a folder of damaged pictures",
    ),
    "E453": Code(
        "a table that cannot be read",
        "Tables are text in UTF-8 whose first line names the columns; every row has as many cells. A column holds the "
        "names of the files, and is called `file`.",
        _dataset("photos.csv"),
        f'$ head -2 photos.csv\n$ printf "file,label\\na.jpg,cat\\n" > photos.csv\n{RUN}',
        needs="a table with a row of another length",
    ),
    "E454": Code(
        "a table whose files are missing",
        "Names of files start in the folder of the table, and may lack their ending. Add the files, or remove the "
        "rows: a dataset that silently had fewer examples would give other numbers.",
        _dataset("photos.csv"),
        f"$ ls photos/\n{RUN}",
        needs="a table with rows for files that are not there",
    ),
    "E455": Code(
        "a path that leaves the folder",
        "A table names files in its own folder, an archive holds names below its own, and nothing lies outside of the "
        "folder given with `--root`. So a dataset from a stranger opens no file of yours.",
        _dataset("stranger.tar"),
        f"$ tar --create --file photos.tar photos/\n{RUN}",
        needs="an archive with `../` in a name",
    ),
    "E456": Code(
        "an archive that is refused",
        "Archives are read in place. Links, encrypted or damaged archives, members of over 256 MB and those that "
        "unpack to hundreds of times their size are refused.",
        _dataset("bomb.zip"),
        f"$ zip --recurse-paths photos.zip photos/\n{RUN}",
        needs="such an archive",
    ),
    "E457": Code(
        "unknown column",
        "Every dataset has `file`, `width` and `height`; `label` where folders or the table give it; a table has its "
        "own columns too. The message lists them.",
        f'dataset photos = "sample:shapes"\ndataset big = photos | filter(wdth > 300)\n{MEAN}',
        f"$ head -1 photos.csv\n{RUN}",
        needs="a dataset without the column",
    ),
    "E458": Code(
        "words compared with numbers",
        "A column holds numbers only if all of its cells are numbers or missing. Words stand in quotes, numbers do "
        "not.",
        f'dataset photos = "sample:shapes"\ndataset cats = photos | filter(label == 3)\n{MEAN}',
        f"$ cut -d, -f2 photos.csv\n{RUN}",
        needs="a dataset whose labels are words",
    ),
    "E459": Code(
        "a table in Parquet without pyarrow",
        "Parquet is read by pyarrow, which is installed by the extra `tables`. Tables in .csv and .jsonl are read "
        "without it.",
        _dataset("photos.parquet"),
        "$ pip install 'bbilang[tables]'",
        needs="an environment without pyarrow",
    ),
    "E464": Code(
        "too few labels that are classes of the network",
        "Whether an example is wrong is known where its label is a class of the network, by name or synonym. Slices "
        "are found on one half of those examples and measured on the other, so that there are 40 at least.",
        'dataset photos = "sample:shapes"\nphotos | slices(5) | present(table)',
        f"$ head -3 photos.csv\n{RUN}",
        needs="a dataset whose labels are no classes of the network",
    ),
    "E465": Code(
        "a dataset without labelled segments",
        "`dissect` compares maps with segments: what is where in each picture. `sample:shapes` has them. One half of "
        "the examples gives the thresholds and the other the overlaps, so that both need some.",
        f'dataset photos = "photos/"\n{DISSECT}',
        f'dataset photos = "sample:shapes"\n{DISSECT}',
        needs="a folder of pictures",
    ),
    "E466": Code(
        "too few examples of a concept",
        "A concept is a direction that tells examples of it from others, and a third of both is held out. It takes "
        "three of each; below 45 of each the accuracy is too uncertain to be shown.",
        """dataset shapes = "sample:shapes"
dataset large = shapes | filter(size > 95.99)
block6a.expand.channel | gradient(output["zebra"]) | across(shapes) | tcav(large, against=shapes) | present(table)""",
        """dataset shapes = "sample:shapes"
dataset large = shapes | filter(size > 80)
block6a.expand.channel | gradient(output["zebra"]) | across(shapes) | tcav(large, against=shapes) | present(table)""",
        needs="a pass over a dataset",
    ),
    "E467": Code(
        "a column that makes no two halves",
        "`split=` names a column with two values: what is searched or fitted on the examples of one is measured on "
        "those of the other. Of a column with more values, keep the examples of two.",
        f'dataset shapes = "sample:shapes"\n{DISSECT.replace("photos)", "shapes, split=texture)")}',
        f'dataset shapes = "sample:shapes"\n{DISSECT.replace("photos)", "shapes, split=split)")}',
        needs="a pass over a dataset",
    ),
}
