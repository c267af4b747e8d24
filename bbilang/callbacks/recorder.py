"""`Recorder`: what a text says of a network after each epoch of its training."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from bbilang.callbacks.loggers import Logger, logger_of, running
from bbilang.callbacks.outputs import OUTPUTS, Output, Recorded
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.errors import error
from bbilang.runtime.inputs import arguments as givens
from bbilang.texts import source_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import TrainerCallback

    from bbilang.callbacks.frameworks import LightningHooks

ON_ERROR = ("warn", "stop")


class TrainingWarning(UserWarning):
    """Something could not be recorded; the training went on."""


class Recorder:
    """Record what a text says of a network after each epoch of its training.

        with Recorder("page.bbi", model=net, input="cat.jpg") as recorder:
            for epoch in range(10):
                train(net)
                recorder.record(loss=0.3)

    The training goes on as without it: random numbers, modes, gradients, hooks and buffers are as before. What goes
    wrong is said once, in a `TrainingWarning`; with ``on_error="stop"`` it is raised.
    """

    def __init__(
        self,
        text: str | Path | Source,
        every: int = 1,
        *,
        model: object = None,
        input: object = None,
        data: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
        input_size: int | Sequence[int] | None = None,
        folder: str | Path = "training",
        write: str | Sequence[str] = "rows",
        log: object = None,
        on_error: Literal["warn", "stop"] = "warn",
        title: str = "",
    ):
        """text, input, data, settings, input_size: as in `bbilang.run`. every: epochs between two records, the last
        epoch besides. model: the network that is trained, or an adapter of it, or several by their names in the text;
        the callbacks of frameworks take theirs by default. folder: where the files go. write: ``rows`` (one page with a
        row for each epoch), ``pages`` (a page for each), ``claims`` (a file of the verdicts of the text's claims), or
        several. log: a TensorBoard writer or a Weights & Biases run, or several; a run of the latter that is active is
        found. on_error: ``warn`` or ``stop``.

        Raises BbiError E423 for an argument of the wrong type, and where the text is wrong, if errors stop.
        """
        self.every = givens.count("every", every) or 1
        self.folder = Path(givens.file_name("folder", folder) or "training")
        self.write = _among("write", (write,) if isinstance(write, str) else tuple(write), tuple(OUTPUTS))
        (self.on_error,) = _among("on_error", (on_error,), ON_ERROR)
        self.title = givens.words("title", title)
        self.epoch, self.seconds, self.stopped = 0, 0.0, False
        self._request = Request(
            text=source_of(text), input=input, data={} if data is None else data,
            settings=givens.settings_of(settings), input_size=input_size, title=self.title,
        )  # fmt: skip
        self._model: object = None
        self._described: object = None
        self._said: set[str] = set()
        self._left_out: tuple[int, dict[str, float]] | None = None
        self.outputs: list[Output] = [OUTPUTS[name](self.folder, self.title) for name in self.write]
        self.loggers: list[Logger] = [logger_of(one) for one in _several(log)]
        if model is not None:
            self.begin(model)

    # --- a training ------------------------------------------------------------------------------------------------

    def begin(self, model: object) -> None:
        """Take the network that is trained, and check the text for it, before the first epoch."""
        if self._model is None:
            self._model = model
            self._guarded(self._check)

    def record(self, epoch: int | None = None, **numbers: float) -> None:
        """Record the network as it is after an epoch; without a number, after the next one. numbers: of the epoch, as
        its loss, which stand beside its row."""
        self.epoch = self.epoch + 1 if epoch is None else int(epoch)
        self._left_out = (self.epoch, numbers)
        if self.epoch % self.every == 0:
            self._record()

    def close(self) -> None:
        """Record the last epoch, if it was left out, and write what is not yet written."""
        if self._left_out is not None:
            self._record()
        for output in self.outputs:
            self._guarded(output.close)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- callbacks of frameworks -----------------------------------------------------------------------------------

    def for_transformers(self) -> TrainerCallback:
        """Return a callback for `transformers.Trainer(callbacks=[...])`."""
        from bbilang.callbacks.frameworks import transformers_callback

        return transformers_callback(self)

    def for_lightning(self) -> LightningHooks:
        """Return a callback for Lightning's `Trainer(callbacks=[...])`."""
        from bbilang.callbacks.frameworks import lightning_callback

        return lightning_callback(self)

    # --- one record ------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        try:
            _ = Pipeline(self._of_network()).program
        except BbiError:
            self.stopped = True  # the same text is as wrong after the next epoch
            raise

    def _record(self) -> None:
        assert self._left_out is not None
        (epoch, numbers), self._left_out = self._left_out, None
        if not self.stopped:
            self._guarded(lambda: self._write(epoch, numbers))

    def _write(self, epoch: int, numbers: Mapping[str, float]) -> None:
        recorded = Recorded(epoch, numbers, Pipeline(self._of_network()))
        for output in self.outputs:
            output.write(recorded)
        for logger in [*self.loggers, *running(self.loggers)]:
            logger.log(recorded)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do some work so that the training does not notice; say what goes wrong once, or raise it."""
        from bbilang.runtime.models.undisturbed import undisturbed

        start = time.perf_counter()
        try:
            with undisturbed(*self._networks.values()):
                work()
        except Exception as failure:  # whatever it is, the training is worth more
            if self.on_error == "stop":
                raise
            self._warn(failure)
        finally:
            self.seconds += time.perf_counter() - start

    def _warn(self, failure: Exception) -> None:
        from bbilang.cli.errors import explained

        words = str(explained(failure))
        if words not in self._said:
            self._said.add(words)
            after = "nothing more is recorded" if self.stopped else "this epoch is not recorded"
            warnings.warn(f"{words}\n{after}; the training goes on", TrainingWarning, stacklevel=5)

    @property
    def _networks(self) -> dict[str, nn.Module]:
        """The networks themselves, by their names in the text; under "" the only one. Raises BbiError E361 where none
        was given, E408 for what is no network."""
        if self._model is None:
            raise error("E361", "the recorder has no network to record", "give it: `Recorder(text, model=net)`")
        given = self._model if isinstance(self._model, Mapping) else {"": self._model}
        return {name: _module(one) for name, one in given.items() if not isinstance(one, str)} or {"": _module(None)}

    def _of_network(self) -> Request:
        """Return the request for the network as it is. It is described once. Raises BbiError E360, E408."""
        from bbilang.runtime.models.adapter import Adapter
        from bbilang.runtime.models.program_model import adapter_of

        if self._described is None:
            given = self._model if isinstance(self._model, Mapping) else {"": self._model}
            described: dict[str, object] = dict(given)
            for name, network in self._networks.items():
                _check_whole(network)
                own = given[name] if isinstance(given[name], Adapter) else network
                described[name] = adapter_of(own, self._request.input, self._request.input_size)
            self._described = described if isinstance(self._model, Mapping) else described[""]
        return replace(self._request, model=self._described)


def _module(model: object) -> nn.Module:
    """Return the network itself, without what wraps it for several processes or compiles it. Raises BbiError E408."""
    from bbilang.runtime.models.adapt import module_of
    from bbilang.runtime.models.adapter import Adapter

    if isinstance(model, Adapter):
        return model.module
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in ("DistributedDataParallel", "DataParallel"):
            inner = getattr(model, "module", None)
        if inner is None:
            return module_of(model)
        model = inner


def _check_whole(module: nn.Module) -> None:
    """Raise BbiError E360 for a network whose weights are spread over processes."""
    for name, parameter in module.named_parameters():
        if hasattr(parameter, "ds_id") or hasattr(parameter, "_local_tensor") or "Flat" in type(parameter).__name__:
            message = f"`{name}` is spread over several processes, and no one of them has the whole network"
            raise error("E360", message, "test checkpoints instead: `bbi test claims.bbi --model FILE`")


def _among(name: str, values: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in known:
            givens.wrong(name, value, " or ".join(f"{one!r}" for one in known))
    return values


def _several(given: object) -> tuple[object, ...]:
    return () if given is None else tuple(given) if isinstance(given, list | tuple) else (given,)
