"""What stylegan_tf.benchmark measures: cases in processes of their own, counted work, the machine's ceiling."""
