"""One line in the training loops that people use, in the real packages: recorded, logged, closed, nothing changed."""

from __future__ import annotations

import importlib
import sys
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import memviz
from memviz.demos.models import DNC
from memviz.errors import RecorderError
from memviz.recorders.callbacks.logs import scalars

pytestmark = [pytest.mark.thirdparty, pytest.mark.filterwarnings("ignore")]

STEPS = 4


class Sequences(Dataset):
    def __init__(self):
        self.x = torch.randn(2 * STEPS, 5, 3, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return {"x": self.x[index]}


def small_dnc():
    torch.manual_seed(0)
    return DNC(3, 8, nr_cells=4, cell_size=3)


def check(path, losses):
    trace = memviz.open(path)
    assert trace.state == "closed"
    assert trace.steps.tolist() == list(range(STEPS))
    assert trace.scalars["loss"].values.tolist() == pytest.approx(losses, rel=1e-6)
    assert trace[-1]["memory/read_weights"].shape == (5, 1, 1, 4)


def test_what_is_no_number_is_left_out():
    values = {"loss": torch.tensor(2.0), "lr": 0.1, "name": "x", "flag": True, "step": 3, "matrix": torch.zeros(2, 2)}
    assert scalars(values) == {"loss": 2.0, "lr": 0.1}


@pytest.mark.parametrize(("module", "package"), [("lightning", "lightning"), ("huggingface", "transformers")])
def test_a_package_that_is_missing_is_named(module, package, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("lightning", "pytorch_lightning", package)]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("lightning", "pytorch_lightning", package):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"memviz.recorders.callbacks.{module}", raising=False)
    with pytest.raises(ImportError, match=f"needs .*{package}"):
        importlib.import_module(f"memviz.recorders.callbacks.{module}")


@pytest.fixture(scope="module")
def lightning():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pytorch_lightning

        from memviz.recorders.callbacks import lightning as callback
    return pytorch_lightning, callback.Memviz


def lightning_module(pl, *more):
    class Copier(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = small_dnc()
            self.others = nn.ModuleDict({name: small_dnc() for name in more})
            self.losses = []

        def training_step(self, batch):
            loss = (self.model(batch["x"])[0] - batch["x"]).square().mean()
            self.log("error", loss, prog_bar=False)
            self.losses.append(loss.item())
            if more == ("fail",) and len(self.losses) == 2:
                raise ValueError("broken")
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.model.parameters(), lr=0.1)

    return Copier()


def fit(pl, module, *callbacks):
    trainer = pl.Trainer(
        max_epochs=1,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(module, DataLoader(Sequences(), batch_size=2))
    return module.losses


def test_lightning(tmp_path, lightning):
    pl, Memviz = lightning
    plain = fit(pl, lightning_module(pl))
    assert fit(pl, lightning_module(pl), Memviz(tmp_path / "run", every=1)) == plain
    check(tmp_path / "run", plain)
    assert memviz.open(tmp_path / "run").scalars["error"].values.tolist() == pytest.approx(plain)


def test_lightning_asks_which_module_and_closes_after_an_exception(tmp_path, lightning):
    pl, Memviz = lightning
    with pytest.raises(RecorderError, match="something to record in model, others"):
        fit(pl, lightning_module(pl, "fail"), Memviz(tmp_path / "run", every=1))
    with pytest.raises(RecorderError, match="its children are: model, others"):
        fit(pl, lightning_module(pl, "fail"), Memviz(tmp_path / "run", every=1, module="net"))
    with pytest.raises(ValueError, match="broken"):
        fit(pl, lightning_module(pl, "fail"), Memviz(tmp_path / "run", every=1, module="model"))
    trace = memviz.open(tmp_path / "run")
    assert (trace.state, len(trace)) == ("closed", 2)


class WithLoss(nn.Module):
    """As the Trainer wants its models: the loss comes first."""

    def __init__(self):
        super().__init__()
        self.model = small_dnc()
        self.losses = []

    def forward(self, x):
        output = self.model(x)[0]
        loss = (output - x).square().mean()
        self.losses.append(loss.item())
        return {"loss": loss, "output": output}


def test_hugging_face_trainer(tmp_path):
    from transformers import Trainer, TrainingArguments

    from memviz.recorders.callbacks.huggingface import Memviz

    def run(*callbacks):
        torch.manual_seed(0)
        model = WithLoss()
        arguments = TrainingArguments(
            output_dir=str(tmp_path / "out"),
            per_device_train_batch_size=2,
            num_train_epochs=1,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        Trainer(model=model, args=arguments, train_dataset=Sequences(), callbacks=list(callbacks)).train()
        return model.losses

    plain = run()
    assert run(Memviz(tmp_path / "run", every=1)) == plain
    trace = memviz.open(tmp_path / "run")
    assert (trace.state, trace.steps.tolist()) == ("closed", list(range(STEPS)))
    assert trace.scalars["loss"].values.tolist() == pytest.approx(plain, abs=1e-3)  # the Trainer rounds what it logs
    assert trace.scalars["loss"].steps.tolist() == list(range(1, STEPS + 1))
    assert "learning_rate" in trace.scalars


def test_accelerate(tmp_path):
    from accelerate import Accelerator

    from memviz.recorders.callbacks.accelerate import Memviz

    def run(path=None):
        model = small_dnc()
        tracker = Memviz(model, path, every=1) if path else None
        accelerator = Accelerator(cpu=True, log_with=tracker)
        ready, optimizer, loader = accelerator.prepare(
            model, torch.optim.SGD(model.parameters(), lr=0.1), DataLoader(Sequences(), batch_size=2)
        )
        accelerator.init_trackers("copy", config={"rate": 0.1})
        losses = []
        for batch in loader:
            loss = (ready(batch["x"])[0] - batch["x"]).square().mean()
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            accelerator.log({"loss": loss.item(), "note": "a text"})
            losses.append(loss.item())
        accelerator.end_training()
        return losses

    plain = run()
    assert run(tmp_path / "run") == plain
    check(tmp_path / "run", plain)
    assert memviz.open(tmp_path / "run").header.attributes["rate"] == 0.1
