"""One model of every block that a kernel trains is trained again without it, and compared.

A trial knows a kernel by a few models and steps. A block is larger, and has other places.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import numpy as np

from jsuper.core.family import family_of
from jsuper.core.protocols import PyTree
from jsuper.engine import programs
from jsuper.engine.blocks import Block, inputs, places
from jsuper.engine.devices import Device
from jsuper.engine.trials import advance_of, functions_of

MOST_STEPS = 1000  # of those that are compared: rounding grows with every step
TOLERANCE = 0.01  # of the largest parameter

_compilers = ThreadPoolExecutor(1, thread_name_prefix="jsuper-check")


class KernelError(RuntimeError):
    """A kernel does not train what it should."""


class SpotCheck:
    """A comparison of the last model of a block after its first call, of some steps.

    Nothing is done for a block without a kernel, or if the call has more than MOST_STEPS.
    """

    def __init__(self, block: Block, device: Device, steps: int | None) -> None:
        self._found: PyTree = None
        self._wanted: Future | None = None
        uses_kernel = family_of(block.chunk.model).uses_kernel(block.static)
        if uses_kernel and steps is not None and steps <= MOST_STEPS:
            self._place = len(block.seeds) - 1, places(block).index(len(block.settings) - 1)
            self._wanted = _compilers.submit(parameters, last_model(block), device, steps)

    def take(self, state: PyTree) -> None:
        """Keep the model's parameters after the first call."""
        if self._wanted is not None:
            self._found = jax.device_get(jax.tree.map(lambda a: a[self._place], state.params))

    def compare(self) -> None:
        """Wait for the other training.

        Raises
        ------
        KernelError
            The two differ by more than TOLERANCE of the largest parameter.
        """
        if self._wanted is None:
            return
        pairs = [
            (np.ravel(own), np.ravel(other))
            for own, other in zip(
                jax.tree.leaves(self._found), jax.tree.leaves(self._wanted.result()), strict=True
            )
        ]
        found, wanted = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        if not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
            raise KernelError("a model is finite with a kernel and not without, or not with it")
        fine = np.isfinite(wanted)
        away = np.abs(found - wanted)[fine].max(initial=0.0)
        largest = np.abs(wanted)[fine].max(initial=0.0)
        if away > TOLERANCE * largest:
            raise KernelError(
                f"a model differs by {away:.1e} of {largest:.1e} from the plain steps"
            )


def last_model(block: Block) -> Block:
    """Return a block of the last setting and seed alone, without a kernel."""
    family, settings = family_of(block.chunk.model), block.settings[-1:]
    static = family.train.make_static(block.chunk.static, [settings], "vmapped")
    return dataclasses.replace(
        block, static=static, settings=settings, seeds=block.seeds[-1:], shape=(1, 1)
    )


def parameters(block: Block, device: Device, steps: int) -> PyTree:
    """Return the parameters of a block's only model after some steps."""
    with programs.context(block.static, device):
        settings, keys = inputs(block)
        functions = functions_of(block)
        arguments = (jax.jit(functions.init)(settings, keys), settings, keys)
        state = advance_of(functions, arguments, steps)(*arguments)
        return jax.device_get(jax.tree.map(lambda a: a[0, 0], state.params))
