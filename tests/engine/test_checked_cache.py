"""The cache of compiled programs: an entry is what was written, or it is not used."""

import os
import shutil
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import assert_same_content, ended, started
from tiny_sweeps import GRID

from jsuper.engine import checked_cache, programs
from jsuper.engine.checked_cache import CheckedCache

KEY, OTHER = "jit_advance-0123abcd", "jit_finish-4567cdef"
VALUE = bytes(range(256)) + b"a compiled program"


def cut(path, key):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path, key):
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path, key):
    path.write_bytes(b"")


def jaxs_own(path, key):
    path.write_bytes(VALUE)


def of_another_program(path, key):
    cache = CheckedCache(path.parent)
    cache.put(OTHER, b"another program")
    os.replace(path.parent / f"{OTHER}-cache", path)


def folder(path, key):
    path.unlink()
    path.mkdir()


def pipe(path, key):
    path.unlink()
    os.mkfifo(path)


def link_to_a_pipe(path, key):
    path.unlink()
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


DAMAGES = {
    "cut by a byte": cut,
    "longer by a byte": lengthen,
    "empty": empty,
    "without a checksum, as JAX or an older version wrote it": jaxs_own,
    "another program's entry under this name": of_another_program,
    "a folder": folder,
    "a pipe, which would be waited for": pipe,
    "a link to a pipe": link_to_a_pipe,
}


@pytest.fixture
def cache(tmp_path):
    """A cache with one entry, of `KEY`."""
    cache = CheckedCache(tmp_path)
    cache.put(KEY, VALUE)
    assert cache.get(KEY) == VALUE and cache.get(OTHER) is None
    return cache


def entry(cache, key=KEY):
    return cache._path / f"{key}-cache"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_bad_entry_is_set_aside_and_made_again(cache, damage, capsys, tried):
    damage(entry(cache), KEY)
    assert cache.get(KEY) is None
    assert not os.path.lexists(entry(cache)) and os.path.lexists(f"{entry(cache)}.corrupt")
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and KEY in error and str(cache._path) in error
    cache.put(KEY, VALUE)
    assert cache.get(KEY) == VALUE and not capsys.readouterr().err
    tried(
        "A damaged cache of compiled programs",
        "an entry cut, empty, longer, without a checksum, of another program, or no file at all: "
        "set aside with one line, and compiled again",
    )


def test_every_flipped_bit_is_found(cache, capsys, tried):
    content = entry(cache).read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        entry(cache).write_bytes(flipped)
        assert cache.get(KEY) is None, bit
    assert capsys.readouterr().err.count("\n") == 1  # once, however many there are
    tried(
        "A damaged cache of compiled programs",
        "each bit of an entry flipped, one at a time: the entry was not used",
        8 * len(content),
    )


def test_processes_that_write_one_entry_leave_it_whole(tmp_path, capsys):
    values = [bytes([i]) * 200_000 for i in range(4)]
    caches = [CheckedCache(tmp_path) for _ in values]

    def work(i):
        for _ in range(10):
            caches[i].put(KEY, values[i])
            assert caches[i].get(KEY) in values
        return True

    with ThreadPoolExecutor(len(values)) as pool:
        assert all(pool.map(work, range(len(values))))
    assert [p.name for p in tmp_path.iterdir()] == [f"{KEY}-cache"]
    assert not capsys.readouterr().err


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = CheckedCache(tmp_path / "file" / "cache")
    cache.put(KEY, VALUE)
    assert cache.get(KEY) is None


def test_jaxs_limit_of_the_size_is_kept(cache, monkeypatch):
    size = entry(cache).stat().st_size
    monkeypatch.setattr(CheckedCache, "_limit", lambda self: 2 * size)
    long_ago = time.time() - 1000
    os.utime(entry(cache), (long_ago, long_ago))
    cache.put(OTHER, VALUE)
    os.utime(entry(cache, OTHER), (long_ago + 1, long_ago + 1))
    assert cache.get(KEY) == VALUE  # used last
    cache.put("third", VALUE)
    assert sorted(p.name for p in cache._path.iterdir()) == [f"{KEY}-cache", "third-cache"]
    cache.put("fourth", 3 * VALUE)
    assert cache.get("fourth") is None and cache.get(KEY) == VALUE


# ------------------------------------------------------------------------------------- within JAX

OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_persistent_cache_enable_xla_caches",
)


@pytest.fixture
def fresh(monkeypatch):
    """JAX as in a new process, whose compression notices no damage, as zstandard's; put back after.

    A function that JAX calls instead of compressing: it works where zstandard is not installed.
    """
    from jax._src import compilation_cache

    before = {name: getattr(jax.config, name) for name in OPTIONS}
    for name in ("compress_executable", "decompress_executable"):
        monkeypatch.setattr(compilation_cache, name, lambda value: value)
    monkeypatch.setattr(compilation_cache, "get_file_cache", compilation_cache.get_file_cache)
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", None)  # a run of an earlier test may have set it
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    jax.clear_caches()


