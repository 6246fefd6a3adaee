"""A disk that is full where the cache is."""

from __future__ import annotations

import json
import shlex
import subprocess

import numpy as np
import pytest
from components import requires_success
from PIL import Image
from pipelines import CLI, Site


@pytest.mark.parametrize("mode", ["staged", "streaming"])
def test_a_full_disk_turns_the_cache_off_and_the_work_goes_on(site: Site, mode: str) -> None:
    requires_success(
        "user namespaces",
        ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1",
    )
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        site.add(f"{number}.png", Image.fromarray(pixels))
    cache = site.folder / "cache"
    cache.mkdir()
    wanted = {"cache__uri": cache, "cache__max_bytes": 4096, "execution__workers": 1}
    # A disk of one page: the folders fit, the rows do not.
    run = shlex.join([*CLI, *site.arguments(**wanted), f"--mode={mode}", "--json"])
    lines = [
        f"mount -t tmpfs -o size=4k tmpfs {cache}",
        f"printf x > {cache}/x",
        run,
        f"find {cache} -type f",
    ]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    report, end = json.JSONDecoder().raw_decode(done.stdout)
    assert report["results"] == 8
    (preprocess,) = (stage for stage in report["stages"] if stage["stage"] == "preprocess")
    assert (preprocess["cache_hits"], preprocess["cache_misses"], preprocess["cache_errors"]) == (0, 8, 1)
    assert done.stdout[end:].split() == [f"{cache}/x"]
    assert done.stderr.count("is off for the rest of this task: No space left on device") == 1
