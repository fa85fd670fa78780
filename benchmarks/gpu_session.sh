#!/bin/sh
# All that waits for a GPU, within 9 minutes: numbers compared with the CPU's, then speeds beside
# plain PyTorch loops. It needs torch or JAX, Keras and pytest, neither TensorFlow nor a network.
#
#     sh benchmarks/gpu_session.sh FOLDER [PYTHON]
#
# FOLDER gets a log of each part: machine_*, test_*, speed_*, records. Each part has a limit of its
# own, so that one that hangs leaves time for the others. PARTS="test speed" runs some of them only.
# For a trial without a GPU, of minutes:
#
#     CRNN_KERAS_GPU=pretend sh benchmarks/gpu_session.sh FOLDER
set -u
folder=${1:?"Expected a folder for the logs: sh benchmarks/gpu_session.sh FOLDER"}
mkdir -p "$folder" || exit 1
folder=$(cd "$folder" && pwd)
python=${2:-python3}
parts=${PARTS:-machine test speed records}
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=3
# Several processes share the GPU: none may take its whole memory.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
export CRNN_KERAS_GPU="${CRNN_KERAS_GPU:-1}"
sizes="--batch-size 256 1024 --precisions float32 mixed_bfloat16 --rounds 2 --seconds 1"
architectures="small paper"
chosen="has_a_gpu or"
if [ "$CRNN_KERAS_GPU" = pretend ]; then
  sizes="--batch-size 4 --precisions mixed_bfloat16 --rounds 1 --seconds 0.2"
  architectures=small
  chosen="shipped_reader_reads_the_same and not tf32 and"
fi

part() {  # name, seconds, command ...
  name=$1 limit=$2
  shift 2
  started=$(date +%s)
  timeout "$limit" "$@" >"$folder/$name.log" 2>&1
  echo "$name: exit code $? after $(($(date +%s) - started)) s of $limit" | tee -a "$folder/parts"
}

asked() { case " $parts " in *" $1 "*) true ;; *) false ;; esac; }

: >"$folder/parts"
backends=
for backend in torch jax; do
  "$python" -c "import $backend" 2>"$folder/import_$backend.log" && backends="$backends $backend"
done
echo "backends:$backends"
if asked machine; then
  for backend in $backends; do
    export KERAS_BACKEND="$backend"
    part "machine_$backend" 40 "$python" tests/gpu_worker.py device &
  done
  wait
  unset KERAS_BACKEND
fi
if asked test; then
  for backend in $backends; do
    part "test_$backend" 230 "$python" -m pytest -n 0 -p no:cacheprovider -v \
      tests/test_gpu.py -k "$chosen $backend" &
  done
  wait
fi
# shellcheck disable=SC2086
if asked speed; then
  for architecture in $architectures; do
    part "speed_$architecture" 120 "$python" benchmarks/training.py --backends $backends \
      --architectures $architecture --kinds train $sizes
  done
fi
# shellcheck disable=SC2086
if asked records; then
  part records 40 "$python" benchmarks/training.py --backends $backends --architectures small \
    --kinds encoded kept --batch-size 256 --rounds 2 --seconds 1
fi
tail -n 60 "$folder"/*.log
cat "$folder/parts"
! grep -qv "exit code 0" "$folder/parts"
