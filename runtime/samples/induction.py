"""The words of the network of `sample:induction`. Imports grammar."""

from __future__ import annotations

from bbilang.runtime.errors import error

LONGEST = 32  # words of a text, with that of its start
START = "<start>"
VOCABULARY = (
    f"{START} Lily Tom Anna saw met likes the a red blue green old fox owl hen cat dog and then it . , ?".split()
)  # fmt: skip


class Words:
    """A token a word, after one that stands for the start; words in another case are the same."""

    longest = LONGEST

    def read(self, text: str) -> tuple[list[int], list[str]]:
        """Return (numbers, words). Raises BbiError E418 for a word that the network does not know."""
        known = {word.lower(): number for number, word in enumerate(VOCABULARY) if word != START}
        words = text.split()
        strange = next((word for word in words if word.lower() not in known), None)
        if strange is not None:
            listing = " ".join(VOCABULARY[1:])
            raise error("E418", f"sample:induction knows {len(known)} words, and `{strange}` is none of them",
                        f"between spaces, write: {listing}")  # fmt: skip
        return [0, *(known[word.lower()] for word in words)], [START, *words]


WORDS = Words()
