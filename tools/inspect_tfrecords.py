import checkout

checkout.run_command(__file__)  # python -m stylegan_tf.inspect_tfrecords, from a checkout, installed or not.
