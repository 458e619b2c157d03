"""Bar 1: what is recorded of real builds agrees with strace, and the traced build's products are those of the untraced one.

lua and zlib come from the sources that scripts/fetch_sources fetched; hello and this project's own build are here already.
strace's own log is read here: every path that a successful or failed call of %file or %process names, made absolute by the
process's working directory.
"""
import contextlib
import os
import re
import shutil

import harness

SOURCES = os.path.join(harness.ROOT, "build/sources")

# Differences that are explained: calls that nobody makes through the C library's interface.
#   the loader's search for libraries, and its cache
#   libc's own files: locales, character sets, the time zone
#   what the observer itself needs
UNSEEN = re.compile(r"^/etc/ld\.so\.|/lib(/tls)?(/haswell)?(/x86_64)*$|glibc-hwcaps|/[^/]*\.so(\.[\d.]+)?$|^/usr/lib/locale|^/usr/share/locale|^/etc/localtime|/gconv|/C\.utf8"
                    r"|libocpwatch-preload")


class Strace:
    """Reads the files of `strace -ff -y -e trace=%file,%process,chdir,fchdir -o PREFIX`."""

    CALL = re.compile(r'^(\w+)\((.*)\) += (-?\d+|\?)(?:<[^>]*>)?(?: (E\w+))?')
    TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')

    def __init__(self, directory, cwd):
        self.reads, self.writes, self.missing, self.execs = set(), set(), set(), []
        children, self.logs = {}, {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), errors="surrogateescape") as file:
                self.logs[int(name.rsplit(".", 1)[1])] = file.read().splitlines()
        roots = set(self.logs)
        for pid, lines in self.logs.items():
            for line in lines:
                match = re.match(r"^(?:clone3?|v?fork)\(.*= (\d+)$", line)
                if match:
                    children.setdefault(pid, []).append(int(match[1]))
                    roots.discard(int(match[1]))
        todo = [(pid, cwd) for pid in roots]
        while todo:
            pid, where = todo.pop()
            for line in self.logs.get(pid, ()):
                match = re.match(r"^(?:clone3?|v?fork)\(.*= (\d+)$", line)
                if match:
                    todo.append((int(match[1]), where))
                    continue
                where = self.call(line, where)

    @staticmethod
    def interpreter(path):
        """For a script the kernel puts this in front of argv."""
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if file.read(2) == b"#!":
                return file.readline().decode().split()[0]
        return None

    def call(self, line, where):
        match = self.CALL.match(line)
        if not match:
            return where
        name, arguments, result, error = match.groups()
        texts = [os.fsdecode(text.encode("latin-1").decode("unicode_escape").encode("latin-1")) for text in self.TEXT.findall(arguments)]
        directory = where
        at = re.match(r"\d+<([^>]*)>", arguments)
        if at and name.endswith(("at", "at2", "statx")):
            directory = at[1]
        paths = [os.path.normpath(os.path.join(directory, text)) for text in texts if text]
        if name == "chdir" and result == "0":
            return paths[0]
        if name == "fchdir" and result == "0" and at:
            return at[1]
        if name in ("execve", "execveat"):
            if result == "0":
                argv = re.search(r"\[(.*)\], ", arguments)
                self.execs.append(self.interpreter(paths[0]) or self.TEXT.findall(argv[1])[0])
                self.reads.add(paths[0])
            elif error in ("ENOENT", "ENOTDIR"):
                self.missing.add(paths[0])
            return where
        if not paths or (error and error not in ("ENOENT", "ENOTDIR")):
            return where
        if error:
            self.missing.update(paths[:1])
        elif name in ("open", "openat", "creat", "openat2"):
            if "O_DIRECTORY" in arguments:
                pass
            elif "O_WRONLY" in arguments or "O_TRUNC" in arguments or "O_EXCL" in arguments:
                self.writes.add(paths[0])
            else:
                if not os.path.isdir(paths[0]):
                    self.reads.add(paths[0])
                if "O_RDWR" in arguments:
                    self.writes.add(paths[0])
        elif name in ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"):
            self.writes.add(paths[-1])
        elif name.startswith(("mkdir", "chmod", "fchmodat", "utime", "truncate")):
            self.writes.add(paths[0])
        return where


