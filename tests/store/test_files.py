"""Nothing outside of a run folder is written or deleted, and what is not a file never hangs."""

import os
import shutil
import signal
import stat

import pytest
from running import assert_same_content, chunk_files, slow

import jsuper
from jsuper import RunError
from jsuper.cli import main, sweeping
from jsuper.core import files
from jsuper.store import sharing

pytestmark = pytest.mark.usefixtures("signals_are_as_before")

BASE = "--activation relu --sparsity 0.5 --steps 3 --batch-size 8 --n-features 3 --n-hidden 2"
BASE = [*BASE.split(), *["--platform", "cpu", "--workers", "1", "--no-report"]]
ALL, MORE = (["--seeds", *map(str, range(n))] for n in (4, 6))
SECONDS = 60  # far more than any of these commands takes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of two chunks, with every file that a run can have."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert sweeping.sweep([*BASE, "--seeds", "0", "1", "--out", str(run)]) == 0
    assert sweeping.sweep([*BASE, *ALL, "--out", str(run)]) == 0
    assert main.main(["scrub", str(run), "--no-report"]) == 0
    (run / "report.html").write_text("a page")
    (run / "results.csv").write_text("a table")
    assert len(chunk_files(run)) == 2
    return run


@pytest.fixture
def in_time():
    """Fail rather than hang."""

    def late(number, frame):
        raise TimeoutError(f"not done within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def everything(folder):
    """What is below a folder, without following links: kind, content, time of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        target = os.readlink(path) if path.is_symlink() else ""
        found[path.relative_to(folder)] = about.st_mode, content, target, about.st_mtime_ns
    return found | {folder: folder.stat().st_mtime_ns}


# --------------------------------------------------------------------- what is where a file belongs

KINDS = ["link to a file", "link to a folder", "link to nothing", "FIFO", "directory"]


def put(kind, path, outside):
    """Put something where a file or a folder of a run belongs; links point to its old content."""
    target = outside / path.name
    if path.is_dir():
        shutil.move(path, outside / "folder")
    elif path.exists():
        shutil.move(path, target)
    if kind == "link to a file":
        target.touch()
        path.symlink_to(target)
    elif kind == "link to a folder":
        (outside / "folder").mkdir(exist_ok=True)
        (outside / "folder" / ".old.npz.tmp").touch()
        os.utime(outside / "folder" / ".old.npz.tmp", (0, 0))
        path.symlink_to(outside / "folder")
    elif kind == "link to nothing":
        path.symlink_to(outside / "nothing")
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()


DIRECTORIES = ("chunks", "sessions", "figures")
NOT_WRITABLE = ("FIFO", "directory")  # in the place of a file
NOT_READABLE = (*NOT_WRITABLE, "link to a folder", "link to nothing")
# Command: the places that it reads or writes, and for each of them the kinds that it refuses.
WRITES = dict.fromkeys(DIRECTORIES, [k for k in KINDS if k != "directory"])
WRITES |= {"manifest.json": NOT_READABLE, ".lock": KINDS}
WRITES |= dict.fromkeys(("sweep.toml", "report.html"), NOT_WRITABLE)
READS = {
    "manifest.json": NOT_READABLE,
    "sessions": (),
    "chunks": (),
    "a chunk": (),
    "a session": (),
}
TABLE = {
    "resume": WRITES | {"a chunk": (), "figures/loss_over_constant.png": NOT_WRITABLE},
    "extend": WRITES,
    "status": READS,
    "verify": READS,
    "export": READS | {"results.csv": NOT_WRITABLE, "scrubbing.npz": ()},
    "report": {"report.html": NOT_WRITABLE},
    "scrub": {"manifest.json": NOT_READABLE, "scrubbing.npz": NOT_WRITABLE},
}
ROWS = [
    (command, place, kind, kind in refused)
    for command, places in TABLE.items()
    for place, refused in places.items()
    for kind in KINDS
    if not (place in DIRECTORIES and kind == "directory")  # as it should be
]


def command_line(command, run):
    """A command as the user types it, on a run that has been made ready for it."""
    if command == "resume":
        chunk_files(run)[0].unlink()
    return {
        "resume": ["sweep", *BASE, *ALL, "--out", str(run)],
        "extend": ["sweep", *BASE, *MORE, "--out", str(run)],
        "export": ["export", str(run), "--force"],
        "scrub": ["scrub", str(run), "--no-report", "--overlap", "0.2"],
    }.get(command, [command, str(run)])


def quick(rows):
    """All rows; those that pytest runs by default are one kind refused and one not of a place."""
    seen = set()
    for row in rows:
        command, place, _, refused = row
        yield slow(*row) if (command, place, refused) in seen else row
        seen.add((command, place, refused))


@pytest.mark.parametrize("command, place, kind, refused", list(quick(ROWS)))
def test_what_is_where_a_file_of_a_run_belongs(
    tmp_path, tried, capsys, recwarn, whole, in_time, command, place, kind, refused
):
    run, outside = shutil.copytree(whole, tmp_path / "run"), tmp_path / "outside"
    outside.mkdir()
    line = command_line(command, run)
    places = {"a chunk": chunk_files(run)[-1], "a session": next((run / "sessions").iterdir())}
    path = places.get(place, run / place)
    put(kind, path, outside)
    before, inside = everything(outside), everything(run)
    code = main.main(line)
    out, error = capsys.readouterr()
    assert everything(outside) == before
    errors = [text for text in error.splitlines() if text.startswith("error")]
    damaged = place == "a chunk" and kind in NOT_READABLE
    damaged |= place == "chunks" and kind != "link to a folder"
    if refused:
        assert code == 1 and len(errors) == 1 and str(path) in errors[0], error
        assert "figures" in place or everything(run) == inside
        what = "exit code 1 and one line that names it"
    else:
        assert errors == [] and code == (command == "verify" and damaged), out + error
        assert command != "verify" or not damaged or path.name in out
        what = "the command did its work, and `verify` named what was damaged"
    if not refused and command in ("resume", "extend"):
        ds = jsuper.load(run)
        assert (ds.status == 1).all() and ds.sizes["seed"] == (4 if command == "resume" else 6)
        assert main.main(["verify", str(run)]) == 0
    tried(
        "A link, a FIFO or a directory where a file of a run belongs",
        f"links to files, folders and nothing, FIFOs and directories: {what}; nothing outside of "
        "the folder changed",
    )


# ---------------------------------------------------------------------------- folders full of links


@pytest.fixture
def linked(tmp_path, whole):
    """A run whose files are links into a cache, as DVC and git-annex make them; and the cache."""
    real, cache = shutil.copytree(whole, tmp_path / "real"), tmp_path / "cache"
    cache.mkdir()
    for path in [p for p in real.rglob("*") if p.is_file() and p.name != ".lock"]:
        target = cache / path.relative_to(real).as_posix().replace("/", "-")
        shutil.move(path, target)
        target.chmod(0o444)
        path.symlink_to(target)
    run = tmp_path / "run"
    run.symlink_to(real)  # as to a scratch disk
    return run, cache


def test_a_run_whose_files_are_links_is_read_and_goes_on(tried, whole, linked):
    run, cache = linked
    before = everything(cache)
    assert_same_content(run, whole)
    assert main.main(["verify", str(run)]) == 0
    gone = chunk_files(run)[0]
    gone.unlink()
    assert sweeping.sweep([*BASE, *ALL, "--out", str(run)]) == 0
    assert_same_content(run, whole)
    assert not gone.is_symlink() and chunk_files(run)[1].is_symlink()
    (run / "scrubbing.npz").unlink()  # of fewer chunks than there will be
    assert sweeping.sweep([*BASE, *MORE, "--out", str(run)]) == 0
    assert jsuper.export(run, "csv", force=True).is_file()
    assert not any((run / n).is_symlink() for n in ("manifest.json", "sweep.toml", "results.csv"))
    assert (jsuper.load(run).status == 1).all() and everything(cache) == before
    tried(
        "A run folder whose files are links",
        "all files links into a read-only cache, and the folder itself reached through a link: "
        "loaded, verified, resumed, extended and exported; what was written again replaced the "
        "link, and the cache stayed as it was",
    )


def test_a_damaged_chunk_that_is_a_link_is_set_aside_as_a_link(tried, linked):
    run, cache = linked
    path = chunk_files(run)[0]
    target = path.resolve()
    target.chmod(0o644)
    target.write_bytes(b"damaged")
    before = everything(cache)
    assert sweeping.sweep([*BASE, *ALL, "--out", str(run)]) == 0
    assert path.with_suffix(".npz.corrupt").resolve() == target and not path.is_symlink()
    assert everything(cache) == before
    tried(
        "A run folder whose files are links",
        "a link to a damaged chunk: the link was set aside, the chunk trained again, the file "
        "behind the link untouched",
    )


@pytest.mark.parametrize("name", [".", *DIRECTORIES])
def test_temporary_files_are_removed_in_the_folder_alone(tmp_path, tried, name):
    run, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    for folder in (run, *(run / d for d in DIRECTORIES)):
        folder.mkdir()
    if name != ".":
        (run / name).rmdir()
        (run / name).symlink_to(outside)
    kept, link = outside / ".a.npz.h.1.2.tmp", run / ".b.tmp"
    kept.touch()
    link.symlink_to(kept)
    old = (0, 0)
    os.utime(kept, old)
    os.utime(link, old, follow_symlinks=False)
    with sharing.locked(run):
        sharing.sweep_stale(run)
    assert kept.exists() and not os.path.lexists(link)
    tried(
        "A run folder whose files are links",
        "old temporary files in a folder outside that a link points to, and a link that has the "
        "name of one: the files stayed, the link was removed",
    )


# ------------------------------------------------------------------------------- one file at a time


def test_a_new_file_replaces_a_link_and_not_its_target(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    files.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new" and not (tmp_path / "a").is_symlink()
    assert (tmp_path / "target").read_text() == "old"


def test_a_folder_that_is_a_link_is_refused_below_the_root_alone(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    files.write_text(tmp_path / "root" / "new" / "a", "text", root=tmp_path / "root")
    assert (tmp_path / "real" / "new" / "a").read_text() == "text"
    (tmp_path / "root" / "linked").symlink_to(tmp_path)
    for path in ("linked/a", "linked/deeper/a"):
        with pytest.raises(RunError, match=f"linked is a link to {tmp_path}.*real directory"):
            files.write_text(tmp_path / "root" / path, "text", root=tmp_path / "root")
        with pytest.raises(RunError, match="linked is a link"):
            files.remove(tmp_path / "root" / path, root=tmp_path / "root")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["real", "root"]


@pytest.mark.parametrize("name, make", [("FIFO", os.mkfifo), ("directory", os.mkdir)])
def test_what_is_not_a_file_is_neither_read_nor_replaced(tmp_path, in_time, name, make):
    make(tmp_path / "a")
    for act in (files.check_file, files.remove, files.open_lock, lambda p: files.write_text(p, "")):
        with pytest.raises(RunError, match=f"a is a {name}, not a file: move it away"):
            act(tmp_path / "a")
    with pytest.raises(OSError, match=f"a is not a file but a {name}"):
        files.opened(tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_fifo_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path, tried, monkeypatch, in_time
):
    """It was a file when it was looked at, and is a FIFO when it is opened."""
    os.mkfifo(tmp_path / "a")
    (tmp_path / "file").touch()
    regular = os.stat(tmp_path / "file")
    monkeypatch.setattr(files.os, "stat", lambda path: regular)
    with pytest.raises(OSError, match="a is not a file but a FIFO"):
        files.opened(tmp_path / "a")
    tried(
        "A link, a FIFO or a directory where a file of a run belongs",
        "a FIFO that takes the place of a file between the look at it and its opening: refused "
        "at once",
    )


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "a").symlink_to("nowhere")
    with pytest.raises(OSError, match="a is a link to nowhere, which does not exist"):
        files.opened(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        files.opened(tmp_path / "b")


def test_what_does_not_pass_its_check_replaces_nothing(tmp_path):
    (tmp_path / "a").write_text("old")

    def check(path):
        assert path.read_text() == "new" and path.parent == tmp_path
        raise ValueError("not what it should be")

    with pytest.raises(ValueError, match="not what it should be"):
        files.write_atomically(tmp_path / "a", lambda f: f.write(b"new"), check=check)
    assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
