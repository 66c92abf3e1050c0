"""One engine in one process: engine.py ENGINE MODEL SHAPE INPUT OUTPUT SECONDS

The protocol is that of the Rust peers (rust/driver): the first result goes to OUTPUT, then inferences are timed
for about SECONDS on one thread, and one JSON object is printed. All arithmetic is float where the model's is:
nothing is rounded to 16 bits behind one's back.
"""

import json
import sys
import time

import numpy


def onnxruntime(path, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    output = session.get_outputs()[0].name
    return lambda: session.run([output], {port.name: x})[0]


def openvino(path, x):
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    network = core.read_model(path)
    network.reshape(list(x.shape))
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

    def run():
        request.infer()
        return request.get_output_tensor(0).data

    return run


def ncnn(path, x):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.load_param(path)
    net.load_model(path.removesuffix(".param") + ".bin")
    picture = ncnn.Mat(x[0])

    def run():
        extractor = net.create_extractor()
        extractor.input("in0", picture)
        return numpy.array(extractor.extract("out0")[1])

    return run


def mnn(path, x):
    import MNN
    import MNN.expr as F

    settings = {"backend": "CPU", "precision": "high", "memory": "normal", "numThread": 1}
    runtime = MNN.nn.create_runtime_manager((settings,))
    net = MNN.nn.load_module_from_file(path, [], [], runtime_manager=runtime)
    picture = F.convert(F.const(x, list(x.shape), F.NCHW), F.NC4HW4)
    return lambda: net.forward([picture])[0].read()


def litert(path, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    source, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if tuple(source["shape"]) != x.shape:  # the converter turns NCHW into NHWC
        x = numpy.ascontiguousarray(x.transpose(0, 2, 3, 1))

    def run():
        interpreter.set_tensor(source["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    return run


ENGINES = {f.__name__: f for f in (onnxruntime, openvino, ncnn, mnn, litert)}


def milliseconds(start):
    return (time.perf_counter() - start) * 1e3


def peak_rss_kib():
    """The most memory that this process ever held, where Linux says so; else 0."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except OSError:
        return 0


def times_ms(run, seconds):
    """Milliseconds of each inference for about `seconds`, at least 5, after 3 that do not count."""
    for _ in range(3):
        run()
    begin, times = time.perf_counter(), []
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        run()
        times.append(milliseconds(start))
    return times


def main(engine, model, shape, source, output, seconds):
    x = numpy.fromfile(source, "<f4").reshape([int(size) for size in shape.split("x")])
    start = time.perf_counter()
    run = ENGINES[engine](model, x)
    load_ms = milliseconds(start)
    start = time.perf_counter()
    y = numpy.array(run(), "<f4")
    result = {"load_ms": load_ms, "first_ms": milliseconds(start), "first_at": time.time()}
    result["rss_kib"] = peak_rss_kib()
    y.tofile(output)
    result["times_ms"] = times_ms(run, float(seconds)) if float(seconds) > 0 else []
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
