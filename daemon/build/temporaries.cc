#include "daemon/build/temporaries.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace ocpwatch {

namespace {

// Of what mkstemp makes six characters are random; a part that is not longer could be found by chance.
constexpr size_t kMinRandom = 6;

// The longest piece between dots of the last component, which holds what was drawn: "ccAbCdEf" of "/tmp/ccAbCdEf.s".
std::string_view RandomPart(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  std::string_view longest;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('.', at), name.size());
    if (end - at > longest.size()) longest = name.substr(at, end - at);
    at = end + 1;
  }
  return longest;
}

// Everything in the key that may have a path in it, in an order that does not depend on the names.
template <typename Fn>
void ForEachText(v1::Fingerprint* key, Fn fn) {
  for (std::string& argument : *key->mutable_argv()) fn(&argument);
  for (std::string& variable : *key->mutable_environment()) fn(&variable);
  fn(key->mutable_cwd());
  fn(key->mutable_executable());
  for (v1::Fingerprint::Inherited& inherited : *key->mutable_inherited()) {
    if (!inherited.path().empty()) fn(inherited.mutable_path());
  }
}

// And in a record, but for the key.
template <typename Fn>
void ForEachPath(v1::ActionRecord* record, Fn fn) {
  for (v1::Observation& observation : *record->mutable_observations()) {
    fn(observation.mutable_path());
    if (!observation.target().empty()) fn(observation.mutable_target());
  }
  for (v1::Effect& effect : *record->mutable_effects()) {
    fn(effect.mutable_path());
    if (!effect.target().empty()) fn(effect.mutable_target());
    if (!effect.link_to().empty()) fn(effect.mutable_link_to());
    if (!effect.times_from().empty()) fn(effect.mutable_times_from());
  }
}

}  // namespace

Temporaries Temporaries::Of(const std::vector<std::string>& paths, v1::Fingerprint* key) {
  // Where each is mentioned first: which text, and where in it.
  std::vector<std::tuple<size_t, size_t, std::string_view>> mentioned;
  for (const std::string& path : paths) {
    if (RandomPart(path).size() < kMinRandom) continue;
    size_t number = 0;
    bool found = false;
    ForEachText(key, [&](std::string* text) {
      const size_t at = found ? std::string::npos : text->find(path);
      if (at != std::string::npos) mentioned.emplace_back(number, at, path);
      found = found || at != std::string::npos;
      ++number;
    });
  }
  std::sort(mentioned.begin(), mentioned.end());
  Temporaries temporaries;
  for (const auto& [text, at, path] : mentioned) {
    const std::string_view random = RandomPart(path);
    const size_t begin = static_cast<size_t>(random.data() - path.data());
    temporaries.names_.push_back(
        {std::string(path),
         absl::StrCat(std::string(path.substr(0, begin)), "<temporary ", temporaries.names_.size() + 1, ">",
                      std::string(path.substr(begin + random.size()))),
         std::string(random)});
  }
  for (const Entry& name : temporaries.names_) {
    ForEachText(key, [&](std::string* text) { absl::StrReplaceAll({{name.path, name.canonical}}, text); });
  }
  key->set_temporaries(static_cast<uint32_t>(temporaries.names_.size()));
  return temporaries;
}

bool Temporaries::Canonicalise(v1::ActionRecord* record) const {
  bool clean = true;
  for (v1::Observation& observation : *record->mutable_observations()) {
    const bool temporary = std::any_of(names_.begin(), names_.end(), [&](const Entry& name) {
      return absl::StartsWith(observation.path(), name.path);
    });
    if (temporary) observation.set_times(false);  // It is always from just before.
  }
  ForEachPath(record, [&](std::string* path) {
    for (const Entry& name : names_) {
      if (absl::StartsWith(*path, name.path)) path->replace(0, name.path.size(), name.canonical);
      clean = clean && !absl::StrContains(*path, name.random);
    }
  });
  for (const Entry& name : names_) {
    record->add_temporaries(name.random);
    for (const v1::Observation& observation : record->observations()) {
      clean = clean && std::none_of(observation.without().begin(), observation.without().end(),
                                    [&](const std::string& other) { return absl::StrContains(other, name.random); });
    }
  }
  return clean;
}

void Temporaries::Name(v1::ActionRecord* record) const {
  ForEachPath(record, [&](std::string* path) {
    for (const Entry& name : names_) {
      if (absl::StartsWith(*path, name.canonical)) path->replace(0, name.canonical.size(), name.path);
    }
  });
}

bool MentionsTemporary(const v1::ActionRecord& record, std::string_view content) {
  return std::any_of(record.temporaries().begin(), record.temporaries().end(),
                     [&](const std::string& random) { return content.find(random) != std::string_view::npos; });
}

}  // namespace ocpwatch
