"""The codes of sounds."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_HEAR = "conv4.channel | attribute(output) | top(8) | present(bars)"
_TWO = 'model crepe_tiny\ninput "sample:note"\nconv4.channel | attribute(output) | top(2) | present(featvis'
_RUN = "$ bbi run -e 'salience.neuron | activation | present(heatmap)' --model crepe_tiny"

SOUNDS: Final[dict[str, Code]] = {
    "E224": Code(
        "sound files without the library that reads them",
        "Sound files are read by soundfile, which the extra `audio` installs. The sounds that come with bbilang need "
        "nothing: `sample:melody`, `sample:note`, `sample:plucked`, `sample:chord`.",
        f"{_RUN} --input violin.wav",
        "$ pip install 'bbilang[audio]'",
        needs="an environment without soundfile",
    ),
    "E370": Code(
        "a setting that a network of sounds does not take",
        "A trained network hears the number of samples per second that it was trained with, and CREPE windows of 1,024 "
        "of them: sounds are resampled. `hop` says how far one window is from the next.",
        f'model crepe_tiny\nset preprocess(window=2048)\ninput "sample:melody"\n{_HEAR}',
        f'model crepe_tiny\nset preprocess(hop=800)\ninput "sample:melody"\n{_HEAR}',
    ),
    "E371": Code(
        "an icon of a sound with options of pictures",
        "Icons of a network that hears are clips. Diversity, places, starts, octaves, regularizers of pixels, random "
        "search, checks and transparency are of pictures.",
        f"{_TWO}, search=9)",
        f"{_TWO})",
        needs="a run",
    ),
    "E425": Code(
        "a sound without samples",
        "The file is a sound, or the array is one, and nothing is in it: there is nothing to hear.",
        f"{_RUN} --input empty.wav",
        f"{_RUN} --input violin.wav",
        needs="a sound of no length",
    ),
    "E426": Code(
        "a sound that cannot be resampled",
        "Sounds have a whole number of samples per second from 1,000 to 768,000, and one channel or as many as the "
        "network takes.",
        f"{_RUN} --input seismograph.wav",
        f"{_RUN} --input violin.wav",
        needs="a sound of 100 samples per second",
    ),
    "E427": Code(
        "a sound with samples that are no numbers",
        "NaN or infinity in a file of floating-point samples, or in an array, would make every number of the network "
        "NaN.",
        f"{_RUN} --input broken.wav",
        f"{_RUN} --input violin.wav",
        needs="a sound with NaN in it",
    ),
    "E428": Code(
        "a sound too long to explain",
        "Everything that is computed holds for every frame of a sound, so that ten minutes are the most. Cut out the "
        "part that matters.",
        f"{_RUN} --input opera.flac",
        f"{_RUN} --input aria.flac",
        needs="a sound of over ten minutes",
    ),
    "E429": Code(
        "a file that is not a sound",
        "WAV, FLAC, OGG, MP3 and AIFF can be read. The name of the file ends like one of these, and its content is "
        "something else, or breaks off.",
        f"{_RUN} --input notes.wav",
        f"{_RUN} --input violin.wav",
        needs="a file that is not a sound",
    ),
}
