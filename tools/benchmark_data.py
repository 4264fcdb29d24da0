import checkout

checkout.run_command(__file__)  # python -m stylegan_tf.benchmark.data, from a checkout, installed or not.
