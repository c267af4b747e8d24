"""A recorder as a callback of transformers' `Trainer` and of Lightning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, SupportsFloat

from bbilang.callbacks.loggers import logger_of
from bbilang.grammar.diagnostic import BbiError

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

    from bbilang.callbacks.recorder import Recorder


class LightningTrainer(Protocol):
    """What a recorder reads of Lightning's `Trainer`."""

    @property
    def is_global_zero(self) -> bool: ...
    @property
    def current_epoch(self) -> int: ...
    @property
    def callback_metrics(self) -> Mapping[str, SupportsFloat]: ...
    @property
    def loggers(self) -> Sequence[object]: ...


def transformers_callback(recorder: Recorder) -> TrainerCallback:
    """Return a `transformers.TrainerCallback`: the process that is first of all records."""
    from transformers import TrainerCallback

    class TransformersCallback(TrainerCallback):
        """Records the model of a `Trainer` after each epoch, with the last training loss that was logged."""

        def on_train_begin(
            self,
            args: TrainingArguments,
            state: TrainerState,
            control: TrainerControl,
            model: object = None,
            **other: object,
        ) -> None:
            if state.is_world_process_zero:
                recorder.begin(model)

        def on_epoch_end(
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: object
        ) -> None:
            if state.is_world_process_zero:
                losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
                recorder.record(max(round(state.epoch or 0), 1), **({"last logged loss": losses[-1]} if losses else {}))

        def on_train_end(
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: object
        ) -> None:
            if state.is_world_process_zero:
                recorder.close()

    return TransformersCallback()


class LightningHooks:
    """Records the module of a Lightning `Trainer` after each epoch, with the metrics that it logs. Loggers of the
    trainer for TensorBoard and Weights & Biases get the page, too."""

    def __init__(self, recorder: Recorder):
        super().__init__()
        self.recorder = recorder

    def on_train_start(self, trainer: LightningTrainer, pl_module: object) -> None:
        """Take the trainer's network and its loggers."""
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            with suppress(BbiError):  # another kind of logger
                self.recorder.loggers.append(logger_of(getattr(logger, "experiment", None)))
        self.recorder.begin(pl_module)

    def on_train_epoch_end(self, trainer: LightningTrainer, pl_module: object) -> None:
        if trainer.is_global_zero:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            self.recorder.record(trainer.current_epoch + 1, **metrics)

    def on_train_end(self, trainer: LightningTrainer, pl_module: object) -> None:
        if trainer.is_global_zero:
            self.recorder.close()

    def on_exception(self, trainer: LightningTrainer, pl_module: object, exception: BaseException) -> None:
        if trainer.is_global_zero:
            self.recorder.close()


def lightning_callback(recorder: Recorder) -> LightningHooks:
    """Return a Lightning callback."""
    base = _lightning()
    return LightningHooks(recorder) if base is None else type("LightningCallback", (LightningHooks, base), {})(recorder)


def _lightning() -> type | None:
    """Return the class of Lightning's callbacks; None where it is not installed."""
    for package in ("lightning.pytorch", "pytorch_lightning"):
        with suppress(ImportError):
            found: type = import_module(package).Callback
            return found
    return None
