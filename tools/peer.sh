#!/usr/bin/env bash
# Builds program $1 of version $2 from crates.io into folder $3, with the versions that its authors have locked. It deliberately does not
# know what the program is for.
set -euo pipefail
name=$1 version=$2 folder=$3
echo "building $name $version from crates.io into $folder" >&2
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT
CARGO_TARGET_DIR=$target cargo install --quiet --locked --version "$version" --root "$folder" "$name" || {
    echo "error: can't build $name $version" >&2
    echo "  hint: it is fetched from crates.io, which needs a network the first time" >&2
    exit 1
}
