"""The hard cases of `ocp-watch build` that test_build.py has not: inputs of all kinds that change, programs and interpreters
that are replaced, effects of every kind, and build systems beside make."""
import json
import os
import socket
import subprocess
import unittest

import building
import harness


class Inputs(building.TestCase):
    """What must cause a run, and what must not."""

    def test_an_input_that_goes_and_one_that_changes_its_type(self):
        self.put("in", "x\n")
        script = "cat in > out 2>&1; true"
        self.sh(script)
        self.remove("in")
        self.sh(script)
        self.each(lambda tree: os.mkdir(os.path.join(tree, "in")))
        self.sh(script)
        self.remove("in")
        self.put("other", "y\n")
        self.each(lambda tree: os.symlink("other", os.path.join(tree, "in")))
        self.sh(script)
        self.remove("in")
        self.put("in", "x\n")
        self.assertTrue(self.sh(script).nothing_ran())

    def test_the_working_directory_counts(self):
        for name in ("one", "two"):
            self.put(f"{name}/in", f"{name}\n")
        self.sh("cd one && /bin/cat in; cd ../two && /bin/cat in; : 1")
        self.sh("cd two && /bin/cat in; cd ../one && /bin/cat in; : 2")

    def test_a_program_that_appears_earlier_in_the_path(self):
        self.put("first/keep", "")
        self.put("second/tool", "#!/bin/sh\necho second\n", 0o755)
        env = {**self.world.env, "PATH": f"first:second:{self.world.env['PATH']}"}
        self.sh("tool > out", env=env)
        self.assertTrue(self.sh("tool > out", env=env).nothing_ran())
        self.put("first/tool", "#!/bin/sh\necho first\n", 0o755)
        self.sh("tool > out", env=env)

    def test_the_program_itself_is_replaced(self):
        self.put("tool", "#!/bin/sh\necho one\n", 0o755)
        self.sh("./tool > out")
        self.put("tool", "#!/bin/sh\necho two\n", 0o755)
        self.sh("./tool > out")
        # Its interpreter is an input as well.
        self.put("shell", "#!/bin/sh\necho interpreted\n", 0o755)
        self.each(lambda tree: self.write_script(tree, "tool", f"#!{tree}/shell\n"))
        self.sh("./tool > out")
        self.put("shell", "#!/bin/sh\necho otherwise\n", 0o755)
        self.sh("./tool > out")

    @staticmethod
    def write_script(tree, name, text):
        with open(os.path.join(tree, name), "w") as file:
            file.write(text)
        os.chmod(os.path.join(tree, name), 0o755)

    def differences(self):
        # A script that names its own tree differs.
        return {name: pair for name, pair in super().differences().items() if name != b"tool"}

    def test_the_right_to_execute_is_taken_away(self):
        self.put("tool", "#!/bin/sh\necho one\n", 0o755)
        self.sh("./tool; true")
        self.each(lambda tree: os.chmod(os.path.join(tree, "tool"), 0o644))
        self.sh("./tool; true")

    @harness.needs("gcc")
    def test_a_library_of_the_program_is_replaced(self):
        self.put("lib.c", "int value(void) { return 1; }\n")
        self.put("main.c", "int value(void); int main(void) { return value(); }\n")
        link = "gcc -shared -fPIC -o libvalue.so lib.c && gcc -o main main.c -L. -lvalue -Wl,-rpath,. && ./main"
        self.sh(link)
        self.put("lib.c", "int value(void) { return 2; }\n")
        self.assertEqual(2, self.shell_status(self.sh(link).result.status))

    @harness.needs("gcc")
    def test_a_library_that_is_loaded_later_is_replaced(self):
        script = ("gcc -shared -fPIC -o libvalue.so lib.c; "
                  "/usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(\"./libvalue.so\").value())'")
        for number in range(3):
            self.put("lib.c", f"int value(void) {{ return {number}; }}\n")
            self.assertEqual(f"{number}\n".encode(), self.sh(script).result.stdout)

    def test_an_edit_through_another_hard_link(self):
        self.put("real", "one\n")
        self.each(lambda tree: os.link(os.path.join(tree, "real"), os.path.join(tree, "alias")))
        self.sh("cat alias > out")
        self.put("real", "two\n")
        self.sh("cat alias > out")

    def test_output_through_a_symbolic_link_to_a_directory(self):
        self.put("in", "one\n")
        self.each(lambda tree: (os.mkdir(os.path.join(tree, "a")), os.mkdir(os.path.join(tree, "b")),
                                os.symlink("a", os.path.join(tree, "to"))))
        self.sh("cp in to/out")
        self.each(lambda tree: (os.unlink(os.path.join(tree, "to")), os.symlink("b", os.path.join(tree, "to"))))
        self.sh("cp in to/out")

    def test_what_was_only_looked_at(self):
        self.put("in", "one\n")
        script = "stat -c '%s %a' in; test -x in; echo $?"
        self.sh(script)
        self.each(lambda tree: os.chmod(os.path.join(tree, "in"), 0o755))
        self.sh(script)
        self.put("in", "longer\n")
        self.sh(script)

    @harness.needs("gcc", "make")
    def test_an_intermediate_that_comes_out_the_same_stops_the_chain(self):
        self.put("Makefile", "out: mid\n\tsed s/a/b/ mid > out\nmid: in\n\tgrep -v '#' in > mid\n")
        self.put("in", "# a comment\nabc\n")
        self.build(["make", "-s"])
        self.put("in", "# another comment\nabc\n")
        built = self.build(["make", "-s"])
        self.assertIn("grep", built.ran_programs())
        self.assertNotIn("sed", built.ran_programs(), built)

    @harness.needs("git")
    def test_two_branches_in_turn(self):
        self.put("Makefile", "out: in\n\tsort in > out\n")
        contents = {"one": "b\na\n", "two": "d\nc\n"}
        for number in range(2):
            for name, content in contents.items():
                self.put("in", content)
                built = self.build(["make", "-s"])
        self.assertNotIn("sort", built.ran_programs(), built)

    def test_the_clock_does_not_count(self):
        self.put("in", "x\n")
        script = "date > /dev/null; head -c 8 /dev/urandom > /dev/null; cp in out"
        self.sh(script)
        self.sh(script)  # There is an `out` now that cp has not seen before.
        self.assertTrue(self.sh(script).nothing_ran())


