"""The fuzzers for long: `python tests/fuzz --minutes 60`.

Processes take the kinds of files in turn, a few hundred damaged inputs at a time, other ones each
time. A process may crash, hang or use up its memory: that is a finding as well. Each finding is
kept in `reports/fuzz`, by the smallest input that shows it. The counts are printed at the end.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]
FINDINGS = ROOT / "reports" / "fuzz"
# Of one process: inputs of the quickest kind, seconds until it is said to hang, bytes of memory.
EXAMPLES, SECONDS, MEMORY = 2000, 600, 12 * 2**30


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", default=[], help="kinds of files (all)")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, current = options.worker
        return _work(name, pathlib.Path(current), options.seed)
    sys.path.insert(0, str(ROOT))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from fuzz_targets import TARGETS

    names = options.only or list(TARGETS)
    end = time.monotonic() + 60 * options.minutes
    counts = collections.defaultdict(collections.Counter)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    # Jobs are taken one by one: `map` alone would queue them until the time is over.
    jobs, taking = _jobs(names, options.seed, end), threading.Lock()

    def take_jobs(_):
        while True:
            with taking:
                job = next(jobs, None)
            if job is None:
                return
            name, result = _run(job)
            counts[name].update(result["counts"])
            counts[name]["findings"] += len(result["findings"])
            counts[name]["MB"] = max(counts[name]["MB"], result.get("MB", 0))
            for finding in result["findings"]:
                print(f"{name}: {finding}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(options.processes) as pool:
        list(pool.map(take_jobs, range(options.processes)))
    return _report(counts)


def _jobs(names, seed, end):
    """Yields kinds of files in turn, each time with another seed, until the time is over."""
    while True:
        for name in names:
            if time.monotonic() > end:
                return
            seed += 1
            yield name, seed


def _run(job):
    """Runs one process, whatever becomes of it, and returns the kind of file and its result."""
    name, seed = job
    current = FINDINGS / f"current_{re.sub('[^a-z0-9]+', '_', name.lower())}_{seed}"
    command = [sys.executable, str(pathlib.Path(__file__).parent), "--seed", str(seed)]
    command += ["--worker", name, str(current)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return name, {"counts": {}, "findings": [f"no end after {SECONDS} s, see {current}"]}
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode or not last.startswith("{"):
        reason = f"exit code {done.returncode}, see {current}: {done.stderr.strip()[-300:]}"
        return name, {"counts": {}, "findings": [reason]}
    result = json.loads(last)
    if result["findings"]:
        result["findings"] = [f"{finding} ({current})" for finding in result["findings"]]
    else:
        current.unlink(missing_ok=True)
    return name, result


def _work(name, current, seed):
    """Reads inputs in this process; prints the counts and the findings as a line of JSON."""
    sys.path.insert(0, str(ROOT))
    import hypothesis
    from fuzz_targets import TARGETS, read

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    target, counts, findings = TARGETS[name], collections.Counter(), []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=max(EXAMPLES // target.cost, 5),
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
    )
    @hypothesis.given(target.inputs())
    def check(content):
        # Whoever crashes or hangs leaves the input behind.
        current.write_bytes(content)
        counts[read(target, content)] += 1

    try:
        check()
    except Exception as error:  # Each is a finding; the last input is the smallest that shows it.
        findings.append(f"{type(error).__name__}: {str(error).splitlines()[:1]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"counts": counts, "findings": findings, "MB": peak}))
    return 0


def _report(counts):
    print(f"{'kind of file':20} {'inputs':>9} {'read':>9} {'refused':>9} {'findings':>9} {'MB':>6}")
    total = collections.Counter()
    for name, own in sorted(counts.items()):
        inputs = own["read"] + own["refused"]
        print(
            f"{name:20} {inputs:9,} {own['read']:9,} {own['refused']:9,} {own['findings']:9,} "
            f"{own['MB']:6,}"
        )
        total.update({"inputs": inputs, "findings": own["findings"]})
    print(f"{total['inputs']:,} inputs, {total['findings']:,} findings")
    return 1 if total["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
