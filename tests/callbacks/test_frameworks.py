"""Recorders as callbacks of transformers and Lightning, and the logs of TensorBoard and Weights & Biases."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bbilang import BbiError
from bbilang.callbacks import Recorder
from bbilang.callbacks.loggers import TensorBoard, running

PAGE = "output.class | top(2) | present(bars)"
CLAIM = 'claim "It is the *first*" = output[0, score=probability] > 0.2\n' + PAGE


def picture() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, (12, 12, 3), dtype=np.uint8)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.drop(self.body(x)))


class ForTrainer(nn.Module):
    """As transformers' `Trainer` wants it: the loss with the scores."""

    def __init__(self):
        super().__init__()
        self.network = Small()

    def forward(self, pixel_values=None, labels=None):
        logits = self.network(pixel_values)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits} if labels is not None else logits


def pairs(count: int = 8) -> list[dict[str, object]]:
    torch.manual_seed(4)
    return [{"pixel_values": torch.rand(3, 12, 12), "labels": n % 3} for n in range(count)]


def weights_after_a_trainer(folder, recorder=None):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "out"), num_train_epochs=2, per_device_train_batch_size=4, report_to=[], seed=1,
        save_strategy="no", use_cpu=True, logging_strategy="epoch", disable_tqdm=True,
    )  # fmt: skip
    net = ForTrainer()
    callbacks = [] if recorder is None else [recorder(net).for_transformers()]
    transformers.Trainer(net, arguments, train_dataset=pairs(), callbacks=callbacks).train()
    return net.state_dict()


def test_a_trainer_of_transformers(tmp_path):
    """A page for each epoch, and the weights that it gives without a recorder."""
    kept = []

    def recorder(net):
        kept.append(Recorder(PAGE, input=picture(), folder=tmp_path, write=["pages", "rows"], on_error="stop"))
        return kept[0]

    plain, recorded = weights_after_a_trainer(tmp_path), weights_after_a_trainer(tmp_path, recorder)
    assert all(torch.equal(value, recorded[name]) for name, value in plain.items())
    assert sorted(path.name for path in tmp_path.glob("*.html")) == [
        "epoch-0001.html", "epoch-0002.html", "training.html"
    ]  # fmt: skip
    rows = kept[0].outputs[1].rows
    assert sorted(rows) == [1, 2] and all("loss" in words for words, _ in list(rows.values())[1:])


class Loop:
    """Calls the hooks of its callbacks in the order in which Lightning's `Trainer` does."""

    def __init__(self, callbacks, epochs, is_global_zero=True, loggers=()):
        self.callbacks, self.epochs, self.loggers, self.is_global_zero = callbacks, epochs, loggers, is_global_zero
        self.current_epoch, self.callback_metrics = 0, {}

    def call(self, hook, *arguments):
        for callback in self.callbacks:
            if (found := getattr(callback, hook, None)) is not None:
                found(self, *arguments)

    def fit(self, module):
        x = torch.stack([pair["pixel_values"] for pair in pairs()])
        y = torch.tensor([pair["labels"] for pair in pairs()])
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        module.train()
        try:
            for hook in ("setup", "on_fit_start"):
                self.call(hook, module, *(["fit"] if hook == "setup" else []))
            self.call("on_train_start", module)
            for epoch in range(self.epochs):
                self.current_epoch = epoch
                self.call("on_train_epoch_start", module)
                loss = functional.cross_entropy(module(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                self.callback_metrics = {"train_loss": loss.detach()}
                self.call("on_train_epoch_end", module)
            self.call("on_train_end", module)
        except Exception as failure:
            self.call("on_exception", module, failure)
            raise


def test_lightning_by_its_hooks(tmp_path):
    plain, recorded = Small(), Small()
    torch.manual_seed(9)
    Loop([], 2).fit(plain)
    recorder = Recorder(PAGE, input=picture(), folder=tmp_path, on_error="stop")
    torch.manual_seed(9)
    Loop([recorder.for_lightning()], 2).fit(recorded)
    assert all(torch.equal(value, recorded.state_dict()[name]) for name, value in plain.state_dict().items())
    rows = recorder.outputs[0].rows
    assert sorted(rows) == [1, 2] and all("train_loss" in words for words, _ in rows.values())
    assert (tmp_path / "training.html").exists()


def test_only_one_process_records(tmp_path):
    recorder = Recorder(PAGE, input=picture(), folder=tmp_path, on_error="stop")
    Loop([recorder.for_lightning()], 2, is_global_zero=False).fit(Small())
    assert not list(tmp_path.iterdir())


def test_lightning_itself(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = Small()

        def forward(self, x):
            return self.network(x)

        def training_step(self, batch, number):
            loss = functional.cross_entropy(self(batch["pixel_values"]), batch["labels"])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    def fit(callbacks):
        lightning.seed_everything(3, verbose=False)
        module = Module()
        trainer = lightning.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, callbacks=callbacks, default_root_dir=str(tmp_path),
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(pairs(), 4, shuffle=True))
        return module.state_dict()

    recorder = Recorder(PAGE, input=picture(), folder=tmp_path / "pages", on_error="stop")
    plain, recorded = fit([]), fit([recorder.for_lightning()])
    assert all(torch.equal(value, recorded[name]) for name, value in plain.items())
    assert sorted(recorder.outputs[0].rows) == [1, 2]


# --- logs -------------------------------------------------------------------------------------------------------------


class Writer:
    """As TensorBoard's `SummaryWriter`."""

    def __init__(self):
        self.texts, self.scalars = [], []

    def add_text(self, tag, text, step):
        self.texts.append((tag, text, step))

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))


