"""Making a dataset: worker processes, the writer, parts and unfinished datasets, the report."""
