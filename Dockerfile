# The image of the operator and of the command line: `make image`, which first fills build/wheelhouse with the wheels of the
# lock files. Where docker.io cannot be reached, `make image-base` makes two bases from Debian packages:
# --build-arg BASE=localhost/medley-base:build --build-arg RUN_BASE=localhost/medley-base:run. Both must have the same Python.
ARG BASE=docker.io/library/python:3.11-slim
ARG RUN_BASE=${BASE}

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements-build.lock requirements-runtime.lock ./
COPY build/wheelhouse /wheelhouse
# What builds stays in this stage; what runs gets wheels alone, each with its hash. Nothing is fetched here.
RUN python3 -m venv /build \
    && python3 -m venv --without-pip /opt/medley \
    && /build/bin/pip install --no-index --find-links /wheelhouse --require-hashes -r requirements-build.lock \
    && /build/bin/pip --python /opt/medley/bin/python3 install --no-compile --no-index --find-links /wheelhouse --require-hashes -r requirements-runtime.lock
COPY .ci/image/slim.py .ci/image/slim.py
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY planner planner
RUN /build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /build/bin/pip --python /opt/medley/bin/python3 install --no-compile --no-index --no-deps /wheel/*.whl \
    && /opt/medley/bin/python3 .ci/image/slim.py /opt/medley/lib/python3.11/site-packages

FROM ${RUN_BASE}
LABEL org.opencontainers.image.title="Medley" \
      org.opencontainers.image.description="Kubernetes operator that plans and runs the cheapest mix of GPU types for LLM services" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/medley /opt/medley
# Nothing is written outside of /tmp and the mounted cache: the root file system may be read-only.
ENV PATH=/opt/medley/bin:${PATH} HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["medley"]
CMD ["operator"]
