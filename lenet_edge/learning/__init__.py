"""The rooms that import torch: the network, float training, quantisation-aware training.

`checkpoint` is the exception: it reads and writes weights with numpy alone.
"""

import os

# OpenMP's threads wait for each other by spinning. Where another process wants the cores too that made an epoch ten
# times longer (61 s instead of 6 s on 2 cores); asleep they cost next to nothing. It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