def test_tensorboard_gets_sentences_and_curves(tmp_path):
    writer = Writer()
    with Recorder(CLAIM, model=Small(), input=picture(), folder=tmp_path, log=writer, on_error="stop") as recorder:
        recorder.record(loss=1.5)
        recorder.record(loss=0.5)
    assert [(tag, step) for tag, _, step in writer.texts] == [("bbilang", 1), ("bbilang", 2)]
    text = writer.texts[0][1]
    assert text.startswith("Epoch 1 · loss 1.5") and "| verdict | claim | value |" in text
    assert "It is the \\*first\\*" in text
    assert [(tag, step) for tag, _, step in writer.scalars] == [("bbilang/It is the *first*", 1),
                                                               ("bbilang/It is the *first*", 2)]  # fmt: skip
    assert 0 < writer.scalars[0][1] < 1


def test_tensorboard_itself(tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(tmp_path / "runs"))
    with Recorder(CLAIM, model=Small(), input=picture(), folder=tmp_path, log=writer, on_error="stop") as recorder:
        recorder.record()
    writer.close()
    (file,) = (tmp_path / "runs").iterdir()
    assert b"bbilang" in file.read_bytes()


@pytest.fixture
def wandb(monkeypatch):
    """A module as Weights & Biases is, with a run that is active."""

    class Run:
        __module__ = "wandb.sdk.wandb_run"

        def __init__(self):
            self.logged = []

        def log(self, values, commit=True):
            self.logged.append((values, commit))

    class Html:
        def __init__(self, data, inject=True):
            self.data, self.inject = data, inject

    module = types.ModuleType("wandb")
    module.Html, module.Run, module.run = Html, Run, Run()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_weights_and_biases_get_the_page(tmp_path, wandb):
    """A run that is active is found; its steps stay those of the training."""
    with Recorder(CLAIM, model=Small(), input=picture(), folder=tmp_path, write="pages", on_error="stop") as recorder:
        recorder.record()
    ((values, commit),) = wandb.run.logged
    assert not commit and values["bbilang/epoch"] == 1
    page = values["bbilang/page"]
    assert page.data == (tmp_path / "epoch-0001.html").read_text() and not page.inject
    assert values["bbilang/It is the *first*: holds"] in (0, 1)


def test_each_run_of_weights_and_biases_gets_it_once(tmp_path, wandb):
    own = wandb.Run()
    with Recorder(PAGE, model=Small(), input=picture(), folder=tmp_path, write="pages", log=[own]) as recorder:
        recorder.record()
    assert len(own.logged) == 1 and not wandb.run.logged


def test_without_them_nothing_is_logged(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert running([TensorBoard(Writer())]) == ()
    with pytest.raises(BbiError) as failure:
        Recorder(PAGE, log="tensorboard")
    assert failure.value.diagnostics[0].code == "E423"
