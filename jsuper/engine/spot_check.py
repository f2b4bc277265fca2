"""One model of every activation that kernels train in a block is trained again without them.

A trial knows a kernel by a few seeds. A block is larger, and has other places.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import numpy as np

from jsuper.core.family import family_of
from jsuper.core.protocols import PyTree
from jsuper.engine import programs
from jsuper.engine.blocks import Block, inputs, part, places
from jsuper.engine.devices import Device, cores
from jsuper.engine.trials import KernelError, advance_of, by_name, functions_of

MOST_STEPS = 1000  # of those that are compared: rounding grows with every step
TOLERANCE = 0.01  # of the largest parameter

_compilers = ThreadPoolExecutor(max(1, cores() // 2), thread_name_prefix="jsuper-check")


class SpotCheck:
    """A comparison of some models of a block after its first call.

    They are those of the last setting of every activation, and of the last seed. Nothing is done
    for a block without kernels, or if the call has more than MOST_STEPS.
    """

    def __init__(self, block: Block, device: Device) -> None:
        self._block, self._device = block, device
        self._found: PyTree = None
        self._wanted: Future | None = None
        self._names: list[str] = []

    def take(self, state: PyTree, start: int, steps: int) -> None:
        """Keep the models' parameters after the first call, and begin to train them again."""
        block = self._block
        family = family_of(block.chunk.model)
        if steps > MOST_STEPS or not family.uses_kernel(block.static):
            return
        groups, arranged = by_name(block), places(block)
        self._names = list(groups)
        chosen = tuple(settings[-1] for settings in groups.values())
        position = {id(s): arranged.index(i) for i, s in enumerate(block.settings)}
        rows = np.array([position[id(setting)] for setting in chosen])
        seed = len(block.seeds) - 1
        self._found = jax.device_get(jax.tree.map(lambda a: a[seed, rows], state.params))
        models = part("vmapped", block, chosen, block.seeds[-1:])
        self._wanted = _compilers.submit(parameters, models, self._device, start, steps)

    def compare(self) -> None:
        """Wait for the other training. If this fails itself, nothing is known, and nothing is said.

        Raises
        ------
        KernelError
            Models differ by more than TOLERANCE of their largest parameter.
        """
        if self._wanted is None:
            return
        wanted = None
        with contextlib.suppress(Exception):
            wanted = self._wanted.result()
        if wanted is None:
            return
        pairs = list(zip(jax.tree.leaves(self._found), jax.tree.leaves(wanted), strict=True))
        wrong, reasons = [], []
        for i, name in enumerate(self._names):
            own = np.concatenate([np.ravel(a[i]) for a, _ in pairs])
            other = np.concatenate([np.ravel(b[i]) for _, b in pairs])
            if reason := disagreement(own, other):
                wrong.append(name)
                reasons.append(reason)
        if wrong:
            raise KernelError(f"a model {reasons[0]}", tuple(wrong))


def disagreement(found: np.ndarray, wanted: np.ndarray) -> str:
    """Return in what parameters differ from those of the plain steps; "" if they agree."""
    fine = np.isfinite(wanted)
    if not np.array_equal(np.isfinite(found), fine):
        return "is finite with a kernel and not without, or the other way round"
    away = np.abs(found - wanted)[fine].max(initial=0.0)
    largest = np.abs(wanted)[fine].max(initial=0.0)
    if away > TOLERANCE * largest:
        return f"differs by {away:.1e} of {largest:.1e} from the plain steps"
    return ""


def parameters(block: Block, device: Device, start: int, steps: int) -> PyTree:
    """Return the parameters of a block's settings, in order, of its only seed after some steps."""
    with programs.context(block.static, device):
        settings, keys = inputs(block)
        functions = functions_of(block)
        arguments = (jax.jit(functions.init)(settings, keys), settings, keys)
        state = advance_of(functions, arguments, steps, start)(*arguments)
        arranged = places(block)
        rows = np.array([arranged.index(i) for i in range(len(block.settings))])
        return jax.device_get(jax.tree.map(lambda a: a[0, rows], state.params))
