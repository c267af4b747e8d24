"""What the kernel of an operation, and the objectives of a style, may use of the run that they are part of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import OUTPUT, Node, Program

if TYPE_CHECKING:  # what runs may import torch and numpy; what checks a text must not
    from numpy import bool_, floating, generic, uint8
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from bbilang.compiler.contract.registry import Registry
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.fields.field import Field, Named
    from bbilang.runtime.passes import Passes
    from bbilang.runtime.passes.adapter import Adapter


class Scanned(Protocol):
    """What a scan kept of the examples of a dataset. Those that could not be read are left out."""

    @property
    def rows(self) -> NDArray[generic]:
        """(example,): their numbers in the dataset's source, ascending."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words."""

    def digests(self) -> Sequence[str]:
        """Return a hash of the content of each example."""

    def field(self, node: Node) -> Field:
        """Return the numbers of a pipe for every example, along the axis `input`."""

    def stream(
        self, node: Node, order: tuple[str, ...], wanted: NDArray[bool_] | None = None
    ) -> Iterator[NDArray[generic]]:
        """Yield the numbers of a pipe for some examples after others, over `example` and its axes in this order: a
        large dataset need not fit into the memory. wanted (example,): of which; the others are not read."""

    def cubes(self, node: Node) -> Iterator[NDArray[generic]]:
        """Yield the numbers of a layer's neurons for some examples after others: (example, ..., channel, position).
        ``node``: the content, of the layer's channels."""

    def around_cubes(self, node: Node) -> tuple[tuple[str, ...], dict[str, Named], dict[str, Named]]:
        """Return what the dots of `cubes` are: the names of the axes, their coordinates and their names."""

    def shown(self, picture: Image) -> NDArray[uint8]:
        """Return a picture as the network sees those of the dataset: resized and cropped, (y, x, rgb)."""

    def columns(self) -> Mapping[str, NDArray[generic]]:
        """Return what the network says of each example, of a scan that kept its scores: `predicted`, `correct`, `loss`,
        `confidence`, `label_probability`; the empty string or NaN where undefined."""

    def summary(self, node: Node, name: str) -> NDArray[generic]:
        """Return (example, channel): `max`, `argmax`, `min`, `argmin`, `sum`, `mean`, `norm` or `above` over the
        positions of a layer, of a content of its neurons. ``node``: that content, of the channels."""

    def samples(self, node: Node, count: int) -> tuple[NDArray[generic], NDArray[generic]]:
        """Return the vectors (example, sample, channel) at positions of each example that were drawn at random, and the
        positions (example, sample), row by row."""

    def histogram(self, node: Node) -> tuple[NDArray[generic], NDArray[generic]]:
        """Return how many positions of a layer have a value in which bin of `scan.histogram`, (example, channel, bin),
        and whether the values of each example are finite, (example,)."""

    def remembered(self, what: str, compute: Callable[[Passes], NDArray[generic]]) -> NDArray[generic]:
        """Return what depends on the network alone, from the cache where it is there. compute: with a counter of its
        passes. Raises `NotKept` where it would need the network."""

    def maps(self, node: Node, rows: NDArray[generic], channels: NDArray[generic]) -> NDArray[generic]:
        """Return the map (pair, y, x) of a channel for each pair of an example and a channel. ``node``: the content, of
        the layer's channels. The network runs on each example once; a second time the maps are in the cache."""

    def before(self, node: Node) -> NDArray[generic] | None:
        """Return (example, channel): of the same content, the largest value over positions before the layer's
        nonlinearity, which orders saturated maxima; None where that is not known."""


