#!/usr/bin/env bash
# Installs Debian packages, or says the one command that does.
set -euo pipefail
packages=("$@")
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
else
    echo "error: this needs the package(s) ${packages[*]}, and root to install them" >&2
    echo "  hint: sudo apt-get install ${packages[*]}" >&2
    exit 1
fi
