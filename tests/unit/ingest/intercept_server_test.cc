#include "daemon/ingest/intercept_server.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/ingest/futex.h"
#include "daemon/ingest/runtime_directory.h"
#include "tests/unit/ingest/fake_target.h"
#include "tests/unit/ingest/ring_test_writer.h"

namespace ocpwatch {
namespace {

class Directory final : public SessionDirectory {
 public:
  std::shared_ptr<FakeTarget> Add() {
    auto target = std::make_shared<FakeTarget>();
    targets_[std::string(target->ring().token())] = target;
    return target;
  }
  void Forget(const FakeTarget& target) { targets_.erase(std::string(const_cast<FakeTarget&>(target).ring().token())); }
  std::shared_ptr<IngestTarget> Find(std::string_view token) override {
    const auto found = targets_.find(std::string(token));
    return found == targets_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string, std::shared_ptr<FakeTarget>> targets_;  // Filled before the server's thread asks.
};

v1::Frame Greeting(FakeTarget& target, uint32_t process) {
  v1::Frame frame;
  frame.set_process(process);
  frame.mutable_proc()->set_kind(v1::Proc::KIND_IMAGE);
  frame.mutable_proc()->set_protocol(kProtocol);
  frame.mutable_proc()->set_token(std::string(target.ring().token()));
  return frame;
}

// A process's end of the socket.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.data(), path.size());
    connected_ = connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  bool connected() const { return connected_; }
  int fd() const { return fd_.get(); }
  bool Send(std::string_view bytes) {
    return send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  bool Send(const v1::Frame& frame) { return Send(Delimited(frame)); }
  void Close() { fd_.reset(); }

  // The next reply, and the descriptor that came with it, if any. False at the end of the stream.
  bool Receive(v1::Reply* reply, UniqueFd* descriptor = nullptr) {
    std::string_view message;
    while (input_.Next(&message) != DelimitedReader::Result::kMessage) {
      char buffer[4096];
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
      iovec data{.iov_base = buffer, .iov_len = sizeof buffer};
      msghdr header{};
      header.msg_iov = &data;
      header.msg_iovlen = 1;
      header.msg_control = control;
      header.msg_controllen = sizeof control;
      const ssize_t size = recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC);
      if (size <= 0) return false;
      if (const cmsghdr* rights = CMSG_FIRSTHDR(&header); rights != nullptr && descriptor != nullptr) {
        int fd = -1;
        memcpy(&fd, CMSG_DATA(rights), sizeof fd);
        descriptor->reset(fd);
      }
      input_.Add({buffer, static_cast<size_t>(size)});
    }
    return reply->ParseFromArray(message.data(), static_cast<int>(message.size()));
  }
  // Whether the server closes the connection within `ms`.
  bool EndsWithin(int ms) {
    pollfd poll_fd{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    char byte = 0;
    while (poll(&poll_fd, 1, ms) == 1) {
      if (recv(fd_.get(), &byte, 1, 0) <= 0) return true;
    }
    return false;
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
  DelimitedReader input_;
};

class ServerFixture {
 public:
  ServerFixture() {
    REQUIRE(mkdtemp(top_.data()) != nullptr);
    path_ = top_ + "/intercept.sock";
    target_ = directory_.Add();
    other_ = directory_.Add();
  }
  ~ServerFixture() {
    server_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(top_, ignored);
  }

 protected:
  void Serve(const InterceptOptions& options = {}) {
    auto listener = ListenUnix(path_);
    REQUIRE(listener.ok());
    auto server = InterceptServer::Start(std::move(*listener), directory_, options);
    REQUIRE(server.ok());
    server_ = std::move(*server);
  }
  // A client that was greeted.
  std::unique_ptr<Client> Greeted(FakeTarget& target, uint32_t process = 1) {
    auto client = std::make_unique<Client>(path_);
    REQUIRE(client->Send(Greeting(target, process)));
    v1::Reply reply;
    REQUIRE(client->Receive(&reply));
    REQUIRE(reply.bitmap().refused().empty());
    return client;
  }
  std::string Refused(const std::string& bytes) {
    Client client(path_);
    client.Send(bytes);
    v1::Reply reply;
    UniqueFd descriptor;
    REQUIRE(client.Receive(&reply, &descriptor));
    CHECK_FALSE(descriptor.valid());
    CHECK(client.EndsWithin(1000));
    CHECK(reply.bitmap().protocol() == kProtocol);
    return reply.bitmap().refused();
  }
  // That all is well for somebody else.
  void CheckServed() {
    const auto client = Greeted(*other_);
    CHECK(other_->damage().empty());
  }
  template <typename Condition>
  static bool Within(int ms, Condition condition) {
    for (; ms > 0 && !condition(); --ms) absl::SleepFor(absl::Milliseconds(1));
    return condition();
  }

  std::string top_ = "/tmp/ocpw-XXXXXX";
  std::string path_;
  Directory directory_;
  std::shared_ptr<FakeTarget> target_;
  std::shared_ptr<FakeTarget> other_;
  std::unique_ptr<InterceptServer> server_;
};

}  // namespace

TEST_CASE_METHOD(ServerFixture, "A process that greets gets the ring of its session") {
  Serve();
  Client client(path_);
  REQUIRE(client.Send(Greeting(*target_, 1)));
  v1::Reply reply;
  UniqueFd descriptor;
  REQUIRE(client.Receive(&reply, &descriptor));
  CHECK(reply.bitmap().protocol() == kProtocol);
  CHECK(reply.bitmap().behaviours() == target_->ring().behaviours());
  CHECK_FALSE(reply.bitmap().build_id().empty());
  REQUIRE(descriptor.valid());
  void* memory = mmap(nullptr, sizeof(RingHeader), PROT_READ, MAP_SHARED, descriptor.get(), 0);
  REQUIRE(memory != MAP_FAILED);
  CHECK(memcmp(static_cast<RingHeader*>(memory)->token, target_->ring().token().data(), 16) == 0);
  munmap(memory, sizeof(RingHeader));
  client.Close();
  CHECK(Within(1000, [&] { return server_->connections() == 0; }));
  // Its Proc comes through the ring.
  CHECK(target_->count() == 0);
  CHECK(target_->damage().empty());
}

TEST_CASE_METHOD(ServerFixture, "A process without a ring sends all its frames on the socket") {
  Serve();
  const auto client = Greeted(*target_, 1);
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += Delimited(TestFrame(1, i));
  REQUIRE(client->Send(bytes));
  CHECK(Within(5000, [&] { return target_->count() == 5001; }));
  CHECK(target_->out_of_order() == 0);
  CHECK(target_->frames().front().has_proc());
  client->Close();
  CHECK(Within(1000, [&] { return server_->connections() == 0; }));
  CHECK(target_->damage().empty());
}

TEST_CASE_METHOD(ServerFixture, "A synchronous call on the socket is answered there") {
  Serve();
  const auto client = Greeted(*target_);
  v1::Frame frame;
  frame.set_process(1);
  frame.mutable_before()->set_reply_slot(1'000'000);
  v1::Reply reply;
  REQUIRE(client->Send(frame));
  REQUIRE(client->Receive(&reply));
  CHECK(reply.has_proceed());
  frame.mutable_before()->set_value(3);
  REQUIRE(client->Send(frame));
  REQUIRE(client->Receive(&reply));
  CHECK(reply.kill().exit_status() == 3);
}

TEST_CASE_METHOD(ServerFixture, "Greetings that cannot be are refused with the reason") {
  Serve();
  v1::Frame frame = Greeting(*target_, 1);
  SECTION("another protocol") {
    frame.mutable_proc()->set_protocol(kProtocol + 1);
    CHECK(Refused(Delimited(frame)).find("protocol " + std::to_string(kProtocol + 1)) != std::string::npos);
  }
  SECTION("a token of no session") {
    frame.mutable_proc()->set_token(std::string(16, 'x'));
    CHECK(Refused(Delimited(frame)).find("token") != std::string::npos);
  }
  SECTION("a session that is over") {
    directory_.Forget(*target_);
    CHECK(Refused(Delimited(frame)).find("token") != std::string::npos);
  }
  SECTION("no token") {
    frame.mutable_proc()->clear_token();
    CHECK(Refused(Delimited(frame)).find("token") != std::string::npos);
  }
  SECTION("not a Proc") { CHECK(Refused(Delimited(TestFrame(1, 0))).find("Proc") != std::string::npos); }
  SECTION("garbage") { CHECK_FALSE(Refused("\x05garba").empty()); }
  SECTION("a length that cannot be") { CHECK_FALSE(Refused(std::string(1000, '\xff')).empty()); }
  SECTION("HTTP") { CHECK_FALSE(Refused("GET / HTTP/1.1\r\n\r\n" + std::string(200, ' ')).empty()); }
  CHECK(target_->count() == 0);
  CHECK(target_->damage().empty());
  CheckServed();
}

TEST_CASE_METHOD(ServerFixture, "What cannot be on a greeted connection ends it and is damage for its process alone") {
  Serve();
  const uint32_t process = 5;
  const auto client = Greeted(*target_, process);
  const auto neighbour = Greeted(*target_, 6);
  client->Send(TestFrame(process, 0));
  SECTION("another session's token") { client->Send(Greeting(*other_, process)); }
  SECTION("a malformed frame") { client->Send("\x03\xff\xff\xff"); }
  SECTION("an oversized frame") { client->Send("\xff\xff\x7f"); }
  SECTION("a length of nothing") { client->Send(std::string_view("\0", 1)); }
  SECTION("an end in the middle") {
    client->Send("\x70half");
    shutdown(client->fd(), SHUT_WR);
  }
  client->Send(TestFrame(process, 1));
  CHECK(client->EndsWithin(1000));
  CHECK(Within(1000, [&] { return target_->damage().size() == 1; }));
  CHECK(target_->damage()[0].process == process);
  REQUIRE(neighbour->Send(TestFrame(6, 0)));
  CHECK(Within(1000, [&] { return target_->count() == 4; }));  // Two Procs, two frames.
  CHECK(other_->count() == 0);
  CheckServed();
}

TEST_CASE_METHOD(ServerFixture, "A session that ends does not wait for its clients") {
  Serve();
  const auto client = Greeted(*target_);
  directory_.Forget(*target_);
  const std::weak_ptr<FakeTarget> watch = target_;
  target_.reset();
  CHECK(Within(1000, [&] { return watch.expired(); }));
  client->Send(TestFrame(1, 0));
  CHECK(client->EndsWithin(1000));
}

TEST_CASE_METHOD(ServerFixture, "A client that sends a byte now and then is cut off") {
  InterceptOptions options;
  options.greeting_timeout_ns = 100'000'000;
  options.frame_timeout_ns = 200'000'000;
  Serve(options);
  Client silent(path_);
  Client slow(path_);
  const auto slow_later = Greeted(*target_, 9);
  const auto idle = Greeted(*target_, 10);
  const std::string bytes = Delimited(Greeting(*target_, 8));
  const std::string later = Delimited(TestFrame(9, 0));
  const int64_t begin = MonotonicNs();
  bool slow_ended = false;
  bool later_ended = false;
  for (size_t i = 0; i < bytes.size() && MonotonicNs() - begin < 5'000'000'000 && !(slow_ended && later_ended); ++i) {
    slow_ended = slow_ended || !slow.Send(bytes.substr(i, 1));
    later_ended = later_ended || !slow_later->Send(later.substr(i, 1));
    absl::SleepFor(absl::Milliseconds(20));
  }
  CHECK(slow_ended);
  CHECK(later_ended);
  CHECK(silent.EndsWithin(1000));
  // Greeted and silent is no crime.
  CHECK_FALSE(idle->EndsWithin(300));
  CHECK(server_->connections() == 1);
  CheckServed();
}

TEST_CASE_METHOD(ServerFixture, "A client that never reads its answers is cut off") {
  Serve();
  const auto client = Greeted(*target_);
  v1::Frame frame;
  frame.set_process(1);
  frame.mutable_before()->set_reply_slot(1);
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += Delimited(frame);
  int sent = 0;
  while (sent < 1000 && client->Send(bytes)) ++sent;
  CHECK(sent < 1000);
  CHECK(Within(1000, [&] { return !target_->damage().empty(); }));
  CheckServed();
}

TEST_CASE_METHOD(ServerFixture, "Ten thousand connections do not keep anybody out") {
  InterceptOptions options;
  options.max_connections = 200;
  Serve(options);
  const auto there_before = Greeted(*target_, 1);
  std::atomic<bool> over = false;
  std::thread flood([this, &over] {
    std::deque<Client> clients;
    for (int i = 0; i < 10'000; ++i) {
      clients.emplace_back(path_);
      if (clients.size() > 400) clients.pop_front();
    }
    over = true;
  });
  int served = 0;
  // One that the server does not come to in time gives way to the next ones: it may try again.
  while (!over) {
    Client client(path_);
    v1::Reply reply;
    if (client.Send(Greeting(*other_, 2)) && client.Receive(&reply)) ++served;
  }
  flood.join();
  CHECK(served > 0);
  CHECK(server_->connections() <= 200);
  REQUIRE(there_before->Send(TestFrame(1, 0)));
  CHECK(Within(1000, [&] { return target_->count() == 2; }));
}

TEST_CASE_METHOD(ServerFixture, "Without descriptors newcomers are turned away, and later ones served again") {
  Serve();
  const auto there_before = Greeted(*target_, 1);
  // Sockets first: the server shares our table of descriptors and is to have none left.
  std::vector<UniqueFd> sockets;
  sockets.reserve(3);
  for (int i = 0; i < 3; ++i) sockets.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit low = before;
  low.rlim_cur = 200;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  std::vector<UniqueFd> hoard;
  for (int fd = 0; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) hoard.emplace_back(fd);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path_.data(), path_.size());
  for (const UniqueFd& fd : sockets) {
    REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    pollfd poll_fd{.fd = fd.get(), .events = POLLIN, .revents = 0};
    CHECK(poll(&poll_fd, 1, 2000) == 1);  // Closed.
  }
  rusage usage_before{};
  rusage usage_after{};
  getrusage(RUSAGE_SELF, &usage_before);
  absl::SleepFor(absl::Milliseconds(200));
  getrusage(RUSAGE_SELF, &usage_after);
  CHECK(usage_after.ru_utime.tv_sec * 1'000'000 + usage_after.ru_utime.tv_usec -
            usage_before.ru_utime.tv_sec * 1'000'000 - usage_before.ru_utime.tv_usec <
        50'000);
  there_before->Send(TestFrame(1, 0));
  CHECK(Within(1000, [&] { return target_->count() == 2; }));
  hoard.clear();
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CheckServed();
}

TEST_CASE_METHOD(ServerFixture, "A process of another user is not even listened to") {
  if (geteuid() != 0) return;  // Only root can become another.
  const std::string greeting = Delimited(Greeting(*target_, 1));
  // Before there are threads: a child of theirs may find the allocator locked for ever.
  int served[2];
  REQUIRE(pipe2(served, O_CLOEXEC) == 0);
  const pid_t stranger = fork();
  REQUIRE(stranger >= 0);
  if (stranger == 0) {
    char byte = 0;
    if (read(served[0], &byte, 1) != 1 || setresuid(65534, 65534, 65534) != 0) _exit(2);
    Client client(path_);
    if (!client.connected()) _exit(3);
    client.Send(greeting);
    v1::Reply reply;
    _exit(client.Receive(&reply) ? 1 : 0);
  }
  const UniqueFd hear(served[0]);
  const UniqueFd tell(served[1]);
  Serve();
  REQUIRE(chmod(top_.c_str(), 0755) == 0);
  REQUIRE(chmod(path_.c_str(), 0666) == 0);
  REQUIRE(write(tell.get(), "", 1) == 1);
  int status = -1;
  REQUIRE(waitpid(stranger, &status, 0) == stranger);
  CHECK(status == 0);
  CHECK(target_->damage().empty());
  CheckServed();
}

}  // namespace ocpwatch
