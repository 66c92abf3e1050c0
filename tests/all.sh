#!/bin/sh
# Sets up what the tests need and runs all of them:
#   - Rust for aarch64 and Cortex-M, and QEMU (tests/cross/setup.sh), into target/cross
#   - Python with ONNX Runtime, as an oracle, into target/oracle
#   - what PyTorch's exporters write (tests/exporters/setup.sh: 3 GB are downloaded for it), into target/exports
#   - the test digits and some of the training digits (tests/digits/data.py), into target/digits
#   - formatting, clippy, documentation, every test
# MOBILEC_MODELS may name a folder with more trained networks; tests that want it say when they skip.
# MOBILEC_EXPORTS may name a folder that tests/exporters/export.py wrote; none are made then.
set -eu
cd "$(dirname "$0")/.."

tests/cross/setup.sh

oracle=$PWD/target/oracle
if ! cmp -s tests/oracle/requirements.txt "$oracle/requirements.txt"; then
    python3 -m venv "$oracle" 2>/dev/null || {
        [ "$(id -u)" = 0 ] && sudo= || sudo=sudo
        $sudo apt-get update && $sudo apt-get install -y --no-install-recommends python3-venv
        python3 -m venv "$oracle"
    }
    "$oracle/bin/pip" install --quiet --disable-pip-version-check -r tests/oracle/requirements.txt
    cp tests/oracle/requirements.txt "$oracle/requirements.txt"
fi

if [ -z "${MOBILEC_EXPORTS:-}" ]; then
    tests/exporters/setup.sh target/exports
    MOBILEC_EXPORTS=$PWD/target/exports
fi
export MOBILEC_EXPORTS

export MOBILEC_CROSS_ENV="$PWD/target/cross/env.sh"
export MOBILEC_PYTHON="$oracle/bin/python"
export MOBILEC_DIGITS="$PWD/target/digits"
[ -f "$MOBILEC_DIGITS/test.npy" ] || "$MOBILEC_PYTHON" tests/digits/data.py "$MOBILEC_DIGITS"
MOBILEC_ONNX_TESTS=$("$MOBILEC_PYTHON" -c 'import os, onnx; print(os.path.dirname(onnx.__file__))')/backend/test/data
export MOBILEC_ONNX_TESTS
export MOBILEC_CACHE_DIR="${MOBILEC_CACHE_DIR:-$PWD/target/mobilec-cache}"
export INSTA_UPDATE=no
# One run keeps nothing that a next one would build on: 4 GB less on disk.
export CARGO_INCREMENTAL=0

cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
cargo test --workspace
