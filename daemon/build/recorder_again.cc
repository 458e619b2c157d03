// What the session's own command would do otherwise, were all that it makes there from the start.
//
// Where everything is as it left it, it is not run again: what it only looked for, and then made, may be there (see
// Present::FirstMismatch). That is right where it would find out that nothing is to be done, as a `make` does, and
// wrong of `if [ -f done ]; then echo yes > r; else touch done; echo no > r; fi`. The two cannot be told apart for
// sure. So it is not relied on where there is a sign of the second:
//
//   A product was read, or added to, before it was as it is in the end: a counter, a log. See drafts.h. Unless by what
//   made it alone and was started by who had looked for it: make does not start `ar` where the archive is there.
//   Somebody looked for a product before he started what makes it, and there are others that nobody looked for: r
//   above. A make looks for each target. Who looks for none does what he does in any case.
//   Somebody looked for a product before he started what makes it, and at nothing that is read to make it, but for the
//   program: `[ -e g ] && echo there > r; cp f g`. A make looks at prerequisites. (Also at those of a stamp, or of a
//   directory, that are not read. These cannot be told from others.)
//   Somebody looked who neither made the product himself nor started who did: `cp -P link o2; ln -s x link`.
//   Somebody looked for a file and then left it himself, and nobody who started him had looked for it, or he left
//   others as well. (An assembler looks, too, and does the same each time; but make has looked for what it leaves.)
//   Nobody looked for what was made by a call that fails where it is there, or is gone by one that fails where it is
//   not: `mkdir d`, `mv f g`. Nor for what has another place where there is a directory already.
//   A directory was listed in which something was made or removed later that nobody had asked for: `echo *; cp f g`.
//   A command without sub-commands (ls, find) listed a directory in which something was made later:
//   Observation.lists_all.
//
// Then the command runs once more, which costs a make what it takes to find nothing to do, and from then on counts what
// it found there. What is left can be told from a make by nothing but a second run: `[ -e f ] && [ -e g ] && echo there
// > r; cp f g`.
#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

bool BuildRecorder::Impl::IsDraft(const Scope* scope, CommandId user, PathId path) {
  while (scope->parent != nullptr) scope = scope->parent;
  const auto product = scope->changed.find(path);
  if (product == scope->changed.end()) return false;
  return !product->second.asked || product->second.by == 0 || product->second.by != user;
}

void BuildRecorder::Impl::NoteDraftRead(const Scope* scope, CommandId reader, PathId path, const FileState& state,
                                        const Trace& trace) {
  if (state.type != v1::FILE_REGULAR) return;
  const Scope* top = scope;
  while (top->parent != nullptr) top = top->parent;
  path = ThroughOwnLinks(*top, path, /*nofollow=*/false, const_cast<Trace*>(&trace));
  if (IsDraft(top, reader, path)) drafts_.Read(path, state.stamp.size);
}

void BuildRecorder::Impl::NoteDraftChange(const Scope* scope, v1::Op op, uint32_t flags, const Before& before,
                                          const Trace& trace) {
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN:
    case v1::OP_TRUNCATE: {
      const bool adds = op == v1::OP_TRUNCATE || (flags & (O_TRUNC | O_EXCL)) == 0;
      if (before.path == kNoPath) return;
      if (adds && before.state.type == v1::FILE_REGULAR && IsDraft(scope, scope->command, before.path)) {
        drafts_.AddTo(before.path, before.state.stamp.size);
      }
      return EndDraft(before.path, before.state, /*gone=*/false, trace);
    }
    case v1::OP_UNLINK:
      return EndDraft(before.path, before.state, /*gone=*/true, trace);
    case v1::OP_RENAME:
      EndDraft(before.path, before.state, /*gone=*/true, trace);
      return EndDraft(before.path2, before.state2, /*gone=*/false, trace);
    default:  // The content stays.
      return;
  }
}

void BuildRecorder::Impl::EndDraft(PathId path, const FileState& state, bool gone, const Trace& trace) {
  if (path == kNoPath || !drafts_.IsRead(path)) return;
  std::optional<Digest> read;
  if (!gone && state.type == v1::FILE_REGULAR) {
    const absl::StatusOr<Digest> digest = store_.DigestOfPath(trace.Path(path), state.stamp, /*keep=*/false);
    if (digest.ok()) read = *digest;
  }
  drafts_.Change(path, read);
}

void BuildRecorder::Impl::NoteLook(Scope* scope, PathId path, CommandId command) {
  for (; scope != nullptr && !scope->changed.contains(path); scope = scope->parent) {
    const auto [looker, fresh] = scope->lookers.try_emplace(path, command);
    if (fresh) continue;
    if (looker->second == 0 || looker->second == command) return;  // Those above know.
    looker->second = 0;
  }
}

