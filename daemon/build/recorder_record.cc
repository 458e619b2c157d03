// What a record says of files: what was learnt of them, and what the command has left.
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

bool IsEmptyFile(const std::string& path) {
  const FileState state = StateOf(path, /*nofollow=*/true);
  return state.type == v1::FILE_REGULAR && state.stamp.size == 0;
}

// Whether what `path` was seen to lead to is a file that has been written anew, from its beginning, since then.
bool IsRewrittenThroughLink(const Scope& scope, PathId path, const Seen& seen, const Trace& trace) {
  const auto link = scope.seen.find(Scope::Key(path, /*nofollow=*/true));
  if (link == scope.seen.end() || link->second.type != v1::FILE_SYMLINK) return false;
  const FileStamp now = StateOf(trace.Path(path), /*nofollow=*/false).stamp;
  if (now.ino != seen.stamp.ino || now.dev != seen.stamp.dev) return false;
  const std::string real = RealPath(trace.Path(path));
  return std::any_of(scope.changed.begin(), scope.changed.end(),
                     [&](const auto& change) { return change.second.whole && trace.Path(change.first) == real; });
}

// Nobody has made or removed anything in it since it was looked at.
bool IsStill(const std::string& directory, const Seen& seen) {
  return StateOf(directory, /*nofollow=*/false).stamp.mtime_ns == seen.stamp.mtime_ns;
}

}  // namespace

void BuildRecorder::Impl::AddObservations(Scope* scope, const Trace& trace, v1::ActionRecord* record) {
  const absl::flat_hash_set<std::string> effects = OwnPaths(*record);
  absl::flat_hash_set<std::string> own = effects;
  // What came and went has no effect, and is in listings all the same.
  absl::flat_hash_map<std::string, std::vector<std::pair<std::string, uint64_t>>> changed_in;  // By directory.
  for (const auto& [id, change] : scope->changed) {
    const std::string& path = trace.Path(id);
    own.insert(path);
    changed_in[DirectoryOf(path)].emplace_back(path.substr(path.rfind('/') + 1), change.first);
  }
  std::vector<std::pair<uint64_t, Seen*>> seen;
  seen.reserve(scope->seen.size());
  for (auto& [key, value] : scope->seen) seen.emplace_back(key, &value);
  std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.second->order < b.second->order; });
  absl::flat_hash_set<std::string> filled;
  if (record->exit_status() != 0) {
    for (const auto& [path, change] : scope->changed) filled.insert(DirectoryOf(trace.Path(path)));
  }
  // A make that found nothing to do would try again what had failed and left its product, were a prerequisite of it
  // newer. That may be a directory; not the one that it works in, nor those above: a shell looks at these to find its
  // name, and everybody makes files there.
  const bool idle = scope->parent == nullptr && record->exit_status() == 0 && record->effects().empty();
  for (const auto& [key, value] : seen) {
    const PathId id = static_cast<PathId>(key >> 1);
    const std::string& path = trace.Path(id);
    if (value->under_made && !effects.contains(path)) continue;  // It came and went with its directory.
    v1::Observation& observation = *record->add_observations();
    observation.set_path(path);
    observation.set_nofollow((key & 1) != 0);
    observation.set_type(value->type);
    observation.set_replaced(value->replaced);
    observation.set_idle_look(value->idle_look);
    observation.set_error(value->error);
    if (!value->target.empty()) observation.set_target(value->target);
    if (value->type == v1::FILE_ABSENT) {
      // Had there been any, it would have been read; or added to, unless there is nothing to add.
      const bool adds = (value->weight & kAddsTo) != 0 && !IsEmptyFile(path);
      const bool into =
          (value->weight & kIntoDirectory) != 0 && StateOf(path, /*nofollow=*/false).type == v1::FILE_DIRECTORY;
      observation.set_content(adds || into || (value->weight & kContent) != 0);
      continue;
    }
    // Of what it replaced whole, or removed, without having read it, only that it was there counts. Unless somebody
    // asked about it first: that it was older than what it is made from may be why it was made.
    const auto change = scope->changed.find(id);
    const bool changed = change != scope->changed.end();
    // What has failed has left its products halfway, and what a next run does depends on what is newer than what.
    const bool halfway = record->exit_status() != 0 && (changed || scope->parent == nullptr);
    const uint32_t asked = value->weight & (kContent | kListing | (value->idle_look ? 0 : kStatus | kMode));
    if (changed && change->second.whole && asked == 0 && !halfway) continue;
    observation.set_mode(value->stamp.mode & 07777);
    observation.set_mode_counts((value->weight & kMode) != 0);
    observation.set_status((value->weight & kStatus) != 0);
    if (value->listing != nullptr) {
      observation.set_listing(true);
      observation.set_lists_all((value->weight & kListsAll) != 0);
      absl::flat_hash_set<std::string> without(value->without.begin(), value->without.end());
      for (const auto& [name, first] : changed_in[path]) {
        if (first < value->order) without.insert(name);
      }
      *observation.mutable_digest() =
          ToProto(DigestOf(*value->listing, [&](const std::string& name) { return without.contains(name); }));
      for (const std::string& name : without) observation.add_without(name);
      if (scope->parent == nullptr) {
        *observation.mutable_rest() = ToProto(DigestOf(*value->listing, [&](const std::string& name) {
          return own.contains(path == "/" ? path + name : absl::StrCat(path, "/", name));
        }));
      }
    }
    // A directory's time is made by whoever makes something in it.
    const bool own_time = value->type == v1::FILE_DIRECTORY && filled.contains(path);
    const bool regular = value->type == v1::FILE_REGULAR;
    const bool of_leaf = regular && (value->weight & (scope->commands == 1 ? kTimes | kTimesBelow : kTimesBelow)) != 0;
    // In a command that has failed too, of what was reused below and cared for the age alone.
    const bool remade = (!halfway || (value->weight & kTimes) == 0) &&
                        (changed ? change->second.whole : of_leaf && IsRewrittenThroughLink(*scope, id, *value, trace));
    const bool of_idle = idle && value->type == v1::FILE_DIRECTORY && observation.status() &&
                         path.starts_with(absl::StrCat(scope->start.key.cwd(), "/")) && IsStill(path, *value);
    observation.set_times(!remade && (of_leaf || of_idle || (halfway && !own_time && (value->weight & kTimes) != 0)));
    observation.set_age(remade && of_leaf);
    if (observation.age()) observation.set_aged_by(value->aged_by);
    if (observation.times()) observation.set_mtime_ns(value->stamp.mtime_ns);
    if (value->type != v1::FILE_REGULAR) continue;
    observation.set_content((value->weight & kContent) != 0);
    observation.set_size(value->stamp.size);
    observation.set_mtime_ns(value->stamp.mtime_ns);
    if (value->version == nullptr) continue;
    Resolve(value->version.get());
    if (value->version->digest.has_value()) {
      *observation.mutable_digest() = ToProto(*value->version->digest);
    } else if (observation.content()) {
      scope->Taint(v1::Decision::REASON_CHANGED, "a file that it read was changed before its content could be taken",
                   path);
    }
  }
}

