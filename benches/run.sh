#!/usr/bin/env bash
# Measures everything and keeps what was measured under benches/results/, with machine, command and date.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$(tools/cmake.sh):$PATH"
file=benches/results/$(date -u +%Y-%m-%d-%H%M).txt
cargo build --release --bin tapedeck
cargo build --release -p tapedeck-memory --example arcade
cargo build --release -p tapedeck-sdk --examples
{
    echo "date:    $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), kernel $(uname -r)"
    echo "command: cargo bench --bench figures -- $*"
    echo "commit:  $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' and uncommitted changes')"
    cargo bench --quiet --bench figures -- "$@"
    echo
    echo "command: cargo bench -p tapedeck-memory"
    cargo bench --quiet -p tapedeck-memory
} | tee "$file"
echo "kept in $file"
