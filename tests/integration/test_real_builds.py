"""Bar 1: what is recorded of real builds agrees with strace, and the traced build's products are those of the untraced one.

lua and zlib come from the sources that scripts/fetch_sources fetched; hello is our own. strace's own log is read here:
every path that a successful or failed call of %file or %process names, made absolute by the process's working directory.
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
    """Names that differ from run to run: gcc's /tmp/ccXXXXXX.s, ar's stXXXXXX, zlib's ztest1234.c."""
    return re.sub(r"/(cc|st|ztest)([A-Za-z0-9]{6}|(?<=ztest)\d+)((\.\w+)*)$", r"/\1TEMP\3", path)


class RealBuilds(harness.TestCase):
    def compare(self, name, commands):
        source = os.path.join(SOURCES, name) if name != "hello" else harness.HELLO
        if not os.path.isdir(source):
            self.skipTest(f"the source of {name} was not fetched")
        tree = self.path(name)

        def fresh():
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(source, tree, symlinks=True, ignore=shutil.ignore_patterns("*.o", "version.h", "/hello"))
            if name == "hello" and os.path.exists(os.path.join(tree, "hello")):
                os.unlink(os.path.join(tree, "hello"))

        argv = ["/bin/sh", "-c", commands]
        # SOURCE_DATE_EPOCH for archives; -j2 prints in an order of its own.
        env = dict(self.world.env, SOURCE_DATE_EPOCH="0")
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

    def same_files(self, expected, got):
        self.assertEqual(expected.keys(), got.keys())
        self.assertEqual([], [os.fsdecode(path) for path in expected if expected[path] != got[path]
                              and not path.endswith((b"config.log", b"configure.log"))])

    def agree(self, what, by_strace, recorded, explained=()):
        """Nothing that strace saw is missing in the record, and of the project nothing is made up."""
        recorded = {temporary(path) for path in recorded}
        by_strace = {temporary(path) for path in by_strace}
        gaps = {path for path in by_strace - recorded - set(map(temporary, explained)) if not UNSEEN.search(path)}
        self.assertEqual(set(), gaps, f"{what}: seen by strace and not recorded")
        excess = {path for path in recorded - by_strace if path.startswith(self.directory) and not os.path.isdir(path)}
        self.assertEqual(set(), excess, f"{what}: recorded and not seen by strace")

    @harness.needs("strace", "gcc", "make")
    def test_hello(self):
        self.compare("hello", "make")

    @harness.needs("strace", "gcc", "make")
    def test_lua(self):
        self.compare("lua", "make linux -j2")

    @harness.needs("strace", "gcc", "make")
    def test_zlib(self):
        self.compare("zlib", "./configure && make")

    @harness.needs("strace", "gcc", "ninja")
    def test_a_folder_of_this_project(self):
        """Its own build: CMake and Ninja, C++ and protobuf left out to keep it short."""
        self.write("project/CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(part C)\nfind_package(Threads REQUIRED)\n"
                   f"add_subdirectory({harness.ROOT}/tests/programs programs)\n")
        env = dict(self.world.env, CCACHE_DISABLE="1")
        recording = self.world.record(["/bin/sh", "-c", "cmake -S . -B out -G Ninja && ninja -C out"], cwd=self.path("project"), env=env)
        self.assertEqual(0, recording.status, recording)
        for name in ("accesses", "execs", "state"):
            self.assertIn(os.path.join(harness.ROOT, f"tests/programs/{name}.c"), recording.uses("reads"))
            self.assertIn(self.path(f"project/out/programs/{name}"), recording.uses("writes"))
        not_seen = [command for command in recording.commands if command["opaque_reason"]]
        # Only our own static and 32-bit programs could not be entered, and they are not run here.
        self.assertEqual([], [(command["argv"], command["opaque_reason"]) for command in not_seen])


if __name__ == "__main__":
    harness.main()
