"""Random small projects, and random steps between their builds. All of it is drawn from one random.Random, so that a
seed says everything.

A project is a set of files and the command that builds them. Contents are few, so that a project often comes back to
what it was. What a rule of make prints differs between a build and one that has nothing to do; so rules are silent, but
for those that always run. Times never go backwards: a make that has overlooked an edit is not what is compared.
"""
import os
import shutil

WORDS = ["alpha", "beta", "gamma", "delta", "omega"]
SOURCES = ["s1", "s2", "d/s3", "d/s4"]
OPTIONAL = ["opt", "d/extra"]
SHELL_PRODUCTS = ["out", "o2", "o3", "o4", "gen/a", "gen/b", "log", "link", "hard"]
# At the end of a pipeline that reads a source: as a link to that one, what comes out is a matter of who is faster.
WRITTEN_BY_PIPELINES = ["out", "o3"]
MAKE_PRODUCTS = ["p1", "p2", "p3", "all.txt", "gen"]

# Each reads and changes something in another way. %s: sources.
SHELL_COMMANDS = [
    "/bin/cat %s > out",
    "/bin/cat %s %s > o2 2>/dev/null",
    "cat %s",
    "sort %s | uniq -c > o3",
    "sort < %s",
    "sed s/alpha/ALPHA/ %s > tmp.$$ && mv -T tmp.$$ o2; rm -f tmp.*",
    "cp %s o3",
    "cp -p %s o3",
    "ln -sf %s link",
    "ln -f %s hard",
    "mkdir -p gen && wc -l %s > gen/a",
    "rm -rf gen",
    "rm -f out o2",
    "[ -e opt ] && cat opt",
    "[ -e o2 ] || echo new > o2",
    "[ -e o3 ] || echo 0 > o3; read n < o3; echo \"$n+\" > o3",
    "if [ -e gen/a ]; then echo again > out; else mkdir -p gen; touch gen/a; echo first > out; fi",
    "test -e log || cp %s log; wc -l < log > o2",
    "n=$(ls); mkdir -p gen; echo $n > gen/b",
    "ls d > gen/b",
    "ls d/*",
    "for f in d/*; do echo \"$f\" >> log; done",
    "echo line >> log",
    "/bin/echo \"$WORD\" | tee -a log",
    "printenv WORD",
    "x=$(sort %s | head -n 2); echo \"$x\"",
    "(cat %s; /bin/echo sub; cat missing) > out 2>&1",
    "grep alpha %s || false",
    "test -d gen",
    "find d -type f | sort",
    "stat -c %%s %s",
    "stat -c %%a-%%F %s",
    "readlink link",
    "touch o3",
    "echo x > o3; chmod 600 o3",
    "/bin/echo y > o3; chmod 644 o3",
    "mv out o2",
    "mkdir gen; rmdir gen",
    "truncate -s 3 o2",
    "dd if=%s of=o3 bs=2 count=1 conv=notrunc status=none",
    "./tool.sh %s",
    "./tool.sh %s > out",
    "sh -c 'cat %s; exit 3'",
    "exec 3< %s; read line <&3; echo \"$line\"",
    "exec 5> conf; rm -f o3; (echo sub >&5); cat %s >&5; echo self >&5; (sort %s missing) >&5 2>&1; exec 5>&-; cat conf",
    "exec 5>> conf; cat %s > /dev/null; (echo sub >&5); grep alpha %s >&5; (/bin/echo more >&5); rm -f none; exec 5>&-",
    "{ cat %s; rm -f o3; (echo sub); cat %s; } > conf; tail -n 2 conf",
    "seq 30000 | grep 5 > /dev/null && cat %s",
    "ar rc lib.a %s; ar t lib.a",
    "xargs -n 1 echo < %s",
    "env -i /bin/cat %s",
    "umask 077; /bin/cp %s gen/b",
    "cd d && cat s3 && cd ..",
    "tar cf - d | tar tf - | sort",
    # Copies, modes, names.
    "install -m 750 %s o2",
    "chmod 755 %s",
    "chmod u+w,g-r %s; cp %s o3",
    "cmp -s %s o2 || cp %s o2",
    "cp -u %s o3",
    "mkdir -p gen/x/y; cp %s gen/x/y/z; ls -R gen",
    "cp -r d gen2; ls gen2; rm -r gen2",
    "cp -a d gen/copy 2>/dev/null; ls gen",
    "rm -rf gen; mkdir gen; cp %s gen; ls gen",
    "mv o3 gen/ 2>/dev/null; ls gen",
    "mv gen gen2 2>/dev/null && ls gen2; rm -rf gen2",
    "rmdir gen 2>/dev/null || ls gen",
    "(umask 027; mkdir -p gen; cp %s gen/m); stat -c %%a gen/m",
    "ln -f %s hard; echo more >> hard; cat %s",
    "ln -sfn d link; cat link/s3",
    "rm -f link; ln -s %s link; cat link",
    "cat link; echo $?",
    "cp -P link o2; readlink o2",
    "test -x %s && echo runs; [ -L %s ] && echo leads; [ -s %s ] && echo full",
    # Not the same where what they make is there.
    "[ -e o2 ] && echo there > out; cp %s o2",
    "/usr/bin/test -e o2 && echo there > out; cp %s o2",
    "[ -d gen ] && echo there > out; mkdir -p gen",
    "[ -L link ] && echo there > out; ln -sfn %s link",
    "mkdir gen",
    "ln -s %s link",
    "ln %s hard",
    "mv o2 o3 && cp %s o2",
    "echo * > out; cp %s o2",
    "for name in o*; do echo $name; done > log; cp %s o3",
    "rm o*; cp %s o2",
    "set -C; cat %s > o2; set +C",
    "n=2; while [ -e o$n ]; do n=$((n + 1)); done; [ $n -gt 4 ] || cp %s o$n",
    "python3 -c 'import os; there = os.path.exists(\"o2\"); open(\"o2\", \"w\").write(str(there))'",
    "sh -c '[ -e o3 ] && echo there > out'; sh -c 'cp %s o3'",
    # Where words go.
    "{ head -n 1; cat; } < %s",
    "sort %s | tee o3 | head -n 1",
    "exec 4> o2; sh -c 'cat %s >&4'; echo end >&4; exec 4>&-",
    "exec 4>> log; sh -c 'cat %s >&4'; cat %s >> log; exec 4>&-",
    "{ cat %s; sh -c 'cat %s >&2'; } > o2 2>&1",
    "cat %s | while read x; do echo \"<$x>\"; done",
    "while read x; do /bin/echo \"$x\" >> gen/b; done < %s",
    "bash -c 'read x < %s; echo $x; cat <(sort %s)'",
    "sort -o o2 %s o2",
    "tr a-z A-Z < %s > o3; cat o3 >> out",
    "cat out o2 o3 gen/a gen/b 2>/dev/null",
    "cat out > gen/a && sed -i s/beta/B/ gen/a",
    "perl -i -pe s/alpha/A/ out 2>/dev/null",
    "sh -c 'cat %s; exec sort %s'",
    "gzip -nc %s 2>/dev/null | gzip -dc > out",  # Without it both complain, in either order.
    "awk '{ print > \"gen/\" $1 }' %s; ls gen",
    "find . -type f -exec cat {} + | sort | uniq -c | sort -rn | head -n 3",
    "mkdir -p gen; (cd gen; cat ../%s > a; cat a ../d/s4)",
    "t=$(mktemp ./t.XXXXXX); sort %s > $t || true; mv -T $t o3 2>/dev/null || rm -f $t",
    "python3 -c 'import os,sys; os.makedirs(\"gen\", exist_ok=True); open(\"gen/b\", \"a\").write(open(\"%s\").read())'",
]

