#!/usr/bin/env bash
# Everything that only a GPU can show, in nine minutes at most, from the root of a checkout:
#
#     bash benchmarks/gpu.sh OUT DATA_ROOT
#
# OUT gets one small JSON and one log for each part. A part that fails or takes longer than its share of the time is
# noted in OUT/parts.txt, and the others still run. DATA_ROOT holds covid_blues. The environment may say
#   DEVICE   cuda; cpu runs the same commands where there is no GPU
#   QUICK    1 for the least work of each part
#   PATIENCE how many times the time of each part may be taken, for machines without a GPU
#   PYTHON   python
set -u
OUT=$(mkdir -p "${1:?folder for what is measured}" && cd "$1" && pwd)
DATA=${2:?folder that holds covid_blues}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python}
QUICK=${QUICK:-0}
PATIENCE=${PATIENCE:-1}
HERE=$(cd "$(dirname "$0")" && pwd)
# The programs write beside themselves and read from the rest of the checkout: in a copy beside links to that rest, so
# that the checkout keeps its own figures.
COPIED=$(mktemp -d)
COPY=$COPIED/benchmarks
trap 'rm -rf "$COPIED"' EXIT
ln -s "$(dirname "$HERE")"/* "$COPIED"
rm "$COPY"
cp -r "$HERE" "$COPY"
REPEATS=5 PARITY=() ENCODE=() TRAIN="--images 64 --repeats 5"
if [ "$QUICK" = 1 ]; then
  REPEATS=1 PARITY=(--encoders tusa.random --images 2) ENCODE=(--encoders tusa.random) TRAIN="--images 2 --size 64 --repeats 1"
fi
: > "$OUT/parts.txt"

part() {  # name, seconds, what it writes ("" for nothing), command...
  local name=$1 limit=$(($2 * PATIENCE)) written=$3 start=$SECONDS status
  shift 3
  timeout "$limit" "$@" > "$OUT/$name.log" 2>&1
  status=$?
  echo "$name: status $status, $((SECONDS - start)) s of at most $limit" | tee -a "$OUT/parts.txt"
  # Only what this part has measured: before it, the copy holds figures of other machines.
  if [ $status = 0 ] && [ -n "$written" ]; then cp "$COPY/$written" "$OUT/$name.json"; fi
}

TRAINED=train$([ "$DEVICE" = cpu ] || echo -cuda).json
part device 20 "" "$PYTHON" -c "
import torch
from usbench.core.devices import describe_device, resolve_device
print(torch.__version__, describe_device(resolve_device('$DEVICE')))"
part tests 90 "" "$PYTHON" -m pytest -q -p no:cacheprovider -m cuda "$HERE/../tests"
part parity 150 parity.json "$PYTHON" "$COPY/gpu_parity.py" --device "$DEVICE" ${PARITY[@]+"${PARITY[@]}"} --out "$COPY/parity.json"
part encode 180 encode.json "$PYTHON" "$COPY/encode.py" --data "$DATA/covid_blues" --devices "$DEVICE" --repeats "$REPEATS" ${ENCODE[@]+"${ENCODE[@]}"}
# shellcheck disable=SC2086
part train 50 "$TRAINED" "$PYTHON" "$COPY/train.py" --device "$DEVICE" $TRAIN
part heads 50 evaluate.json "$PYTHON" "$COPY/evaluate.py" --parts heads --repeats 1
! grep -vE "status 0,|^tests: status 5," "$OUT/parts.txt"
