"""The one integer truth: the quantised model, its rounding rules, its proof and its reference.

Only numpy is imported here. Every exporter, engine and firmware consumes the
`QuantizedModel` of `model.py`; nothing re-derives a scale.
"""
