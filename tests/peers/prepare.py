"""What is done once for a model, with onnx and ONNX Runtime:

prepare.py fold MODEL FOLDED         puts batch normalisations into convolutions, as PyTorch's exporters do
prepare.py quantize MODEL QUANTIZED  makes it int8: QDQ, u8 activations, i8 weights per output channel
prepare.py ask MODEL FOLDER          writes FOLDER/input.npy, input.f32, expected.f32 and about.json
prepare.py samples FOLDER            writes what onnx2tf tries a model on, in the place of pictures that it would fetch
"""

import json
import os
import sys

import numpy
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


def session(model):
    """Runs the model's nodes one by one as they stand, quantised ones in float between their roundings: what ONNX
    says that the result is. ONNX Runtime as a peer fuses them, and its int8 sums of u8 by i8 saturate at 16 bits
    on CPUs without VNNI."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def port_of(model):
    """Name and shape of the only input; a symbolic batch is 1."""
    ports = session(model).get_inputs()
    if len(ports) != 1 or ports[0].type != "tensor(float)":
        described = ", ".join(f"{port.name}: {port.type}{port.shape}" for port in ports)
        sys.exit(f"the engines are given one float tensor; this model has {described}")
    shape = [1 if i == 0 and not isinstance(size, int) else size for i, size in enumerate(ports[0].shape)]
    if not all(isinstance(size, int) for size in shape):
        sys.exit(f"the shape of {ports[0].name} is not fixed: {shape}")
    return ports[0].name, shape


def fold(model, folded):
    """Engines that only fuse what exporters leave over are not to lose time with what no exporter leaves."""
    net = onnx.load(model)
    graph = net.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = {node.output[0]: node for node in graph.node if node.op_type == "Conv"}

    def values(name):
        return onnx.numpy_helper.to_array(constants[name]).astype(numpy.float64)

    def store(name, array):
        constants[name] = onnx.numpy_helper.from_array(array.astype(numpy.float32), name)

    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = convolutions.get(norm.input[0])
        if conv is None:
            continue  # Behind something else, such as a sum in front of an attention: it stays.
        scale, shift, mean, variance = map(values, norm.input[1:])
        epsilon = next((attribute.f for attribute in norm.attribute if attribute.name == "epsilon"), 1e-5)
        factor = scale / numpy.sqrt(variance + epsilon)
        weights, bias = conv.input[1], conv.input[2] if len(conv.input) > 2 else conv.input[1] + ".bias"
        before = values(bias) if len(conv.input) > 2 else 0
        store(weights, values(weights) * factor.reshape(-1, 1, 1, 1))
        store(bias, (before - mean) * factor + shift)
        conv.input[:] = [conv.input[0], weights, bias]
        conv.output[0] = norm.output[0]
        graph.node.remove(norm)
    used = {name for node in graph.node for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(tensor for name, tensor in constants.items() if name in used)
    onnx.checker.check_model(net, full_check=True)
    onnx.save(net, folded)


def picture(shape, seed):
    return numpy.random.default_rng(seed).standard_normal(shape, dtype=numpy.float32)


class Pictures(CalibrationDataReader):
    """Eight inputs of seeded random numbers."""

    def __init__(self, name, shape):
        self.feeds = iter([{name: picture(shape, 100 + seed)} for seed in range(8)])

    def get_next(self):
        return next(self.feeds, None)


def quantize(model, quantized):
    """Weights keep to 7 bits, as ONNX Runtime's documentation asks for where sums may saturate: all engines compute
    the same network then."""
    simplified = quantized + ".pre"
    quant_pre_process(model, simplified, skip_symbolic_shape=True)
    quantize_static(
        simplified,
        quantized,
        Pictures(*port_of(model)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    os.remove(simplified)


def ask(model, folder):
    name, shape = port_of(model)
    x = picture(shape, 0)
    output = session(model).run(None, {name: x})[0]
    if output.dtype != numpy.float32 or not numpy.isfinite(output).all() or numpy.ptp(output) == 0:
        sys.exit(f"the first output ({output.dtype}{list(output.shape)}) tells right from wrong results in nothing")
    numpy.save(os.path.join(folder, "input.npy"), x)
    x.astype("<f4").tofile(os.path.join(folder, "input.f32"))
    output.astype("<f4").tofile(os.path.join(folder, "expected.f32"))
    operators = {node.op_type for node in onnx.load(model, load_external_data=False).graph.node}
    about = {"shape": shape, "int8": any("Quantize" in name or "QLinear" in name for name in operators)}
    with open(os.path.join(folder, "about.json"), "w") as file:
        json.dump(about, file)


def samples(folder):
    path = os.path.join(folder, "calibration_image_sample_data_20x128x128x3_float32.npy")
    numpy.save(path, numpy.random.default_rng(0).random((20, 128, 128, 3), dtype=numpy.float32))


if __name__ == "__main__":
    {"fold": fold, "quantize": quantize, "ask": ask, "samples": samples}[sys.argv[1]](*sys.argv[2:])
