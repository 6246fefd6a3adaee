# Airflow with this provider, for every component of a deployment and for workers.
#
#   python scripts/build_images.py airflow     or, with Docker or Podman alone:
#   docker build -f docker/airflow.Dockerfile -t aiopt-airflow .
#
# AIRFLOW_IMAGE is an official image, or one made from it: Airflow and its packages keep their versions.
ARG AIRFLOW_IMAGE=docker.io/apache/airflow:3.3.2-python3.11

FROM ${AIRFLOW_IMAGE} AS wheel
USER root
WORKDIR /build
RUN chown 50000:0 /build
USER 50000:0
RUN python -m venv tools
COPY docker/install.sh docker/build-requirements.txt ./
RUN --mount=type=bind,source=docker,target=/context \
    ./install.sh tools/bin/pip tools/bin/python build-requirements.txt /context/wheelhouse
COPY --chown=50000:0 LICENSE README.md pyproject.toml source/
COPY --chown=50000:0 airflow_provider_aiopt source/airflow_provider_aiopt
RUN tools/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir dist ./source

FROM ${AIRFLOW_IMAGE}
ARG AIRFLOW_IMAGE
ARG EXTRAS=cpu,redis,s3,text
ARG VERSION=local
ARG REVISION=unknown
LABEL org.opencontainers.image.title="aiopt-airflow" \
      org.opencontainers.image.description="Apache Airflow with airflow-provider-aiopt" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${AIRFLOW_IMAGE}"
USER root
# [aiopt] work_dir by default: a volume that is mounted there gets this owner.
RUN mkdir -p /opt/airflow/aiopt && chown 50000:0 /opt/airflow/aiopt && chmod 2775 /opt/airflow/aiopt
USER 50000:0
COPY constraints.txt pyproject.toml docker/provider.py /usr/share/aiopt/
RUN --mount=type=bind,source=docker,target=/context \
    cd /usr/share/aiopt && python provider.py pyproject.toml "$EXTRAS" constraints.txt /context/wheelhouse
COPY --from=wheel /build/dist/ /usr/share/aiopt/
RUN python -m pip install --quiet --no-index --no-deps --no-cache-dir /usr/share/aiopt/*.whl
# No HEALTHCHECK: what is healthy depends on the component; docker-compose.yaml and the chart have one for each.
