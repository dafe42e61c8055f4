# The server, and the worker, on a Python image with glibc, installed from the hashed lock; runs as non-root on a
# read-only root with an empty /tmp.
#
#   docker build -t llmstack-api .
#   docker run -p 3000:3000 -v llmstack-data:/data --read-only llmstack-api
#
# BASE and UV_IMAGE may point to a mirror; UV_DEFAULT_INDEX to another package index.
ARG BASE=python:3.13-slim
ARG UV_IMAGE=ghcr.io/astral-sh/uv:0.13.9

FROM ${UV_IMAGE} AS uv

FROM ${BASE} AS builder
ARG UV_DEFAULT_INDEX
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
COPY --from=uv /uv /usr/local/bin/uv
WORKDIR /build
RUN uv venv /opt/llmstack-api
COPY requirements.lock ./
# Wheels alone: what reads files, searches and embeds is in them, so the image needs no compiler and no further package.
RUN uv pip sync --python /opt/llmstack-api/bin/python --no-build --require-hashes requirements.lock
COPY pyproject.toml requirements-dev.lock README.md ./
COPY src ./src
COPY migrations ./migrations
COPY examples ./examples
RUN uv build --wheel --build-constraints requirements-dev.lock --require-hashes --out-dir dist
RUN uv pip install --python /opt/llmstack-api/bin/python --no-deps dist/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="llmstack-api" \
      org.opencontainers.image.description="Self-hosted server for LLM apps, run over HTTP and streamed." \
      org.opencontainers.image.version="0.1.0"
ENV HOME=/nonexistent \
    LLMSTACK_DATA_DIR=/data \
    LLMSTACK_HOST=0.0.0.0 \
    LLMSTACK_LOG_FORMAT=json \
    PATH=/opt/llmstack-api/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=builder /opt/llmstack-api /opt/llmstack-api
RUN mkdir -p -m 0700 /data && chown 10001:10001 /data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/opt/llmstack-api/bin/python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('LLMSTACK_PORT') or 3000), timeout=4); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["llmstack-api"]
CMD ["serve"]
