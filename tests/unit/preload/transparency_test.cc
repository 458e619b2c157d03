// What the traced program must not notice.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "tests/unit/preload/traced_run.h"

namespace ocpwatch {
namespace {

// Runs the command traced and untraced and expects the same of both.
RunResult CheckSame(const std::vector<std::string>& argv, RunOptions options = {}) {
  TestSession session;
  options.traced = true;
  RunResult traced = session.Run(argv, options);
  options.traced = false;
  const RunResult plain = session.Run(argv, options);
  CHECK(traced.out == plain.out);
  CHECK(traced.err == plain.err);
  CHECK(traced.wait_status == plain.wait_status);
  CHECK(session.malformed() == 0);
  return traced;
}

class ScratchDirectory {
 public:
  ScratchDirectory() {
    char name[] = "/tmp/preload-test-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~ScratchDirectory() { (void)!system(("rm -rf " + path_).c_str()); }
  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }
  // Compiles a program; false if this machine cannot.
  bool Compile(const std::string& compiler, const std::string& source, const std::string& name) const {
    Write(name + ".c", source);
    return system((compiler + " -o " + path_ + "/" + name + " " + path_ + "/" + name + ".c 2>/dev/null").c_str()) == 0;
  }

 private:
  std::string path_;
};

// The environment of `program` as it sees it itself and as its child sees it.
TEST_CASE("The environment is as untraced, in the program and in its children") {
  CheckSame({ProbePath(), "environment"});
  CheckSame({"/bin/sh", "-c", "env; printenv LD_PRELOAD; env -i env; LD_PRELOAD= env; unset LD_PRELOAD; env"});
  RunOptions options;
  options.environment = {"PATH=/bin", "EMPTY=", "LD_LIBRARY_PATH=/nonexistent", "Z"};
  CheckSame({ProbePath(), "environment"}, options);
}

TEST_CASE("A user's own LD_PRELOAD stays, in front of us, and is passed on") {
  RunOptions options;
  options.user_preload = "libm.so.6:libdl.so.2";
  const RunResult result = CheckSame({"/bin/sh", "-c", "echo $LD_PRELOAD; env"}, options);
  CHECK(result.out.rfind("libm.so.6:libdl.so.2\n", 0) == 0);
  TestSession session;
  session.Run({"/bin/sh", "-c", "LD_PRELOAD=libm.so.6 ls /; exit"}, {});
  CHECK(Images(session.Frames()).size() == 2);
}

TEST_CASE("A child with an empty environment, or none, is traced all the same") {
  TestSession session;
  const RunResult result = session.Run({ProbePath(), "empty-environment", "/bin/true"});
  CHECK(result.out == "0\n0\n");
  CHECK(Images(session.Frames()).size() == 3);
  TestSession other;
  other.Run(
      {"/usr/bin/env", "-i", "/usr/bin/env", "-u", "LD_PRELOAD", "/bin/sh", "-c", "unset LD_PRELOAD; /bin/true; :"});
  CHECK(Images(other.Frames()).size() == 4);
}

TEST_CASE("A large environment is passed on whole") {
  RunOptions options;
  options.environment = {"PATH=/bin"};
  for (int i = 0; i < 3000; ++i) options.environment.push_back("V" + std::to_string(i) + "=" + std::string(100, 'v'));
  CheckSame({"/bin/sh", "-c", "env; (env)"}, options);
}

TEST_CASE("The descriptors are those of the untraced program") {
  CheckSame({"/bin/ls", "/proc/self/fd"});
  CheckSame({ProbePath(), "descriptors"});
}

TEST_CASE("A limit of four descriptors does not keep a process from being recorded") {
  RunOptions options;
  options.descriptor_limit = 4;
  TestSession session;
  session.Run({"/bin/cat", "/etc/hostname"}, options);
  CHECK(Contains(Paths(session.Frames(), v1::OP_OPEN), "/etc/hostname"));
  options.descriptor_limit = 16;
  CheckSame({"/bin/sh", "-c", "ulimit -n; cat /etc/hostname; ls /proc/self/fd"}, options);
}

TEST_CASE("errno and results of failing calls are those of the untraced program") {
  CheckSame({ProbePath(), "errnos"});
}

TEST_CASE("system, popen and wordexp see no variable of ours and lose no child") {
  CheckSame({ProbePath(), "children", "/bin/true"});
  CheckSame({ProbePath(), "expand", "$(echo a b) x$LD_PRELOAD$OCP_WATCH $(env | sort | head -c 100)"});
  TestSession session;
  session.Run({ProbePath(), "expand", "$(echo a b)"});
  CHECK(Images(session.Frames()).size() == 2);
}

TEST_CASE("Walks by glob, ftw, nftw and fts show the same and tell each directory and file") {
  ScratchDirectory scratch;
  REQUIRE(system(("mkdir -p " + scratch.path() + "/tree/sub && touch " + scratch.path() + "/tree/a " + scratch.path() +
                  "/tree/sub/b")
                     .c_str()) == 0);
  RunOptions options;
  options.directory = scratch.path();
  CheckSame({ProbePath(), "walk", "tree"}, options);
  TestSession session;
  session.Run({ProbePath(), "walk", "tree"}, options);
  const auto frames = session.Frames();
  const auto listed = Paths(frames, v1::OP_LIST);
  const auto looked = Paths(frames, v1::OP_STAT);
  for (const std::string& base : {std::string(), scratch.path() + "/"}) {
    CHECK(Contains(listed, base + "tree"));
    CHECK(Contains(listed, base + "tree/sub"));
    CHECK(Contains(looked, base + "tree/a"));
    CHECK(Contains(looked, base + "tree/sub/b"));
  }
  // In the end it stands where it began.
  CHECK(After(frames, v1::OP_CHDIR).back().after().path() == scratch.path());
}

TEST_CASE("dlopen finds what it finds untraced: RUNPATH and ORIGIN of the caller") {
  ScratchDirectory scratch;
  REQUIRE(system(("mkdir -p " + scratch.path() + "/own").c_str()) == 0);
  REQUIRE(scratch.Compile("cc -shared -fPIC", "int inner;", "own/libinner-test.so"));
  REQUIRE(scratch.Compile("cc '-Wl,-rpath,$ORIGIN/own' -Wl,--enable-new-dtags",
                          "#include <dlfcn.h>\n#include <stdio.h>\n#include <unistd.h>\n"
                          "int main(){puts(dlopen(\"libinner-test.so\",2)?\"found\":dlerror());"
                          "puts(dlopen(\"$ORIGIN/own/libinner-test.so\",2)?\"found\":dlerror());"
                          "puts(dlopen(\"libm.so.6\",2)?\"found\":dlerror());"
                          "puts(dlopen(\"/nonexistent.so\",2)?\"found\":dlerror());return access(\"/x\",0)-2;}",
                          "loader"));
  CHECK(CheckSame({scratch.path() + "/loader"}).out.rfind("found\nfound\nfound\n", 0) == 0);
  TestSession session;
  session.Run({scratch.path() + "/loader"});
  std::vector<std::string> loaded;
  for (const v1::Frame& frame : After(session.Frames(), v1::OP_LOAD)) {
    loaded.push_back(frame.after().result_path().empty() ? frame.after().path() : frame.after().result_path());
  }
  CHECK(loaded == std::vector<std::string>{scratch.path() + "/own/libinner-test.so", "/lib/x86_64-linux-gnu/libm.so.6",
                                           "/nonexistent.so"});
}

TEST_CASE("An AddressSanitizer or ThreadSanitizer program runs as untraced, and its environment is its own") {
  for (const std::string& sanitizer : {std::string("address"), std::string("thread")}) {
    ScratchDirectory scratch;
    if (!scratch.Compile("gcc -fsanitize=" + sanitizer,
                         "#include <stdio.h>\n#include <stdlib.h>\n#include <fcntl.h>\n"
                         "int main(){open(\"/etc/hostname\",0);char*p=getenv(\"LD_PRELOAD\");puts(p?p:\"none\");"
                         "return system(\"env\");}",
                         "sanitized")) {
      WARN("no " + sanitizer + " sanitizer here");
      continue;
    }
    // The command itself is started by the command line client; what is tested is the exec by a traced parent.
    CHECK(CheckSame({"/bin/sh", "-c", scratch.path() + "/sanitized; echo $?"}).out.find("none\n") != std::string::npos);
    TestSession session;
    session.Run({"/bin/sh", "-c", scratch.path() + "/sanitized; echo $?"});
    CHECK(Images(session.Frames()).size() == 4);
    CHECK(Contains(Paths(session.Frames(), v1::OP_OPEN), "/etc/hostname"));
  }
}

TEST_CASE("Executables that a preload cannot enter are known before they run, and run as untraced") {
  ScratchDirectory scratch;
  const std::string hello =
      "#include <stdio.h>\n#include <stdlib.h>\nint main(){puts(\"hello\");return system(\"true\");}";
  struct Kind {
    const char* name;
    const char* compiler;
    v1::OpaqueReason reason;
  };
  for (const Kind& kind : {Kind{"static", "gcc -static", v1::OPAQUE_STATIC},
                           {"pie", "gcc -static-pie", v1::OPAQUE_STATIC},
                           {"musl", "musl-gcc", v1::OPAQUE_OTHER_LIBC},
                           {"dynamic", "gcc", v1::OPAQUE_NONE},
                           {"bits32", "gcc -m32", v1::OPAQUE_OTHER_CLASS}}) {
    if (!scratch.Compile(kind.compiler, hello, kind.name)) {
      WARN(std::string("cannot compile with ") + kind.compiler);
      continue;
    }
    const std::string program = scratch.path() + "/" + kind.name;
    CHECK(CheckSame({"/bin/sh", "-c", program + " a; :"}).out == "hello\n");
    TestSession session;
    session.Run({"/bin/sh", "-c", program + " a; :"});
    bool found = false;
    for (const v1::Frame& frame : Before(session.Frames(), v1::OP_EXEC)) {
      if (frame.before().path() != program) continue;
      found = true;
      CHECK(frame.before().opaque() == kind.reason);
      CHECK(frame.before().argv_size() == 2);
    }
    CHECK(found);
    // The shells behind a static program are seen again.
    if (kind.reason == v1::OPAQUE_STATIC) {
      const auto images = Images(session.Frames());
      REQUIRE(images.size() >= 2);
      CHECK(images[1].proc().through_opaque());
      CHECK(images[1].proc().parent() == 2);
    }
  }
}

TEST_CASE("A script is what its interpreter is") {
  ScratchDirectory scratch;
  const std::string script = scratch.Write("script", "#! /bin/sh -e\necho $0 $1\n");
  chmod(script.c_str(), 0755);
  CHECK(CheckSame({"/bin/sh", "-c", script + " x; :"}).out == script + " x\n");
  const std::string text = scratch.Write("text", "echo text $1\n");
  chmod(text.c_str(), 0755);
  CHECK(CheckSame({"/usr/bin/env", text, "y"}).out == "text y\n");
  TestSession session;
  session.Run({"/usr/bin/env", text, "y"});
  CHECK(Images(session.Frames()).size() == 2);
}

TEST_CASE("Without OCP_WATCH the library does nothing") {
  TestSession session;
  RunOptions options;
  options.traced = false;
  options.user_preload = PreloadPath();
  const RunResult result = session.Run({"/bin/sh", "-c", "echo $LD_PRELOAD; exit 3"}, options);
  CHECK(result.out == PreloadPath() + "\n");
  CHECK(WEXITSTATUS(result.wait_status) == 3);
  CHECK(session.Frames().empty());
}

}  // namespace
}  // namespace ocpwatch
