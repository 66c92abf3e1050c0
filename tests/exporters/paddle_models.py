"""Paddle's vision MobileNets through paddle2onnx; the batch is symbolic."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import paddle
import paddle2onnx

SIZE = 64
MODELS = [  # name, opsets
    ("mobilenet_v1", [11, 17]),
    ("mobilenet_v2", [11, 17]),
    ("mobilenet_v3_small", [11, 17]),
]


def settle(model, rng):
    """Random batch-norm scales and shifts; running statistics as measured on random inputs."""
    for layer in model.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer.weight.set_value(rng.uniform(0.6, 1.4, layer.weight.shape).astype(np.float32))
            layer.bias.set_value(rng.normal(0, 0.2, layer.bias.shape).astype(np.float32))
            layer._momentum = 0.0
    model.train()
    with paddle.no_grad():
        model(paddle.to_tensor(rng.standard_normal((16, 3, SIZE, SIZE), np.float32)))
    model.eval()


@functools.lru_cache(maxsize=1)
def built(name, seed):
    paddle.seed(seed)
    rng = np.random.default_rng(seed)
    model = getattr(paddle.vision.models, name)()
    settle(model, rng)
    x = rng.standard_normal((1, 3, SIZE, SIZE), np.float32)
    with paddle.no_grad():
        return model, x, model(paddle.to_tensor(x)).numpy()


def make(name, seed, opset):
    model, x, y = built(name, seed)

    def to_onnx(path):
        spec = paddle.static.InputSpec([None, 3, SIZE, SIZE], "float32", "image")
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "model"
            paddle.jit.save(model, str(saved), input_spec=[spec])
            graph = next(p for p in map(saved.with_suffix, (".json", ".pdmodel")) if p.exists())
            paddle2onnx.export(str(graph), str(saved.with_suffix(".pdiparams")), str(path), opset_version=opset)

    return x, y, to_onnx


def exports(seed):
    for name, opsets in MODELS:
        for opset in opsets:
            yield f"paddle_{name}.paddle2onnx{opset}", functools.partial(make, name, seed, opset)
