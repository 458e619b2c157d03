// fcntl and ioctl: only the few commands that change the descriptor table are told. All the others pass through with
// whatever their last argument is; a word holds all of them on the machines that we run on.
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "preload/runtime/call.h"
#include "preload/runtime/export.h"
#include "preload/runtime/reads.h"
#include "real_calls.h"

namespace ocpwatch {
namespace {

int Fcntl(int (*next)(int, int, ...), int fd, int command, long argument) {
  const bool told = command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_SETFD;
  const Behaviour behaviour = BehaviourFor(FunctionId::kFcntl);
  if (!told || behaviour == Behaviour::kOff) return next(fd, command, argument);
  Call call;
  call.function = FunctionId::kFcntl;
  call.fd = fd;
  call.flags = static_cast<uint32_t>(command);
  call.value = argument;
  RecordBefore(call, behaviour);
  const int result = next(fd, command, argument);
  call.result = result;
  call.error = result == -1 ? errno : 0;
  RecordAfter(call);
  if (command != F_SETFD && result >= 0) ForgetReads(result, result);
  return result;
}

}  // namespace
}  // namespace ocpwatch

using namespace ocpwatch;

#define OCPWATCH_FCNTL(name)                               \
  OCPWATCH_EXPORT(int, name, (int fd, int command, ...)) { \
    va_list rest;                                          \
    va_start(rest, command);                               \
    const long argument = va_arg(rest, long);              \
    va_end(rest);                                          \
    BehaviourFor(FunctionId::kFcntl);                      \
    return Fcntl(real.name, fd, command, argument);        \
  }

OCPWATCH_FCNTL(fcntl)
OCPWATCH_FCNTL(fcntl64)
OCPWATCH_FCNTL(__fcntl)

OCPWATCH_EXPORT(int, ioctl, (int fd, unsigned long request, ...)) {
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  const Behaviour behaviour = BehaviourFor(FunctionId::kIoctl);
  if ((request != FIOCLEX && request != FIONCLEX) || behaviour == Behaviour::kOff)
    return real.ioctl(fd, request, argument);
  Call call;
  call.function = FunctionId::kIoctl;
  call.fd = fd;
  call.flags = request == FIOCLEX ? O_CLOEXEC : 0;
  RecordBefore(call, behaviour);
  const int result = real.ioctl(fd, request, argument);
  call.result = result;
  call.error = result == -1 ? errno : 0;
  RecordAfter(call);
  return result;
}
