# TensorFlow Serving with a network inside: `demo`, or a network file in the build context.
#   docker build -f docker/serving.Dockerfile --build-arg NETWORK=demo -t stylegan-serving .
#   docker run --rm -p 8501:8501 stylegan-serving
FROM python:3.11-slim-bookworm AS export
COPY . /opt/stylegan_tf
RUN pip install --no-cache-dir /opt/stylegan_tf
WORKDIR /opt/stylegan_tf
ARG NETWORK=demo
RUN stylegan-tf export --network "$NETWORK" --saved_model_dir /models/stylegan

FROM tensorflow/serving:2.15.1
COPY --from=export /models/stylegan /models/stylegan
ENV MODEL_NAME=stylegan
