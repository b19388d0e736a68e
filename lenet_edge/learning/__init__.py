"""The rooms that import torch: the network, float training, quantisation-aware training.

`checkpoint` is the exception: it reads and writes weights with numpy alone.
"""
