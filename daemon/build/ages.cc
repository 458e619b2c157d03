#include "daemon/build/ages.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace ocpwatch {

namespace {

int Order(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

bool HasAge(const Dated& file) { return file.look != nullptr && file.look->age(); }

// 0: it is compared with all others.
uint32_t Ager(const Dated& file) { return HasAge(file) ? file.look->aged_by() : 0; }

std::optional<Mismatch> Compare(const Dated* a, const Dated* b) {
  if (a == nullptr || b == nullptr) return std::nullopt;
  const Dated& file = HasAge(*a) ? *a : *b;
  const Dated& other = HasAge(*a) ? *b : *a;
  const int then = Order(file.then_ns, other.then_ns);
  const int now = Order(file.now_ns, other.now_ns);
  if (then == now) return std::nullopt;
  constexpr const char* kNames[] = {"older than", "as old as", "newer than"};
  const std::string than = other.look != nullptr ? other.look->path() : "what it would be replaced by";
  return Mismatch{v1::Decision::REASON_STATUS, file.look->path(),
                  absl::StrCat("is ", kNames[now + 1], " ", than, ", and was ", kNames[then + 1], " it")};
}

}  // namespace

std::optional<Mismatch> FirstOtherAge(std::vector<Dated> files, const v1::ActionRecord& record) {
  if (std::none_of(files.begin(), files.end(), HasAge)) return std::nullopt;
  for (const v1::Effect& effect : record.effects()) {
    if (effect.times_set() && effect.times_from().empty()) {
      files.push_back({nullptr, effect.mtime_ns(), effect.mtime_ns()});
    }
  }
  // Where each is in order with the next one that it is compared with, all are.
  std::stable_sort(files.begin(), files.end(), [](const Dated& a, const Dated& b) { return a.then_ns < b.then_ns; });
  absl::flat_hash_map<uint32_t, const Dated*> last;  // By who has looked it up.
  for (const Dated& file : files) {
    const uint32_t ager = Ager(file);
    std::optional<Mismatch> mismatch = Compare(&file, last[0]);
    if (!mismatch.has_value() && ager != 0) mismatch = Compare(&file, last[ager]);
    if (mismatch.has_value()) return mismatch;
    last[ager] = &file;
  }
  const Dated* next = nullptr;  // Of those that are compared with all.
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (std::optional<Mismatch> mismatch = Compare(&*file, next)) return mismatch;
    if (Ager(*file) == 0) next = &*file;
  }
  return std::nullopt;
}

}  // namespace ocpwatch
