#!/bin/sh
# Installs and builds what run.py measures: setup.sh [--with-litert] [--with-burn]
#
# Needs python3 (3.11 or newer, with venv) and cargo; 0.6 GB are downloaded. Everything goes to $PEERS_DIR, else
# target/peers; what is there already is kept.
#   --with-litert  also TensorFlow, which LiteRT's converter needs (1 GB more)
#   --with-burn    also builds burn's crates, which takes minutes; each network is a build of its own after that
set -eu
cd "$(dirname "$0")"
repository=$(cd ../.. && pwd)
folder=${PEERS_DIR:-$repository/target/peers}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# install NAME REQUIREMENTS: a virtual environment as the file says
install() {
    cmp -s "$2" "$folder/$1/requirements.txt" && return
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
    # pnnx asks for PyTorch, which the program itself does without.
    [ "$1" != venv ] || "$folder/$1/bin/pip" install --quiet --disable-pip-version-check --no-deps pnnx==20261020
    cp "$2" "$folder/$1/requirements.txt"
}

litert= burn=
for option; do
    case $option in
    --with-litert) litert=1 ;;
    --with-burn) burn=1 ;;
    *) echo "usage: setup.sh [--with-litert] [--with-burn]" >&2 && exit 2 ;;
    esac
done

install venv requirements.txt
[ -z "$litert" ] || install venv-litert requirements-litert.txt

export CARGO_TARGET_DIR="$folder/target"
cargo build --quiet --release --locked --manifest-path "$repository/Cargo.toml" -p mobilec --features cli
cargo build --quiet --release --manifest-path rust/Cargo.toml
if [ -n "$burn" ]; then
    "$CARGO_TARGET_DIR/release/mobilec" export 'zoo:MobileNetV1?alpha=0.25&rho=96&layout=nchw' --out "$folder/small.onnx"
    PEERS_MODEL="$folder/small.onnx" cargo build --quiet --release --manifest-path rust/Cargo.toml -p peer-burn
fi
