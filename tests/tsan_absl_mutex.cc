// Tells ThreadSanitizer of absl::Mutex. Debian's Abseil is not instrumented, so to TSan its locks are nothing and all
// that they guard is a race. Linked into TSan builds only, with --wrap for each function here (proto/CMakeLists.txt).
//
// TSan ignores what happens between pre_lock and post_lock, and between pre_unlock and post_unlock: there absl
// evaluates the conditions of waiting threads, with the mutex held.
#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace {

using absl::Condition;
using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Time;

class Waiting {
 public:
  explicit Waiting(Mutex* mutex) : mutex_(mutex) {
    __tsan_mutex_pre_unlock(mutex_, 0);
    __tsan_mutex_post_unlock(mutex_, 0);
    __tsan_mutex_pre_lock(mutex_, 0);
  }
  ~Waiting() { __tsan_mutex_post_lock(mutex_, 0, 0); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Mutex* const mutex_;
};

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the linker's.
extern "C" {

#define REAL(name) __real__ZN4absl7debian3##name
#define WRAP(name) __wrap__ZN4absl7debian3##name

void REAL(5Mutex4LockEv)(Mutex*);
void WRAP(5Mutex4LockEv)(Mutex* mutex) {
  __tsan_mutex_pre_lock(mutex, 0);
  REAL(5Mutex4LockEv)(mutex);
  __tsan_mutex_post_lock(mutex, 0, 0);
}

bool REAL(5Mutex7TryLockEv)(Mutex*);
bool WRAP(5Mutex7TryLockEv)(Mutex* mutex) {
  __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
  const bool locked = REAL(5Mutex7TryLockEv)(mutex);
  __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

void REAL(5Mutex6UnlockEv)(Mutex*);
void WRAP(5Mutex6UnlockEv)(Mutex* mutex) {
  __tsan_mutex_pre_unlock(mutex, 0);
  REAL(5Mutex6UnlockEv)(mutex);
  __tsan_mutex_post_unlock(mutex, 0);
}

void REAL(5Mutex10ReaderLockEv)(Mutex*);
void WRAP(5Mutex10ReaderLockEv)(Mutex* mutex) {
  __tsan_mutex_pre_lock(mutex, __tsan_mutex_read_lock);
  REAL(5Mutex10ReaderLockEv)(mutex);
  __tsan_mutex_post_lock(mutex, __tsan_mutex_read_lock, 0);
}

void REAL(5Mutex12ReaderUnlockEv)(Mutex*);
void WRAP(5Mutex12ReaderUnlockEv)(Mutex* mutex) {
  __tsan_mutex_pre_unlock(mutex, __tsan_mutex_read_lock);
  REAL(5Mutex12ReaderUnlockEv)(mutex);
  __tsan_mutex_post_unlock(mutex, __tsan_mutex_read_lock);
}

void REAL(5Mutex8LockWhenERKNS0_9ConditionE)(Mutex*, const Condition&);
void WRAP(5Mutex8LockWhenERKNS0_9ConditionE)(Mutex* mutex, const Condition& condition) {
  __tsan_mutex_pre_lock(mutex, 0);
  REAL(5Mutex8LockWhenERKNS0_9ConditionE)(mutex, condition);
  __tsan_mutex_post_lock(mutex, 0, 0);
}

bool REAL(5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE)(Mutex*, const Condition&, Duration);
bool WRAP(5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE)(Mutex* mutex, const Condition& condition,
                                                                       Duration timeout) {
  __tsan_mutex_pre_lock(mutex, 0);
  const bool held = REAL(5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE)(mutex, condition, timeout);
  __tsan_mutex_post_lock(mutex, 0, 0);
  return held;
}

void REAL(5Mutex5AwaitERKNS0_9ConditionE)(Mutex*, const Condition&);
void WRAP(5Mutex5AwaitERKNS0_9ConditionE)(Mutex* mutex, const Condition& condition) {
  Waiting waiting(mutex);
  REAL(5Mutex5AwaitERKNS0_9ConditionE)(mutex, condition);
}

bool REAL(5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE)(Mutex*, const Condition&, Duration);
bool WRAP(5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE)(Mutex* mutex, const Condition& condition,
                                                                    Duration timeout) {
  Waiting waiting(mutex);
  return REAL(5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE)(mutex, condition, timeout);
}

bool REAL(5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE)(Mutex*, const Condition&, Time);
bool WRAP(5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE)(Mutex* mutex, const Condition& condition,
                                                                 Time deadline) {
  Waiting waiting(mutex);
  return REAL(5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE)(mutex, condition, deadline);
}

void REAL(7CondVar4WaitEPNS0_5MutexE)(CondVar*, Mutex*);
void WRAP(7CondVar4WaitEPNS0_5MutexE)(CondVar* variable, Mutex* mutex) {
  Waiting waiting(mutex);
  REAL(7CondVar4WaitEPNS0_5MutexE)(variable, mutex);
}

bool REAL(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)(CondVar*, Mutex*, Duration);
bool WRAP(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)(CondVar* variable, Mutex* mutex, Duration timeout) {
  Waiting waiting(mutex);
  return REAL(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)(variable, mutex, timeout);
}

bool REAL(7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE)(CondVar*, Mutex*, Time);
bool WRAP(7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE)(CondVar* variable, Mutex* mutex, Time deadline) {
  Waiting waiting(mutex);
  return REAL(7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE)(variable, mutex, deadline);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
