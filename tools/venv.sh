#!/usr/bin/env bash
# Makes a Python environment in folder $1 with the pinned packages of file $2.
set -euo pipefail
folder=$1 requirements=$2
command -v python3 >/dev/null || "$(dirname "$0")/install.sh" python3 python3-venv
# Debian ships `venv` without the `ensurepip` that it needs.
python3 -c 'import ensurepip, venv' 2>/dev/null || "$(dirname "$0")/install.sh" python3-venv
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
