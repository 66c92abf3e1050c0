"""torchvision's and timm's MobileNets, by the TorchScript exporter (ts) and by torch.export (dynamo)."""

import functools
import warnings

import safetensors.torch
import timm
import torch
import torchvision
from torch import nn

TS, DYNAMO = False, True
CLASSIC = [(TS, 11), (TS, 13), (TS, 17), (DYNAMO, 18)]
MODELS = [  # prefix and name, input size, exports
    ("tv_mobilenet_v2", 96, CLASSIC + [(DYNAMO, 20)]),
    ("tv_mobilenet_v3_small", 96, CLASSIC + [(DYNAMO, 20)]),
    ("tv_mobilenet_v3_large", 96, CLASSIC),
    ("timm_mobilenetv1_100", 64, [(TS, 11), (TS, 17), (DYNAMO, 18)]),
    ("timm_mobilenetv3_large_100", 64, [(TS, 11), (TS, 17), (DYNAMO, 18)]),
    ("timm_tf_mobilenetv3_small_minimal_100", 96, [(TS, 11), (TS, 17), (DYNAMO, 18)]),
    ("timm_mobilenetv4_conv_small", 96, [(TS, 11), (TS, 17), (DYNAMO, 18)]),
    ("timm_mobilenetv4_conv_medium", 64, [(TS, 11), (TS, 17), (DYNAMO, 18)]),
    ("timm_mobilenetv4_conv_blur_medium", 64, [(TS, 11), (TS, 17), (DYNAMO, 18)]),
    ("timm_mobilenet_edgetpu_v2_s", 64, [(TS, 17), (DYNAMO, 18)]),
    # Its scaled dot product attention has no spelling before opset 14.
    ("timm_mobilenetv4_hybrid_medium", 128, [(TS, 17), (DYNAMO, 18), (DYNAMO, 20)]),
]


def settle(model, shape):
    """Random batch-norm scales and shifts; running statistics as measured on random inputs."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.6, 1.4)
        nn.init.normal_(norm.bias, 0, 0.2)
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the passes below
    for module in model.modules():
        if isinstance(module, nn.Linear):  # torchvision's start gives logits of 0.01
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        # timm's layer scales start at 1e-5: blocks of order 1e-5, whose batch-norms subtract a mean many
        # times their spread, so that PyTorch and ONNX Runtime are 9e-5 of the largest output apart.
        if isinstance(gamma := getattr(module, "gamma", None), nn.Parameter):
            nn.init.uniform_(gamma, 0.1, 0.5)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(8, *shape[1:]))
    return model.eval()


@functools.lru_cache(maxsize=1)
def built(name, size, seed):
    """The model, an input and the model's answer: the same for all exports of one model."""
    torch.manual_seed(seed)
    library, _, name = name.partition("_")
    if library == "tv":
        model = getattr(torchvision.models, name)(weights=None)
    else:
        model = timm.create_model(name, pretrained=False)
    shape = (1, 3, size, size)
    model = settle(model, shape)
    x = torch.randn(shape)
    with torch.no_grad():
        return model, x, model(x).numpy()


def make(name, size, seed, dynamo, opset):
    model, x, y = built(name, size, seed)
    how = dict(external_data=False, verbose=False) if dynamo else {}

    def to_onnx(path):
        torch.onnx.export(model, (x,), path, opset_version=opset, dynamo=dynamo, **how)
        safetensors.torch.save_file(model.state_dict(), path.with_name(f"{name}.safetensors"))

    return x.numpy(), y, to_onnx


def exports(seed):
    warnings.filterwarnings("ignore")
    for name, size, ways in MODELS:
        for dynamo, opset in ways:
            full = f"{name}.{'dynamo' if dynamo else 'ts'}{opset}"
            yield full, functools.partial(make, name, size, seed, dynamo, opset)
