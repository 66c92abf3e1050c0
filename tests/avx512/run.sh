#!/bin/sh
# Runs a static x86-64 Linux program on an emulated CPU that has AVX-512 (F, BW, DQ, VL, VNNI: Ice Lake), on
# CPUs that have none:
#
#     RUSTFLAGS="-C target-feature=+crt-static" cargo build --target x86_64-unknown-linux-gnu ...
#     tests/avx512/run.sh PROGRAM [ARGUMENT...]
#
#   AVX512_ENV="NAME=VALUE NAME=VALUE"   the program's environment
#   AVX512_SECONDS=N                     how long it may take (600)
#   AVX512_DIR=DIR                       another place than target/avx512 for the machine
#
# Prints what the program prints and ends with its exit status. The program has no files and no threads, and its
# clock counts instructions (machine.rs). Needs Debian's bochs and bochs-term, which are installed if missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${AVX512_DIR:-$here/../../target/avx512}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# One at a time installs and builds what all use.
exec 9>"$dir/lock"
flock 9

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! [ -e /usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so ]; then
    command -v apt-get >/dev/null || { echo "run.sh: please install bochs with its term display" >&2; exit 1; }
    apt="as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq"
    packages="bochs bochs-term bsdutils binutils"
    # shellcheck disable=SC2086
    $apt install -y --no-install-recommends $packages >&2 ||
        { $apt update && $apt install -y --no-install-recommends $packages; } >&2
fi

# The machine is built anew where a source is newer.
if [ -z "$(find "$dir/ram.bin" -newer "$here/machine.rs" 2>/dev/null)" ] ||
    [ "$(find "$here" -type f -newer "$dir/ram.bin")" ]; then
    rustc --edition 2024 -O -C panic=abort -C relocation-model=static -C code-model=small -C link-arg=-nostdlib \
        -C link-arg=-static -C link-arg=-nostartfiles -C "link-arg=-Wl,-T,$here/link.ld" \
        "$here/machine.rs" -o "$dir/machine"
    objcopy -O binary -j .rom -j .reset --gap-fill 0xff "$dir/machine" "$dir/rom.bin"
    objcopy -O binary -R .rom -R .reset "$dir/machine" "$dir/ram.bin"
fi

exec 9>&-

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$1
shift
{
    for variable in ${AVX512_ENV:-}; do printf '%s\n' "$variable"; done
    printf '%s\n' "$(basename "$program")"
    for argument; do printf '%s\n' "$argument"; done
} >"$work/arguments"
strip -o "$work/program" "$program"

# The disk: the size in the first sector, then the program, up to a whole cylinder of 16 × 63 sectors.
bytes=$(stat -c %s "$work/program")
cylinders=$(((bytes + 512) / 516096 + 1))
truncate -s $((cylinders * 516096)) "$work/disk"
size=$bytes
for _ in 1 2 3 4 5 6 7 8; do
    # shellcheck disable=SC2059
    printf "\\$(printf '%03o' $((size % 256)))"
    size=$((size / 256))
done >"$work/size"
dd if="$work/size" of="$work/disk" conv=notrunc status=none
dd if="$work/program" of="$work/disk" bs=512 seek=1 conv=notrunc status=none

cat >"$work/bochsrc" <<X
megs: 1536
romimage: file=$dir/rom.bin
cpu: model=corei7_icelake_u, ips=1000000
optramimage1: file=$dir/ram.bin, address=0x100000
optramimage2: file=$work/arguments, address=0x300000
ata0: enabled=1
ata0-master: type=disk, path=$work/disk, mode=flat, cylinders=$cylinders, heads=16, spt=63
parport1: enabled=1, file=$work/printed
display_library: term
log: $work/log
clock: sync=none
panic: action=fatal
error: action=ignore
info: action=ignore
X
# Debian's build has the debugger, which waits for a first word.
echo c >"$work/debugger"
# Its display is a terminal, which `script` is.
TERM=vt100 timeout "${AVX512_SECONDS:-600}" script -qec "exec bochs-bin -q -f $work/bochsrc -rc $work/debugger" /dev/null \
    </dev/null >"$work/terminal" 2>&1 || true
cat "$work/printed"
status=$(sed -n 's/^exit status \([0-9]*\)$/\1/p' "$work/printed" | tail -n 1)
if [ -z "$status" ]; then
    echo "run.sh: the program did not end within ${AVX512_SECONDS:-600} s" >&2
    tail -n 5 "$work/log" >&2 || true
    exit 124
fi
exit "$status"
