#!/usr/bin/env bash
# Installs flexbench's exact environment into the active Python: the one recipe that continuous
# integration and both containers follow.
#   containers/install.sh [extras]      extras: as in pyproject.toml, default workflow,dev
#   FLEXBENCH_EDITABLE=1                 leave the package where it is (a checkout that is worked in)
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:-workflow,dev}
constrained=(python -m pip install --quiet --disable-pip-version-check --no-input --constraint constraints.txt)
"${constrained[@]}" torch
if [[ ${FLEXBENCH_EDITABLE:-} ]]; then
    "${constrained[@]}" --editable ".[$extras]"
else
    "${constrained[@]}" ".[$extras]"
fi
python -m pip check
