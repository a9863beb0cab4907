#!/bin/sh
# Prints the folder of a CMake that is new enough for the bundled HDF5 library, getting a pinned one from PyPI into
# `.tools/` when the system has none. Needs python3 and nothing else. It deliberately does not know what is built with it.
#
#   PATH="$(tools/cmake.sh):$PATH" cargo build
#
# Exit code 1, with what to do on standard error, when no CMake can be had.
set -eu

pinned=3.31.6
minimum_major=3
minimum_minor=26

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
home="$root/.tools/cmake-$pinned"

# Whether the program named is a CMake that runs and is new enough.
new_enough() {
    version=$("$1" --version 2>/dev/null | sed -n '1s/^cmake version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p') || return 1
    [ -n "$version" ] || return 1
    major=${version% *}
    minor=${version#* }
    [ "$major" -gt "$minimum_major" ] || { [ "$major" -eq "$minimum_major" ] && [ "$minor" -ge "$minimum_minor" ]; }
}

system=$(command -v cmake || true)
if [ -n "$system" ] && new_enough "$system"; then
    dirname -- "$system"
    exit 0
fi

if new_enough "$home/bin/cmake"; then
    printf '%s\n' "$home/bin"
    exit 0
fi

command -v python3 >/dev/null || {
    echo "can't get CMake $pinned: python3 is missing. Install it, or a CMake >= $minimum_major.$minimum_minor." >&2
    exit 1
}

# Made beside its final place and moved there whole, so that an interrupted download leaves nothing half done.
partial="$home.partial.$$"
trap 'rm -rf "$partial"' EXIT INT TERM
mkdir -p "$partial"
echo "fetching CMake $pinned from PyPI into .tools/" >&2

# Debian's python3 comes without ensurepip, and its pip refuses to install outside of a virtual environment: `--target` is neither.
if python3 -m venv "$partial/python" >/dev/null 2>&1; then
    pip="$partial/python/bin/python -m pip"
elif python3 -m pip --version >/dev/null 2>&1; then
    pip="python3 -m pip"
else
    echo "can't get CMake $pinned: python3 has neither venv nor pip. On Debian or Ubuntu: sudo apt-get install -y python3-venv" >&2
    exit 1
fi
$pip --disable-pip-version-check -q install --target "$partial/packages" "cmake==$pinned" >&2 || {
    echo "can't fetch cmake==$pinned from PyPI. Without a network, install a CMake >= $minimum_major.$minimum_minor yourself." >&2
    exit 1
}

# The package's own executables are plain programs below cmake/data; its Python wrappers aren't needed.
rm -rf "$home"
mkdir -p "$home"
cp -R "$partial/packages/cmake/data/." "$home/"
new_enough "$home/bin/cmake" || {
    echo "the CMake $pinned that PyPI gave does not run here: $home/bin/cmake" >&2
    exit 1
}
printf '%s\n' "$home/bin"
