#include "daemon/build/ages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ocpwatch {

namespace {

int Order(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

bool HasAge(const Dated& file) { return file.look != nullptr && file.look->age(); }

}  // namespace

std::optional<Mismatch> FirstOtherAge(std::vector<Dated> files, const v1::ActionRecord& record) {
  if (std::none_of(files.begin(), files.end(), HasAge)) return std::nullopt;
  for (const v1::Effect& effect : record.effects()) {
    if (effect.times_set() && effect.times_from().empty()) {
      files.push_back({nullptr, effect.mtime_ns(), effect.mtime_ns()});
    }
  }
  // Where each is in order with the next, all are.
  std::stable_sort(files.begin(), files.end(), [](const Dated& a, const Dated& b) { return a.then_ns < b.then_ns; });
  for (size_t i = 1; i < files.size(); ++i) {
    const bool second = HasAge(files[i]);
    const Dated& file = files[second ? i : i - 1];
    const Dated& other = files[second ? i - 1 : i];
    const int then = Order(file.then_ns, other.then_ns);
    const int now = Order(file.now_ns, other.now_ns);
    if (then == now) continue;
    constexpr const char* kNames[] = {"older than", "as old as", "newer than"};
    const std::string than = other.look != nullptr ? other.look->path() : "what it would be replaced by";
    return Mismatch{v1::Decision::REASON_STATUS, file.look->path(),
                    absl::StrCat("is ", kNames[now + 1], " ", than, ", and was ", kNames[then + 1], " it")};
  }
  return std::nullopt;
}

}  // namespace ocpwatch
