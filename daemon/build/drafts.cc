#include "daemon/build/drafts.h"

#include <algorithm>

namespace ocpwatch {

void Drafts::Read(PathId path, uint64_t size) {
  Draft& draft = drafts_[path];
  draft.unknown = draft.unknown || (draft.is_read && draft.size != size);
  draft.is_read = true;
  draft.size = size;
}

void Drafts::AddTo(PathId path, uint64_t size) {
  std::vector<uint64_t>& added = drafts_[path].added;
  if (added.empty() || added.back() != size) added.push_back(size);
}

bool Drafts::IsRead(PathId path) const {
  const auto found = drafts_.find(path);
  return found != drafts_.end() && found->second.is_read;
}

void Drafts::Change(PathId path, const std::optional<Digest>& read) {
  Draft& draft = drafts_[path];
  draft.is_read = false;
  if (!read.has_value()) {
    draft.unknown = true;
  } else if (draft.read.empty() || draft.read.back() != *read) {
    draft.read.push_back(*read);
  }
}

bool Drafts::Differ(PathId path, const Digest& end) const {
  const auto found = drafts_.find(path);
  if (found == drafts_.end()) return false;
  const Draft& draft = found->second;
  if (draft.unknown || (draft.is_read && draft.size != end.size)) return true;
  return std::any_of(draft.read.begin(), draft.read.end(), [&](const Digest& read) { return read != end; }) ||
         std::any_of(draft.added.begin(), draft.added.end(), [&](uint64_t size) { return size != end.size; });
}

}  // namespace ocpwatch
