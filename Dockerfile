# 数港 Shugang: one image, several processes (`serve`, `gateway`, `worker`).
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /opt/shugang \
 && /opt/shugang/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt \
 && /opt/shugang/bin/uv pip install --no-cache --python /opt/shugang/bin/python --require-hashes -r requirements/runtime.txt
COPY . .
RUN /opt/shugang/bin/uv pip install --no-cache --python /opt/shugang/bin/python --no-deps --no-build-isolation .

FROM python:3.11-slim
ENV PATH=/opt/shugang/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /var/lib/shugang --create-home shugang
COPY --from=build /opt/shugang /opt/shugang
USER shugang
WORKDIR /var/lib/shugang
VOLUME /var/lib/shugang
EXPOSE 8000
ENTRYPOINT ["shugang"]
CMD ["serve"]
