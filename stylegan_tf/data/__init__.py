"""Images on disk: TFRecords, the input pipeline of training, and the embedded demo set."""
