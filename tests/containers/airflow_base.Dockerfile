# Stands in for apache/airflow where that cannot be pulled: its user, its folders, Airflow in ~/.local.
# Wheels come from the cache of uv, which has them since Airflow was installed for the tests.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN useradd --uid 50000 --gid 0 --create-home airflow && mkdir -p /opt/airflow && chown airflow:0 /opt/airflow
COPY constraints.txt /tmp/constraints.txt
RUN python3 -m venv /home/airflow/.local \
    && UV_CACHE_DIR=/uv-cache UV_LINK_MODE=copy SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        /uv pip install --quiet --python /home/airflow/.local/bin/python --constraint /tmp/constraints.txt \
        apache-airflow apache-airflow-providers-amazon[s3fs] apache-airflow-providers-redis \
    && chown -R airflow:0 /home/airflow
ENV PATH=/home/airflow/.local/bin:/usr/local/bin:/usr/bin:/bin \
    AIRFLOW_HOME=/opt/airflow
USER airflow
WORKDIR /opt/airflow