def result():
    """What a program gives that is compiled, or found in the cache, now."""
    jax.clear_caches()
    return np.asarray(jax.jit(lambda x: jnp.sin(x) * 3.25 + 7)(jnp.arange(5.0)))


def use(folder, monkeypatch):
    monkeypatch.setenv("JSUPER_CACHE", str(folder))
    programs.use_compilation_cache()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def files(folder):
    return sorted(folder.glob("*-cache"))


@pytest.mark.slow
def test_a_damaged_program_is_not_run(tmp_path, monkeypatch, fresh, capsys, tried):
    use(tmp_path, monkeypatch)
    expected = result()
    assert files(tmp_path)
    whole = {path: path.read_bytes() for path in files(tmp_path)}
    damages = 0
    for share in (0.3, 0.6, 0.9):
        for path, content in whole.items():
            flipped = bytearray(content)
            flipped[int(share * len(content))] ^= 64
            path.write_bytes(flipped)
            damages += 1
        assert np.array_equal(result(), expected)
        assert files(tmp_path) == list(whole)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "compiled again" in error
    tried(
        "A damaged cache of compiled programs",
        "a bit flipped in every entry, with a compression that notices nothing: JAX compiled the "
        "programs again and gave the same numbers",
        damages,
    )


@pytest.mark.slow
def test_entries_are_used_and_not_written_again(tmp_path, monkeypatch, fresh, capsys):
    from jax._src import compilation_cache

    use(tmp_path, monkeypatch)
    expected = result()
    before = {p: p.stat().st_mtime_ns for p in files(tmp_path)}
    assert np.array_equal(result(), expected)
    assert {p: p.stat().st_mtime_ns for p in files(tmp_path)} == before
    assert not capsys.readouterr().err

    assert zlib.decompress(zlib.compress(VALUE) + checked_cache.checksum(KEY, VALUE)) == VALUE
    assert (
        compilation_cache.get_file_cache(str(tmp_path / "other"))[0].__class__ is not CheckedCache
    )


def test_a_folder_that_the_user_chose_through_jax_is_left_alone(tmp_path, monkeypatch, fresh):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "chosen"))
    use(tmp_path / "jsupers", monkeypatch)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "chosen")
    result()
    assert files(tmp_path / "chosen") and not (tmp_path / "jsupers").exists()
    path = files(tmp_path / "chosen")[0]
    assert checked_cache.FRAME not in path.read_bytes()
    shutil.rmtree(tmp_path / "chosen")


@pytest.mark.parametrize("chosen, kept", [(1.0, 0.3), (0.0, 0.0), (5.0, 5.0)])
def test_how_long_a_program_takes_to_be_kept_is_the_user_s_choice(
    tmp_path, monkeypatch, fresh, chosen, kept
):
    monkeypatch.setenv("JSUPER_CACHE", str(tmp_path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", chosen)
    programs.use_compilation_cache()
    assert jax.config.jax_persistent_cache_min_compile_time_secs == kept


def test_a_version_of_jax_with_another_cache_keeps_no_programs(tmp_path, monkeypatch, fresh):
    from jax._src import compilation_cache

    monkeypatch.delattr(compilation_cache, "get_file_cache")
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("JSUPER_CACHE", str(tmp_path / "cache"))
    programs.use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == before


@pytest.mark.slow
def test_compiled_programs_that_are_damaged_do_no_harm(tmp_path, tried):
    cache = tmp_path / "cache"
    own = {"JSUPER_CACHE": str(cache)}
    assert ended(started(*GRID, "--out", tmp_path / "first", **own))[0] == 0
    programs = [p for p in cache.rglob("*") if p.is_file() and p.stat().st_size]  # no markers
    assert programs

    def flipped(content):
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]

    def cut(content):
        return content[: len(content) // 2]

    damages = cut, flipped
    for i, damage in enumerate(damages):
        for path in programs:
            path.write_bytes(damage(path.read_bytes()))
        run = tmp_path / str(i)
        code, output = ended(started(*GRID, "--out", run, **own))
        assert code == 0 and output.count("compilation cache: ") == 1, output
        assert_same_content(run, tmp_path / "first")
        assert all(p.with_name(f"{p.name}.corrupt").exists() for p in programs)
    tried(
        "A damaged cache of compiled programs",
        "every program that is kept between runs cut to its half, and with a flipped bit: a line "
        "said so, they were compiled again, and the same content",
        len(damages),
    )
