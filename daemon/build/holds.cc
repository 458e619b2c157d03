#include "daemon/build/holds.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "daemon/build/ages.h"

namespace ocpwatch {

namespace {

const char* NameOf(v1::FileType type) {
  switch (type) {
    case v1::FILE_REGULAR:
      return "a file";
    case v1::FILE_DIRECTORY:
      return "a directory";
    case v1::FILE_SYMLINK:
      return "a symbolic link";
    case v1::FILE_ABSENT:
      return "absent";
    default:
      return "something else";
  }
}

bool IsAbsentOrFile(v1::FileType type) { return type == v1::FILE_ABSENT || type == v1::FILE_REGULAR; }

}  // namespace

bool IsOnlyALook(const v1::Observation& observation) {
  const bool by_no_link = observation.target().empty() || observation.target() == observation.path();
  return !observation.content() && !observation.listing() && by_no_link && observation.error() == 0;
}

absl::flat_hash_set<std::string> OwnPaths(const v1::ActionRecord& record) {
  absl::flat_hash_set<std::string> own;
  own.reserve(static_cast<size_t>(record.effects_size()));
  for (const v1::Effect& effect : record.effects()) own.insert(effect.path());
  return own;
}

const FileState& Present::State(const std::string& path, bool nofollow) {
  const auto [found, fresh] = states_.try_emplace(path);
  if (fresh && !absent_.Has(path)) {
    found->second = StateOf(path, /*nofollow=*/true);
    if (found->second.type == v1::FILE_ABSENT && found->second.error == 0) absent_.Add(path);
  }
  if (nofollow || found->second.type != v1::FILE_SYMLINK) return found->second;
  const auto [led_to, unknown] = led_to_.try_emplace(path);
  if (unknown) led_to->second = StateOf(path, /*nofollow=*/false);
  return led_to->second;
}

bool Present::IsReal(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return false;
  const std::string_view name = std::string_view(path).substr(slash + 1);
  if (name.empty() || name == "." || name == "..") return path == "/";
  const std::string directory = DirectoryOf(path);
  auto known = real_directories_.find(directory);
  if (known == real_directories_.end()) known = real_directories_.emplace(directory, IsReal(directory)).first;
  const v1::FileType type = known->second ? State(path, /*nofollow=*/true).type : v1::FILE_ABSENT;
  return type != v1::FILE_ABSENT && type != v1::FILE_SYMLINK;
}

std::string Present::Real(const std::string& path) { return IsReal(path) ? path : RealPath(path); }

std::optional<Digest> Present::DigestNow(const std::string& path, const FileState& state) {
  if (state.type != v1::FILE_REGULAR) return std::nullopt;
  const auto [found, fresh] = digests_.try_emplace(path);
  if (fresh) {
    const absl::StatusOr<Digest> digest = store_.DigestOfPath(path, state.stamp, /*keep=*/false);
    if (digest.ok()) found->second = *digest;
  }
  return found->second;
}

namespace {

bool ListsTheSame(const v1::Observation& observation, const absl::flat_hash_set<std::string>* own) {
  const std::string& path = observation.path();
  if (own != nullptr) {
    return FromProto(observation.rest()) == DigestOf(List(path), [&](const std::string& name) {
             return own->contains(path == "/" ? path + name : absl::StrCat(path, "/", name));
           });
  }
  const absl::flat_hash_set<std::string_view> without(observation.without().begin(), observation.without().end());
  return FromProto(observation.digest()) ==
         DigestOf(List(path), [&](const std::string& name) { return without.contains(name); });
}

}  // namespace

std::optional<Mismatch> Present::Compare(const v1::Observation& observation,
                                         const absl::flat_hash_set<std::string>* own, bool* touched) {
  const std::string& path = observation.path();
  const FileState& state = State(path, observation.nofollow());
  const auto differs = [&](v1::Decision::Reason reason, std::string text) {
    return Mismatch{reason, path, std::move(text)};
  };
  if (observation.error() != 0 || state.error != 0) {
    if (observation.error() == state.error) return std::nullopt;
    return differs(v1::Decision::REASON_STATUS, state.error != 0
                                                    ? absl::StrCat("cannot be looked at: ", strerror(state.error))
                                                    : "can be looked at now");
  }
  if (observation.type() != state.type) {
    if (observation.replaced() && IsAbsentOrFile(observation.type()) && IsAbsentOrFile(state.type)) return std::nullopt;
    if (state.type == v1::FILE_ABSENT) return differs(v1::Decision::REASON_DISAPPEARED, "is not there any more");
    if (observation.type() == v1::FILE_ABSENT) return differs(v1::Decision::REASON_APPEARED, "has appeared");
    return differs(v1::Decision::REASON_STATUS,
                   absl::StrCat("was ", NameOf(observation.type()), " and is ", NameOf(state.type)));
  }
  if (state.type == v1::FILE_ABSENT) return std::nullopt;
  if (!observation.target().empty()) {
    const std::string now = state.type == v1::FILE_SYMLINK ? state.target : Real(path);
    if (now != observation.target()) {
      return differs(v1::Decision::REASON_EDITED, absl::StrCat("leads to ", now, " and led to ", observation.target()));
    }
  }
  if (observation.listing() && !ListsTheSame(observation, observation.lists_all() ? nullptr : own)) {
    return differs(v1::Decision::REASON_LISTING, "lists other names");
  }
  const uint32_t mode = state.stamp.mode & 07777;
  const bool mode_counts = observation.mode_counts() || observation.status();
  if (mode_counts && mode != observation.mode()) {
    return differs(v1::Decision::REASON_STATUS,
                   absl::StrFormat("has mode %04o and had %04o", mode, observation.mode()));
  }
  const bool other_time = observation.times() && state.stamp.mtime_ns != observation.mtime_ns();
  if (state.type != v1::FILE_REGULAR) {
    return other_time ? std::optional(differs(v1::Decision::REASON_STATUS, "has another time")) : std::nullopt;
  }
  const bool same_look = state.stamp.size == observation.size() && state.stamp.mtime_ns == observation.mtime_ns();
  if (!other_time && !observation.content() && (!observation.status() || same_look)) return std::nullopt;
  if (observation.has_digest() && state.stamp.size == observation.digest().size()) {
    const std::optional<Digest> now = DigestNow(path, state);
    if (now == FromProto(observation.digest())) {
      if (observation.status() && !same_look && touched != nullptr) *touched = true;
      return other_time ? std::optional(differs(v1::Decision::REASON_STATUS, "has another time")) : std::nullopt;
    }
  }
  return differs(v1::Decision::REASON_EDITED, "was edited");
}

absl::flat_hash_set<std::string> AlikePaths(const std::vector<std::shared_ptr<const StoredAction>>& records) {
  absl::flat_hash_set<std::string> alike;
  const auto is_made = [](const v1::ActionRecord& record, const std::string& path) {
    return std::any_of(record.effects().begin(), record.effects().end(), [&](const v1::Effect& effect) {
      return effect.path() == path && effect.type() == v1::FILE_REGULAR;
    });
  };
  const auto finds_none = [](const v1::ActionRecord& record, const std::string& path) {
    bool none = false;
    for (const v1::Observation& observation : record.observations()) {
      if (observation.path() != path) continue;
      if (observation.type() != v1::FILE_ABSENT) return false;
      none = true;
    }
    return none;
  };
  // Nobody else in the command has looked at it, to see how old it is say.
  const auto only_idle = [](const v1::ActionRecord& record, const std::string& path) {
    const auto& looks = record.observations();
    return std::all_of(looks.begin(), looks.end(), [&](const v1::Observation& look) {
      return look.path() != path || (look.idle_look() && look.type() == v1::FILE_REGULAR && IsOnlyALook(look));
    });
  };
  for (const auto& with : records) {
    for (const v1::Observation& look : with->record.observations()) {
      if (!look.idle_look() || !only_idle(with->record, look.path())) continue;
      if (!is_made(with->record, look.path())) continue;
      const bool known = std::any_of(records.begin(), records.end(), [&](const auto& without) {
        return finds_none(without->record, look.path()) && is_made(without->record, look.path()) &&
               OwnPaths(without->record) == OwnPaths(with->record);
      });
      if (known) alike.insert(look.path());
    }
  }
  return alike;
}

EffectsByPath IndexEffects(const v1::ActionRecord& record) {
  EffectsByPath all;
  all.reserve(static_cast<size_t>(record.effects_size()));
  for (const v1::Effect& effect : record.effects()) all[effect.path()] = &effect;
  return all;
}

bool Present::IsFinal(const v1::Effect& effect, const EffectsByPath& all) {
  const std::string& path = effect.path();
  const FileState& state = State(path, /*nofollow=*/true);
  if (state.type != effect.type() || state.error != 0) return false;
  if (state.type == v1::FILE_ABSENT) return true;
  if (state.type == v1::FILE_SYMLINK) {
    // One that leads to a directory means something else than none: `ln -sf a link` makes link/a then.
    return state.target == effect.target() && State(path, /*nofollow=*/false).type != v1::FILE_DIRECTORY;
  }
  if (effect.mode_set() && (state.stamp.mode & 07777) != effect.mode()) return false;
  if (state.type == v1::FILE_DIRECTORY && effect.mode_set()) {
    // What somebody else has laid in a directory of its own goes away where it is made anew.
    const Listing listing = List(path);
    return std::all_of(listing.begin(), listing.end(),
                       [&](const ListedName& entry) { return all.contains(absl::StrCat(path, "/", entry.name)); });
  }
  return state.type != v1::FILE_REGULAR || DigestNow(path, state) == FromProto(effect.digest());
}

std::optional<Mismatch> Present::TouchedUnread(const v1::ActionRecord& record, const EffectsByPath& all) {
  if (touched_.empty()) return std::nullopt;
  const auto is_unread = [&](const v1::Observation& look) {
    const std::string& path = look.path();
    return look.status() && !look.content() && look.type() == v1::FILE_REGULAR && !all.contains(path) &&
           !all.contains(Real(path));
  };
  const auto& looks = record.observations();
  const auto unread =
      std::find_if(touched_.begin(), touched_.end(), [&](const auto* look) { return is_unread(*look); });
  // What it made, and is as it would make it, is the same whether it is made anew or left.
  const auto other = std::find_if(touched_.begin(), touched_.end(), [&](const auto* look) {
    const auto effect = all.find(look->path());
    return effect == all.end() || !IsFinal(*effect->second, all);
  });
  const bool is_make = std::any_of(record.effects().begin(), record.effects().end(),
                                   [](const v1::Effect& effect) { return effect.asked(); });
  // Compilers look at tools and libraries of the system that they do not read.
  const auto is_source = [&](const v1::Observation& look) {
    return look.path().starts_with(absl::StrCat(record.key().cwd(), "/")) ||
           std::any_of(touched_.begin(), touched_.end(), [&](const v1::Observation* touched) {
             return DirectoryOf(touched->path()) == DirectoryOf(look.path());
           });
  };
  const bool in_part = is_make && other != touched_.end() &&
                       std::any_of(looks.begin(), looks.end(),
                                   [&](const v1::Observation& look) { return is_unread(look) && is_source(look); });
  if (unread == touched_.end() && !in_part) return std::nullopt;
  const v1::Observation& look = unread != touched_.end() ? **unread : **other;
  return Mismatch{v1::Decision::REASON_STATUS, look.path(), "has another time"};
}

std::vector<bool> Present::MadeAnew(const v1::ActionRecord& record, const EffectsByPath& all) {
  std::vector<bool> touched(static_cast<size_t>(record.observations_size()));
  for (int i = 0; i < record.observations_size(); ++i) {
    touched[static_cast<size_t>(i)] =
        std::find(touched_.begin(), touched_.end(), &record.observations(i)) != touched_.end();
  }
  const auto any = [](const auto& places, const std::vector<bool>& of) {
    return std::any_of(places.begin(), places.end(), [&](uint32_t place) { return place < of.size() && of[place]; });
  };
  std::vector<bool> anew;
  for (const v1::Effect& effect : record.effects()) {
    anew.push_back(any(effect.from_observations(), touched) || any(effect.from_effects(), anew) ||
                   !IsFinal(effect, all));
  }
  return anew;
}

std::optional<Mismatch> Present::MismatchAmong(const v1::ActionRecord& record,
                                               const std::vector<std::string>& suspects) {
  if (suspects.empty()) return std::nullopt;
  for (const v1::Observation& observation : record.observations()) {
    if (IsOnlyALook(observation)) continue;  // It may be one that does not count.
    if (std::find(suspects.begin(), suspects.end(), observation.path()) == suspects.end()) continue;
    if (std::optional<Mismatch> mismatch = Compare(observation, /*own=*/nullptr)) return mismatch;
  }
  return std::nullopt;
}

std::optional<Mismatch> Present::FirstMismatch(const v1::ActionRecord& record, bool whole,
                                               absl::FunctionRef<bool(const std::string&)> is_alike) {
  const absl::flat_hash_set<std::string> own = whole ? OwnPaths(record) : absl::flat_hash_set<std::string>();
  const EffectsByPath effects = whole ? IndexEffects(record) : EffectsByPath();
  touched_.clear();
  std::vector<Dated> dated;
  for (const v1::Observation& observation : record.observations()) {
    if (whole && IsOnlyALook(observation)) {
      const auto effect = effects.find(observation.path());
      // What it had an input's mode or time from, and then removed, is not there the second time.
      const bool used_up = effect != effects.end() && effect->second->type() == v1::FILE_ABSENT &&
                           (observation.mode_counts() || observation.status());
      if (effect != effects.end() && !used_up && IsFinal(*effect->second, effects)) continue;
    }
    bool touched = false;
    std::optional<Mismatch> mismatch = Compare(observation, whole ? &own : nullptr, &touched);
    if (touched) touched_.push_back(&observation);
    if (!mismatch.has_value() && !observation.times() && !observation.age()) continue;
    const FileState& state = State(observation.path(), observation.nofollow());
    if (IsOnlyALook(observation) && IsAbsentOrFile(observation.type()) && IsAbsentOrFile(state.type) &&
        is_alike(observation.path())) {
      continue;
    }
    if (mismatch.has_value()) return mismatch;
    if (state.type != v1::FILE_REGULAR) continue;
    dated.push_back({&observation, observation.mtime_ns(), state.stamp.mtime_ns});
  }
  if (std::optional<Mismatch> mismatch = FirstOtherAge(std::move(dated), record)) return mismatch;
  if (whole) {
    // Nobody would have asked what became of these: so they stay what somebody has made of them since.
    absl::flat_hash_set<std::string_view> looked_at;
    for (const v1::Observation& observation : record.observations()) {
      if (!observation.replaced()) looked_at.insert(observation.path());
    }
    for (const v1::Effect& effect : record.effects()) {
      if (looked_at.contains(effect.path()) || IsFinal(effect, effects)) continue;
      return Mismatch{v1::Decision::REASON_EDITED, effect.path(), "is not as it was left"};
    }
  }
  for (const v1::Effect& effect : record.effects()) {
    if (effect.type() != v1::FILE_REGULAR) continue;
    const v1::FileType now = State(effect.path(), /*nofollow=*/true).type;
    if (now == v1::FILE_REGULAR && !effect.mode_set() && access(effect.path().c_str(), W_OK) != 0) {
      return Mismatch{v1::Decision::REASON_STATUS, effect.path(), "is protected against writing"};
    }
    // Through a link it would write somewhere else.
    if (now != v1::FILE_SYMLINK) continue;
    const auto& seen = record.observations();
    const bool knew = std::any_of(seen.begin(), seen.end(), [&](const v1::Observation& observation) {
      return observation.nofollow() && observation.path() == effect.path();
    });
    if (!knew) return Mismatch{v1::Decision::REASON_STATUS, effect.path(), "is a link now"};
  }
  return std::nullopt;
}

}  // namespace ocpwatch
