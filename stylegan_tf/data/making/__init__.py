"""Making a dataset: sources of pictures, decoding and fitting, worker processes, the writer."""
