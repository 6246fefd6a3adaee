# A shell and two programs out of Debian, for pods that only wait.
ARG BASE_IMAGE

FROM ${BASE_IMAGE} AS debian

FROM scratch
COPY --from=debian /bin/dash /bin/sh
COPY --from=debian /bin/cat /bin/sleep /bin/
COPY --from=debian /lib/x86_64-linux-gnu/libc.so.6 /lib/x86_64-linux-gnu/
COPY --from=debian /lib64/ld-linux-x86-64.so.2 /lib64/
ENTRYPOINT ["/bin/sleep", "infinity"]
