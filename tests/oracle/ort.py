"""Runs ONNX models with ONNX Runtime: one process for as many models as are asked for.

Each line of standard input names a model, a .npy file for its input, the start of the names of its
outputs, and how it is to be run: fast, or as the graph literally says, since integer kernels of x86 CPUs
without VNNI cut off sums. What is answered is the number of outputs, or what went wrong. Output I is written
to NAMEI.npy. An input with more samples than the model takes at a time is run sample by sample. Models are
checked by onnx.checker first, their shapes included.
"""

import sys

import numpy
import onnx
import onnxruntime


def run(model, tensor, outputs, how):
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if how == "literal":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    samples = numpy.load(tensor)
    shape = [size if isinstance(size, int) else 1 for size in port.shape]
    if list(samples.shape) == shape:
        results = session.run(None, {port.name: samples})
    else:
        each = [session.run(None, {port.name: sample.reshape(shape)}) for sample in samples]
        results = [numpy.concatenate(parts) for parts in zip(*each)]
    for i, result in enumerate(results):
        numpy.save(f"{outputs}{i}.npy", result)
    return len(results)


for line in sys.stdin:
    try:
        answer = f"ok {run(*line.rstrip().split(chr(9)))}"
    except Exception as error:  # noqa: BLE001: whatever it is, the test is to show it
        answer = "error " + str(error).replace("\n", " ")
    print(answer, flush=True)
