"""Quantises the digit network with ONNX Runtime: int8 weights for each channel, u8 activations, QDQ.

    python quantize.py

The ranges are those of the forty pictures of `inputs.npy`: right for testing arithmetic, not for quoting
an accuracy. ONNX Runtime's scores of the result are not kept: int8 answers are compared with the
reference interpreter, bit by bit.
"""

from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = Path(__file__).parent


class Pictures(CalibrationDataReader):
    def __init__(self):
        pixels = np.load(HERE / "inputs.npy").astype(np.float32) / 255.0
        self.feeds = iter([{"image": picture[None, None]} for picture in pixels])

    def get_next(self):
        return next(self.feeds, None)


if __name__ == "__main__":
    quantize_static(
        HERE / "digits.onnx",
        HERE / "digits_int8.onnx",
        Pictures(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
