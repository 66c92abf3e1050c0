#!/bin/sh
# Compares emitted code with ONNX Runtime's outputs on every model that export.py wrote: check.sh FOLDER
set -eu
cd "$1"
bad=0
for model in *.onnx; do
    name=${model%.onnx}
    # V4's attention differs by 9e-5 between PyTorch and ONNX Runtime already.
    case $name in *hybrid*) tolerance=3e-4 ;; *) tolerance=1e-4 ;; esac
    if out=$(mobilec check "$model" --input "$name.input.npy" --expect "$name.output.npy" \
        --tolerance $tolerance 2>&1); then
        echo "ok   $name"
    else
        echo "FAIL $name"
        echo "$out" | tail -n 5
        bad=$((bad + 1))
    fi
done
echo "$bad differ"
[ $bad = 0 ]
