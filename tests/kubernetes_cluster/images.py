"""The images that the cluster's node has: no registry can be reached, so they are put there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from container_images import (
    CACHE,
    KEPT,
    LIMITS,
    NAMES,
    ROOT,
    build,
    building,
    digest,
    exists,
    podman,
    prune,
    python_image,
    require_podman,
)

SHELL = Path(__file__).with_name("shell.Dockerfile")


def shell_image() -> str:
    """A shell with ``cat`` and ``sleep``: for Airflow's sidecar, pods' sandboxes, and want of ``aiopt``."""
    base = python_image()
    image = f"{NAMES}/shell:{digest(base, SHELL)}"
    if not exists(image):
        options = ("build", *LIMITS, "--runtime=runc", "--network=none", f"--build-arg=BASE_IMAGE={base}")
        podman(*options, "--file", SHELL, "--tag", image, ROOT)
        prune("shell")
    return image


@dataclass(frozen=True)
class NodeImages:
    """What the node has, and what it may pull.

    :param runtime: the runtime image
    :param shell: see :func:`shell_image`
    :param archive: both, as containerd takes them
    :param layout: the shell, as a registry serves it
    """

    runtime: str
    shell: str
    archive: Path
    layout: Path


def node_images() -> NodeImages:
    """Return the images, built of this checkout, or skip."""
    require_podman()
    with building():
        runtime, shell = build("runtime", python_image()), shell_image()
        archive, layout = CACHE / f"node-{digest(runtime, shell)}.tar", CACHE / f"shell-{digest(shell)}"
        if not archive.exists():
            _save(archive, "--multi-image-archive", runtime, shell)
            listed = sorted(CACHE.glob("node-*.tar"), key=lambda path: path.stat().st_mtime)
            for old in listed[:-KEPT]:
                old.unlink()
        if not layout.exists():
            _save(layout, "--format=oci-dir", shell)
    return NodeImages(runtime, shell, archive, layout)


def _save(path: Path, option: str, *images: str) -> None:
    """Have Podman write images there; only when it is whole it gets the name."""
    new = path.with_name(path.name + ".new")
    if new.is_dir():
        shutil.rmtree(new)
    new.unlink(missing_ok=True)
    podman("save", option, "--output", new, *images)
    new.rename(path)
