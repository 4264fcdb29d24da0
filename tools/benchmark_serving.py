import checkout

checkout.run_command(__file__)  # python -m stylegan_tf.benchmark.serving, from a checkout, installed or not.
