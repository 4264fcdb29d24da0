# Training, and all other commands:
#   docker build -f docker/train.Dockerfile -t stylegan-tf .
#   docker run --rm --user "$(id -u)" -v "$PWD:/work" stylegan-tf create_tfrecords --source demo --dest datasets/demo
#   docker run --rm --user "$(id -u)" --gpus all -v "$PWD:/work" stylegan-tf train --flagfile demo.cfg
# Written for NVIDIA GPUs; for CPUs alone, --build-arg TENSORFLOW="tensorflow==2.15.*" makes a smaller image.
FROM python:3.11-slim-bookworm
ARG TENSORFLOW="tensorflow[and-cuda]==2.15.*"
ARG EXTRAS="explore,offline-metrics,plots,s3,gcs"
COPY . /opt/stylegan_tf
# setup.py bounds the versions.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir "$TENSORFLOW" "/opt/stylegan_tf[$EXTRAS]" && useradd --uid 1000 --create-home user
USER 1000
WORKDIR /work
ENTRYPOINT ["stylegan-tf"]
CMD ["help"]
