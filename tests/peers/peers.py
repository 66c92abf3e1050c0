"""The peers: how each gets its own form of a network, and how it is started.

A peer has a `name`, `prepare(network)`, `measure(network)` and `size(network)`; each may raise Failure.
"""

import json
import shutil
import statistics
import time

from process import Failure, call
from networks import floats, npy_floats


def figures(times_ms):
    """What is kept of one round."""
    return {"min_ms": min(times_ms), "median_ms": statistics.median(times_ms)} if times_ms else {}


class Program:
    """A peer that is a program with the protocol of rust/driver. `convert(network)` makes the file that it reads,
    `command(network)` is how it is started."""

    def __init__(self, name, command, convert, seconds):
        self.name, self.command, self.convert, self.seconds = name, command, convert, seconds
        self.models = {}

    def prepare(self, network):
        self.models[network.name] = self.convert(network)

    def measure(self, network):
        output = network.folder / f"{self.name}.f32"
        output.unlink(missing_ok=True)
        command = [*self.command(network), self.models[network.name], network.shape, network.input, output]
        started = time.time()
        printed = call([*command, self.seconds], seconds=300 + 10 * self.seconds)
        said = json.loads(printed.strip().splitlines()[-1])
        error = network.error(floats(output.read_bytes()))
        return {
            **figures(said["times_ms"]),
            "load_ms": said["load_ms"],
            "start_ms": (said["first_at"] - started) * 1e3,
            "rss_mb": said["rss_kib"] * 1024 / 1e6,
            "error": error,
        }

    def size(self, network):
        """Bytes of the program without weights, where it is one."""
        command = self.command(network)
        return command[0].stat().st_size if len(command) == 1 else None


class Mobilec:
    """mobilec's own command: what it measures is the program that `mobilec bench` builds."""

    name = "mobilec"

    def __init__(self, tools, seconds, target):
        self.tools, self.seconds, self.errors = tools, seconds, {}
        self.target = ["--target", target or "native"]

    def prepare(self, network):
        output = network.folder / "mobilec.npy"
        command = [self.tools.mobilec, "run", network.onnx, "--input", network.npy, *self.target]
        call([*command, "--output", output])
        self.errors[network.name] = network.error(npy_floats(output.read_bytes()))

    def measure(self, network):
        command = [self.tools.mobilec, "bench", network.onnx, "--input", network.npy, *self.target]
        said = json.loads(call([*command, "--seconds", self.seconds, "--json"], seconds=300 + 10 * self.seconds))
        kept = ("min_ms", "median_ms", "peak_gflops", "macs")
        return {**{key: said[key] for key in kept}, "error": self.errors[network.name]}

    def size(self, network):
        return None


class Start(Program):
    """mobilec as its users have it, the weights inside the program."""

    def __init__(self, tools, seconds, target):
        super().__init__("mobilec", lambda network: [network.folder / "peer-start"], self.build, seconds)
        self.tools, self.target = tools, target

    def build(self, network):
        return built(self.tools, "start", network, "small", PEERS_TARGET=self.target or "") and network.onnx

    def size(self, network):
        (program,) = self.command(network)
        return super().size(network) - int(call([program, "--weights"]))


def built(tools, peer, network, profile="release", **variables):
    """The program of a peer into which the network is compiled."""
    variables |= {"PEERS_MODEL": str(network.onnx), "CARGO_TARGET_DIR": str(tools.target)}
    command = ["cargo", "build", "--profile", profile, "--package", f"peer-{peer}"]
    call(command, cwd=tools.here / "rust", **variables)
    program = network.folder / f"peer-{peer}"
    shutil.copy2(tools.target / profile / program.name, program)
    return program


def once(path, make):
    """A file that is made where it is not there yet."""
    if not path.exists():
        make(path)
    if not path.exists():
        raise Failure(f"the converter wrote no {path.name}")
    return path


def needs_float(network, why):
    if network.int8:
        raise Failure(why)


def to_ncnn(tools, network):
    needs_float(network, "pnnx makes no int8 network of QuantizeLinear and DequantizeLinear")

    def make(path):
        shape = network.shape.replace("x", ",")
        folder = network.folder / "pnnx"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(network.onnx, folder / "model.onnx")
        files = [f"ncnnparam={path}", f"ncnnbin={path.with_suffix('.bin')}"]
        call([tools.pnnx, "model.onnx", f"inputshape=[{shape}]", "fp16=0", *files], cwd=folder)
        shutil.rmtree(folder)

    return once(network.folder / "ncnn.param", make)


# The package's own command, mnnconvert, would first install a package that reports its use.
MNN_CONVERT = "import _tools, sys; _tools.mnnconvert(sys.argv)"


def to_mnn(tools, network):
    def make(path):
        convert = [tools.python, "-c", MNN_CONVERT, "-f", "ONNX", "--modelFile", network.onnx]
        call([*convert, "--MNNModel", path, "--bizCode", "mobilec"], cwd=network.folder)

    return once(network.folder / "model.mnn", make)


def to_litert(tools, network):
    needs_float(network, "onnx2tf makes no int8 network of QuantizeLinear and DequantizeLinear")

    def make(path):
        folder = network.folder / "onnx2tf"
        folder.mkdir(exist_ok=True)
        call([tools.python, tools.here / "prepare.py", "samples", folder])
        call([tools.litert_bin / "onnx2tf", "-i", network.onnx, "-o", "out", "-n"], cwd=folder)
        (folder / "out/model_float32.tflite").rename(path)
        shutil.rmtree(folder)

    return once(network.folder / "model.tflite", make)


def burn(tools, network):
    needs_float(network, "burn-onnx makes no int8 network of QuantizeLinear and DequantizeLinear")
    return built(tools, "burn", network) and network.onnx


def known(tools, seconds, start, target):
    """Every peer there is, by name; `start` takes mobilec as a user's program, `target` is mobilec's."""

    def onnx(network):
        return network.onnx

    def python(name, convert=onnx):
        command = [tools.python, tools.here / "engine.py", name]
        return Program(name, lambda network: command, convert, seconds)

    def rust(name):
        program = tools.target / "release" / f"peer-{name}"
        return Program(name, lambda network: [program], onnx, seconds)

    def with_tools(convert):
        return lambda network: convert(tools, network)

    peers = [
        Start(tools, seconds, target) if start else Mobilec(tools, seconds, target),
        python("onnxruntime"),
        python("openvino"),
        python("litert", with_tools(to_litert)),
        python("ncnn", with_tools(to_ncnn)),
        python("mnn", with_tools(to_mnn)),
        rust("tract"),
        rust("rten"),
        Program("burn", lambda network: [network.folder / "peer-burn"], with_tools(burn), seconds),
    ]
    return {peer.name: peer for peer in peers}
