# The runtime image: the pipelines' core without Airflow, for pods and batch jobs.
#
#   python scripts/build_images.py runtime [--variant gpu]     or, with Docker or Podman alone:
#   docker build -f docker/runtime.Dockerfile --build-arg VARIANT=cpu -t aiopt-runtime .
#
# VARIANT=gpu has ONNX Runtime for CUDA with the CUDA libraries; the driver comes from the node.
ARG BASE_IMAGE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${BASE_IMAGE} AS dependencies
ARG VARIANT=cpu
WORKDIR /build
# pip of its own, so that the environment in the image has none.
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/venv
COPY docker/install.sh docker/build-requirements.txt ./
RUN --mount=type=bind,source=docker,target=/context \
    ./install.sh tools/bin/pip tools/bin/python build-requirements.txt /context/wheelhouse
COPY docker/runtime-requirements.txt docker/runtime-gpu-requirements.txt ./
RUN --mount=type=bind,source=docker,target=/context \
    case "$VARIANT" in \
        cpu) set -- runtime-requirements.txt ;; \
        gpu) set -- runtime-gpu-requirements.txt ;; \
        *) echo "VARIANT is '$VARIANT', but must be cpu or gpu" >&2; exit 2 ;; \
    esac; \
    ./install.sh tools/bin/pip /opt/venv/bin/python "$1" /context/wheelhouse
COPY docker/debian_packages.py docker/image_root.py docker/trimming.py ./
RUN python3 image_root.py dependencies /opt/venv /image

FROM dependencies AS application
COPY docker/sbom.py ./
COPY LICENSE README.md pyproject.toml source/
COPY airflow_provider_aiopt source/airflow_provider_aiopt
RUN tools/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir dist ./source \
    && tools/bin/pip --python /opt/venv/bin/python install --quiet --no-index --no-deps --no-compile dist/*.whl \
    && /opt/venv/bin/python image_root.py application /opt/venv /application \
    && mkdir -p /application/usr/share/sbom \
    && tools/bin/cyclonedx-py environment --output-reproducible --spec-version 1.6 \
        --pyproject source/pyproject.toml --output-file /application/usr/share/sbom/aiopt-runtime.cdx.json \
        /opt/venv/bin/python \
    && python3 sbom.py /application/usr/share/sbom/aiopt-runtime.cdx.json /image

# From nothing: no shell, no package manager, no compiler, no pip. Releases share the first, large layer.
FROM scratch
ARG BASE_IMAGE
ARG VARIANT=cpu
ARG VERSION=local
ARG REVISION=unknown
COPY --from=dependencies /image /
COPY --from=application /application /
LABEL org.opencontainers.image.title="aiopt-runtime" \
      org.opencontainers.image.description="AI pipelines of airflow-provider-aiopt without Airflow (${VARIANT})" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
# The root file system may be read-only: what is written goes to volumes at /tmp and /opt/aiopt.
ENV PATH=/opt/venv/bin \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /opt/aiopt
USER 50000:0
# A kernel ignores SIGTERM to a PID 1 that has not asked for it yet, so PID 1 is an init that asks at once. It
# tells aiopt alone: aiopt ends its own children in order, and a child that is told first would look crashed.
ENTRYPOINT ["dumb-init", "--single-child", "--", "aiopt"]
CMD ["--help"]
# No HEALTHCHECK: a stage ends by itself, its exit code is its health, and record_timeout_s bounds what hangs.
