import checkout

checkout.run_command(__file__)  # python -m stylegan_tf.convert_checkpoint, from a checkout, installed or not.
