// Tells whoever started the daemon how it is: systemd by its notification socket (Type=notify), a client by the pipe of
// --ready-fd, on which one line comes: "ready", or what went wrong.
//
// Used by the main thread only.
#ifndef OCPWATCH_DAEMON_SERVICE_NOTIFIER_H_
#define OCPWATCH_DAEMON_SERVICE_NOTIFIER_H_

#include <chrono>
#include <string>

namespace ocpwatch {

class Notifier {
 public:
  // `ready_fd`: the pipe's end, owned from here on; -1 where there is none.
  explicit Notifier(int ready_fd);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void Ready();
  void Failed(const std::string& error);
  void Status(const std::string& text);
  void Alive();
  void Stopping();

  // How often systemd wants to hear Alive: half of its bound. Zero: it does not ask.
  std::chrono::milliseconds alive_interval() const { return alive_interval_; }

 private:
  void Tell(std::string line);

  int ready_fd_;
  std::chrono::milliseconds alive_interval_{0};
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_NOTIFIER_H_
