#!/bin/sh
# All that waits for a GPU, within 9 minutes: numbers compared with the CPU's, then speeds beside
# plain PyTorch loops. It needs torch or JAX, Keras and pytest, neither TensorFlow nor a network.
#
#     sh benchmarks/gpu_session.sh FOLDER [python]
#
# FOLDER gets a log of each part: machine_*, speed_*, test. Each part has a limit of its own, so
# that one that hangs leaves time for the others. For a trial without a GPU:
#
#     CRNN_KERAS_GPU=pretend TRIAL=1 sh benchmarks/gpu_session.sh FOLDER
set -u
folder=${1:?"Expected a folder for the logs: sh benchmarks/gpu_session.sh FOLDER"}
python=${2:-python3}
cd "$(dirname "$0")/.." || exit 1
mkdir -p "$folder" || exit 1
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=3
export CRNN_KERAS_GPU="${CRNN_KERAS_GPU:-1}"
sizes="--batch-size 256 1024 --precisions float32 mixed_bfloat16 --rounds 3 --seconds 1.5"
tests=tests/test_gpu.py
if [ -n "${TRIAL:-}" ]; then
  sizes="--batch-size 4 --precisions mixed_bfloat16 --rounds 1 --seconds 0.2"
  tests="tests/test_gpu.py -k has_a_gpu"
fi
failed=0

part() {  # name, seconds, command ...
  name=$1 limit=$2
  shift 2
  started=$(date +%s)
  timeout "$limit" "$@" >"$folder/$name.log" 2>&1
  code=$?
  [ $code -eq 0 ] || failed=1
  echo "$name: exit code $code after $(($(date +%s) - started)) s of $limit, $folder/$name.log"
}

for backend in torch jax; do
  if "$python" -c "import $backend" 2>/dev/null; then
    export KERAS_BACKEND=$backend
    part "machine_$backend" 40 "$python" tests/gpu_worker.py device
  fi
done
unset KERAS_BACKEND
# shellcheck disable=SC2086
for architecture in small paper; do
  part "speed_$architecture" 130 "$python" benchmarks/training.py --backends torch jax \
    --architectures "$architecture" $sizes
done
# shellcheck disable=SC2086
part test 200 "$python" -m pytest -p no:cacheprovider -q $tests
tail -n 40 "$folder"/*.log
exit $failed
