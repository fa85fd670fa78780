# A server that reads images: crnn-keras serve, on ONNX Runtime. docs/serving.md has the commands.
FROM python:3.13.5-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13.5-slim-bookworm
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt \
      "$(echo /wheels/crnn_keras-*.whl)[serve]" \
    && rm -r /wheels \
    && useradd --system --no-create-home --uid 10001 reader
USER 10001
WORKDIR /models
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["crnn-keras", "serve"]
# It listens on all addresses of the container, and does not start without CRNN_KERAS_TOKEN.
CMD ["words", "--host", "0.0.0.0", "--port", "8000", "--require-token"]
