"""`ocp-watch build`: what must cause a run and what must not, and that everything that is not run is put back."""
import json
import os
import shutil
import subprocess
import time
import unittest

import building
import harness

MAKEFILE = """\
CC = gcc
all: prog
prog: a.o b.o
\t$(CC) -o prog a.o b.o
%.o: %.c h.h
\t$(CC) -c -o $@ $<
clean:
\trm -f *.o prog
"""

# Silent, since "nothing to be done" is what only the untraced one says: of a build that had nothing to do, ocp-watch
# knows what the build that did it all has said.
MAKE = ["make", "-s"]

# Longer than the clock that files have their times from stands still.
TICK = 0.02


class Build(building.TestCase):
    def project(self):
        self.put("Makefile", MAKEFILE)
        self.put("h.h", "int b(void);\n")
        self.put("a.c", '#include "h.h"\nint main(void) { return b(); }\n')
        self.put("b.c", '#include "h.h"\nint b(void) { return 0; }\n')

    def test_a_second_build_runs_nothing(self):
        self.project()
        first = self.build(MAKE)
        self.assertIn("gcc", first.ran_programs())
        self.assertTrue(self.build(MAKE).nothing_ran())

    @harness.needs("gcc")
    def test_below_a_driver_that_must_run_its_parts_are_reused(self):
        """Their temporary names are others each time."""
        self.project()
        command = ["gcc", "a.c", "b.c", "-o", "prog"]
        self.build(command)
        self.put("b.c", '#include "h.h"\nint b(void) { return 3; }\n')
        edited = self.build(command)
        compiled = {outcome: [argument for argv in edited.argvs(outcome) if argv[0].endswith("cc1") for argument in argv
                              if argument in ("a.c", "b.c")] for outcome in ("ran", "reused")}
        self.assertEqual({"ran": {"b.c"}, "reused": {"a.c"}}, {outcome: set(names) for outcome, names in compiled.items()})
        self.assertEqual(1, sum(argv[0] == "as" for argv in edited.reused), edited)

    @harness.needs("gcc")
    def test_a_temporary_name_in_the_output_is_this_run_s(self):
        """A program draws a name and hands it to a command that writes it down: that is not reused for another name."""
        self.put("draw.c", """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char** argv) {
  char name[] = "/tmp/ocpt-drawn-XXXXXX.x", command[200], line[200] = "";
  close(mkstemps(name, 2));
  snprintf(command, sizeof command, "cat %s in > copy; %s %s > words", name, argv[1], name);
  const int status = argc == 2 ? system(command) : 1;
  unlink(name);
  FILE* words = fopen("words", "r");
  if (fscanf(words, "%199s", line) == 1) puts(strcmp(line, name) == 0 ? "right" : "wrong");
  return remove("words") != 0 || status;
}
""")
        self.put("in", "in\n")
        self.sh("gcc -o draw draw.c")
        for number in range(3):
            self.put("unrelated", f"{number}\n")
            self.sh("cat unrelated; ./draw /bin/echo")
            self.sh("cat unrelated; ./draw echo")

    def test_a_file_that_is_made_again_gets_the_mode_of_a_new_one(self):
        """It was there when the command was learnt, and kept its mode."""
        self.put("in", "in\n")
        self.put("out", "old\n", mode=0o644)
        command = "umask 077; /bin/cat in > out"
        self.sh(command)
        self.remove("out")
        self.sh(command)
        self.sh(command)

    def test_whether_a_directory_can_be_removed_depends_on_what_is_left_in_it(self):
        """Also where that is what the same command made the last time."""
        command = "mkdir gen; rmdir gen; mkdir -p gen && echo x > gen/a"
        for _ in range(2):
            self.sh(command)
        self.remove("gen/a")
        self.sh(command)
        self.remove("gen")
        self.sh(command)

    def test_after_a_touch_the_products_are_as_new_as_if_they_had_been_made(self):
        """So that make by itself has nothing to do then, either."""
        self.project()
        self.build(MAKE)
        self.touch("a.c", "b.c", "h.h")
        self.assertTrue(self.build(MAKE).nothing_ran())
        for tree in (self.traced, self.twin):
            self.assertEqual(0, self.world.run(["make", "-q"], cwd=tree).status)

    def test_a_touch_runs_again_what_had_failed_and_left_its_product(self):
        """make takes what is there for made, until it is older than what it is made from."""
        self.put("Makefile", "X := $(shell uname)\nreport: s\n\tcat s > report; exit 3\n")
        self.put("s", "x\n")
        self.build(MAKE)
        for _ in range(3):
            self.build(MAKE)
        self.assertTrue(self.build(MAKE).nothing_ran())
        time.sleep(TICK)
        self.touch("s")
        self.assertEqual(2, self.build(MAKE).result.status)

    def test_a_touched_directory_runs_again_what_had_failed_and_left_its_product(self):
        self.put("Makefile", "X := $(shell uname)\nreport: d\n\tls d > report; exit 3\n")
        self.put("d/s", "x\n")
        for _ in range(4):
            self.build(MAKE)
        self.assertTrue(self.build(MAKE).nothing_ran())
        time.sleep(TICK)
        self.touch("d")
        self.assertEqual(2, self.build(MAKE).result.status)

    def test_a_script_that_leaves_nothing_does_not_run_again_for_a_file_beside_what_it_reads(self):
        """Shells look at the directory that they are started in, and others at those above."""
        self.put("s", "x\n")
        script = ["/bin/sh", "-c", "cd .; cat s; /bin/true; cat s"]
        self.build(script)
        self.assertTrue(self.build(script).nothing_ran())
        time.sleep(TICK)
        self.put("other", "y\n")
        self.assertTrue(self.build(script).nothing_ran())

    def test_a_touch_runs_again_what_had_failed_and_what_a_later_make_did_not_make(self):
        """The later one made p from s, and left alone the report that another had left, which is made from s too."""
        self.put("Makefile", "all: report p\nreport: s t\n\tcat s t > report; exit 3\np: s u\n\tcat s u > p\n")
        for name in "stu":
            self.put(name, f"{name}\n")
        self.build(MAKE)
        self.build(MAKE)
        time.sleep(TICK)
        self.put("u", "edited\n")
        self.build(MAKE)
        self.assertTrue(self.build(MAKE).nothing_ran())
        time.sleep(TICK)
        self.touch("s")
        self.assertEqual(2, self.build(MAKE).result.status)

    def older_edit(self, name, content, time_ns):
        """An edit that was made elsewhere, at a time between two builds, and that comes with its time."""
        self.put(name, content)
        self.each(lambda tree: os.utime(os.path.join(tree, name), ns=(time_ns, time_ns)))

    def test_a_product_that_nothing_concerns_keeps_its_time(self):
        """As new as the others, it would seem newer than an edit that was made before them, and stay as it is."""
        self.put("Makefile", "all: p q both\np: s\n\tcat s > p\nq: t\n\tcat t > q\nboth: p q\n\tcat p q > both\n")
        for number, lose in enumerate((lambda: self.touch("s"), lambda: self.remove("p"), lambda: self.remove("both"))):
            self.put("s", f"s{number}\n")
            self.put("t", "t\n")
            self.each(lambda tree: subprocess.run(["rm", "-f", "p", "q", "both"], cwd=tree, check=True))
            self.build(MAKE)
            time.sleep(TICK)
            before = time.time_ns()
            time.sleep(TICK)
            lose()
            again = self.build(MAKE)
            self.assertTrue(again.nothing_ran(), f"{number}\n{again}")
            for tree in (self.traced, self.twin):
                self.assertEqual(0, self.world.run(["make", "-q"], cwd=tree).status)
            self.older_edit("t", f"t{number}\n", before)
            self.build(MAKE)

    def test_a_dangling_link_that_could_not_be_opened_comes_to_rest(self):
        self.each(lambda tree: os.symlink("nowhere", os.path.join(tree, "link")))
        command = ["/bin/grep", "x", "link"]
        self.build(command)
        self.assertTrue(self.build(command).nothing_ran())

    def test_a_copy_is_not_made_again(self):
        """`cp` opens where it copies to, to see whether that is a directory: had there been a file, it would not read it."""
        self.put("Makefile", "out: in\n\tcp in out\n")
        self.put("in", "x\n")
        self.build(MAKE)
        self.assertTrue(self.build(MAKE).nothing_ran())

    def test_what_was_replaced_because_it_was_older_is_left_where_it_is_newer(self):
        """Of what is replaced whole the time counts as that of an older file, or a newer one."""
        self.each(lambda tree: os.symlink("out", os.path.join(tree, "link")))
        for number, command in enumerate(("cp -u in out", "cp -u in link", "cp -p in t; mv -u t out; rm -f t")):
            self.put("out", "old\n")
            time.sleep(TICK)
            self.put("in", f"new {number}\n")
            for script in (f"{command}; cat out", f"{command}; read n < out; echo $n"):
                self.assertEqual(f"new {number}\n".encode(), self.sh(script).result.stdout, script)
                time.sleep(TICK)
                self.put("out", "old\n")
                self.assertEqual(b"old\n", self.sh(script).result.stdout, script)
                time.sleep(TICK)
                self.put("in", f"new {number}\n")
                self.sh(script)
                self.sh(script)
                self.assertTrue(self.sh(script).nothing_ran(), script)

    def test_what_an_archive_replaced_because_it_was_older_is_left_where_it_is_newer(self):
        self.put("x", "new\n")
        self.each(lambda tree: os.utime(os.path.join(tree, "x"), (2000, 2000)))
        self.each(lambda tree: subprocess.run(["tar", "--sort=name", "--owner=0", "--group=0", "-cf", "a.tar", "x"], cwd=tree, check=True))
        script = "tar -x --keep-newer-files -f a.tar 2> /dev/null; cat x"
        for seconds, expected in ((1000, "new"), (3000, "old"), (1500, "new"), (2500, "old")):
            self.put("x", "old\n")
            self.each(lambda tree, time=seconds: os.utime(os.path.join(tree, "x"), (time, time)))
            self.assertEqual(f"{expected}\n".encode(), self.sh(script).result.stdout)

    def test_many_copies_made_each_time_come_to_rest(self):
        """Which of them are as old as one another, by the tick of the clock, is no input of any."""
        self.put("in", "x\n")
        self.put("Makefile", "all:\n" + "".join(f"\tcp in out{n}\n" for n in range(20)))
        self.build(MAKE)
        self.build(MAKE)
        for _ in range(5):
            built = self.build(MAKE)
            self.assertTrue(built.nothing_ran(), built)

    def test_a_copy_made_each_time_comes_to_rest(self):
        """Also where nothing of what made it runs any more, and where what is around it fails."""
        self.put("in", "x\n")
        for end in ("cat other", "cat other; false"):
            self.put("out", "old\n")
            self.put("other", "1\n")
            script = f"cmp -s other out || cp in out; {end}"
            for _ in range(3):
                self.sh(script)
            self.put("other", "2\n")
            self.sh(script)
            self.sh(script)
            self.assertTrue(self.sh(script).nothing_ran(), script)

    def test_a_copy_through_a_link_comes_to_rest(self):
        self.put("in", "x\n")
        self.put("kept", "old\n")
        self.each(lambda tree: os.symlink("kept", os.path.join(tree, "out")))
        script = ["sh", "-c", "cat kept; cp in out; stat -c %s kept"]
        self.build(script)
        self.build(script)
        self.assertTrue(self.build(script).nothing_ran())
        # What was in it is read before the copy.
        self.put("kept", "y\n")
        self.assertIn(["cat", "kept"], self.build(script).ran)

    def test_what_is_read_by_the_name_of_a_descriptor_counts(self):
        """bash's <(...) is a pipe that has a name; so has a standard input."""
        self.put("n", "2\n1\n")
        script = 'bash -c "diff <(cat n) <(sort n)"; cat n | cat /dev/stdin; cat /proc/self/fd/0 < n; echo ok > /dev/stdout'
        self.sh(script)
        self.sh(script)
        self.put("n", "1\n")
        self.sh(script)
        self.put("n", "2\n1\n")
        self.sh(script)

    def test_a_link_on_the_way_to_the_working_directory_counts(self):
        self.put("real/f", "1\n")
        self.each(lambda tree: os.symlink("real", os.path.join(tree, "link")))
        script = "cd link && cat f > ../out"
        self.sh(script)
        self.remove("link")
        self.put("link/f", "2\n")
        self.sh(script)
        self.remove("link")
        self.each(lambda tree: os.symlink("real", os.path.join(tree, "link")))
        self.sh(script)

    def test_a_directory_that_was_a_file_counts(self):
        script = "cat d/f 2>&1; true"
        self.put("d", "")
        self.sh(script)
        self.remove("d")
        self.each(lambda tree: os.mkdir(os.path.join(tree, "d")))
        self.sh(script)
        self.remove("d")
        self.sh(script)
        self.put("d", "")
        self.sh(script)

    def test_random_numbers_do_not_count_unless_they_are_to(self):
        command = ["/usr/bin/head", "-c", "0", "/dev/urandom"]
        self.build(command)
        self.assertIn(b"does not count: /dev/urandom", self.world.cli("explain"))
        self.assertTrue(self.build(command).nothing_ran())
        self.world.run([harness.CLI, "stop"])
        config = os.path.join(self.world.env["XDG_CONFIG_HOME"], "ocp-watch")
        os.makedirs(config)
        with open(os.path.join(config, "config.textproto"), "w", encoding="ascii") as file:
            file.write('counted_paths: "/dev/urandom"\n')
        self.addCleanup(shutil.rmtree, config)
        self.addCleanup(self.world.run, [harness.CLI, "stop"])
        changed = ["/usr/bin/head", "-c", "00", "/dev/urandom"]
        self.build(changed)
        again = self.build(changed)
        self.assertIn("the configuration says that it counts", str(again))

    def test_an_edit_runs_only_what_depends_on_it(self):
        self.project()
        self.build(MAKE)
        self.put("b.c", '#include "h.h"\nint b(void) { return 3; }\n')
        built = self.build(MAKE)
        sources = [argument for argv in built.ran for argument in argv if argument.endswith(".c")]
        self.assertIn("b.c", sources)
        self.assertNotIn("a.c", sources, built)
        self.assertTrue(self.build(MAKE).nothing_ran())

    def plan(self, *argv, **options):
        """The lines of --dry-run. Nothing changes by it, and it is no session."""
        def state():
            counted = [line for line in self.world.cli("stats").splitlines() if line.startswith((b"builds", b"commands", b"saved"))]
            return harness.snapshot(self.traced), len(self.world.cli("sessions").splitlines()), counted

        before = state()
        lines = self.world.cli("build", "--dry-run", "--", *argv, cwd=self.traced, **options).decode().splitlines()
        self.assertEqual(before, state())
        return lines

    @harness.needs("gcc", "make")
    def test_a_dry_run_runs_nothing_and_tells_what_would_run(self):
        self.project()
        self.assertEqual(["would run     make: no earlier run of it is kept"], self.plan("make"))
        self.assertFalse(os.path.exists(os.path.join(self.traced, "prog")))
        self.build(["make"])
        self.assertEqual(["reused        make: nothing would run"], self.plan("make"))
        self.put("a.c", '#include "h.h"\nint main(void) { return b() + 1; }\n')
        plan = self.plan("make")
        self.assertTrue(plan[0].startswith("would run     make: ") and plan[0].endswith("/a.c was edited"), plan)
        planned = [line.split(": /")[0].split() for line in plan]
        self.assertIn(["would", "run", "gcc", "-c", "-o", "a.o", "a.c"], planned)
        self.assertIn(["may", "run", "gcc", "-o", "prog", "a.o", "b.o"], planned)
        self.assertFalse([words for words in planned if "b.c" in words], plan)
        ran = self.build(["make"]).ran
        self.assertIn(["gcc", "-c", "-o", "a.o", "a.c"], ran)
        self.assertIn(["gcc", "-o", "prog", "a.o", "b.o"], ran)

    @harness.needs("gcc", "make")
    def test_why_tells_who_made_a_file_before_who_had_it_made(self):
        self.project()
        self.build(MAKE)
        ask = lambda name: json.loads(self.world.cli("why", name, "--json", cwd=self.traced))["makers"]
        makers = ask("a.o")
        self.assertEqual(["as", "gcc", "make"], [os.path.basename(maker["argv"][0]) for maker in makers])
        self.assertTrue(all(maker["current"] for maker in makers), makers)
        driver = makers[1]
        self.assertEqual(self.traced, driver["cwd"])
        self.assertLessEqual({os.path.join(self.traced, name) for name in ("a.c", "h.h")}, set(driver["inputs"]))
        self.assertNotIn(os.path.join(self.traced, "b.c"), driver["inputs"])
        self.put("a.o", "by hand\n")
        self.assertFalse(any(maker["current"] for maker in ask("a.o")))
        nobody = self.world.run([harness.CLI, "why", "a.c"], cwd=self.traced)
        self.assertNotEqual(0, nobody.status)
        self.assertIn(b"a.c", nobody.stderr)

    @harness.needs("gcc", "make")
    def test_affected_tells_what_would_run(self):
        self.project()
        self.build(MAKE)
        rows = json.loads(self.world.cli("affected", "a.c", "--json", cwd=self.traced))["commands"]
        affected = [row["argv"] for row in rows]
        self.assertIn(["gcc", "-c", "-o", "a.o", "a.c"], affected)
        self.assertIn(["gcc", "-o", "prog", "a.o", "b.o"], affected)
        self.assertIn(MAKE, affected)
        self.assertNotIn(["gcc", "-c", "-o", "b.o", "b.c"], affected)

    def test_what_garbage_collection_took_is_learnt_again(self):
        self.put("in", "text\n")
        self.sh("cat in > out")
        self.world.cli("gc", "--max-size", "1")
        self.assertEqual("0", json.loads(self.world.cli("stats", "--json")).get("actions", "0"))
        self.remove("out")
        self.assertFalse(self.sh("cat in > out").nothing_ran())
        self.assertTrue(self.sh("cat in > out").nothing_ran())

    def test_a_touch_runs_nothing(self):
        self.project()
        self.build(MAKE)
        self.each(lambda directory: os.utime(os.path.join(directory, "a.c")))
        self.assertTrue(self.build(MAKE).nothing_ran())

    def test_after_clean_everything_is_put_back(self):
        self.project()
        self.build(MAKE)
        self.each(lambda directory: [os.unlink(os.path.join(directory, name)) for name in ("a.o", "b.o", "prog")])
        built = self.build(MAKE)
        self.assertTrue(built.nothing_ran(), built)

    def test_an_edit_taken_back_compiles_nothing(self):
        self.project()
        self.build(MAKE)
        old = '#include "h.h"\nint b(void) { return 0; }\n'
        self.put("b.c", old.replace("0", "7"))
        self.build(MAKE)
        self.put("b.c", old)
        built = self.build(MAKE)
        self.assertNotIn("cc1", built.ran_programs(), built)

    def test_a_failure_comes_back(self):
        script = "echo out; echo err >&2; cat nowhere; exit 3"
        self.sh(script)
        self.assertTrue(self.sh(script).nothing_ran())

    def test_a_fixed_error(self):
        self.project()
        broken = "int b(void) { return\n"
        self.put("b.c", broken)
        self.build(MAKE)
        # A failure leaves things halfway: make looks at them once more.
        self.assertEqual(["make"], self.build(MAKE).ran_programs())
        self.assertTrue(self.build(MAKE).nothing_ran())
        self.put("b.c", '#include "h.h"\nint b(void) { return 0; }\n')
        self.build(MAKE)
        self.put("b.c", broken)
        self.build(MAKE)  # There is a stale b.o now: that costs one more run.
        self.build(MAKE)
        self.assertTrue(self.build(MAKE).nothing_ran())

    def test_an_edit_of_equal_length_and_time(self):
        self.put("in", "one\n")
        self.build(["cp", "in", "out"])

        def edit(directory):
            path = os.path.join(directory, "in")
            status = os.stat(path)
            with open(path, "w") as file:
                file.write("two\n")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        self.each(edit)
        self.assertFalse(self.build(["cp", "in", "out"]).nothing_ran())

    def test_a_header_that_appears_earlier(self):
        self.put("late/h.h", "#define N 1\n")
        self.put("early/.keep", "")
        self.put("a.c", "#include <h.h>\nint n = N;\n")
        command = ["gcc", "-Iearly", "-Ilate", "-c", "a.c"]
        self.build(command)
        self.put("early/h.h", "#define N 2\n")
        self.assertFalse(self.build(command).nothing_ran())
        self.remove("early/h.h")
        self.build(command)

    def test_environment_umask_and_arguments_count(self):
        script = 'echo "$VALUE" > out; umask > mask'
        self.sh(script)
        self.assertFalse(self.sh(script, env={**self.world.env, "VALUE": "x"}).nothing_ran())
        self.assertTrue(self.sh(script, env={**self.world.env, "SHLVL": "9"}).nothing_ran())
        self.assertFalse(self.sh(script, umask=0o77).nothing_ran())

    def test_a_listed_directory(self):
        self.put("d/one", "")
        script = "ls d > list"
        self.sh(script)
        self.assertTrue(self.sh(script).nothing_ran())
        self.put("d/two", "")
        self.assertFalse(self.sh(script).nothing_ran())
        self.remove("d/one")
        self.assertFalse(self.sh(script).nothing_ran())

    def test_outputs_are_put_back(self):
        script = "echo one > a; mkdir -p d/e; echo two > d/e/b; ln -s a link; chmod 750 d; chmod 600 a; mkfifo p"
        self.sh(script)
        self.remove("a")
        self.assertTrue(self.sh("cat d/e/b; true") is not None)
        before = harness.snapshot(self.twin)
        self.assertEqual(before, harness.snapshot(self.traced))

    def test_removed_outputs_of_all_types(self):
        script = "rm -rf a d link; echo one > a; mkdir d; echo two > d/b; ln -s a link; chmod 600 a"
        self.sh(script)
        self.remove("a", "d", "link")
        built = self.sh(script)
        self.assertTrue(built.nothing_ran(), built)

    def test_a_pipeline_and_a_capture(self):
        self.put("in", "c\na\nb\n")
        script = 'x=$(sort in | head -2); echo "$x" > out; echo "<$x>"; echo e >&2'
        self.sh(script)
        self.assertTrue(self.sh(script).nothing_ran())
        self.put("in", "z\n")
        self.sh(script)

    def test_order_of_output(self):
        script = "echo 1; /bin/echo 2; echo 3 >&2; /bin/echo 4 >&2; (echo 5; /bin/echo 6); printf 7; /usr/bin/printf 8"
        self.sh(script)
        self.assertTrue(self.sh(script).nothing_ran())
        self.sh(script + "; true")

    def test_a_shell_that_must_run_reuses_its_commands(self):
        self.put("in", "x\n")
        self.sh("/bin/cat in; cp in out; : 1")
        # That there is an `out` now is new to cp.
        self.assertIn(["cp", "in", "out"], self.sh("/bin/cat in; cp in out; : 2").ran)
        built = self.sh("/bin/cat in; cp in out; : 3")
        self.assertEqual(["cat", "cp"], sorted(os.path.basename(argv[0]) for argv in built.reused), built)

    def test_what_a_script_and_its_commands_write_to_one_file(self):
        self.put("in", "x\n")
        self.put("tool", '#!/bin/sh\n/bin/cat "$@"; echo tool; /bin/cat "$@"\n', 0o755)
        self.sh("./tool in > out; : 1")
        self.sh("./tool in > out; /bin/cat in; : 2")
        self.sh("{ /bin/cat in; echo y; /bin/cat in; } > out; : 3")
        self.sh("/bin/cat in; { /bin/cat in; echo z; } > out; : 4")

    def test_output_over_what_a_file_held(self):
        self.put("in", "x\n")
        for number in range(3):
            self.put("out", "abcdef\n")
            self.sh(f"/bin/cat in 1<> out; : {number}")

    def test_the_umask_of_a_command_within(self):
        self.sh("umask 077; touch new; : 1")
        self.remove("new")
        self.sh("touch new; : 2")

    def test_a_directory_that_is_not_empty(self):
        self.sh("mkdir -p d; rmdir d; mkdir d; : 1")
        self.put("d/file", "")
        self.sh("rmdir d; : 2")
        self.remove("d/file")
        self.sh("rmdir d; : 3")

    def test_a_directory_with_more_in_it_is_renamed(self):
        self.put("d/file", "")
        self.sh("mv d e; : 1")
        self.sh("mv e d; : 1")
        self.put("d/more", "")
        self.sh("mv d e; : 2")

    def test_a_directory_that_is_missing(self):
        self.put("in", "x\n")
        self.sh("cp in gen/out; : 1")
        self.sh("mkdir gen; cp in gen/out; : 2")
        self.remove("gen")
        self.sh("cp in gen/out; : 3")

    def test_a_file_that_is_replaced_and_then_moved_away(self):
        self.put("in", "x\n")
        self.sh("cat in > out; mv out final")
        self.put("out", "stale\n")
        self.remove("final")
        self.sh("cat in > out; mv out final")

    def test_a_link_to_itself_is_made_again(self):
        self.put("in", "x\n")
        self.sh("ln -f in hard")
        self.sh("ln -f in hard")
        self.remove("hard")
        self.put("hard", "x\n")
        self.sh("ln -f in hard")
        self.sh("echo more >> in; cat hard; : 1")

    def test_a_file_that_is_read_before_it_is_made(self):
        script = "cat x > y 2>/dev/null; echo 1 > x"
        self.sh(script)
        self.sh(script)

    def test_copies_with_their_attributes(self):
        self.put("in", "x\n", 0o640)
        self.each(lambda directory: os.utime(os.path.join(directory, "in"), (1000, 1000)))
        for number in range(3):
            built = self.sh("cp -p in out; install -m 600 in out2; chown $(id -u):$(id -g) out2; stat -c %Y out")
        self.assertTrue(built.nothing_ran(), built)
        self.remove("out", "out2")
        self.sh("cp -p in out; install -m 600 in out2; chown $(id -u):$(id -g) out2; stat -c %Y out")

    def test_files_that_come_and_go_are_in_no_listing(self):
        self.put("in", "x\n")
        script = "/bin/cp in tmp$$; ls tmp* > /dev/null; rm tmp$$; ls"
        self.sh(script)
        self.assertTrue(self.sh(script).nothing_ran())

    def test_a_stamp_that_is_touched_does_not_matter_the_third_time(self):
        self.put("in", "x\n")
        self.put("Makefile", "stamp: in out\n\ttouch stamp\nout: in\n\tcat in > out\n")
        for _ in range(2):
            self.build(["make", "-s"])
        self.assertTrue(self.build(["make", "-s"]).nothing_ran())

    def test_an_append_is_not_done_twice(self):
        self.put("log", "start\n")
        self.sh("echo x >> log; : 1")
        self.sh("echo x >> log; : 1")

    def test_if_there_is_none_make_one(self):
        script = "[ -e x ] || echo new > x; cat x"
        self.sh(script)
        self.sh(script)
        self.put("x", "old\n")
        self.sh(script)
        self.remove("x")
        self.sh(script)

    def test_what_does_something_else_where_its_products_are_there_runs_once_more(self):
        for script in ("cp -P link copy; ln -sfn f link",
                       "test -s g && echo full > out; echo a > g",
                       "/usr/bin/test -s g && echo full > out; echo a > g",
                       "/usr/bin/test -d gen && echo there > out; mkdir -p gen",
                       "stat -c %s g > out 2> /dev/null; cp f g",
                       "stat -c %Y f > out; touch -d 2001-01-01 f",
                       "test -e g && echo there > out; cp f g",
                       "test -e g && echo there > out; ln -sfn f g",
                       "test -e g && echo there > out; cp f g; sort -o g g",
                       "[ -d gen ] && echo there > out; mkdir -p gen",
                       "[ -e f ]; [ -L link ] && echo there > out; ln -sfn f link",
                       "mkdir gen; exit 0",
                       "ln -s f link; echo $? > out",
                       "cp f g; ln g hard",
                       "mv f g; echo $? > out",
                       "mkdir -p gen; mv gen made",
                       "set -C; echo x > g",
                       "echo * > out; cp f g",
                       "rm f*; echo $? > out",
                       "n=; while [ -e g$n ]; do n=1$n; done; [ -e g1 ] || cp f g$n",
                       "python3 -c \"import os; e = os.path.exists('g'); open('g', 'w').write(str(e))\"; :",
                       "sh -c 'cat g > out 2> /dev/null'; sh -c 'cp f g'"):
            with self.subTest(script):
                for name in ("copy", "link", "g", "g1", "gen", "made", "hard", "out"):
                    self.each(lambda tree, name=name: subprocess.run(["rm", "-rf", name], cwd=tree, check=True))
                self.put("f", "f\n")
                for _ in range(3):
                    self.sh(script)
                self.assertTrue(self.sh(script).nothing_ran())

    def test_reading_standard_input(self):
        first = self.build(["cat"], stdin=b"one\n")
        self.assertEqual(b"one\n", first.result.stdout)
        self.assertFalse(self.build(["cat"], stdin=b"two\n").nothing_ran())

    def test_a_symbolic_link_that_leads_elsewhere(self):
        self.put("one", "1\n")
        self.put("two", "2\n")
        self.each(lambda directory: os.symlink("one", os.path.join(directory, "in")))
        self.build(["cp", "in", "out"])

        def retarget(directory):
            os.unlink(os.path.join(directory, "in"))
            os.symlink("two", os.path.join(directory, "in"))

        self.each(retarget)
        self.assertFalse(self.build(["cp", "in", "out"]).nothing_ran())

    def test_times_that_count(self):
        self.put("a", "a\n")
        self.put("b", "b\n")
        self.each(lambda directory: os.utime(os.path.join(directory, "a"), (1, 1)))
        script = "if [ a -nt b ]; then echo newer; else echo older; fi"
        self.sh(script)
        self.touch("a")
        self.each(lambda directory: os.utime(os.path.join(directory, "b"), (1, 1)))
        self.sh(script)

    def test_a_renamed_directory(self):
        script = "rm -rf new; mkdir old; echo x > old/f; mv old new; cat new/f"
        self.sh(script)
        self.remove("new")
        built = self.sh(script)
        self.assertTrue(built.nothing_ran(), built)

    def test_hard_links(self):
        script = "rm -f a b; echo x > a; ln a b"
        self.sh(script)
        self.remove("a", "b")
        self.sh(script)
        self.assertEqual(os.stat(os.path.join(self.traced, "a")).st_ino, os.stat(os.path.join(self.traced, "b")).st_ino)

    def test_an_archive_that_is_also_read(self):
        self.put("one.c", "int one;\n")
        self.put("two.c", "int two;\n")
        self.sh("gcc -c one.c && ar rcD lib.a one.o")
        self.sh("gcc -c two.c && ar rcD lib.a two.o")
        self.sh("gcc -c one.c && ar rcD lib.a one.o")

    def test_a_signal(self):
        script = "kill -9 $$"
        self.sh(script)
        self.assertFalse(self.sh(script).nothing_ran())

    def test_a_background_process_that_stays(self):
        script = "sleep 1 & echo x"
        built = self.sh(script)
        self.assertFalse(self.sh(script).nothing_ran(), built)

    def test_make_in_parallel(self):
        self.project()
        self.build(["make", "-j2", "-s"])
        self.assertTrue(self.build(["make", "-j2", "-s"]).nothing_ran())
        self.put("a.c", '#include "h.h"\nint main(void) { return b() + 1; }\n')
        built = self.build(["make", "-j2", "-s"])
        self.assertNotIn(["b.c"], [[argument for argument in argv if argument == "b.c"] for argv in built.ran])

    def test_how_many_at_a_time_makes_no_difference(self):
        self.project()
        self.build(["make", "-s"])
        for how in (["-j2"], ["-j3", "-l9"], ["all"]):
            self.remove("a.o", "b.o", "prog")
            built = self.build(["make", "-s", *how])
            self.assertEqual(["make"], built.ran_programs(), built)

    def test_a_jobserver_may_have_another_name_each_time(self):
        """As make 4.4's has, a named pipe."""
        self.put("in", "x\n")
        command = "cat in > out; cat out"
        script = ("mkfifo jobs$$; exec 9<>jobs$$; echo + >&9; MAKEFLAGS=\" -j2 --jobserver-auth=fifo:jobs$$\" "
                  f"sh -c '{command}'; exec 9>&-; rm jobs$$")
        self.sh(script)
        self.assertIn(["sh", "-c", command], self.sh(f": again; {script}").reused)

    def test_verify_finds_the_store_sound(self):
        self.project()
        self.build(MAKE)
        self.world.cli("verify")
        self.world.cli("stats")

    def damage(self):
        blobs = os.path.join(self.world.state, "ocp-watch/store/blobs")
        for folder, _, files in os.walk(blobs):
            for name in files:
                path = os.path.join(folder, name)
                os.chmod(path, 0o600)
                with open(path, "r+b") as file:
                    file.write(b"X")

    def test_a_damaged_content_is_never_put_in_place(self):
        self.put("in", "some text\n")
        self.build(["cp", "in", "out"])
        self.remove("out")
        self.damage()
        self.assertFalse(self.build(["cp", "in", "out"]).nothing_ran())

    def test_a_damaged_output_is_never_written_out(self):
        self.put("in", "some words\n")
        self.build(["cat", "in"])
        self.damage()
        self.assertFalse(self.build(["cat", "in"]).nothing_ran())
        self.sh("cat in; echo 1")
        self.damage()
        self.assertIn(["cat", "in"], self.sh("cat in; echo 2").ran)

    def test_clear(self):
        self.put("in", "text\n")
        self.build(["cp", "in", "out"])
        self.world.cli("clear", "--yes")
        self.assertFalse(self.build(["cp", "in", "out"]).nothing_ran())


if __name__ == "__main__":
    unittest.main(verbosity=2)
