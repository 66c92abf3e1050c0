#!/bin/sh
# Writes what tests/tests/counterparts.rs and tests/tests/exports.rs read: setup.sh FOLDER
#
# Of each network, one file of either PyTorch exporter; export.py writes the other opsets and frameworks.
# PyTorch comes with its libraries for other processors: 3 GB are downloaded and 6 GB unpacked, package after
# package so that both are never on disk at once, and deleted when the files (0.5 GB) are there. Nothing is done
# twice: FOLDER may be kept between runs.
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")"

exports=$(sed 's/#.*//; s/[[:space:]]*$//' exports.txt)
state=$(cat requirements-torch.txt export.py torch_models.py exports.txt | cksum)
[ "$(cat "$folder/state" 2>/dev/null)" != "$state" ] || exit 0

free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
[ "$free" -ge 9000 ] || { echo "exporters: 9 GB are needed in $folder, $free MB are free" >&2; exit 1; }

venv=$folder/venv
trap 'rm -rf "$venv"' EXIT
rm -rf "$venv"
python3 -m venv "$venv"
pip() { "$venv/bin/pip" "$@" --quiet --disable-pip-version-check --no-cache-dir; }
pip install --dry-run --report "$venv/report.json" -r requirements-torch.txt
"$venv/bin/python" - "$venv/report.json" > "$venv/packages.txt" <<'END'
import json
import sys

for package in json.load(open(sys.argv[1]))["install"]:
    print(f"{package['metadata']['name']}=={package['metadata']['version']}")
END
while read -r package; do
    TMPDIR=$venv pip install --no-deps "$package"
done < "$venv/packages.txt"
# shellcheck disable=SC2086
"$venv/bin/python" export.py torch "$folder" $exports
echo "$state" > "$folder/state"
