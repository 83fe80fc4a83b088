# One image for every worker; the command says which: python -m ingest, enrich, store or admin.

FROM python:3.13-slim AS build
WORKDIR /src
# The environment needs no pip of its own: that of the base image installs into it.
RUN python -m venv --without-pip /opt/habus
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# What we depend on changes seldom, and has a layer of its own.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && python -m pip --python /opt/habus/bin/python install --requirement requirements.txt
COPY LICENSE ./
COPY common/ common/
COPY ingest/ ingest/
COPY enrich/ enrich/
COPY store/ store/
COPY admin/ admin/
RUN python -m pip --python /opt/habus/bin/python install --no-deps .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="habus" \
      org.opencontainers.image.description="A message bus for Home Assistant: captured, kept safe, enriched, stored." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/habus /opt/habus
# Within a container admin listens on all addresses; what is published decides who may come.
ENV PATH=/opt/habus/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ADMIN_HOST=0.0.0.0
WORKDIR /habus
# Whoever the container runs as may write here; a new named volume takes this over.
RUN install -d -o 1000 -g 1000 -m 1777 data
USER 1000:1000
EXPOSE 8003
CMD ["python", "-m", "admin"]
# The last word of the first process's command is the stage.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 \
    CMD habus healthcheck "$(tr '\0' '\n' < /proc/1/cmdline | tail -n 1)"
