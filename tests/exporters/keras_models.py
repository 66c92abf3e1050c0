"""Keras Applications' MobileNets through tf2onnx; the batch is symbolic, the input NHWC where not said otherwise."""

import functools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tf2onnx

APPLICATIONS = tf.keras.applications
MODELS = [  # name, constructor, input size, opsets
    ("keras_mobilenet_025", functools.partial(APPLICATIONS.MobileNet, alpha=0.25), 96, [11, 13, 17]),
    ("keras_mobilenet_v2", APPLICATIONS.MobileNetV2, 96, [11, 13, 17]),
    ("keras_mobilenet_v3_small", APPLICATIONS.MobileNetV3Small, 96, [11, 13, 17]),
    ("keras_mobilenet_v3_large_minimalistic", functools.partial(APPLICATIONS.MobileNetV3Large, minimalistic=True), 96, [13, 17]),
]
NCHW = {"keras_mobilenet_v2": 17, "keras_mobilenet_v3_small": 17}  # also with inputs_as_nchw, at this opset


def settle(model, pixels):
    """Random batch-norm scales and shifts; moving statistics as measured on `pixels`."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.gamma.assign(rng.uniform(0.6, 1.4, layer.gamma.shape))
            layer.beta.assign(rng.normal(0, 0.2, layer.beta.shape))
            layer.momentum = 0.0
    model(pixels, training=True)
    # The classifier starts with small weights and no bias: make the logits' standard deviation 2, so
    # that the softmax is neither flat nor a single one.
    classifier = next(layer for layer in reversed(model.layers) if layer.weights)
    spread = np.log(model(pixels, training=False)).std(axis=1).mean()
    classifier.kernel.assign(classifier.kernel * (2 / spread))


@functools.lru_cache(maxsize=1)
def built(name, size, seed):
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    constructor = dict((n, c) for n, c, *_ in MODELS)[name]
    model = constructor(input_shape=(size, size, 3), weights=None)
    rng = np.random.default_rng(seed)
    # V3 scales 0..255 itself, the others take -1..1.
    low, high = (0, 255) if "v3" in name else (-1, 1)
    pixels = rng.uniform(low, high, (17, size, size, 3)).astype(np.float32)
    settle(model, pixels[1:])
    x = pixels[:1]
    return model, x, model(x, training=False).numpy()


def make(name, size, seed, opset, nchw):
    model, x, y = built(name, size, seed)
    spec = [tf.TensorSpec((None, size, size, 3), tf.float32, name="image")]

    def to_onnx(path):
        inputs_as_nchw = ["image"] if nchw else None
        tf2onnx.convert.from_keras(model, spec, opset=opset, inputs_as_nchw=inputs_as_nchw, output_path=str(path))

    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if nchw else x, y, to_onnx


def exports(seed):
    for name, _, size, opsets in MODELS:
        for opset in opsets:
            yield f"{name}.tf2onnx{opset}", functools.partial(make, name, size, seed, opset, False)
        if opset := NCHW.get(name):
            yield f"{name}.tf2onnx{opset}_nchw", functools.partial(make, name, size, seed, opset, True)