class Effects(building.TestCase):
    """What is put back."""

    def put_back(self, script, *products):
        """Runs it, takes its products away, and has it put back."""
        self.sh(script)
        self.remove(*products)
        self.sh(script)

    def setUp(self):
        super().setUp()
        self.put("in", "b\na\n")

    def test_commands_of_every_kind(self):
        for script, *products in [
                ("ln in hard", "hard"), ("ln -s in soft", "soft"), ("touch -d 2001-02-03 old; stat -c %Y old", "old"),
                ("install -m 700 in tool", "tool"), ("mkfifo fifo", "fifo"), ("mkdir made; rmdir made",),
                ("mkdir -p a/b/c", "a"), ("mkdir d1; mv d1 d2", "d2"), ("sort < in > sorted", "sorted"),
                ("cat in | sort > piped", "piped"), ("ls > names", "names"), ("stat -c %s in > size", "size"),
                ("truncate -s 5 hole", "hole"), ("dd if=in of=dd bs=1 count=2 status=none", "dd"),
                ("tar cf - in | tar xf - -C /tmp --to-stdout > tarred", "tarred"), ("chmod 600 in; chmod 644 in",)]:
            with self.subTest(script=script):
                self.put_back(script, *products)
                self.remove(*products)

    def test_output_to_tmp(self):
        name = f"/tmp/ocpt.{os.getpid()}.out"
        self.addCleanup(lambda: os.path.exists(name) and os.unlink(name))
        script = f"sort in > {name}; cat {name}"
        self.sh(script)
        os.unlink(name)
        self.sh(script)

    def test_binary_output_and_a_great_deal_of_it(self):
        size = 2_000_000 if harness.SANITIZED else 30_000_000
        script = f"head -c {size} /dev/zero | tr '\\000' '\\377'; printf '\\000\\001' >&2"
        first = self.sh(script)
        self.assertEqual(size, len(first.result.stdout))
        self.sh(script)

    def test_a_file_is_made_without_a_name_and_then_linked(self):
        program = ("import os; fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o644); os.write(fd, b'x\\n'); "
                   "os.link(f'/proc/self/fd/{fd}', 'out', src_dir_fd=os.open('.', os.O_RDONLY))")
        self.put_back(f"/usr/bin/python3 -c \"{program}\"", "out")

    def test_written_then_renamed(self):
        self.put_back("sort in > out.new && mv out.new out", "out")


