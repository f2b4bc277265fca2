"""The handler that launches kernels where XLA's PTX call is refused, with a driver for a CPU."""

import subprocess

import emulated
import jax
import numpy as np
import pytest

import jsuper
from jsuper.engine.devices import Plan
from jsuper.models.toy.kernels import launcher, launching
from jsuper.models.toy.kernels.source import source_of

# "PTX" is the path of a shared object for the emulator, and its function is `run`.
DRIVER = """
#include <dlfcn.h>
#include <vector>
extern "C" {
thread_local int depth = 0;
int cuStreamGetCtx(void*, void** context) { *context = &depth; return 0; }
int cuCtxPushCurrent_v2(void*) { ++depth; return 0; }
int cuCtxPopCurrent_v2(void**) { return --depth; }
int cuModuleLoadData(void** module, const void* image) {
  *module = dlopen((const char*)image, RTLD_NOW);
  return *module ? 0 : 218;
}
int cuModuleGetFunction(void** function, void* module, const char*) {
  *function = dlsym(module, "run");
  return *function ? 0 : 500;
}
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned, unsigned, unsigned, unsigned,
                   unsigned, void*, void** places, void**) {
  std::vector<void*> arrays;
  for (int i = 0; i < 26; ++i) arrays.push_back(*(void**)places[i]);
  ((void (*)(int, int, int, void**))function)(x, y, 0, arrays.data());
  return 0;
}
}
"""
SWEEP = jsuper.Sweep(
    activation="relu", sparsity=(0.5, 0.9), seeds=2, steps=25, n_features=5, n_hidden=2,
    batch_size=64,
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The handler with a driver for a CPU; a process registers one."""
    folder = tmp_path_factory.mktemp("driver")
    source, driver = folder / "driver.cc", folder / "driver.so"
    source.write_text(DRIVER)
    subprocess.run(["g++", "-shared", "-fPIC", str(source), "-o", str(driver)], check=True)
    flags = ("-DWITHOUT_STREAM", f'-DDRIVER="{driver}"')
    return launcher.handler(*flags, platform="cpu")


@pytest.fixture
def on_a_cpu(built, monkeypatch):
    """XLA refuses the PTX call, and the handler launches."""
    monkeypatch.setattr(launcher, "handler", lambda: built)
    monkeypatch.setattr(launching, "ptx_of", lambda kernel: path_of(kernel))
    monkeypatch.setattr(launching, "_refused", [])


def path_of(kernel):
    return str(emulated.compiled(source_of(kernel)))


@pytest.mark.slow
def test_a_refused_call_is_launched_by_the_handler(on_a_cpu):
    device = jax.devices("cpu")[0]
    found = jsuper.run(SWEEP, plan=Plan("cpu", (device,), "kernel"), progress=False)
    assert launching.TARGET in launching._refused[0]
    wanted = jsuper.run(SWEEP, plan=Plan("cpu", (device,), "vmapped"), progress=False)
    np.testing.assert_allclose(found.W, wanted.W, rtol=0, atol=1e-5)
    assert (found.status == 1).all()


@pytest.mark.slow
def test_what_the_driver_says_is_an_error(on_a_cpu):
    one = jax.ShapeDtypeStruct((), np.float32)
    numbers = {"grid_x": 1, "grid_y": 1, "block_x": 32}
    with pytest.raises(jax.errors.JaxRuntimeError, match="cuModuleLoadData fails with error 218"):
        launcher.launch("no kernel", [one], {0: 0}, [jax.numpy.float32(1)], numbers)
