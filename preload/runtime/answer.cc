#include "preload/runtime/answer.h"

#include "preload/runtime/wire_reader.h"
#include "preload/runtime/words.h"

namespace ocpwatch {
namespace {

constexpr uint32_t kReplyProceed = 2;        // Reply.proceed
constexpr uint32_t kReplyKill = 3;           // Reply.kill
constexpr uint32_t kKillExitStatus = 1;      // Kill.exit_status
constexpr uint32_t kProceedSubstitutes = 1;  // Proceed.substitutes
constexpr uint32_t kKillWords = 2;           // Kill.words
constexpr uint32_t kItemFds = 1;             // Substitute.fds, Words.fd
constexpr uint32_t kItemPath = 2;            // Substitute.path, Words.path

bool AddDescriptor(uint64_t value, AnswerItem* item) {
  if (value > INT32_MAX || item->fd_count == kMostSubstitutes) return false;
  item->fds[item->fd_count++] = static_cast<int>(value);
  return true;
}

// True if the item names a file, and its descriptors are such and not too many.
bool ReadItem(WireReader fields, AnswerItem* item) {
  item->fd_count = 0;
  item->path[0] = 0;
  while (fields.Next()) {
    if (fields.field() == kItemPath && fields.is_bytes() && fields.size() < sizeof item->path) {
      __builtin_memcpy(item->path, fields.bytes(), fields.size());
      item->path[fields.size()] = 0;
    } else if (fields.field() == kItemFds && fields.is_bytes()) {
      WireReader packed(fields.bytes(), fields.size());
      uint64_t value = 0;
      while (packed.NextNumber(&value)) {
        if (!AddDescriptor(value, item)) return false;
      }
    } else if (fields.field() == kItemFds && !AddDescriptor(fields.value(), item)) {
      return false;
    }
  }
  return item->path[0] != 0;
}

}  // namespace

void Answer::Read(const unsigned char* reply, uint32_t size) {
  if (size > sizeof reply_) return;
  __builtin_memcpy(reply_, reply, size);
  WireReader fields(reply_, size);
  while (fields.Next()) {
    const bool kill = fields.field() == kReplyKill;
    if ((!kill && fields.field() != kReplyProceed) || !fields.is_bytes()) continue;
    is_kill_ = kill;
    end_ = size - fields.rest();
    begin_ = end_ - fields.size();
  }
  WireReader members(reply_ + begin_, end_ - begin_);
  while (members.Next()) {
    if (members.field() == ItemField() && members.is_bytes()) {
      has_items_ = true;
    } else if (is_kill_ && members.field() == kKillExitStatus && !members.is_bytes()) {
      exit_status_ = static_cast<int>(members.value());
    }
  }
}

uint32_t Answer::ItemField() const { return is_kill_ ? kKillWords : kProceedSubstitutes; }

bool Answer::NextItem(size_t* at, AnswerItem* item) const {
  WireReader members(reply_ + begin_ + *at, end_ - begin_ - *at);
  while (members.Next()) {
    *at = end_ - begin_ - members.rest();
    if (members.field() != ItemField() || !members.is_bytes()) continue;
    if (!ReadItem(WireReader(members.bytes(), members.size()), item)) {
      if (!is_kill_) continue;
      item->path[0] = 0;  // Cannot be opened, so the command will run.
    }
    if (is_kill_ && item->fd_count == 0) AddDescriptor(0, item);  // Zero is not written.
    if (item->fd_count > 0) return true;
  }
  return false;
}

void ApplySubstitutes(const Answer& answer, Substitution* substitution) {
  if (answer.is_kill() || !answer.has_items()) return;
  AnswerItem item;
  for (size_t at = 0; answer.NextItem(&at, &item);) substitution->Apply(item.path, item.fds, item.fd_count);
}

void EndAsAnswered(const Answer& answer) {
  if (!answer.is_kill()) return;
  WordsWriter words;
  AnswerItem item;
  for (size_t at = 0; answer.has_items() && answer.NextItem(&at, &item);) {
    if (!words.Add(item.fds[0], item.path)) return;
  }
  words.WriteAndExit(answer.exit_status());
}

}  // namespace ocpwatch
