# The command alone, as a user without rights. Credentials come from the environment or the task's role.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/ivs-export
COPY requirements/run.txt requirements/run.txt
RUN /opt/ivs-export/bin/pip install --no-cache-dir --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
RUN /opt/ivs-export/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/ivs-export /opt/ivs-export
RUN useradd --create-home exporter
USER exporter
WORKDIR /home/exporter
ENTRYPOINT ["/opt/ivs-export/bin/ivs-export"]
CMD ["--help"]
