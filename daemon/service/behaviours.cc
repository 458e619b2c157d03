#include "daemon/service/behaviours.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "preload/gencalls/call_table.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kFamilyPrefix = "family:";
// More letters than these are not a slip of the finger.
constexpr size_t kMaxDistance = 2;
constexpr size_t kMaxProposals = 3;

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Levenshtein's.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); j++) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// ", did you mean x or y?", or nothing.
std::string Proposal(std::string_view name, const std::vector<std::string>& known) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& candidate : known) {
    if (const size_t distance = Distance(name, candidate); distance <= kMaxDistance)
      near.emplace_back(distance, candidate);
  }
  if (near.empty()) return "";
  std::sort(near.begin(), near.end());
  near.resize(std::min(near.size(), kMaxProposals));
  return absl::StrCat(
      "; did you mean ",
      absl::StrJoin(near, " or ", [](std::string* out, const auto& entry) { out->append(entry.second); }), "?");
}

std::string FamilyName(v1::Family family) {
  std::string name = v1::Family_Name(family).substr(sizeof "FAMILY_" - 1);
  for (char& c : name) c = c == '_' ? '-' : static_cast<char>(c | 0x20);
  return name;
}

std::vector<std::string> FamilyNames() {
  std::vector<std::string> names;
  for (int value = v1::Family_MIN + 1; value <= v1::Family_MAX; value++) {
    if (v1::Family_IsValid(value)) names.push_back(FamilyName(static_cast<v1::Family>(value)));
  }
  return names;
}

std::vector<std::string> FunctionNames() {
  std::vector<std::string> names;
  for (const FunctionInfo& info : CallTable()) names.emplace_back(info.name);
  return names;
}

absl::Status ParseBehaviour(std::string_view text, v1::Behaviour* behaviour) {
  if (text == "off") {
    *behaviour = v1::BEHAVIOUR_OFF;
  } else if (text == "after") {
    *behaviour = v1::BEHAVIOUR_AFTER;
  } else if (text == "before+after") {
    *behaviour = v1::BEHAVIOUR_BEFORE_AND_AFTER;
  } else if (text == "synchronous") {
    *behaviour = v1::BEHAVIOUR_SYNCHRONOUS;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is no behaviour: off, after, before+after or synchronous"));
  }
  return absl::OkStatus();
}

// The functions that a change names, as FunctionIds.
absl::Status ParseFunctions(std::string_view name, std::vector<size_t>* ids) {
  if (name.substr(0, kFamilyPrefix.size()) == kFamilyPrefix) {
    name.remove_prefix(kFamilyPrefix.size());
    const v1::Family family = FindFamily(name);
    if (family == v1::FAMILY_UNSPECIFIED) {
      const std::vector<std::string> names = FamilyNames();
      return absl::InvalidArgumentError(absl::StrCat("no family is called ", Quoted(name), Proposal(name, names),
                                                     " There are ", absl::StrJoin(names, ", ")));
    }
    for (size_t id = 1; id < CallTable().size(); id++) {
      if (CallTable()[id].family == family) ids->push_back(id);
    }
    return absl::OkStatus();
  }
  const uint16_t id = FindFunction(name);
  if (id == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("no intercepted function is called ", Quoted(name), Proposal(name, FunctionNames())));
  }
  ids->push_back(id);
  return absl::OkStatus();
}

}  // namespace

std::string DefaultBehaviours(v1::Mode mode) {
  std::string behaviours;
  for (const FunctionInfo& info : CallTable()) {
    behaviours.push_back(static_cast<char>(mode == v1::MODE_BUILD ? info.build : info.record));
  }
  return behaviours;
}

absl::Status ChangeBehaviours(const google::protobuf::RepeatedPtrField<std::string>& changes, std::string* behaviours) {
  std::string changed = *behaviours;
  for (const std::string& change : changes) {
    const size_t equals = change.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(change), " has no \"=\": FUNCTION=BEHAVIOUR or family:NAME=BEHAVIOUR"));
    }
    const std::string_view text = change;
    v1::Behaviour behaviour = v1::BEHAVIOUR_OFF;
    if (absl::Status status = ParseBehaviour(text.substr(equals + 1), &behaviour); !status.ok()) return status;
    std::vector<size_t> ids;
    if (absl::Status status = ParseFunctions(text.substr(0, equals), &ids); !status.ok()) return status;
    for (size_t id : ids) changed[id] = static_cast<char>(behaviour);
  }
  *behaviours = std::move(changed);
  return absl::OkStatus();
}

}  // namespace ocpwatch
