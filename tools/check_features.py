import checkout

checkout.run_command(__file__)  # python -m stylegan_tf.check_features, from a checkout, installed or not.
