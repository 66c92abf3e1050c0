"""The networks that are timed: of the zoo, or files; each a folder with the model, an input and what ONNX
Runtime makes of it."""

import array
import filecmp
import json
import re
import shutil
import sys

from process import Failure, call


class Network:
    """A model's file, one input, and the output that every engine is held against."""

    def __init__(self, name, folder):
        about = json.loads((folder / "about.json").read_text())
        self.name, self.folder, self.int8 = name, folder, about["int8"]
        self.shape = "x".join(map(str, about["shape"]))
        self.onnx = folder / "model.onnx"
        self.npy, self.input = folder / "input.npy", folder / "input.f32"
        self.expected = floats((folder / "expected.f32").read_bytes())

    def error(self, output):
        """The largest absolute difference of an output from what is expected.

        Raises Failure where that is another network's output. Engines sum in another order: 1/1000 of the
        largest value is far above what that does to float and far below what a wrong layer does. Quantised
        layers may be one code apart, in each engine at another place: 1/10 there.
        """
        if len(output) != len(self.expected):
            raise Failure(f"{len(output)} values instead of {len(self.expected)}")
        errors = [abs(a - b) for a, b in zip(output, self.expected)]
        largest = max(map(abs, self.expected))
        limit = largest * (0.1 if self.int8 else 1e-3)
        wrong = next((error for error in errors if not error <= limit), None)  # one that is no number is wrong
        if wrong is not None:
            raise Failure(f"the output is {wrong:.3g} off ONNX Runtime's, whose largest value is {largest:.3g}")
        return max(errors)


def floats(data):
    """Raw little-endian f32."""
    values = array.array("f")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def npy_floats(data):
    """The values of a version 1 .npy file of little-endian f32."""
    header = int.from_bytes(data[8:10], "little")
    return floats(data[10 + header :])


def make(reference, folder, tools, int8=False):
    """The network that `reference` names: a file, or a name of the zoo. What was made from the same model before
    is kept."""
    is_file = reference.endswith(".onnx")
    stem = re.sub(r"[^A-Za-z0-9.]+", "_", reference.split("/")[-1].removesuffix(".onnx"))
    name = stem + " int8" * int8
    folder = folder / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    source, model = folder / "source.onnx.new", folder / "model.onnx"
    if is_file:
        shutil.copyfile(reference, source)
    else:
        call([tools.mobilec, "export", "zoo:" + with_nchw(reference), "--out", source])
    kept = folder / "source.onnx"
    if not (kept.exists() and filecmp.cmp(source, kept, shallow=False) and (folder / "about.json").exists()):
        empty(folder, source)
        if is_file:
            shutil.copyfile(source, model)
        else:
            call([tools.python, tools.here / "prepare.py", "quantize" if int8 else "fold", source, model])
        call([tools.python, tools.here / "prepare.py", "ask", model, folder])
        source.rename(kept)
    else:
        source.unlink()
    return Network(name, folder)


def with_nchw(reference):
    """The layout of PyTorch's files, which the converters expect."""
    return reference if "layout=" in reference else reference + ("&" if "?" in reference else "?") + "layout=nchw"


def empty(folder, but):
    for path in folder.iterdir():
        if path != but:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
