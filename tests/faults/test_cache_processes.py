"""One cache folder, several processes that write, read and evict at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROCESSES = 4
MAX_BYTES = 400_000  # about a tenth of what is written

PROGRAM = """
import hashlib, random, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from airflow_provider_aiopt.data.cache.guard import CacheTally
from airflow_provider_aiopt.data.cache.opening import open_cache
from airflow_provider_aiopt.data.tensors import array_tensor, tensor_array
from airflow_provider_aiopt.spec import CacheSpec

folder, max_bytes, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
chance, tally = random.Random(seed), CacheTally()
caches = [open_cache(CacheSpec(uri=str(folder), max_bytes=max_bytes), "kind", tally) for _ in range(2)]
for turn in range(300):
    cache = caches[turn % 2]
    first = chance.randrange(400)
    numbers = list(range(first, first + 8))
    keys = [hashlib.sha256(str(number).encode()).digest() for number in numbers]
    hits = cache.get(keys)
    if hits.rows is not None:
        values = array_tensor(hits.rows.column("tensor"))
        assert (values == np.array([numbers[place] for place in hits.positions])[:, None]).all()
    missing = [place for place in range(8) if place not in hits.positions]
    if missing:
        values = np.repeat(np.array([numbers[place] for place in missing])[:, None], 500, axis=1)
        cache.put([keys[place] for place in missing], pa.record_batch({"tensor": tensor_array(values)}))
for cache in caches:
    cache.close()
assert tally.errors == 0, tally
print(tally.hits, tally.misses)
"""


def test_processes_that_write_read_and_evict_at_once(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(MAX_BYTES), str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    for worker in workers:
        out, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
        assert errors == ""
        hits, misses = map(int, out.split())
        assert hits
        assert misses
    packs = list(tmp_path.rglob("*.rows"))
    # Each of the eight caches may be a 32nd too much.
    assert sum(path.stat().st_size for path in packs) <= MAX_BYTES * (1 + 2 * PROCESSES / 32)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_killed_writer_leaves_whole_rows_only(tmp_path: Path) -> None:
    endless = PROGRAM.replace("range(300)", "iter(int, 1)").replace(
        "cache = caches", "print(flush=True); cache = caches"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", endless, str(tmp_path), str(MAX_BYTES), "0"], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    for _ in range(100):
        worker.stdout.readline()
    worker.kill()
    worker.communicate()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(MAX_BYTES), "1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
