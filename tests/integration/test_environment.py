"""Scenario A.5: programs that take away what an observer needs, or that are hard to enter."""
import os
import shutil
import subprocess

import harness


class Environment(harness.TestCase):
    def setUp(self):
        super().setUp()
        for name in ("in_child", "after"):
            self.write(name)

    def test_what_a_program_does_to_its_environment(self):
        for what in ("nothing", "clearenv", "null", "empty", "foreign", "stale", "unset"):
            with self.subTest(what):
                recording = self.transparent([harness.program("environment"), what, harness.SAY])
                children = recording.named("say", "hello")
                self.assertEqual(1 if what == "null" else 2, len(children))
                for child in children:
                    self.assertIn(self.path("in_child"), child["reads"])

    def test_env_i_and_unset(self):
        for command in (f"env -i {harness.SAY} x --read in_child", f"unset LD_PRELOAD OCP_WATCH; {harness.SAY} x --read in_child",
                        f"env -u LD_PRELOAD {harness.SAY} x --read in_child",
                        f"env LD_PRELOAD= {harness.SAY} x --read in_child"):
            with self.subTest(command):
                recording = self.transparent(["/bin/sh", "-c", command])
                self.assertIn(self.path("in_child"), self.only(recording.named(harness.SAY))["reads"])

    def test_printenv_shows_nothing_of_ours(self):
        for argv in (["printenv"], ["/bin/sh", "-c", "export A=1; printenv; set | grep -c OCP_"], ["env", "-i", "printenv"],
                     ["env", "B=2", "printenv", "LD_PRELOAD"]):
            recording = self.transparent(argv)
            self.assertNotIn(b"OCP_WATCH=", recording.stdout)

    def test_a_users_own_preload(self):
        own = harness.program("user_preload.so")
        # An ocp-watch that was built with AddressSanitizer wants to be first in its own list, too.
        sanitizer = self.world.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        env = dict(self.world.env, LD_PRELOAD=own, ASAN_OPTIONS=sanitizer)
        recording = self.transparent(["printenv", "LD_PRELOAD"], env=env)
        self.assertEqual(own.encode() + b"\n", recording.stdout)
        recording = self.transparent(["/bin/sh", "-c", "uname -n; printenv LD_PRELOAD"], env=env)
        self.assertEqual(b"preloaded\n" + own.encode() + b"\n", recording.stdout)
        # Given by the traced program, not by the user.
        recording = self.transparent(["env", f"LD_PRELOAD={own}", "/bin/sh", "-c", "uname -n; printenv LD_PRELOAD"])
        self.assertEqual(b"preloaded\n" + own.encode() + b"\n", recording.stdout)
        self.only(recording.named("uname"))

    @harness.needs("fakeroot")
    def test_fakeroot(self):
        recording = self.transparent(["fakeroot", "/bin/sh", "-c", "id -u; cat in_child"])
        self.assertEqual(b"0\ncontent\n", recording.stdout)
        self.assertIn(self.path("in_child"), self.only(recording.named("cat"))["reads"])

    def test_programs_that_close_everything(self):
        for way in ("close_range", "cloexec", "closefrom", "close", "dup2", "rlimit"):
            with self.subTest(way):
                recording = self.transparent([harness.program("closer"), way])
                self.assertIn(self.path("after"), recording.uses("reads"))
                self.assertIn(self.path("in_child"), recording.uses("reads"))

    def test_few_descriptors_from_the_start(self):
        recording = self.transparent(["/bin/sh", "-c", f"ulimit -n 6; {harness.SAY} x --read in_child"])
        self.assertIn(self.path("in_child"), self.only(recording.named(harness.SAY))["reads"])

    def test_initialisers_and_allocators_that_call_libc(self):
        self.write("early")
        self.write("late")
        self.write("in_malloc")
        recording = self.transparent([harness.program("early")])
        self.assertIn(self.path("late"), recording.uses("reads"))

    def test_address_sanitizer(self):
        recording = self.transparent([harness.program("say_asan"), "x", "--read", "in_child"])
        self.assertIn(self.path("in_child"), self.only(recording.commands)["reads"])
        recording = self.transparent(["/bin/sh", "-c", f"{harness.program('say_asan')} x --read in_child"])
        self.assertIn(self.path("in_child"), self.only(recording.named(harness.program("say_asan")))["reads"])

    @harness.as_root
    def test_chroot(self):
        root = self.path("root")
        for path in (harness.SAY, "/bin/sh"):
            libraries = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
            for word in libraries.split():
                if word.startswith("/"):
                    os.makedirs(root + os.path.dirname(word), exist_ok=True)
                    shutil.copy(word, root + word)
        shutil.copy(harness.SAY, root + "/say")
        self.write("root/seen")
        self.write("root/inside")
        recording = self.transparent([harness.program("chroot_into"), root, "/say", "x", "--read", "/inside"], complete=False)
        self.assertEqual(b"x \n", recording.stdout)
        self.assertIn(os.path.join(root, "seen"), recording.uses("reads"))
        # The program inside cannot load the library, and that is said.
        inside = self.only(recording.named("/say"))
        self.assertNotEqual("", inside["opaque_reason"])
        self.assertFalse(recording.session["complete"])

    def test_interpreters_and_runtimes(self):
        for argv in (["python3", "-c", "print(open('in_child').read())"], ["perl", "-e", 'open(F, "in_child"); print <F>'],
                     ["bash", "-c", "cat < in_child; : $(< after)"], ["awk", "{print}", "in_child"],
                     ["node", "-e", "console.log(require('fs').readFileSync('in_child', 'utf8'))"]):
            if shutil.which(argv[0]) is None:
                continue
            with self.subTest(argv[0]):
                recording = self.transparent(argv, complete=argv[0] != "node")
                self.assertIn(self.path("in_child"), recording.uses("reads"))


if __name__ == "__main__":
    harness.main()
