"""The codes of files that are written, the cache and the command line."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code
from bbilang.runtime.codes.example_texts import PHOTO, RUN

FILES: Final[dict[str, Code]] = {
    "E430": Code(
        "unknown format",
        "The ending of the name says what is written: `.html` is the page, `.png`, `.svg` and `.pdf` show its start, "
        "`.csv` and `.json` have the numbers.",
        f"{RUN} -o page.docx",
        f"{RUN} -o page.html",
        needs="a command that writes",
    ),
    "E311": Code(
        "a table of too many rows",
        "A table has a row for every number in every state, also for those of maps that a page shows as pictures only: "
        "every pixel for every class is fifty million. Bound the choice, or use the numbers in Python.",
        f"{RUN} --format csv",
        f"{RUN} --format html",
        needs="a map of every pixel with a thousand states",
    ),
    "E312": Code(
        "a page too large to open",
        "A page holds everything that a reader can reach: each picture, and the numbers of each state. Above 30 MB "
        "browsers open it slowly, and mail does not take it. Show fewer examples, states or icons, or smaller ones.",
        'dataset photos = "sample:shapes"\nblock5c.expand.channel | examples(photos, 1000) | '
        "present(image, facet=channel)",
        'dataset photos = "sample:shapes"\nblock5c.expand.channel[447] | examples(photos, 9) | present(image)',
        needs="a dataset of many pictures, and a run",
    ),
    "E431": Code(
        "a file that cannot be written",
        "The folder is missing (`--parents` makes it), full or not yours. It is looked at before anything is computed. "
        "A pipe or a terminal is written into, and never replaced.",
        f"{RUN} -o /proc/page.html",
        f"{RUN} -o page.html",
        needs="a location without write permission",
    ),
    "E432": Code(
        "a folder for the cache that cannot be",
        "BBI_CACHE_DIR names the folder of the cache. `~` and `~user` are expanded; a user that is not there, or a "
        "name longer than names can be, is no folder.",
        f"$ BBI_CACHE_DIR=~nobody/cache {RUN[2:]}",
        f"$ BBI_CACHE_DIR=~/cache {RUN[2:]}",
        needs="an environment",
    ),
    "E440": Code(
        "the command line cannot be understood",
        "`bbi COMMAND --help` lists what a command takes, with an example to copy.",
        "$ bbi run page.bbi --devise cpu",
        "$ bbi run page.bbi --device cpu",
        needs="a command",
    ),
    "E441": Code(
        "a text that cannot be read",
        "Texts are files in UTF-8. A pipe on the command line comes after `-e`, and `-` reads standard input.",
        "$ bbi check 'input | present(image)'",
        "$ bbi check -e 'input | present(image)'",
        needs="a command",
    ),
    "E442": Code(
        "not a page made by bbi",
        "Every HTML page carries the text that it was made from; pictures and other pages do not.",
        "$ bbi extract page.png",
        "$ bbi extract page.html",
        needs="another file",
    ),
    "E443": Code(
        "not a file of `bbi cache export`",
        "Icons and numbers move to another machine in a file that `bbi cache export` writes; nothing else is taken.",
        "$ bbi cache import page.html",
        "$ bbi cache import icons.bbicache",
        needs="another file",
    ),
    "E444": Code(
        "a file with several sets of weights",
        "Averaged weights (`state_dict_ema`, `model_ema`) are taken before plain ones, a teacher before its "
        "student. Where two sets fit equally well, neither is taken.",
        f"{RUN} --weights two_networks.pth",
        f"{RUN} --weights the_one_i_mean.pth",
        needs="a file with two sets of weights that both fit",
    ),
    "E445": Code(
        "a download that is not the file expected",
        "A download is validated before it is stored: its SHA-256 must be the one that is pinned, published, or "
        "remembered from the first download, and names, shapes and numbers must be the model's. A page of a proxy that "
        "asks for a password is often the reason.",
        "$ bbi run page.bbi --model inceptionv1 --weights download --sha256 " + "0" * 64,
        "$ bbi run page.bbi --model inceptionv1 --weights download",
        needs="a network that gives something else",
    ),
    "E446": Code(
        "a download that is not offered, or was not requested",
        "`--weights download` fetches the file at the known address of a model, which `bbi models` shows. Opening a "
        "text fetches nothing, so a text cannot say it.",
        f'model inceptionv1 from "download"\n{PHOTO}',
        f"model inceptionv1\n{PHOTO}",
    ),
    "W440": Code(
        "the cache cannot be written",
        "Icons take minutes, so they and the numbers are cached for the next run. Without a cache everything works, "
        "and"
        "takes its time.",
        f"$ BBI_CACHE_DIR=/proc/cache {RUN[2:]}",
        f"$ BBI_CACHE_DIR=/tmp/cache {RUN[2:]}",
        needs="a location without write permission",
    ),
    "E448": Code(
        "a scan that does not fit",
        "A scan keeps some numbers for each example, layer and channel: 60 kB an example for six layers of "
        "EfficientNet-Lite0. What all of it takes is known after its first batch, and it must fit on the disk and into "
        "the limit of the cache before a shard is written.",
        "$ bbi run page.bbi  # a dataset of a million pictures",
        "$ bbi cache --limit 80GB",
        needs="a large dataset",
    ),
    "E449": Code(
        "a shard that is gone",
        "A shard of a scan was removed or damaged between the scan and its use: another process emptied the cache, or "
        "the cache was full. What is missing is computed when it runs again.",
        "$ bbi cache clear  # while a page is made",
        RUN,
        needs="a cache that changes meanwhile",
    ),
    "E434": Code(
        "a wrong option of a `bbi` block",
        "In MkDocs, Sphinx, pandoc and Quarto, a block of a document takes `title`, `height` (pixels), `text` "
        "(`folded`, `open` or `none`) and `draft`.",
        '>>> block_options({"hight": "300"})',
        '>>> block_options({"height": "300"})',
        needs="a document",
    ),
    "E433": Code(
        "a limit that is none",
        "Limits are `passes`, `seconds`, `memory` and `page` (bytes), `states` and `elements`; each is a number above "
        "zero.",
        f"{RUN} --limit second=60",
        f"{RUN} --limit seconds=60",
        needs="a limit",
    ),
}
