"""Exports for other runtimes than TensorFlow's: ONNX, TFLite, a web page, a folder for the Hugging Face Hub."""
