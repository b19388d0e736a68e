"""`QuantizedModel` to and from files: .tflite (the canonical file), ONNX, TFLM's C arrays."""
