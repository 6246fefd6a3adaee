#!/bin/sh
# Install exactly what a requirements file pins, within the build of an image: from the wheelhouse if there is one
# (scripts/build_images.py makes it), and then nothing is fetched; else from the package index.
#
# Usage: install.sh PIP PYTHON REQUIREMENTS WHEELHOUSE
set -eu
pip=$1
python=$2
requirements=$3
wheels=$4/$(basename "$requirements" .txt)
set --
if [ -d "$wheels" ]; then
    set -- --no-index --find-links "$wheels"
fi
# --no-deps: the file is whole, and --require-hashes says so. --no-compile: image_root.py does it, on all cores.
exec "$pip" --python "$python" install "$@" --require-hashes --no-deps --only-binary :all: --no-compile \
    --no-cache-dir --disable-pip-version-check --quiet -r "$requirements"
