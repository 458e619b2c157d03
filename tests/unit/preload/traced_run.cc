#include "tests/unit/preload/traced_run.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <set>
#include <stdexcept>

#include "preload/gencalls/call_table.h"

namespace ocpwatch {
namespace {

constexpr unsigned char kToken[16] = {0xa1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xff};

void Require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

void Wake(std::atomic<uint32_t>* word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

// Reads both pipes to their ends.
void Collect(int out, int err, RunResult* result) {
  pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  std::string* texts[2] = {&result->out, &result->err};
  int open = 2;
  while (open > 0) {
    poll(fds, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[65536];
      const ssize_t size = read(fds[i].fd, buffer, sizeof buffer);
      if (size > 0) {
        texts[i]->append(buffer, static_cast<size_t>(size));
      } else {
        close(fds[i].fd);
        fds[i].fd = -1;
        --open;
      }
    }
  }
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& string : strings) result.push_back(const_cast<char*>(string.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

TestSession::TestSession(const Settings& settings) : settings_(settings) {
  size_ = kRingDataOffset + settings.data_size;
  fd_ = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  Require(fd_ >= 0 && ftruncate(fd_, static_cast<off_t>(size_)) == 0, "memfd");
  Require(fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0, "seal");
  void* const memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  Require(memory != MAP_FAILED, "mmap");
  ring_ = static_cast<RingHeader*>(memory);
  data_ = static_cast<unsigned char*>(memory) + kRingDataOffset;
  ring_->magic = kRingMagic;
  ring_->protocol = kProtocol;
  ring_->data_offset = kRingDataOffset;
  ring_->data_size = settings.data_size;
  std::memcpy(ring_->token, kToken, sizeof kToken);
  ring_->daemon_pid = getpid();
  ring_->collect_environment = settings.build ? 1 : 0;
  ring_->next_process = 2;
  const auto table = CallTable();
  for (size_t i = 0; i < table.size() && i < kMaxFunctions; ++i) {
    ring_->behaviours[i] = static_cast<unsigned char>(settings.build ? table[i].build : table[i].record);
  }
  if (settings.read) reader_ = std::thread(&TestSession::ReadLoop, this);
}

TestSession::~TestSession() {
  stop_ = true;
  if (reader_.joinable()) reader_.join();
  munmap(ring_, size_);
  close(fd_);
}

std::string TestSession::WatchVariable(uint32_t process, pid_t pid, pid_t parent, pid_t daemon) const {
  std::string token;
  for (unsigned char byte : kToken) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", byte);
    token += hex;
  }
  if (daemon == 0) daemon = settings_.claimed_pid != 0 ? settings_.claimed_pid : getpid();
  return std::to_string(kProtocol) + ":" + std::to_string(daemon) + ":" + std::to_string(fd_) + ":" + token + ":" +
         std::to_string(process) + ":" + std::to_string(pid) + ":" + std::to_string(parent) + ":" +
         settings_.socket_path;
}

RunResult TestSession::Run(const std::vector<std::string>& argv, const RunOptions& options) {
  std::vector<std::string> environment = options.environment;
  if (options.traced) {
    environment.push_back("LD_PRELOAD=" + (options.user_preload.empty() ? "" : options.user_preload + ":") +
                          (options.library.empty() ? PreloadPath() : options.library));
    environment.push_back(std::string(kWatchVariable) + "=" + WatchVariable(1, 0, getpid()));
  } else if (!options.user_preload.empty()) {
    environment.push_back("LD_PRELOAD=" + options.user_preload);
  }
  const std::vector<char*> arguments = Pointers(argv);
  const std::vector<char*> variables = Pointers(environment);
  int out[2], err[2];
  Require(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0, "pipe");
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  RunResult result;
  result.pid = fork();
  if (result.pid == 0) {
    dup2(null, 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) _exit(126);
    // What a test runner left open would count against the limit, and be seen by the program.
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (options.descriptor_limit > 0) {
      rlimit limit = {static_cast<rlim_t>(options.descriptor_limit), static_cast<rlim_t>(options.descriptor_limit)};
      setrlimit(RLIMIT_NOFILE, &limit);
    }
    execvpe(arguments[0], arguments.data(), variables.data());
    _exit(127);
  }
  close(null);
  close(out[1]);
  close(err[1]);
  if (options.while_it_runs) options.while_it_runs(result.pid);
  Collect(out[0], err[0], &result);
  waitpid(result.pid, &result.wait_status, 0);
  return result;
}

void TestSession::Take(const unsigned char* data, size_t size) {
  v1::Frame frame;
  if (!frame.ParseFromArray(data, static_cast<int>(size)) || frame.process() == 0 ||
      frame.body_case() == v1::Frame::BODY_NOT_SET) {
    ++malformed_;
    return;
  }
  if (frame.has_before() && frame.before().reply_slot() != 0) {
    v1::Reply reply;
    if (answer_) {
      reply = answer_(frame);
    } else {
      reply.mutable_proceed();
    }
    const uint32_t index = frame.before().reply_slot() - 1;
    ReplySlot& slot = ring_->slots[index];
    slot.size = static_cast<uint32_t>(reply.ByteSizeLong());
    reply.SerializeToArray(ring_->replies[index], kReplyBytes);
    slot.state.store(static_cast<uint32_t>(ReplyState::kAnswered));
    Wake(&slot.state);
  }
  frames_.push_back(std::move(frame));
}

void TestSession::Drain() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t lap = ring_->data_size;
  for (;;) {
    const uint64_t tail = ring_->tail.load();
    auto* word = reinterpret_cast<std::atomic<uint64_t>*>(data_ + (tail & (lap - 1)));
    const uint64_t value = word->load();
    if (StateOf(value) == WordState::kFree || StateOf(value) == WordState::kBusy) return;
    const uint64_t span = SpanOf(value) * 8;
    if (StateOf(value) == WordState::kDone) {
      const std::vector<unsigned char> copy(reinterpret_cast<unsigned char*>(word) + 8,
                                            reinterpret_cast<unsigned char*>(word) + 8 + OwnerOrBytesOf(value));
      Take(copy.data(), copy.size());
    }
    for (uint64_t at = tail; at < tail + span; at += 8) {
      reinterpret_cast<std::atomic<uint64_t>*>(data_ + (at & (lap - 1)))->store(FreeWord(at + lap, lap));
    }
    ring_->tail.store(tail + span);
    if (ring_->waiting_for_room.load() > 0) {
      ring_->room.fetch_add(1);
      Wake(&ring_->room);
    }
  }
}

void TestSession::ReadLoop() {
  while (!stop_) {
    ring_->reader.store(static_cast<uint32_t>(ReaderState::kAsleep));
    Drain();
    const timespec timeout = {0, 20'000'000};
    syscall(SYS_futex, &ring_->reader, FUTEX_WAIT, static_cast<uint32_t>(ReaderState::kAsleep), &timeout, nullptr, 0);
    ring_->reader.store(static_cast<uint32_t>(ReaderState::kAwake));
    Drain();
  }
}

std::vector<v1::Frame> TestSession::Frames() {
  Drain();
  const std::lock_guard<std::mutex> lock(mutex_);
  return frames_;
}

void TestSession::Set(const std::string& function, v1::Behaviour behaviour) {
  ring_->behaviours[FindFunction(function)] = static_cast<unsigned char>(behaviour);
}

void TestSession::OnSynchronous(std::function<v1::Reply(const v1::Frame&)> answer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  answer_ = std::move(answer);
}

std::string PreloadPath() { return OCPWATCH_TEST_PRELOAD; }
std::string ProbePath() { return OCPWATCH_TEST_PROBE; }

v1::Op OpOf(uint32_t function) { return function < CallTable().size() ? CallTable()[function].op : v1::OP_NONE; }

std::string NameOf(uint32_t function) {
  return function < CallTable().size() ? std::string(CallTable()[function].name) : "?";
}

std::vector<v1::Frame> After(const std::vector<v1::Frame>& frames, v1::Op op) {
  std::vector<v1::Frame> result;
  for (const v1::Frame& frame : frames) {
    if (frame.has_after() && OpOf(frame.after().function()) == op) result.push_back(frame);
  }
  return result;
}

std::vector<v1::Frame> Before(const std::vector<v1::Frame>& frames, v1::Op op) {
  std::vector<v1::Frame> result;
  for (const v1::Frame& frame : frames) {
    if (frame.has_before() && OpOf(frame.before().function()) == op) result.push_back(frame);
  }
  return result;
}

std::vector<v1::Frame> Images(const std::vector<v1::Frame>& frames) {
  std::vector<v1::Frame> result;
  for (const v1::Frame& frame : frames) {
    if (frame.has_proc() && frame.proc().kind() == v1::Proc::KIND_IMAGE) result.push_back(frame);
  }
  return result;
}

std::vector<std::string> Paths(const std::vector<v1::Frame>& frames, v1::Op op) {
  std::set<std::string> result;
  for (const v1::Frame& frame : After(frames, op)) {
    if (!frame.after().path().empty()) result.insert(frame.after().path());
  }
  return {result.begin(), result.end()};
}

bool Contains(const std::vector<std::string>& list, const std::string& entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

}  // namespace ocpwatch