void BuildRecorder::Impl::AddEffects(Scope* scope, const absl::flat_hash_map<PathId, FileState>& left,
                                     const Trace& trace, v1::ActionRecord* record) {
  std::vector<std::pair<PathId, const Change*>> changes;
  changes.reserve(scope->changed.size());
  for (const auto& [path, change] : scope->changed) changes.emplace_back(path, &change);
  std::sort(changes.begin(), changes.end(),
            [](const auto& a, const auto& b) { return a.second->order < b.second->order; });
  absl::flat_hash_map<std::pair<uint64_t, uint64_t>, std::string> inodes;
  for (const auto& [id, change] : changes) {
    const std::string& path = trace.Path(id);
    const FileState state = StateOf(path, /*nofollow=*/true);
    const FileState& at_end = left.at(id);
    if (state.type != at_end.type || state.stamp != at_end.stamp || state.target != at_end.target) {
      scope->Taint(v1::Decision::REASON_CHANGED, "what it made was changed before it could be stored", path);
      return;
    }
    const auto link = scope->seen.find(Scope::Key(id, true));
    const auto followed = scope->seen.find(Scope::Key(id, false));
    // Where it would have replaced what is there, that goes away with it.
    const auto sure_absent = [&](const auto& seen) {
      return seen == scope->seen.end() || (seen->second.type == v1::FILE_ABSENT && !seen->second.replaced);
    };
    if (state.type == v1::FILE_ABSENT && sure_absent(link) && sure_absent(followed)) continue;  // It came and went.
    if (state.type == v1::FILE_OTHER && !S_ISFIFO(state.stamp.mode)) {
      scope->Taint(v1::Decision::REASON_OTHER, "it made a socket or a device", path);
      return;
    }
    v1::Effect effect;
    effect.set_path(path);
    effect.set_type(state.type);
    const bool keeps_mode = !change->mode_set && change->made_mode != 0;
    effect.set_mode(keeps_mode ? change->made_mode : state.stamp.mode & 07777);
    effect.set_mode_set(change->mode_set);
    effect.set_in_place(change->in_place);
    effect.set_asked(change->asked);
    effect.set_unrepeatable(change->unrepeatable);
    if (state.type == v1::FILE_SYMLINK) effect.set_target(state.target);
    if (state.type == v1::FILE_REGULAR) {
      const auto& first = followed != scope->seen.end() ? followed : link;
      effect.set_keeps_times(first != scope->seen.end() && first->second.type == v1::FILE_REGULAR &&
                             first->second.stamp.ino == state.stamp.ino && first->second.stamp.dev == state.stamp.dev &&
                             first->second.stamp.mtime_ns == state.stamp.mtime_ns);
      if (change->times_set) {
        effect.set_times_set(true);
        effect.set_mtime_ns(state.stamp.mtime_ns);
        if (change->times_from != kNoPath) effect.set_times_from(trace.Path(change->times_from));
      }
      if (state.links > 1) {
        std::string& first = inodes[{state.stamp.dev, state.stamp.ino}];
        if (!first.empty()) {
          // What was written in place is the file, and a name that was made for it is not.
          if (!change->in_place) effect.set_link_to(first);
        } else if (change->linked_from != kNoPath) {
          const FileState source = StateOf(trace.Path(change->linked_from), /*nofollow=*/true);
          if (source.type == v1::FILE_REGULAR && source.stamp.ino == state.stamp.ino) {
            effect.set_link_to(trace.Path(change->linked_from));
          }
        }
        if (first.empty()) first = path;
      }
      const absl::StatusOr<Digest> digest = store_.DigestOfPath(path, state.stamp, /*keep=*/true);
      if (!digest.ok()) {
        scope->Taint(v1::Decision::REASON_CHANGED, "what it made was changed before it could be stored", path);
        return;
      }
      *effect.mutable_digest() = ToProto(*digest);
    }
    *record->add_effects() = std::move(effect);
  }
}

}  // namespace ocpwatch
