"""llamalab: Llama 2, written one layer at a time.

The notebooks import what they need from the modules below; each holds one part of the model in
its final form. `import llamalab` alone is quick: it does not import torch.
"""

__version__ = "0.1.0"
