# The image of the operator and of the command line: `make image`, or docker build. Where docker.io cannot be reached, give
# another image with Python 3.11 and venv: --build-arg BASE=...
ARG BASE=docker.io/library/python:3.11-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements-build.lock requirements-runtime.lock ./
# What builds stays in this stage; what runs gets wheels alone, each with its hash.
RUN python3 -m venv /build \
    && python3 -m venv --without-pip /opt/medley \
    && /build/bin/pip install --require-hashes --only-binary=:all: -r requirements-build.lock \
    && /build/bin/pip --python /opt/medley/bin/python3 install --require-hashes --only-binary=:all: -r requirements-runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY planner planner
RUN /build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /build/bin/pip --python /opt/medley/bin/python3 install --no-index --no-deps /wheel/*.whl \
    && /opt/medley/bin/python3 -m compileall -q /opt/medley

FROM ${BASE}
LABEL org.opencontainers.image.title="Medley" \
      org.opencontainers.image.description="Kubernetes operator that plans and runs the cheapest mix of GPU types for LLM services" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/medley /opt/medley
# Nothing is written outside of /tmp and the mounted cache: the root file system may be read-only.
ENV PATH=/opt/medley/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["medley"]
CMD ["operator"]
