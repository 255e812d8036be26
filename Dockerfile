# Relais: one image for the API, the worker and the administration commands.
#   docker build -t relais .

FROM python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8 AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY requirements-production.lock ./
RUN uv venv /opt/relais && VIRTUAL_ENV=/opt/relais uv pip sync --require-hashes --compile-bytecode requirements-production.lock
COPY . .
RUN VIRTUAL_ENV=/opt/relais uv pip install --no-deps --compile-bytecode .

FROM python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8
LABEL org.opencontainers.image.title="Relais" \
      org.opencontainers.image.description="Asynchronous medical teleconsultation" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ffmpeg \
 && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 10001 relais \
 && useradd --system --uid 10001 --gid relais --home-dir /var/lib/relais --create-home relais
COPY --from=build /opt/relais /opt/relais
ENV PATH=/opt/relais/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RELAIS_HOST=0.0.0.0 \
    RELAIS_DATA_DIR=/var/lib/relais
USER relais
WORKDIR /var/lib/relais
VOLUME /var/lib/relais
EXPOSE 8000
# `docker stop` gives ten seconds; the worker wants thirty to end its activities (compose sets stop_grace_period).
STOPSIGNAL SIGTERM
ENTRYPOINT ["relais"]
CMD ["api"]
