#include "daemon/build/candidates.h"

namespace ocpwatch {

const CandidateRecords::Record& CandidateRecords::Read(size_t place) {
  Record& record = records_[place];
  if (record.stored != nullptr) return record;
  record.stored = store_.Get(all_[place].id);
  record.named = record.stored;
  if (record.stored != nullptr && !temporaries_.empty()) {
    auto named = std::make_shared<StoredAction>(*record.stored);
    temporaries_.Name(&named->record);
    record.named = std::move(named);
  }
  return record;
}

std::optional<Mismatch> CandidateRecords::StillAgainst(size_t place, Present* present) const {
  if (all_[place].against == nullptr) return std::nullopt;
  if (temporaries_.empty()) return present->Compare(*all_[place].against, /*own=*/nullptr);
  v1::ActionRecord alone;
  *alone.add_observations() = *all_[place].against;
  temporaries_.Name(&alone);
  return present->Compare(alone.observations(0), /*own=*/nullptr);
}

const StoredAction* CandidateRecords::Get(size_t place) { return Read(place).named.get(); }

void CandidateRecords::NoteMismatch(size_t place, const std::string& path, Present* present) {
  const Record& record = Read(place);
  if (record.named == nullptr) return;
  const auto& named = record.named->record.observations();
  for (int i = 0; i < named.size(); ++i) {
    // A look may be one that does not count.
    if (named[i].path() != path || IsOnlyALook(named[i])) continue;
    if (!present->Compare(named[i], /*own=*/nullptr).has_value()) continue;
    store_.NoteMismatch(all_[place].id, record.stored->record.observations(i));
    return;
  }
}

const absl::flat_hash_set<std::string>& CandidateRecords::Alike() {
  if (alike_.has_value()) return *alike_;
  std::vector<std::shared_ptr<const StoredAction>> records;
  for (size_t place = 0; place < size(); ++place) {
    if (Get(place) != nullptr) records.push_back(records_[place].named);
  }
  return alike_.emplace(AlikePaths(records));
}

}  // namespace ocpwatch
