"""Scenario A.1: every kind of access is recorded, as what it was, and so is every failure."""
import os

import harness


class Accesses(harness.TestCase):
    def trace(self):
        accesses = harness.program("accesses")
        self.assertEqual(0, self.untraced([accesses, "prepare"]).status)
        recording = self.record([accesses, "run", harness.program("plugin.so")])
        self.assertEqual(0, recording.status, recording)
        return recording

    def expected(self, recording):
        """What the program says of itself: path -> set of kinds, and [(errno's name, path)]."""
        kinds, errors = {}, []
        for line in recording.stdout.decode().splitlines():
            words, path = line.split("\t")
            path = self.path(path)
            if words.startswith("error "):
                errors.append((words[6:], path))
            else:
                kinds.setdefault(path, set()).update(words.split(","))
        return kinds, errors

    def test_each_access_is_recorded_as_what_it_was(self):
        recording = self.trace()
        self.assertComplete(recording)
        command = self.only(recording.commands)
        kinds, _ = self.expected(recording)
        got = {}
        for kind in ("reads", "writes", "missing", "listed", "removed", "checked"):
            for path in command[kind]:
                got.setdefault(path, set()).add(kind)
        # That something was looked at goes without saying where it was used in another way.
        gaps = {path: (wanted, got.get(path)) for path, wanted in kinds.items() if not wanted <= got.get(path, set())}
        self.assertEqual({}, gaps, "wanted, recorded")
        excess = {path: got[path] - wanted - {"checked"} for path, wanted in kinds.items()}
        self.assertEqual({}, {path: more for path, more in excess.items() if more}, "recorded and never done")

    def test_paths_that_were_not_there_are_recorded(self):
        recording = self.trace()
        _, errors = self.expected(recording)
        # ENOTDIR of a file that is there says what it is not.
        wanted = {path for name, path in errors if name == "ENOENT" or name == "ENOTDIR" and not os.path.lexists(path)}
        self.assertNotIn(self.path("f/chdir"), wanted)
        self.assertEqual(wanted, recording.uses("missing", self.directory) & wanted)
        self.assertEqual(set(), {path for path in recording.uses("missing", self.directory) if path not in wanted})

    def test_failures_have_their_errno(self):
        accesses = harness.program("accesses")
        self.assertEqual(0, self.untraced([accesses, "prepare"]).status)
        result, name = self.record([accesses, "run", harness.program("plugin.so")], report=False)
        self.assertEqual(0, result.status, result)
        _, errors = self.expected(result)
        recorded = {(event["error"], event["path"]) for event in self.world.events(name) if event["error"]}
        self.assertEqual([], [error for error in errors if error not in recorded])

    def test_no_path_is_made_up(self):
        recording = self.trace()
        kinds, errors = self.expected(recording)
        known = set(kinds) | {path for _, path in errors}
        # The directories of the program, and what lies in those that it walks.
        known |= {self.path(name) for name in ("", "f", "d", "l", "n", "o")} | {self.directory}
        used = {path for kind in ("reads", "writes", "listed", "removed") for path in recording.uses(kind, self.directory)}
        self.assertEqual(set(), {path for path in used if path not in known and not path.endswith("/entry")})

    def test_what_the_loader_opened_is_read(self):
        recording = self.record([harness.SAY, "x"])
        reads = self.only(recording.commands)["reads"]
        self.assertIn(harness.SAY, reads)
        self.assertTrue(any(path.endswith("/libc.so.6") for path in reads), reads)
        self.assertTrue(any("/ld-linux" in path for path in reads), reads)
        self.assertFalse(any("ocpwatch-preload" in path for path in reads), reads)


class Names(harness.TestCase):
    def test_odd_names_are_kept_byte_by_byte(self):
        names = [b"new\nline", b"tab\there", b'quo"te', b"apos'trophe", b"\xff\xfe not utf-8", "ünï".encode(), b"back\\slash",
                 b"\\x41", b"-dash", b"sp ace", b"\x1b[31mred", b"%s%n", b"\xe2\x80\xae reversed"]
        for name in names:
            with open(os.path.join(os.fsencode(self.directory), name), "wb") as file:
                file.write(b"x")
        for name in names:
            recording = self.transparent([harness.SAY.encode(), b"--read", name, b"word"])
            command = self.only(recording.commands)
            self.assertIn(os.path.join(os.fsencode(self.directory), name), map(harness.unescape, command["reads"]))
            self.assertEqual(name, harness.unescape(command["argv"][2]))

    def test_a_path_of_4095_bytes(self):
        # Deeper than one open can go: made and entered step by step.
        depth = (4095 - len(self.directory) - 2) // 201
        name = "n" * 200
        descriptor = os.open(self.directory, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir(name, dir_fd=descriptor)
            deeper = os.open(name, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        os.close(descriptor)
        path = self.directory + ("/" + name) * depth
        path += "/" + "f" * (4095 - len(path) - 1)
        with open(path, "w") as file:
            file.write("x")
        recording = self.transparent([harness.SAY, "--read", path, "word"])
        self.assertIn(path, self.only(recording.commands)["reads"])

    def test_argv_and_environment_of_two_megabytes(self):
        arguments = [f"{i:06}" + "a" * 100_000 for i in range(12)] + [str(i) for i in range(5000)]
        env = dict(self.world.env, **{f"BIG_{i}": "e" * 60_000 for i in range(8)})
        recording = self.transparent([harness.SAY, *arguments], env=env)
        self.assertEqual([harness.SAY, *arguments], self.only(recording.commands)["argv"])
        # The same through an exec by a traced program.
        script = self.write("script", "#!/bin/sh\nexec \"$@\"\n", 0o755)
        recording = self.transparent([script, harness.SAY, *arguments], env=env)
        self.assertEqual(1, len(recording.named(harness.SAY, *arguments)))


if __name__ == "__main__":
    harness.main()
