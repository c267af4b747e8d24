"""The codes of pictures, tensors and other arguments."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code
from bbilang.runtime.codes.example_texts import PHOTO, RUN

PICTURES: Final[dict[str, Code]] = {
    "E411": Code(
        "a picture that is not there",
        "Names of files start in the folder of the text; on the command line, where the command is typed.",
        f'input "no_such_cat.jpg"\n{PHOTO}',
        f'input "sample:chelsea"\n{PHOTO}',
    ),
    "E412": Code(
        "a file that is not a picture",
        "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM and AVIF can be read, whatever the name says.",
        f"{RUN} --input notes.txt",
        f"{RUN} --input cat.jpg",
        needs="a file that is not a picture",
    ),
    "E413": Code(
        "a damaged picture",
        "The file begins like a picture and breaks off. Copy or download it again.",
        f"{RUN} --input half_a_cat.jpg",
        f"{RUN} --input cat.jpg",
        needs="a picture that is cut short",
    ),
    "E414": Code(
        "a picture too large to open",
        "Over 100 million pixels take gigabytes, and the network sees a few hundred a side. Make the picture smaller.",
        f"{RUN} --input gigapixel.tif",
        f"{RUN} --input smaller.jpg",
        needs="a picture of over 100 million pixels",
    ),
    "E415": Code(
        "unknown sample",
        "Samples are pictures that come with installed packages; the message lists them.",
        f'input "sample:chelsey"\n{PHOTO}',
        f'input "sample:chelsea"\n{PHOTO}',
    ),
    "E416": Code(
        "the package of a sample is not installed",
        "The samples are files of other packages, which come with `bbilang[demo]`.",
        f"{RUN} --input sample:coffee",
        "$ pip install 'bbilang[demo]'",
        needs="an environment without the package",
    ),
    "E417": Code(
        "a folder or pattern without pictures",
        "A folder stands for the pictures in it, a pattern such as `photos/*.jpg` for those that match.",
        f'input "*.jpeg2000"\n{PHOTO}',
        f'input "sample:chelsea"\n{PHOTO}',
    ),
    "E437": Code(
        "videos cannot be read without PyAV",
        "Pillow reads animated GIF and WebP; other videos are decoded by PyAV, which is an extra: "
        "`pip install 'bbilang[video]'`.",
        f'input "walk.mp4"\n{PHOTO}',
        f'input "sample:pan"\n{PHOTO}',
        needs="a machine without PyAV",
    ),
    "E438": Code(
        "a video that cannot be decoded",
        "The file is damaged, cut short, without pictures, or not what its ending says: the ending chooses the reader.",
        f'input "song.mp4"\n{PHOTO}',
        f'input "sample:pan"\n{PHOTO}',
        needs="a file",
    ),
    "E439": Code(
        "a video of too many frames",
        "Each frame is an input of the page. `set video(every=...)` takes every so many of them, `most` says how many "
        "a page may have; without `every`, as many as `most` allows are taken, evenly.",
        f'set video(every=1, most=10)\ninput "sample:pan"\n{PHOTO}',
        f'set video(every=3, most=10)\ninput "sample:pan"\n{PHOTO}',
    ),
    "E447": Code(
        "too few or too many photographs to check icons against",
        "`set featvis(check=...)` compares what drives an icon with what drives the photographs that excite its unit "
        "most: 24 to 5,000 show which those are. Files that cannot be read do not count.",
        f'set featvis(check="sample:chelsea")\n{PHOTO}\nblock5c.expand.channel | top(4) | present(featvis)',
        f'set featvis(check="photos/")\n{PHOTO}\nblock5c.expand.channel | top(4) | present(featvis)',
        needs="a folder of photographs",
    ),
    "E418": Code(
        "an array or a tensor that is not an input",
        "An image is in [0, 1], of the channels and the size that the network takes, (3, y, x); an array of bytes "
        "(y, x, 3) is a picture of any size. Signals (channel, x) and vectors (channel,) are any finite numbers.",
        '>>> bbilang.run("input | present(image)", input=torch.zeros(1, 10))',
        '>>> bbilang.run("input | present(image)", input=torch.zeros(3, 224, 224))',
        needs="a tensor of another shape",
    ),
    "E423": Code(
        "an argument of another kind",
        "The message names the argument, the value that was given and the values that are accepted. A class is "
        "not a module, and a data loader is not an input.",
        '>>> bbilang.adapt(network, (224, 224), labels="cat, dog")',
        '>>> bbilang.adapt(network, (224, 224), labels=["cat", "dog"])',
        needs="a call from Python",
    ),
    "E424": Code(
        "an element that the page does not have",
        "`Page.data` takes the name that a text gives an element, or `element-1`, `element-2` ... in their order.",
        '>>> page.data("icons")',
        '>>> page.data("element-1")',
        needs="a page in Python",
    ),
}
