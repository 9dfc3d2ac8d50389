# syntax=docker/dockerfile:1

# By tag here; for a release add the digest that `docker buildx imagetools inspect` shows:
# python:3.11.14-slim-bookworm@sha256:…
ARG PYTHON=python:3.11.14-slim-bookworm

# --- what is installed: wheels alone, each checked against the hash in a lock ----------------------------
FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements-build.lock requirements-runtime.lock ./
RUN python -m venv tools \
    && tools/bin/pip install --quiet --require-hashes --no-deps --only-binary :all: -r requirements-build.lock \
    && tools/bin/pip wheel --quiet --require-hashes --no-deps --no-build-isolation \
        --only-binary :all: --no-binary drain3 --wheel-dir wheels -r requirements-runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY knowledge knowledge
COPY migrations migrations
# The program's environment has no pip, and is compiled now because nothing can be written later.
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels . \
    && python -m venv --without-pip /opt/sre-agent \
    && tools/bin/pip --python /opt/sre-agent/bin/python install --quiet --no-index --no-deps --compile wheels/*.whl

# --- what runs ---------------------------------------------------------------------------------------------
FROM ${PYTHON} AS agent
# git reads the repos, ssh those that are reached by it. Debian keeps only the newest version of a package, so that
# one with a pinned version could not be built next month; the digest above is what makes a build the same again.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 sre-agent \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/sre-agent --shell /usr/sbin/nologin sre-agent \
    && install --directory --owner 10001 --group 10001 /var/lib/sre-agent
COPY --from=build /opt/sre-agent /opt/sre-agent

# The file system may be read-only but for /var/lib/sre-agent (mirrors of git repos, the cache of fonts) and /tmp.
ENV PATH=/opt/sre-agent/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SRE_AGENT_HOME=/var/lib/sre-agent \
    MPLCONFIGDIR=/var/lib/sre-agent/matplotlib
WORKDIR /var/lib/sre-agent
USER 10001:10001
EXPOSE 8080 8081
# Alive, not ready: a container is not restarted because Slack or the database is away.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('OPS_PORT', 8081)}/healthz\", timeout=4)"]
ENTRYPOINT ["tini", "--", "sre-agent"]
CMD ["serve"]

# --- the demo in a container: the same, with a PostgreSQL of its own ---------------------------------------
FROM agent AS demo
USER 0:0
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
HEALTHCHECK NONE
CMD ["demo", "--no-browser"]

# --- what is built when nobody names a stage ---------------------------------------------------------------
FROM agent