MAKEFILE = """\
{head}
all: all.txt
all.txt: p1 p2 p3
\tcat p1 p2 p3 > $@
p1: s1{extra}
\t{p1} s1 > $@
p2: s2 d/s3
\t{p2} s2 d/s3 > tmp2 && mv tmp2 $@
p3: $(wildcard d/*) gen/list
\tcat gen/list > $@; wc -c d/* >> $@
gen/list: d
\tmkdir -p gen; ls d > $@
show: p1
\tcat p1
fail: p2
\tcat p2 missing; exit 2
clean:
\trm -rf p1 p2 p3 all.txt gen tmp2
.PHONY: all show fail clean
"""
FILTERS = ["cat", "sort", "sed -e s/beta/BETA/", "./tool.sh", "grep -h -e alpha -e beta -e gamma"]
TARGETS = ["all", "all", "all", "p1", "p2", "show", "fail", "clean"]


class Project:
    """`world` is a building.TestCase: its put, remove, each do a thing to both trees."""

    def __init__(self, random, world):
        self.random = random
        self.world = world
        self.environment = {"WORD": "one"}
        self.uses_make = random.random() < 0.4
        self.history = []
        for name in SOURCES:
            world.put(name, self.content())
        world.put("tool.sh", '#!/bin/sh\ncat "$@"; echo tool\n', 0o755)
        if self.uses_make:
            self.write_makefile()
            self.products = MAKE_PRODUCTS
        else:
            self.write_script()
            self.products = SHELL_PRODUCTS

    def content(self):
        return "".join(self.random.choice(WORDS) + "\n" for _ in range(self.random.choice([0, 1, 1, 2, 3])))

    def write_makefile(self):
        pick = self.random.choice
        self.makefile = MAKEFILE.format(head=pick(["", ".DELETE_ON_ERROR:", "export X = 1", ".ONESHELL:"]),
                                        extra=pick(["", " $(wildcard opt)"]), p1=pick(FILTERS), p2=pick(FILTERS))
        self.world.put("Makefile", self.makefile)

    def write_script(self):
        lines = []
        for _ in range(self.random.randint(1, 7)):
            line = self.random.choice(SHELL_COMMANDS)
            sources = tuple(self.random.choice(SOURCES) for _ in range(line.replace("%%", "").count("%s")))
            lines.append(line % sources)
        self.script = "\n".join(lines) + "\n"
        self.world.put("build.sh", self.script)

    def command(self):
        """argv and environment of the next build."""
        if self.uses_make:
            argv = ["make", "-s", self.random.choice(TARGETS)]
            if self.random.random() < 0.2:
                argv.insert(1, "-k")
        else:
            argv = ["sh", "build.sh"] if self.random.random() < 0.7 else ["sh", "-e", "build.sh"]
        return argv, dict(self.environment)

    def step(self):
        """Changes something, in both trees in the same way."""
        steps = [self.edit, self.edit, self.edit, self.touch, self.delete_source, self.optional, self.product_gone,
                 self.change_environment, self.swap, self.tool, self.rule, self.make_symlink, self.make_directory,
                 self.put_back, self.products_gone, self.chmod_source, self.rename_source, self.second_name]
        if not self.uses_make:  # make leaves a newer product as it is; ocp-watch puts back what it was.
            steps += [self.product_edited, self.product_chmod, self.product_replaced]
        step = self.random.choice(steps)
        self.history.append(f"{step.__name__}: {step()}")

    def edit(self):
        name = self.random.choice(SOURCES)
        content = self.content()
        self.replace(name, content)
        return name, content

    def replace(self, name, content):
        self.clear(name)
        self.world.put(name, content)

    def clear(self, name):
        def edit(directory):
            path = os.path.join(directory, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif os.path.lexists(path) and (os.path.islink(path) or self.fresh):
                os.unlink(path)

        self.fresh = self.random.random() < 0.3  # A new inode, as many editors do it.
        self.world.each(edit)

    def touch(self):
        names = [name for name in SOURCES if os.path.exists(os.path.join(self.world.traced, name))]
        if self.random.random() < 0.5:
            names = names[:1]
        self.world.touch(*names)
        return names

    def delete_source(self):
        name = self.random.choice(SOURCES)
        self.fresh = True
        self.world.each(lambda directory: self.drop(os.path.join(directory, name)))
        return name

    @staticmethod
    def drop(path):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def optional(self):
        name = self.random.choice(OPTIONAL)
        if os.path.lexists(os.path.join(self.world.traced, name)):
            self.world.each(lambda directory: self.drop(os.path.join(directory, name)))
            return name, "gone"
        self.world.put(name, self.content())
        return name

    def product_gone(self):
        name = self.random.choice(self.products)
        self.world.each(lambda directory: self.drop(os.path.join(directory, name)))
        return name

    def products_gone(self):
        for name in self.products:
            self.world.each(lambda directory, name=name: self.drop(os.path.join(directory, name)))
        return "all"

    def product_edited(self):
        name = self.random.choice(self.products)
        path = os.path.join(self.world.traced, name)
        if os.path.isdir(path) or os.path.islink(path) or not os.path.isdir(os.path.dirname(path)):
            return name, "is no file"
        content = self.content()
        self.world.put(name, content)
        return name, content

    def product_chmod(self):
        name = self.random.choice(self.products)
        mode = self.random.choice([0o600, 0o755, 0o444])
        if not os.path.exists(os.path.join(self.world.traced, name)):
            return name, "is not there"
        self.world.each(lambda directory: os.chmod(os.path.join(directory, name), mode))
        return name, oct(mode)

    def product_replaced(self):
        """By something that it never was."""
        name = self.random.choice(self.products)
        kind = self.random.choice(["directory", "link to a source", "link to nothing"])
        if not os.path.isdir(os.path.join(self.world.traced, os.path.dirname(name))):
            return name, "has no place"
        if kind == "link to a source" and name in WRITTEN_BY_PIPELINES:
            return name, "would be read and written at once"

        def edit(directory):
            path = os.path.join(directory, name)
            self.drop(path)
            if kind == "directory":
                os.mkdir(path)
            else:
                target = "s1" if kind == "link to a source" else "nowhere"
                os.symlink(os.path.relpath(target, os.path.dirname(name)), path)

        self.world.each(edit)
        return name, kind

    def chmod_source(self):
        name = self.random.choice(SOURCES)
        mode = self.random.choice([0o644, 0o600, 0o755, 0o444])
        if not os.path.exists(os.path.join(self.world.traced, name)):
            return name, "is not there"
        self.world.each(lambda directory: os.chmod(os.path.join(directory, name), mode))
        return name, oct(mode)

    def rename_source(self):
        first, second = self.random.sample(SOURCES, 2)
        if not os.path.isfile(os.path.join(self.world.traced, first)):
            return first, "is no file"

        def edit(directory):
            self.drop(os.path.join(directory, second))
            os.rename(os.path.join(directory, first), os.path.join(directory, second))
            if not os.path.islink(os.path.join(directory, second)):
                os.utime(os.path.join(directory, second))

        self.world.each(edit)
        self.world.give_twin_the_times(second, follow=False)
        return first, second

    def second_name(self):
        """One file under two names: who writes into one of them changes both."""
        first, second = self.random.sample(SOURCES, 2)
        if not os.path.isfile(os.path.join(self.world.traced, first)):
            return first, "is no file"

        def edit(directory):
            self.drop(os.path.join(directory, second))
            os.link(os.path.join(directory, first), os.path.join(directory, second), follow_symlinks=False)
            os.utime(os.path.join(directory, second), follow_symlinks=False)  # Else what is there now may be older.

        self.world.each(edit)
        self.world.give_twin_the_times(second, follow=False)
        return first, second

    def change_environment(self):
        self.environment["WORD"] = self.random.choice(["one", "two"])
        return self.environment["WORD"]

    def swap(self):
        first, second = self.random.sample(SOURCES, 2)
        paths = [os.path.join(self.world.traced, name) for name in (first, second)]
        if not all(os.path.isfile(path) and not os.path.islink(path) for path in paths):
            return "nothing"

        def edit(directory):
            a, b, c = (os.path.join(directory, name) for name in (first, second, "swap"))
            os.rename(a, c)
            os.rename(b, a)
            os.rename(c, b)
            os.utime(a)
            os.utime(b)

        self.world.each(edit)
        self.world.give_twin_the_times(first, second)
        return first, second

    def tool(self):
        mode = self.random.choice([0o755, 0o755, 0o644])
        last = self.random.choice(["tool", "tool", "hammer"])
        self.world.put("tool.sh", f'#!/bin/sh\ncat "$@"; echo {last}\n', mode)
        return oct(mode), last

    def rule(self):
        if self.uses_make:
            self.write_makefile()
            return self.makefile
        self.write_script()
        return self.script

    def make_symlink(self):
        name, target = self.random.sample(SOURCES, 2)
        self.world.each(lambda directory: self.drop(os.path.join(directory, name)))
        self.world.each(lambda directory: os.symlink(os.path.relpath(target, os.path.dirname(name)),
                                                     os.path.join(directory, name)))
        if os.path.exists(os.path.join(self.world.traced, name)):
            self.world.touch(name)  # It is that file's time that make looks at.
        return name, target

    def make_directory(self):
        name = self.random.choice(SOURCES)
        self.world.each(lambda directory: self.drop(os.path.join(directory, name)))
        self.world.put(name + "/inner", self.content())
        return name

    def put_back(self):
        """To what it was at the start, or might have been."""
        for name in SOURCES:
            self.replace(name, "alpha\n")
        return "all"