def temporary(path):
    """Names that differ from run to run: gcc's /tmp/ccXXXXXX.s, ar's stXXXXXX, zlib's ztest1234.c; CMake's trial projects
    and the files that it renames into place."""
    path = re.sub(r"cmTC_[0-9a-f]{5}", "cmTC_TEMP", path)
    path = re.sub(r"/(TryCompile-|[\w.-]+\.tmp)\w{5,6}(?=/|$)", r"/\1TEMP", path)
    return re.sub(r"/(cc|st|ztest)([A-Za-z0-9]{6}|(?<=ztest)\d+)((\.\w+)*)$", r"/\1TEMP\3", path)


# Products that hold times, or names that differ from run to run.
DIARIES = (b"config.log", b"configure.log", b".ninja_log", b".ninja_deps", b"CMakeOutput.log", b"CMakeError.log")


class RealBuilds(harness.TestCase):
    def compare_source(self, name, commands):
        source = os.path.join(SOURCES, name) if name != "hello" else harness.HELLO
        if not os.path.isdir(source):
            self.skipTest(f"the source of {name} was not fetched")
        tree = self.path(name)

        def fresh():
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(source, tree, symlinks=True, ignore=shutil.ignore_patterns("*.o", "version.h", "/hello"))
            if name == "hello" and os.path.exists(os.path.join(tree, "hello")):
                os.unlink(os.path.join(tree, "hello"))

        self.compare(tree, fresh, commands)

    def compare(self, tree, fresh, commands):
        """Runs commands in `tree`, as `fresh` makes it, untraced, recorded and under strace. The recording."""
        argv = ["/bin/sh", "-c", commands]
        # SOURCE_DATE_EPOCH for archives; -j2 prints in an order of its own, so Ninja's lines are not to be numbered.
        env = dict(self.world.env, SOURCE_DATE_EPOCH="0", NINJA_STATUS="", CCACHE_DISABLE="1")
        ordered = sorted if "-j" in commands else list

        fresh()
        untraced = self.world.run(argv, cwd=tree, env=env)
        self.assertEqual(0, untraced.status, untraced)
        products = harness.snapshot(tree)
        fresh()
        traced = self.world.record(argv, cwd=tree, env=env)
        self.assertEqual(0, traced.status, traced)
        self.assertEqual(ordered(untraced.stdout.splitlines()), ordered(traced.stdout.splitlines()))
        self.assertEqual(ordered(untraced.stderr.splitlines()), ordered(traced.stderr.splitlines()))
        self.same_files(products, harness.snapshot(tree))
        self.assertComplete(traced)

        fresh()
        logs = self.path("strace")
        os.makedirs(logs)
        result = self.world.run(["strace", "-ff", "-y", "-s", "100000", "--seccomp-bpf", "-f", "-e", "trace=%file,%process,fchdir", "-o",
                                 logs + "/log", *argv], cwd=tree, env=env)
        self.assertEqual(0, result.status, result)
        strace = Strace(logs, tree)
        self.agree("read", strace.reads, traced.uses("reads"))
        self.agree("written", strace.writes, traced.uses("writes"))
        # A path is missing for a command that never found it: what was made meanwhile is recorded as found. And realpath()
        # reads the links on its way inside of libc; a way that ends is known by what lies behind.
        missing = traced.uses("missing")
        on_the_way = {path for path in strace.missing if any(each.startswith(path + "/") for each in missing)}
        self.agree("missing", strace.missing, missing, explained=on_the_way | set(traced.files))
        executed = sorted(temporary(os.path.basename(name)) for name in strace.execs)
        recorded = sorted(temporary(os.path.basename(command["argv"][0])) for command in traced.commands)
        self.assertEqual(executed, recorded)
        return traced

    def same_files(self, expected, got):
        self.assertEqual(expected.keys(), got.keys())
        self.assertEqual([], [os.fsdecode(path) for path in expected if expected[path] != got[path]
                              and not path.endswith(DIARIES)])

    def agree(self, what, by_strace, recorded, explained=()):
        """Nothing that strace saw is missing in the record, and of the project nothing is made up."""
        recorded = {temporary(path) for path in recorded}
        by_strace = {temporary(path) for path in by_strace}
        ours = (self.directory, "/usr/include/")  # Here no difference is explained.
        gaps = {path for path in by_strace - recorded - set(map(temporary, explained))
                if path.startswith(ours) or not UNSEEN.search(path)}
        self.assertEqual(set(), gaps, f"{what}: seen by strace and not recorded")
        excess = {path for path in recorded - by_strace if path.startswith(ours) and not os.path.isdir(path)}
        self.assertEqual(set(), excess, f"{what}: recorded and not seen by strace")

    @harness.needs("strace", "gcc", "make")
    def test_hello(self):
        self.compare_source("hello", "make")

    @harness.needs("strace", "gcc", "make")
    def test_lua(self):
        self.compare_source("lua", "make linux -j2")

    @harness.once
    @harness.needs("strace", "gcc", "make")
    def test_zlib(self):
        self.compare_source("zlib", "./configure && make")

    # This project's own build, in a copy. Without optimisation and debug information, which change no file's use.
    CONFIGURE = "cmake -S . -B out -G Ninja -DOCPWATCH_TESTS=OFF -DCMAKE_BUILD_TYPE=None"

    def copy_this_project(self):
        """Once: somebody may be at work on it."""
        copy = self.path("copy")
        os.mkdir(copy)
        shutil.copy2(os.path.join(harness.ROOT, "CMakeLists.txt"), copy)
        for folder in ("cli", "daemon", "preload", "proto"):
            shutil.copytree(os.path.join(harness.ROOT, folder), os.path.join(copy, folder))
        return copy

    @staticmethod
    def again(source, tree):
        """`tree` as `source` is; a function."""

        def fresh():
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(source, tree, symlinks=True)

        return fresh

    @harness.once
    @harness.needs("strace", "g++", "cmake", "ninja", "protoc")
    def test_configuring_this_project(self):
        """CMake: packages, pkg-config, trial compilations."""
        tree = self.path("ocp-watch")
        self.compare(tree, self.again(self.copy_this_project(), tree), self.CONFIGURE)

    @harness.once
    @harness.needs("strace", "g++", "cmake", "ninja", "protoc")
    def test_building_this_project(self):
        """Ninja, protoc, a generator that is built before it runs, C++, assembler, archives, an executable, a library."""
        tree, configured = self.path("ocp-watch"), self.path("configured")
        os.rename(self.copy_this_project(), tree)
        result = self.world.run(["/bin/sh", "-c", self.CONFIGURE], cwd=tree)
        self.assertEqual(0, result.status, result)
        os.rename(tree, configured)
        recording = self.compare(tree, self.again(configured, tree), "ninja -C out -j2 preload/libocpwatch-preload.so")
        reads, writes = recording.uses("reads", tree), recording.uses("writes", tree)
        for product in ("preload/libocpwatch-preload.so", "preload/gencalls", "preload/libgencalls_lib.a",
                        "preload/generated/wrappers.cc", "proto/ocpwatch/v1/functions.pb.h"):
            self.assertIn(os.path.join(tree, "out", product), writes)
        for source in ("preload/functions.textproto", "preload/runtime/load_x86_64.S", "proto/ocpwatch/v1/functions.proto"):
            self.assertIn(os.path.join(tree, source), reads)
        self.assertIn("/usr/include/google/protobuf/message.h", recording.uses("reads"))


if __name__ == "__main__":
    harness.main()
