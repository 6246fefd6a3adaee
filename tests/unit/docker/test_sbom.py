from __future__ import annotations

from sbom import completed

LIBC = {"Package": "libc6", "Version": "2.36-9+deb12u14", "Architecture": "amd64"}
PYTHON = {"Package": "libpython3.11-stdlib", "Version": "1:3.11.2-6", "Architecture": "amd64"}
SBOM = {"components": [{"name": "numpy"}], "dependencies": [{"ref": "numpy"}], "version": 1}


def test_packages_are_added() -> None:
    made = completed(SBOM, [LIBC, PYTHON], "debian-12")

    assert [part["name"] for part in made["components"]] == ["numpy", "libc6", "libpython3.11-stdlib"]
    url = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"
    assert made["components"][1]["purl"] == url
    assert "@1%3A3.11.2-6?" in made["components"][2]["purl"]
    assert {"ref": url} in made["dependencies"]
    assert made["version"] == 1


def test_an_interpreter_of_no_package_is_added() -> None:
    made = completed(SBOM, [LIBC], "debian-12")
    assert made["components"][-1]["purl"].startswith("pkg:generic/python@3.")
