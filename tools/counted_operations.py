"""Count what PyTorch starts on a device."""

from collections import Counter

from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):
    """How often each of torch's operations ran, but for those that only look at memory in another way."""

    def __init__(self):
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, given=(), named=None):
        if not function.is_view:
            self.counted[function._schema.name] += 1
        return function(*given, **(named or {}))
