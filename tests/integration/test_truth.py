"""What a preload cannot enter is found out before it runs, named, and never silently missed."""
import os
import shutil
import subprocess
import sys
import time

import harness


class Truth(harness.TestCase):
    def opaque(self, program, *arguments, word):
        """Runs it alone and below a shell by exec and by spawn; the reason that all give."""
        for argv in ([program, *arguments], ["/bin/sh", "-c", '"$@"; exit $?', "sh", program, *arguments],
                     [harness.program("many"), "processes", "3", "1", program]):
            with self.subTest(argv):
                recording = self.transparent(argv, complete=False)
                commands = [command for command in recording.commands
                            if program in (command["argv"][0], command["executable"])]
                self.assertTrue(commands, recording.commands)
                for command in commands:
                    self.assertIn(word, command["opaque_reason"].lower(), command)
                    self.assertFalse(command["running"])
                self.assertFalse(recording.session["complete"])
                # Named by what it was called.
                name = os.path.basename(commands[0]["argv"][0])
                self.assertTrue(any(name in line for line in recording.session["not_seen"]), recording.session["not_seen"])
                if argv[0] != harness.program("many"):
                    self.assertEqual("exit 0", recording.status_of(commands[-1]))
                summary = self.world.cli("report", recording.session["id"]).decode()
                self.assertIn(word, summary.lower())
                tree = self.world.cli("report", "tree", recording.session["id"]).decode()
                self.assertIn(word, tree.lower())

    def test_static(self):
        self.opaque(harness.program("say_static"), "x", word="static")

    def test_musl(self):
        program = harness.program("say_musl")
        if not os.path.exists(program):
            self.skipTest("no musl-gcc")
        self.opaque(program, "x", word="libc")

    def test_another_class(self):
        program = harness.program("say_32")
        try:
            subprocess.run([program], check=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("this kernel does not run 32-bit programs")
        self.opaque(program, word="word size")

    @harness.as_root
    def test_setuid(self):
        for mode in (0o4755, 0o2755):
            program = self.path("setuid")
            shutil.copy(harness.SAY, program)
            # The loader ignores preloads only where the ids change: for the superuser's own file they do not.
            os.chown(program, 1, 1)
            os.chmod(program, mode)
            self.opaque(program, "x", word="set")

    @harness.as_root
    @harness.needs("setcap", "setpriv")
    def test_file_capabilities(self):
        """For the superuser they change nothing, and the loader takes the preload; so this is another user's world."""
        program = self.path("capable")
        shutil.copy(harness.SAY, program)
        os.chmod(self.directory, 0o755)
        if subprocess.run(["setcap", "cap_net_bind_service+ep", program], check=False).returncode != 0:
            self.skipTest("no file capabilities here")
        world = harness.World(user=65534)
        self.addCleanup(world.close)
        if not world.may_use_binaries():
            self.skipTest("the build tree is closed to other users")
        for argv in ([program, "x"], ["/bin/sh", "-c", f"{program} x; exit 0"]):
            recording = world.record(argv, cwd=self.directory)
            command = self.only(command for command in recording.commands if command["executable"] == program)
            self.assertIn("capabilities", command["opaque_reason"])
            self.assertFalse(recording.session["complete"])

    def known(self, *changes, word):
        """One process executes a program twice, and once more after each change (Python text): where `word` is given
        as the reason for not seeing it."""
        program = self.path("program")
        shutil.copy(harness.SAY, program)
        time.sleep(2.1)  # Younger files are looked at each time.
        run = 'assert os.waitpid(os.posix_spawn(program, ["program", "x"], os.environ), 0)[1] == 0'
        steps = "\n".join(["import os, shutil", f"program = {program!r}", run, run, *(f"{change}\n{run}" for change in changes)])
        recording = self.record([sys.executable, "-c", steps])
        return [word in command["opaque_reason"] for command in recording.commands if command["argv"][0] == "program"]

    def test_a_known_program_that_becomes_another(self):
        """What a process has executed before is known to it, until its content changes."""
        self.assertEqual([False, False, True, False],
                         self.known(f"shutil.copyfile({harness.program('say_static')!r}, program)",
                                    f"shutil.copyfile({harness.SAY!r}, program)", word="static"))

    @harness.as_root
    def test_a_known_program_that_becomes_set_user_id(self):
        self.assertEqual([False, False, True], self.known("os.chown(program, 1, 1)\nos.chmod(program, 0o4755)", word="set"))

    def test_a_script_of_a_static_interpreter(self):
        script = self.write("script", f"#!{harness.program('say_static')} x\n", 0o755)
        recording = self.transparent(["/bin/sh", "-c", script], complete=False)
        self.assertFalse(recording.session["complete"])

    def test_a_traced_program_below_an_opaque_one(self):
        """env of busybox, say: what it starts is seen again if the environment reaches it."""
        if shutil.which("busybox") is None:
            self.skipTest("no busybox")
        self.write("in_child")
        recording = self.transparent(["busybox", "sh", "-c", f"{harness.SAY} x --read in_child"], complete=False)
        self.assertFalse(recording.session["complete"])

    def test_raw_system_calls(self):
        def prepare():
            self.write("raw")
            self.write("raw_unlinked")

        recording = self.transparent([harness.program("raw"), "syscall"], prepare)
        self.assertIn(self.path("raw"), recording.uses("reads"))
        self.assertIn(self.path("raw_directory"), recording.uses("writes"))
        self.assertIn(self.path("raw_unlinked"), recording.uses("removed"))

    def test_a_raw_system_call_that_is_not_known(self):
        recording = self.transparent([harness.program("raw"), "unknown"], complete=False)
        self.assertFalse(recording.session["complete"])
        self.assertNotEqual("", self.only(recording.commands)["opaque_reason"])

    def test_io_uring(self):
        recording = self.transparent([harness.program("raw"), "io_uring"], complete=False)
        if recording.stdout == b"no ring\n":
            self.skipTest("no io_uring here")
        self.assertFalse(recording.session["complete"])
        self.assertIn("io_uring", self.only(recording.commands)["opaque_reason"])

    def test_a_session_that_saw_everything_says_so(self):
        recording = self.transparent(["/bin/sh", "-c", "ls / > /dev/null; cat /etc/passwd > /dev/null"])
        self.assertEqual("exit 0", recording.status_of(recording.commands[0]))


if __name__ == "__main__":
    harness.main()
