"""Runs ONNX models with ONNX Runtime: one process for as many models as are asked for.

Each line of standard input names a model, a .npy file for its input, and the start of the names of its
outputs; what is answered is the number of outputs, or what went wrong. Output I is written to NAMEI.npy.
Models are checked by onnx.checker first, their shapes included.
"""

import sys

import numpy
import onnx
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1


def run(model, tensor, outputs):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    results = session.run(None, {port.name: numpy.load(tensor)})
    for i, result in enumerate(results):
        numpy.save(f"{outputs}{i}.npy", result)
    return len(results)


for line in sys.stdin:
    try:
        answer = f"ok {run(*line.rstrip().split(chr(9)))}"
    except Exception as error:  # noqa: BLE001: whatever it is, the test is to show it
        answer = "error " + str(error).replace("\n", " ")
    print(answer, flush=True)
