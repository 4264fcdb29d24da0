import checkout

checkout.run_command(__file__)  # python -m stylegan_tf.serving_client, from a checkout, installed or not.
