"""What the suites of `ocp-watch build` stand on: two copies of one tree, of which one is built by ocp-watch and the other
by the bare command. After each step both must be the same: files with content, mode, type and link target; standard
output and error; exit status. That is the oracle; which commands ran is asserted on top of it.
"""
import functools
import json
import os
import shutil

import harness


class Built:
    """One build: its Result, and what `ocp-watch explain` says of it: `rows()`, which is asked for when somebody wants to
    know, for that costs as much as a small build."""

    def __init__(self, result, rows):
        self.result = result
        self.ask = rows

    @functools.cached_property
    def rows(self):
        return self.ask()

    def argvs(self, outcome):
        return [row["command"]["argv"] for row in self.rows if row["outcome"] == outcome]

    @property
    def ran(self):
        """argv of each command that ran, the session's own first."""
        return [row["command"]["argv"] for row in self.rows if row["outcome"] != "reused"]

    @property
    def reused(self):
        return self.argvs("reused")

    @property
    def as_left(self):
        return any(row["outcome"] == "reused" and "all that it made" in row.get("reason", "") for row in self.rows)

    def ran_programs(self):
        return [os.path.basename(argv[0]) for argv in self.ran]

    def nothing_ran(self):
        return not self.ran

    def __str__(self):
        return f"{self.result}\n" + "\n".join(f"{row['outcome']:13} {' '.join(row['command']['argv'])[:100]}  {row.get('reason', '')}  {row.get('kept', '')}"
                         for row in self.rows)


class TestCase(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.traced = self.path("traced")
        self.twin = self.path("twin")
        os.mkdir(self.traced)
        os.mkdir(self.twin)

    def each(self, edit):
        """Does the same to both trees: edit(directory)."""
        edit(self.traced)
        edit(self.twin)

    def put(self, name, content, mode=None):
        def edit(directory):
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb" if isinstance(content, bytes) else "w") as file:
                file.write(content)
            if mode is not None:
                os.chmod(path, mode)

        self.each(edit)
        self.give_twin_the_times(name)

    def give_twin_the_times(self, *names, follow=True):
        """What is newer than what is then the same in both: `cp -u` asks for it, and a new kernel gives each change a time of
        its own."""
        for name in names:
            status = os.stat(os.path.join(self.traced, name), follow_symlinks=follow)
            times = (status.st_atime_ns, status.st_mtime_ns)
            os.utime(os.path.join(self.twin, name), ns=times, follow_symlinks=follow)

    def remove(self, *names):
        def edit(directory):
            for name in names:
                path = os.path.join(directory, name)
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

        self.each(edit)

    def touch(self, *names):
        self.each(lambda directory: [os.utime(os.path.join(directory, name)) for name in names])
        self.give_twin_the_times(*names)

    def build(self, argv, hazards=False, at_once=False, **options):
        """Builds both and compares; the Built. `hazards`: commands that get in each other's way may be told of. `at_once`:
        some may complain at the same time, and the words of the one come between those of the other."""
        expected = self.world.run(argv, cwd=self.twin, **options)
        name = self.world.new_name()
        got = self.world.run([harness.CLI, "build", "--name", name, "--", *argv], cwd=self.traced, **options)
        built = Built(got, lambda: json.loads(self.world.cli("explain", name, "--json")).get("commands", []))
        # What names the tree itself differs in the two.
        twin, traced = self.twin.encode(), self.traced.encode()
        self.assertEqual(self.shell_status(expected.status), self.shell_status(got.status), built)
        told = b"ocp-watch: " + traced
        lines = [line for line in got.stderr.splitlines(True) if not (hazards and line.startswith(told))]
        order = sorted if at_once else bytes
        said = [expected.stdout.replace(twin, traced), order(expected.stderr.replace(twin, traced))]
        # A build whose products are there is not looked into further: it says what it said when it made them.
        if said != [got.stdout, order(b"".join(lines))] and not built.as_left:
            self.assertEqual(said, [got.stdout, order(b"".join(lines))], built)
        self.assertFalse(self.differences(), built)
        return built

    def differences(self):
        """By name: what is in the twin, and what in the traced tree."""
        twin, traced = self.comparable(self.twin), self.comparable(self.traced)
        return {name: (twin.get(name), traced.get(name))
                for name in sorted(twin.keys() | traced.keys()) if twin.get(name) != traced.get(name)}

    @staticmethod
    def comparable(directory):
        """Its snapshot. Of Python's bytecode without the content: that names its source by path and by time."""
        return {name: entry[:2] if name.endswith(b".pyc") else entry for name, entry in harness.snapshot(directory).items()}

    def sh(self, script, **options):
        return self.build(["/bin/sh", "-c", script], **options)
