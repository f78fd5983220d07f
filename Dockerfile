# The command alone, as a user without rights. Credentials come from the environment or the task's role.
#
#     docker build --tag ivs-export .
#     docker run --rm --read-only --tmpfs /tmp --volume /srv/lake:/lake --env AWS_PROFILE … ivs-export run --region eu-west-1
#
# Any user will do (--user 1000:1000): it must be able to write to what is mounted at /lake.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/ivs-export
COPY requirements/run.txt requirements/run.txt
RUN /opt/ivs-export/bin/pip install --no-cache-dir --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY exporter exporter
RUN /opt/ivs-export/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/ivs-export/bin/pip uninstall --yes hatchling editables pip \
    && touch /opt/ivs-export/is-image

FROM python:3.13-slim
COPY --from=build /opt/ivs-export /opt/ivs-export
# A lake on S3 needs nothing of this. One on a disk is mounted here; the image's own layer is refused as a lake.
WORKDIR /lake
ENV PATH=/opt/ivs-export/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    IVS_EXPORT_LAKE=/lake
USER 10001:10001
# Of the lake that IVS_EXPORT_LAKE names: fails where its log can't be read.
HEALTHCHECK --interval=5m --timeout=30s --start-period=10m CMD ["ivs-export", "status"]
ENTRYPOINT ["ivs-export"]
CMD ["--help"]
