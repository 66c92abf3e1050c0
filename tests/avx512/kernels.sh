#!/bin/sh
# Runs the runtime's kernel tests, AVX-512's among them, on the emulated CPU of run.sh:
#
#     tests/avx512/kernels.sh [CASES] [ARGUMENT...]     cases of each property (8), arguments of the test program
set -eu

cases=${1:-8}
[ $# = 0 ] || shift
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
program=$(RUSTFLAGS="-C target-feature=+crt-static" cargo test --package mobilec-runtime --release --test kernels \
    --no-run --target x86_64-unknown-linux-gnu --target-dir target/static --message-format json |
    sed -n 's/.*"executable":"\([^"]*kernels[^"]*\)".*/\1/p' | tail -n 1)
AVX512_ENV="PROPTEST_CASES=$cases" "$here/run.sh" "$program" --test-threads=1 "$@"