class WithoutPrivileges(building.TestCase):
    """The superuser may write everywhere: so these are another user's builds."""

    USER = 65534

    @classmethod
    def setUpClass(cls):
        cls.world = harness.World(user=cls.USER if os.getuid() == 0 else None)
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        super().setUp()
        if not self.world.may_use_binaries():
            self.skipTest("the build tree is closed to other users")
        self.put("in", "x\n")
        self.put("d/keep", "")
        os.chmod(self.directory, 0o755)
        self.give()

    def give(self):
        """All that is there belongs to who builds."""
        if os.getuid() != 0:
            return
        for folder, _, files in os.walk(self.directory):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, self.USER, self.USER)

    def set_mode(self, name, mode):
        self.each(lambda tree: os.chmod(os.path.join(tree, name), mode))

    def test_a_directory_that_cannot_be_written(self):
        script = "cat in > d/out; echo $?; cat in > d/other; echo $?; rm -f d/keep; echo $?"
        self.sh(script)
        self.set_mode("d", 0o555)
        self.sh(script)
        self.sh(script)
        self.set_mode("d", 0o755)
        self.remove("d/out", "d/other")
        self.set_mode("d", 0o555)
        self.sh(script)
        self.set_mode("d", 0o755)
        self.sh(script)
        built = self.sh(script)
        self.assertTrue(built.nothing_ran(), built)

    def test_a_directory_that_cannot_be_searched(self):
        script = "cat d/keep; echo $?; ls d; echo $?"
        self.sh(script)
        self.set_mode("d", 0o600)
        self.sh(script)
        self.set_mode("d", 0o300)
        self.sh(script)
        self.set_mode("d", 0o755)
        built = self.sh(script)
        self.assertTrue(built.nothing_ran(), built)

    def test_an_output_that_cannot_be_written(self):
        script = "cat in > out; echo $?; cp in copy; echo $?; cp -f in forced; echo $?"
        self.sh(script)
        for name in ("out", "copy", "forced"):
            self.set_mode(name, 0o444)
        self.sh(script)
        self.put("in", "y\n")
        self.sh(script)
        for name in ("out", "copy", "forced"):
            self.set_mode(name, 0o644)
        for _ in range(3):
            self.sh(script)
        built = self.sh(script)
        self.assertTrue(built.nothing_ran(), built)

    def test_an_input_that_cannot_be_read(self):
        script = "cat in; echo $?; sort in > sorted; echo $?"
        self.sh(script)
        self.set_mode("in", 0o200)
        self.sh(script)
        self.set_mode("in", 0o644)
        self.sh(script)
        built = self.sh(script)
        self.assertTrue(built.nothing_ran(), built)


