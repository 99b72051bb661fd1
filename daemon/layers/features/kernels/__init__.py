"""The built-in kernels by name, gathered from their modules.

Belongs here: which there are. Their formulas belong to the modules of this folder.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType

from daemon.layers.features.kernels import bars, momentum, volatility, volume
from daemon.layers.features.registry import Kernel

MODULES = (momentum, volatility, volume, bars)


def kernels_in(module: ModuleType) -> Iterator[Kernel]:
    """The kernels a module defines, in the order of its text."""
    for value in vars(module).values():
        if isinstance(value, Kernel):
            yield value


BUILT_IN: Mapping[str, Kernel] = MappingProxyType(
    {kernel.name: kernel for module in MODULES for kernel in kernels_in(module)}
)