class Examples(Protocol):
    """The examples of a dataset, for computations on each of them or on all together. ``memo``: what kernels keep there
    for each other."""

    memo: dict[str, Any]

    @property
    def numbers(self) -> NDArray[generic]:
        """(example,): their numbers in the dataset's source, ascending."""

    @property
    def labels(self) -> NDArray[generic]:
        """(example,): the class of each label, -1 where it is no class of the network."""

    def batches(self, size: int, words: str = "", returns: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the readable examples in batches: images (example, channel, y, x) in [0, 1], labels (example,).
        ``words``: what they are read for, where the network runs on all of them; ``returns``: and back."""

    def kept(
        self, what: Mapping[str, object], compute: Callable[[], Mapping[str, NDArray[generic]]]
    ) -> Mapping[str, NDArray[generic]]:
        """Return arrays that depend on all examples and the network, from the cache where they are there."""

    def each(
        self, what: Mapping[str, object], compute: Callable[[Tensor, Tensor], Mapping[str, NDArray[generic]]],
        returns: bool = False,
    ) -> Each:  # fmt: skip
        """Compute something of each example: of images (example, channel, y, x) in [0, 1] and the classes of their
        labels (example,), -1 for none. In shards that the cache keeps, by workers where there are some. ``returns``:
        the network is run back from them, too."""


class Each(Protocol):
    """Numbers of each example that could be read (`runtime.scan.scanned.Scanned`)."""

    @property
    def rows(self) -> NDArray[generic]:
        """(example,): their places among the examples."""

    def array(self, part: str, name: str) -> NDArray[generic]:
        """Return an array over the readable examples, (example, ...)."""

    @property
    def parts(self) -> tuple[str, ...]: ...


class Run(Protocol):
    """One execution of a plan (`runtime.execution.context.Run`).

    ``maps``, ``slots`` and ``checks`` are for operations that demand gradients or reruns. A slot is one class of the
    output, or one atom of a later layer, among those that a target is made of.
    """

    @property
    def program(self) -> Program: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def adapter(self) -> Adapter:
        """The loaded model."""

    @property
    def images(self) -> Tensor:
        """(input, channel, y, x), in [0, 1]; the numbers of the tokens, (input, token), for texts."""

    @property
    def passes(self) -> Passes:
        """The counter of the network's passes."""

    @property
    def pictures(self) -> NDArray[Any]:
        """(input, y, x, rgb), uint8: the inputs as the page shows them."""

    @property
    def photos(self) -> Sequence[Callable[[], NDArray[uint8]] | None]:
        """What reads each input's picture again as it was before it was resized and cropped, uint8 (y, x, rgb)."""

    @property
    def has_network(self) -> bool:
        """Whether the network is there to run: not where everything is recalled."""

    @property
    def parts(self) -> Sequence[Run]:
        """One run for each length of the texts, where they differ; else none."""

    @property
    def scores(self) -> NDArray[Any]:
        """(input, class), as the model gives them."""

    @property
    def kind(self) -> str:
        """What kind of numbers the scores are (`compiler.ir.score_kinds`)."""

    @property
    def probabilities(self) -> NDArray[Any]:
        """(input, class); the scores themselves where they are no probabilities."""

    def shown(self, node: Node) -> Node:
        """Return the node of the page that is equal to one inside of a pipe that is computed for each example, whose
        numbers the page's passes serve; the node itself where there is none."""

    def value(self, node: Node) -> Field:
        """Return the result of another node."""

    def layer(self, name: str) -> LayerDescription: ...

    def label(self, index: int) -> str:
        """Return the name of a class."""

    def activation(self, node: Node, layer: str) -> Tensor:
        """Return the activation, (input, *layer axes). ``node``: the one that demanded it."""

    def reduced(self, node: Node, layer: str, atom: str, how: str) -> NDArray[Any]:
        """Return (input, *atom axes): a layer's activation reduced to its atoms (`fields.atoms.reduce_part`)."""

    def kept_shape(self, node: Node, layer: str) -> list[int]:
        """Return the sizes of the axes of a node's atoms at one layer."""

    def maps(self, node: Node, target_layer: str = OUTPUT) -> Mapping[str, NDArray[Any]]:
        """Return layer -> (slot, input, *atom axes): the numbers of a node that demanded gradients or reruns."""

    def slots(self, node: Node, target: Node, target_layer: str = OUTPUT) -> Named:
        """Return (input, ..., term): the slot in `maps` of each class or atom of the target; -1 for none."""

    def attributes_sums(self, node: Node, target: Node, target_layer: str = OUTPUT) -> bool:
        """Return whether each sum or difference of classes in the target has one slot, not one for each of its
        classes."""

    def dataset(self, node: Node) -> Dataset:
        """Return the files of a dataset."""

    def scanned(self, dataset: Node, pipe: Node | None = None) -> Scanned:
        """Return what the scan kept of a dataset, or of one that it is a part of. ``pipe``: that is computed for each
        example; none for what no pipe of the text is."""

    def examples(self, dataset: Node) -> Examples:
        """Return the examples of a dataset, for what is computed of them besides the numbers of pipes. Raises
        `NotKept` where there is no network."""

    def notes(self, node: Node) -> tuple[str, ...]:
        """Return what the engine says about a node's numbers, for the legend."""

    def distances(self, node: Node) -> NDArray[floating] | None:
        """Return how far the layers that a node changes lie from natural ones (input,); None where that is unsaid."""

    def checks(self, node: Node) -> list[NDArray[Any]]:
        """Return completeness error, difference of the scores, steps and tolerance: (4, slot, input) each."""
