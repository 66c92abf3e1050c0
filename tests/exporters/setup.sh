#!/bin/sh
# Writes what tests/tests/counterparts.rs and tests/tests/exports.rs read: setup.sh FOLDER
#
# Of each network, one file of either PyTorch exporter; export.py writes the other opsets and frameworks.
# PyTorch comes with its libraries for other processors: 3 GB are downloaded and 6 GB unpacked, which are
# deleted when the files (0.5 GB) are there. Nothing is done twice: FOLDER may be kept between runs.
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")"

exports=$(sed 's/#.*//; s/[[:space:]]*$//' exports.txt)
state=$(cat requirements-torch.txt export.py torch_models.py exports.txt | cksum)
[ "$(cat "$folder/state" 2>/dev/null)" != "$state" ] || exit 0

venv=$folder/venv
trap 'rm -rf "$venv"' EXIT
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir -r requirements-torch.txt
# shellcheck disable=SC2086
"$venv/bin/python" export.py torch "$folder" $exports
echo "$state" > "$folder/state"
