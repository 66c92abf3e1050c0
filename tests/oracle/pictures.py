"""Pictures as Pillow reads them, as tensors: pictures.py FOLDER OUT.npy

JPEG decoders differ by a step here and there; answers recorded with Pillow's pixels are compared on Pillow's
pixels. All pictures of FOLDER by name, stacked: [N, 3, H, W], f32, normalised by ImageNet's mean and deviation.
"""

import pathlib
import sys

import numpy
from PIL import Image

MEAN = numpy.array([0.485, 0.456, 0.406], numpy.float32)
DEVIATION = numpy.array([0.229, 0.224, 0.225], numpy.float32)

folder, out = sys.argv[1:]
tensors = []
for path in sorted(pathlib.Path(folder).glob("*.jpg")):
    pixels = numpy.asarray(Image.open(path).convert("RGB"), dtype=numpy.float32) / 255
    tensors.append(((pixels - MEAN) / DEVIATION).transpose(2, 0, 1))
numpy.save(out, numpy.stack(tensors))
