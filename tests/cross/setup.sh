#!/bin/sh
# Makes `cargo build --target T` work for the other CPUs of the tests, and writes target/cross/env.sh:
#
#     tests/cross/setup.sh && . target/cross/env.sh
#
#   CROSS_TARGETS="T T"   other targets than aarch64-unknown-linux-gnu and thumbv7em-none-eabihf
#   CROSS_DIR=DIR         another place than target/cross
#
# A Rust that already has the targets (`rustup target add T`) is used as it is. Otherwise, on Debian or
# a derivative, a second toolchain is made beside it: Debian's rustc-web, Debian's own std for arm64,
# and core and alloc built from rust-web-src for bare-metal targets, joined to one sysroot.
# Nothing is done twice: CROSS_DIR may be kept between runs.
set -eu

targets=${CROSS_TARGETS:-aarch64-unknown-linux-gnu thumbv7em-none-eabihf}
dir=${CROSS_DIR:-$(dirname "$0")/../../target/cross}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
arm64=aarch64-unknown-linux-gnu
debian_packages="rustc-web cargo-web rust-web-src rust-web-llvm"

is_wanted() { case " $targets " in *" $1"*) ;; *) return 1 ;; esac }

# has_std SYSROOT TARGET
has_std() { ls "$1/lib/rustlib/$2/lib/"libcore-*.rlib >/dev/null 2>&1; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# need PACKAGE...: installs those that are missing
need() {
    missing=
    for package; do
        dpkg-query -Wf '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
    done
    [ "$missing" ] || return 0
    command -v apt-get >/dev/null || { echo "setup.sh: please install:$missing" >&2; exit 1; }
    apt="as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq"
    # shellcheck disable=SC2086
    $apt install -y --no-install-recommends $missing || { $apt update && $apt install -y --no-install-recommends $missing; }
}

# The wrappers that make Debian's rustc look for its libraries in $dir. A new Debian version starts anew.
make_sysroot() {
    version=$(dpkg-query -Wf '${Version}' libstd-rust-web-dev)
    [ "$(cat "$dir/version" 2>/dev/null)" = "$version" ] || rm -rf "${dir:?}/lib" "${dir:?}/bin"
    mkdir -p "$dir/lib/rustlib" "$dir/bin"
    echo "$version" >"$dir/version"
    for part in src "$(/usr/bin/rustc -vV | sed -n 's/^host: //p')"; do
        ln -sfn "/usr/lib/rustlib/$part" "$dir/lib/rustlib/$part"
    done
    printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "%s" "$@"\n' "$dir" >"$dir/bin/rustc"
    printf '#!/bin/sh\nRUSTC="%s/bin/rustc" exec /usr/bin/cargo "$@"\n' "$dir" >"$dir/bin/cargo"
    chmod +x "$dir/bin/rustc" "$dir/bin/cargo"
}

# Debian's arm64 package, unpacked only: its lists are kept apart, the system stays of one architecture.
fetch_arm64_std() {
    mkdir -p lists/partial cache/archives/partial
    apt="apt-get -qq -o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD/cache -o APT::Sandbox::User=root
        -o APT::Architectures::=$(dpkg --print-architecture) -o APT::Architectures::=arm64"
    # shellcheck disable=SC2086
    $apt update && $apt download "libstd-rust-web-dev:arm64=$version"
    dpkg-deb -x libstd-rust-web-dev_*_arm64.deb unpacked
    mv "unpacked/usr/lib/rustlib/$arm64" std
}

# build_core TARGET: RUSTC_BOOTSTRAP is needed here alone. The bitcode is for `lto = "fat"` in users.
build_core() {
    mkdir -p src std/lib
    echo '#![no_std]' >src/lib.rs
    cat >Cargo.toml <<-'X'
	[package]
	name = "core-for-cross"
	edition = "2021"
	[profile.release]
	codegen-units = 1
	panic = "abort"
	[workspace]
	X
    RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS=-Cembed-bitcode=yes /usr/bin/cargo build --offline --quiet --release \
        --config 'source.crates-io.replace-with="debian"' \
        --config 'source.debian.directory="/usr/lib/rustlib/src/rust/library/vendor"' \
        -Zbuild-std=core,alloc -Zbuild-std-features=compiler-builtins-mem --target "$1" --target-dir built
    for crate in core alloc compiler_builtins; do
        cp "built/$1/release/deps/lib$crate"-*.rlib "built/$1/release/deps/lib$crate"-*.rmeta std/lib/
    done
}

if is_wanted thumb; then need qemu-system-arm; fi
if is_wanted $arm64; then need qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; fi

# In a shell that has sourced env.sh, `rustc` is the one made here.
sysroot=$(rustc --print sysroot 2>/dev/null || true)
path=
for target in $targets; do
    if [ "$sysroot" = "$dir" ] || ! has_std "$sysroot" "$target"; then path=$dir/bin; fi
done

if [ "$path" ]; then
    command -v apt-get >/dev/null || { echo "setup.sh: this Rust lacks some of: $targets (rustup target add)" >&2; exit 1; }
    # shellcheck disable=SC2086
    need $debian_packages
    # rust-lld is a link to an lld-NN that is only recommended
    rust-lld -flavor gnu --version >/dev/null 2>&1 || need "$(basename "$(readlink /usr/bin/rust-lld)")"
    make_sysroot
    for target in $targets; do
        if has_std "$dir" "$target"; then continue; fi
        rm -rf "$dir/tmp"
        mkdir "$dir/tmp"
        # Not a subshell in a condition: `set -e` must hold in it.
        (
            cd "$dir/tmp"
            if [ "$target" = $arm64 ]; then fetch_arm64_std; else build_core "$target"; fi
            mv std "$dir/lib/rustlib/$target"
        )
        rm -rf "$dir/tmp"
    done
fi

cat >"$dir/env.sh" <<X
export PATH="${path:+$path:}\$PATH"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu cortex-a53 -L /usr/aarch64-linux-gnu"
X
# shellcheck disable=SC1091
. "$dir/env.sh"
echo "cross: $(rustc --version) for $targets"
