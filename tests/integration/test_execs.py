"""Scenario A.2: every exec, also those that fail and those behind libc's own functions."""
import os

import harness


class Execs(harness.TestCase):
    def prepare(self):
        self.write("plain_script", f'"{harness.SAY}" "by_plain_script"\n', 0o755)
        self.write("hash_script", f'#!/bin/sh\n"{harness.SAY}" "by_hash_script"\n', 0o755)
        self.write("not_executable")
        self.write("elsewhere/read_there")

    def trace(self):
        env = dict(self.world.env, PATH=f"{self.path('no_such')}:{os.path.dirname(harness.SAY)}:/usr/bin:/bin")
        return self.transparent([harness.program("execs"), harness.SAY], self.prepare, env=env)

    def test_each_exec_is_a_command(self):
        recording = self.trace()
        words = ("execl execle execlp execv execve execvp execvpe fexecve execveat execveat_fd syscall second_try by_plain_script"
                 " by_hash_script vfork raw_fork shell_exec posix_spawn posix_spawnp spawn_actions system popen wordexp"
                 " clone_vfork clone").split()
        counts = {word: sum(word in command["argv"][1:2] for command in recording.commands) for word in words}
        self.assertEqual(dict.fromkeys(words, 1), counts)
        for word in ("missing", "missing_in_path", "not_executable", "vfork_failed", "spawn_missing"):
            self.assertFalse([command for command in recording.commands if command["argv"][1:2] == [word]], word)
        for command in recording.commands:
            if command["argv"][1:2] and command["argv"][1] in words:
                self.assertEqual(harness.SAY, command["executable"])
                self.assertEqual("exit 0", recording.status_of(command), command["argv"])
                self.assertIn(harness.SAY, command["reads"])

    def test_failed_execs_are_look_ups(self):
        recording = self.trace()
        missing = recording.uses("missing", self.directory)
        self.assertIn(self.path("no_such_program"), missing)
        # execvp, execlp and posix_spawnp try the folders of PATH in turn.
        self.assertIn(self.path("no_such/no_such_program"), missing)
        self.assertIn(self.path("no_such/say"), missing)
        self.assertIn("/usr/bin/no_such_program", recording.uses("missing"))

    def test_a_script_reads_itself_and_its_interpreter(self):
        recording = self.trace()
        script = self.only(command for command in recording.commands if self.path("hash_script") in command["reads"])
        self.assertTrue({"/bin/sh", "/usr/bin/dash", "/bin/dash"} & set(script["reads"]), script["reads"])
        self.only(command for command in recording.commands if self.path("plain_script") in command["reads"])

    def test_a_spawns_file_actions_are_followed(self):
        recording = self.trace()
        command = self.only(command for command in recording.commands if command["argv"][1:2] == ["spawn_actions"])
        self.assertEqual(self.path("elsewhere"), command["cwd"])
        self.assertIn(self.path("elsewhere/read_there"), command["reads"])
        self.assertIn(self.path("elsewhere/spawned.out"), recording.uses("writes"))

    def test_an_exec_replaces_the_command(self):
        recording = self.transparent(["/bin/sh", "-c", f"exec '{harness.SAY}' last"])
        shell, last = recording.commands
        self.assertEqual("replaced", recording.status_of(shell))
        self.assertEqual(shell["pid"], last["pid"])
        self.assertEqual("exit 0", recording.status_of(last))
        self.assertEqual(shell["id"], last["parent_id"])

    def test_a_command_that_cannot_be_found(self):
        for argv, status in ((["no-such-program-anywhere"], 127), (["/etc/passwd"], 126), (["/etc"], 126)):
            result, _ = self.record(argv, report=False)
            self.assertEqual(status, result.status, result)
            self.assertIn(argv[0].encode(), result.stderr)


if __name__ == "__main__":
    harness.main()