class Structure(building.TestCase):
    def test_output_to_a_file_that_is_read_meanwhile(self):
        """It is another file for the commands than what they write to: that is told, and nothing is kept."""
        log = os.path.join(self.traced, "log")
        name = self.world.new_name()
        with open(log, "w") as file:
            process = subprocess.run([harness.CLI, "build", "--name", name, "--", "/bin/sh", "-c", "echo 1; cat log > copy"],
                                     cwd=self.traced, env=self.world.env, stdout=file, stderr=subprocess.PIPE, check=True)
        self.assertIn(b"log was read while the output of the build goes there", process.stderr)
        rows = json.loads(self.world.cli("explain", name, "--json"))["commands"]
        self.assertEqual(["not reusable"] * 2, [row["outcome"] for row in rows])
        with open(log) as file:
            self.assertEqual("1\n", file.read())

    def test_output_to_a_socket(self):
        """As sshd, the journal and node have it for what they start."""
        self.put("in", "x\n")
        script = "cat in; echo err >&2; seq 50000; cat in > out"
        expected = b"x\nerr\n" + b"".join(b"%d\n" % number for number in range(1, 50001))
        for _ in range(2):
            ours, theirs = socket.socketpair()
            name = self.world.new_name()
            with ours, subprocess.Popen([harness.CLI, "build", "--name", name, "--", "/bin/sh", "-c", script], cwd=self.traced,
                                        env=self.world.env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as process:
                theirs.close()
                got = b"".join(iter(lambda: ours.recv(65536), b""))
            self.assertEqual(0, process.returncode)
            self.assertEqual(expected, got)
            rows = json.loads(self.world.cli("explain", name, "--json"))["commands"]
            self.assertFalse([row["kept"] for row in rows if row.get("kept")])
        self.assertEqual({"reused"}, {row["outcome"] for row in rows})

    @harness.needs("ninja", "gcc")
    def test_ninja(self):
        self.put("build.ninja", "rule cc\n  command = gcc -c -o $out $in\nrule ld\n  command = gcc -o $out $in\n"
                                "build a.o: cc a.c\nbuild b.o: cc b.c\nbuild prog: ld a.o b.o\n")
        self.put("a.c", "int b(void); int main(void) { return b(); }\n")
        self.put("b.c", "int b(void) { return 0; }\n")
        first = self.world.run(["ninja", "--quiet"], cwd=self.twin)
        self.assertEqual(0, first.status, first)
        name = self.world.new_name()
        got = self.world.run([harness.CLI, "build", "--name", name, "--", "ninja", "--quiet"], cwd=self.traced)
        self.assertEqual(0, got.status, got)
        # ninja's own log has times in it.
        own = {b".ninja_log", b".ninja_deps"}
        self.assertFalse(self.differences().keys() - own)
        self.put("b.c", "int b(void) { return 3; }\n")
        self.world.run(["ninja", "--quiet"], cwd=self.twin)
        self.world.run([harness.CLI, "build", "--", "ninja", "--quiet"], cwd=self.traced)
        self.assertFalse(self.differences().keys() - own)

    @harness.needs("make")
    def test_a_recursive_make(self):
        self.put("Makefile", "all:\n\t+$(MAKE) -s -C sub\n")
        self.put("sub/Makefile", "all: a b\na: in\n\tsort in > a\nb: in\n\tsort -r in > b\n")
        self.put("sub/in", "2\n1\n")
        self.build(["make", "-s", "-j2", "-Otarget"])
        self.remove("sub/a", "sub/b")
        self.assertTrue(self.build(["make", "-s", "-j2", "-Otarget"]).nothing_ran())

    def test_xargs_in_parallel(self):
        for number in range(6):
            self.put(f"in{number}", f"{number}\n")
        script = "ls in? | xargs -P 3 -I F sh -c 'sort F > F.out'"
        self.sh(script)
        self.put("in3", "three\n")
        self.sh(script)

    def test_a_socket_between_two_children(self):
        script = ("/usr/bin/python3 -c \"import socket, os; a, b = socket.socketpair(); pid = os.fork(); "
                  "(a.send(b'hi'), os._exit(0)) if pid == 0 else (os.wait(), print(b.recv(2).decode()))\" > out")
        self.sh(script)
        self.sh(script)

    def test_a_named_pipe_between_two_commands(self):
        script = "rm -f pipe; mkfifo pipe; sort in > pipe & cat pipe > out; wait; rm pipe"
        self.put("in", "b\na\n")
        self.sh(script)
        self.put("in", "d\nc\n")
        self.sh(script)

    def test_two_writers_at_once_are_told_and_not_reused(self):
        script = "(echo a > out; sleep 0.2) & sh -c 'sleep 0.1; echo b > out'; wait"
        self.sh(script)
        self.sh(script)

    @harness.needs("gcc")
    def test_one_temporary_name_for_two_compilations(self):
        """gcc makes up names like /tmp/ccXXXX.s for each: never confused."""
        self.put("a.c", "int a(void) { return 1; }\n")
        self.put("b.c", "int b(void) { return 2; }\n")
        self.sh("gcc -c a.c b.c; : 1")
        self.remove("a.o")
        self.sh("gcc -c a.c b.c; : 2")
        self.put("b.c", "int b(void) { return 3; }\n")
        self.sh("gcc -c a.c b.c; : 3")


if __name__ == "__main__":
    unittest.main(verbosity=2)
