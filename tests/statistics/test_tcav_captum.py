"""TCAV against Captum's, on a small network whose layer is pooled over positions in both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from bbilang.runtime.statistics.concepts import fit_direction
from bbilang.runtime.statistics.tcav import tcav


class Small(nn.Module):
    """Positions are pooled, and what follows bends: derivatives differ from picture to picture."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4))

    def forward(self, images):
        return self.head(self.pool(self.layer(images)))


def striped(count, source):
    waves = torch.sin(torch.arange(16) * 1.6 + 6 * torch.rand((count, 1), generator=source))
    return torch.rand((count, 3, 16, 16), generator=source) * 0.5 + 0.5 * waves[:, None, None, :]


@pytest.mark.filterwarnings("ignore")
def test_against_captum(tmp_path):
    captum = pytest.importorskip("captum.concept", reason="captum, of the test extra, is not installed")
    from captum.attr import LayerGradientXActivation
    from captum.concept._utils.classifier import Classifier
    from captum.concept._utils.data_iterator import dataset_to_dataloader

    class Logistic(Classifier):
        """scikit-learn's, of features scaled by one number."""

        def __init__(self):
            pass

        def train_and_eval(self, dataloader, **kwargs):
            rows, labels = (torch.cat(part).numpy() for part in zip(*dataloader, strict=True))
            scaled = (rows - rows.mean(0)) / np.sqrt(rows.var(0).mean())
            self.model = LogisticRegression(max_iter=2000).fit(scaled, labels)
            return {"accs": torch.tensor(1.0)}

        def weights(self):
            weights = torch.tensor(self.model.coef_, dtype=torch.float32)
            return torch.cat([-weights, weights])

        def classes(self):
            return self.model.classes_.tolist()

    torch.manual_seed(0)
    source = torch.Generator().manual_seed(0)
    model = Small().eval()
    with torch.no_grad():  # large enough weights that signs differ between pictures
        model.head[0].weight *= 8
    sets = [striped(40, source), torch.rand((40, 3, 16, 16), generator=source)]
    inputs = torch.rand((60, 3, 16, 16), generator=source) * torch.rand((60, 3, 1, 1), generator=source) * 3

    concepts = [
        captum.Concept(i, name, dataset_to_dataloader(data))
        for i, (name, data) in enumerate(zip(("s", "r"), sets, strict=True))
    ]
    method = LayerGradientXActivation(model, None, multiply_by_inputs=False)
    theirs = captum.TCAV(model, ["pool"], classifier=Logistic(), layer_attr_method=method, save_path=str(tmp_path))
    scores = theirs.interpret(inputs, [concepts], target=0)["0-1"]["pool"]

    with torch.no_grad():
        examples, others = (model.layer(data).mean((2, 3)).numpy() for data in sets)
    layer = model.layer(inputs).detach().requires_grad_()
    model.head(model.pool(layer))[:, 0].sum().backward()
    gradients = layer.grad.sum((2, 3)).numpy()  # over positions: that of the score by the pooled layer
    ours = tcav(gradients, examples, others, resamples=30, permutations=19)

    weights = theirs.cavs["0-1"]["pool"].stats["weights"][0].numpy()
    np.testing.assert_allclose(fit_direction(examples, others), weights / np.linalg.norm(weights), atol=1e-3)
    assert 0.1 < ours.own.above[0] < 0.9
    assert ours.own.above[0] == pytest.approx(float(scores["sign_count"][0]), abs=1e-6)
    assert ours.own.mean[0] == pytest.approx(float(scores["magnitude"][0]) / np.linalg.norm(weights), rel=1e-3)