bool BuildRecorder::Impl::IsLeft(const Scope& scope, PathId path, const Trace& trace) {
  for (const Scope* above = &scope; above != nullptr; above = above->parent) {
    if (std::count(above->temporaries.begin(), above->temporaries.end(), path) != 0) return false;
  }
  return StateOf(trace.Path(path), /*nofollow=*/true).type != v1::FILE_ABSENT;
}

bool BuildRecorder::Impl::IsAsked(const Scope* scope, PathId path) {
  for (; scope != nullptr; scope = scope->parent) {
    const auto product = scope->changed.find(path);
    if (product != scope->changed.end() && product->second.asked) return true;
  }
  return false;
}

bool BuildRecorder::Impl::LeavesWhatItLookedFor(const v1::ActionRecord& record, const Scope* parent, Trace* trace) {
  absl::flat_hash_set<std::string_view> left;
  for (const v1::Effect& effect : record.effects()) {
    const PathId path = trace->Intern(effect.path());
    const bool is_file = effect.type() == v1::FILE_REGULAR || effect.type() == v1::FILE_SYMLINK;
    if (is_file && !IsAsked(parent, path) && IsLeft(*parent, path, *trace)) left.insert(effect.path());
  }
  return std::any_of(record.observations().begin(), record.observations().end(), [&](const v1::Observation& look) {
    return IsOnlyALook(look) && !look.replaced() && left.contains(look.path());
  });
}

bool BuildRecorder::Impl::LeftWhatItLookedFor(const Scope& scope, const Trace& trace) {
  int left = 0;
  bool looked = false;
  for (const PathId path : scope.intended) {
    const auto change = scope.changed.find(path);
    if (change == scope.changed.end() || change->second.is_directory || !IsLeft(scope, path, trace)) continue;
    ++left;
    if (!scope.looked.contains(path)) continue;
    if (!IsAsked(scope.parent, path)) return true;
    looked = true;
  }
  return left > 1 && looked;
}

bool BuildRecorder::Impl::AskedOfNoInput(const Scope& scope, const Trace& trace) const {
  return std::any_of(scope.changed.begin(), scope.changed.end(), [&](const auto& product) {
    const PathId path = product.first;
    const Change& change = product.second;
    if (!change.asked || change.in_place || change.by == scope.command || !scope.looked.contains(path)) return false;
    const auto is_input = [&](PathId used) { return used != path && !programs_.contains(used); };
    const bool of_input =
        change.made_from != nullptr && std::any_of(change.made_from->begin(), change.made_from->end(), is_input);
    return !of_input && IsLeft(scope, path, trace);
  });
}

namespace {

// Whether a directory that was listed has other names in it now: those of what was made or removed later, and of which
// nobody had asked.
bool ListsOthers(const v1::ActionRecord& record) {
  absl::flat_hash_map<std::string, const v1::Observation*> listed;
  absl::flat_hash_set<std::string_view> absent;
  for (const v1::Observation& observation : record.observations()) {
    if (observation.listing()) listed[observation.path()] = &observation;
    if (observation.type() == v1::FILE_ABSENT) absent.insert(observation.path());
  }
  return std::any_of(record.effects().begin(), record.effects().end(), [&](const v1::Effect& effect) {
    if (effect.asked() || (effect.type() != v1::FILE_ABSENT) != absent.contains(effect.path())) return false;
    const auto directory = listed.find(DirectoryOf(effect.path()));
    if (directory == listed.end()) return false;
    const auto& without = directory->second->without();
    return std::find(without.begin(), without.end(), effect.path().substr(effect.path().rfind('/') + 1)) ==
           without.end();
  });
}

}  // namespace

bool BuildRecorder::Impl::IsFirstOnly(const Scope& scope, const v1::ActionRecord& record, Trace* trace) const {
  bool asked = false;
  bool unasked = false;
  absl::flat_hash_set<std::string_view> drafts;
  for (const v1::Effect& effect : record.effects()) {
    const auto change = scope.changed.find(trace->Intern(effect.path()));
    if (change != scope.changed.end() && change->second.noticed) return true;
    if (scope.parent == nullptr && effect.unrepeatable() && !effect.asked()) return true;
    const bool is_file = effect.type() == v1::FILE_REGULAR || effect.type() == v1::FILE_SYMLINK;
    if (!is_file || effect.in_place()) continue;
    (effect.asked() ? asked : unasked) = true;
    const bool regular = effect.type() == v1::FILE_REGULAR;
    if (regular && drafts_.Differ(trace->Intern(effect.path()), FromProto(effect.digest())))
      drafts.insert(effect.path());
  }
  if (asked && unasked) return true;
  if (scope.parent == nullptr && ListsOthers(record)) return true;
  // Where it would have been made anew in any case, it is the same draft each time.
  return std::any_of(record.observations().begin(), record.observations().end(),
                     [&](const v1::Observation& look) { return !look.replaced() && drafts.contains(look.path()); });
}

}  // namespace ocpwatch
