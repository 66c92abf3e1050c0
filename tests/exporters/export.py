"""Writes float MobileNets as each framework's exporter spells them, for tests of the importer.

    python export.py torch|keras|paddle OUT_DIR [NAME ...]

Each framework needs its own environment (requirements-FRAMEWORK.txt). Weights are random and seeded.
Batch-norm scales and shifts are random, and the running statistics are measured, so that activations
stay of order one through the whole network. For every export there are three files:

    NAME.onnx          one file, no external data
    NAME.input.npy     f32, in the model's own layout
    NAME.output.npy    f32, ONNX Runtime's answer

and for every PyTorch model MODEL.safetensors, its parameters by their own names.

With NAMEs, only models whose file name starts with one of them are written. An export that fails is
reported and does not stop the others; the exit status is then 1.
"""

import collections
import importlib
import sys
import traceback
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

SEED = 2024


def answer(path, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def write(out, name, x, expected, to_onnx):
    """Exports by `to_onnx(path)`; the framework's own answer `expected` must be near ONNX Runtime's."""
    path = out / f"{name}.onnx"
    to_onnx(path)
    y = answer(path, x)
    np.save(out / f"{name}.input.npy", x)
    np.save(out / f"{name}.output.npy", y)
    error = float(np.abs(y - expected).max() / np.abs(expected).max())
    ops = collections.Counter(node.op_type for node in onnx.load(path).graph.node)
    table = ", ".join(f"{op} {count}" for op, count in ops.most_common())
    print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, std {y.std():.3g}, error {error:.1e}: {table}", flush=True)
    if not error < 1e-3:
        raise ValueError(f"{name}: ONNX Runtime's answer differs from the framework's by {error}")


def main():
    framework, out, wanted = sys.argv[1], Path(sys.argv[2]), tuple(sys.argv[3:])
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    # Each module's `exports` yields (name, make); make() gives (input, expected output, to_onnx).
    for name, make in importlib.import_module(f"{framework}_models").exports(SEED):
        if wanted and not name.startswith(wanted):
            continue
        try:
            write(out, name, *make())
        except Exception:
            failed += 1
            print(f"{name}: FAILED", file=sys.stderr)
            traceback.print_exc(limit=-3)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
