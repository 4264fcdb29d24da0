import checkout

checkout.run_command(__file__)  # python -m stylegan_tf.build_lpips, from a checkout, installed or not.
