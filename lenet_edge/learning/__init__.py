"""The modules that import torch: the network, float training, quantisation-aware training.

`checkpoint` is the exception: it reads and writes weights with numpy alone.
"""

import os

from lenet_edge.files import folder_until_the_end

# OpenMP's threads wait for each other by spinning. Where another process wants the cores too that made an epoch ten
# times longer (61 s instead of 6 s on 2 cores); asleep they cost next to nothing. It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# torch makes a folder for what it compiles when its optimisers are loaded, and leaves it. We compile nothing.
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder_until_the_end()))
