// What MonitorService answers about builds: why commands ran, who makes a file, and how the store is.
#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/build/file_state.h"
#include "daemon/build/recorder.h"
#include "daemon/report/escape.h"
#include "daemon/report/rows.h"
#include "daemon/service/monitor_service.h"
#include "daemon/service/report_source.h"
#include "daemon/service/retention.h"
#include "daemon/service/status_convert.h"
#include "daemon/store/action_rows.h"

namespace ocpwatch {
namespace {

constexpr size_t kMaxMakers = 20;
// An affected action may affect others; more than this nobody reads.
constexpr size_t kMaxAffected = 100'000;

std::string Name(v1::Decision::Reason reason) {
  std::string name = v1::Decision::Reason_Name(reason);
  name = name.substr(name.find('_') + 1);
  absl::AsciiStrToLower(&name);
  return reason == v1::Decision::REASON_NONE ? "" : name;
}

// "src/a.c was edited"; of what is not kept "it used the terminal: /dev/tty".
std::string Sentence(std::string_view reason, std::string_view about, bool ran) {
  const std::string path = EscapeBytes(about);
  if (path.empty() || path.front() != '/') return EscapeBytes(reason);
  return ran ? absl::StrCat(path, " ", EscapeBytes(reason)) : absl::StrCat(EscapeBytes(reason), ": ", path);
}

std::string Sentence(const v1::Decision& decision) {
  return Sentence(decision.reason(), decision.path(), decision.outcome() == v1::Decision::OUTCOME_RAN);
}

const char* NameOf(PlannedCommand::Outcome outcome) {
  switch (outcome) {
    case PlannedCommand::Outcome::kReused:
      return "reused";
    case PlannedCommand::Outcome::kRuns:
      return "would run";
    case PlannedCommand::Outcome::kMayRun:
      return "may run";
  }
  return "";
}

std::string When(int64_t unix_ns) {
  return absl::FormatTime(absl::RFC3339_sec, absl::FromUnixNanos(unix_ns), absl::LocalTimeZone());
}

template <typename Row>
void AddArgv(const v1::Fingerprint& key, Row* row) {
  for (const std::string& argument : key.argv()) row->add_argv(EscapeBytes(argument));
  row->set_cwd(EscapeBytes(key.cwd()));
}

// Of one session's: who did it before who had it done. The sessions' order stays.
void InnermostFirst(std::vector<std::shared_ptr<const StoredAction>>* actions) {
  absl::flat_hash_map<std::string_view, size_t> sessions;
  for (const auto& action : *actions) sessions.try_emplace(action->record.session(), sessions.size());
  std::stable_sort(actions->begin(), actions->end(), [&](const auto& a, const auto& b) {
    const auto rank = [&](const auto& action) {
      return std::pair(sessions.at(action->record.session()), action->record.commands());
    };
    return rank(a) < rank(b);
  });
}

grpc::Status NoStore() {
  return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the store cannot be used; see watchd.log");
}

}  // namespace

grpc::Status MonitorService::Explain(grpc::ServerContext*, const v1::ExplainRequest* request,
                                     grpc::ServerWriter<v1::ExplainRow>* writer) {
  CallMark mark(this);
  std::string session = request->session();
  if (session.empty()) {  // The last build.
    auto records = registry_->List(/*running_only=*/false);
    if (!records.ok()) return ToGrpc(records.status());
    for (const v1::SessionRecord& record : *records) {
      if (record.mode() == v1::MODE_BUILD) session = record.id();
    }
    if (session.empty()) return grpc::Status(grpc::StatusCode::NOT_FOUND, "there has been no build yet");
  }
  auto found = registry_->Lookup(session);
  if (!found.ok()) return ToGrpc(found.status());
  auto source = SourceOf(*found);
  if (!source.ok()) return ToGrpc(source.status());
  if (source->header.mode() != v1::MODE_BUILD) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                        absl::StrCat("session ", session, " was recorded, not built; there is nothing to explain"));
  }
  const absl::flat_hash_set<uint32_t> wanted(request->commands().begin(), request->commands().end());
  for (const Command& command : source->trace->commands()) {
    if (!wanted.empty() && !wanted.contains(command.id)) continue;
    if (command.decision == nullptr && command.kept == nullptr) continue;
    v1::ExplainRow row;
    *row.mutable_command() = CommandRow(*source->trace, command);
    const bool reused = command.decision != nullptr && command.decision->outcome() == v1::Decision::OUTCOME_REUSED;
    row.set_outcome(reused ? "reused" : "ran");
    if (command.decision != nullptr) {
      row.set_saved_ns(command.decision->saved_ns());
      row.set_reason(Sentence(*command.decision));
      if (!reused) {
        row.set_kind(Name(command.decision->why()));
        row.set_path(EscapeBytes(command.decision->path()));
      }
    }
    if (command.kept != nullptr && command.kept->outcome() == v1::Decision::OUTCOME_NOT_REUSABLE) {
      row.set_outcome("not reusable");
      row.set_kept(Sentence(*command.kept));
    }
    if (command.kept != nullptr) {
      for (const std::string& path : command.kept->ignored()) row.add_ignored(EscapeBytes(path));
    }
    if (!writer->Write(row)) break;
  }
  return grpc::Status::OK;
}

grpc::Status MonitorService::Why(grpc::ServerContext*, const v1::WhyRequest* request, v1::WhyReply* reply) {
  CallMark mark(this);
  if (store_ == nullptr) return NoStore();
  auto makers = store_->MadeBy(request->path(), kMaxMakers);
  InnermostFirst(&makers);
  for (const auto& action : makers) {
    const v1::ActionRecord& record = action->record;
    const auto effect = std::find_if(record.effects().begin(), record.effects().end(),
                                     [&](const v1::Effect& e) { return e.path() == request->path(); });
    if (effect == record.effects().end() || effect->type() == v1::FILE_ABSENT) continue;
    v1::WhyReply::Maker& maker = *reply->add_makers();
    AddArgv(record.key(), &maker);
    maker.set_session(record.session());
    maker.set_ran(When(record.created_unix_ns()));
    if (action->last_used_unix_ns > record.created_unix_ns() + 1'000'000'000) {
      maker.set_reused(When(action->last_used_unix_ns));
    }
    maker.set_duration_ns(record.duration_ns());
    for (const v1::Observation& observation : record.observations()) {
      if (IsRead(observation)) maker.add_inputs(EscapeBytes(observation.path()));
    }
    const FileState now = StateOf(request->path(), /*nofollow=*/true);
    if (now.type == v1::FILE_REGULAR && effect->type() == v1::FILE_REGULAR) {
      const auto digest = store_->DigestOfPath(request->path(), now.stamp, /*keep=*/false);
      maker.set_current(digest.ok() && *digest == FromProto(effect->digest()));
    } else {
      maker.set_current(now.type == effect->type() && now.target == effect->target());
    }
  }
  if (reply->makers().empty()) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND,
                        absl::StrCat("no build that is known made ", EscapeBytes(request->path())));
  }
  return grpc::Status::OK;
}

grpc::Status MonitorService::Affected(grpc::ServerContext*, const v1::AffectedRequest* request,
                                      grpc::ServerWriter<v1::AffectedRow>* writer) {
  CallMark mark(this);
  if (store_ == nullptr) return NoStore();
  absl::flat_hash_set<std::string> paths(request->paths().begin(), request->paths().end());
  absl::flat_hash_set<std::string> seen_paths = paths;
  absl::flat_hash_set<std::string> seen_actions;  // By fingerprint: the records of one command are one.
  for (uint32_t depth = 0; !paths.empty() && seen_actions.size() < kMaxAffected; ++depth) {
    bool more = true;
    store_->ForEachReader(std::exchange(paths, {}), [&](const StoredAction& action) {
      const v1::ActionRecord& record = action.record;
      if (!seen_actions.insert(record.fingerprint()).second) return true;
      v1::AffectedRow row;
      AddArgv(record.key(), &row);
      row.set_depth(depth);
      for (const v1::Effect& effect : record.effects()) {
        if (effect.type() == v1::FILE_ABSENT || effect.type() == v1::FILE_DIRECTORY) continue;
        row.add_outputs(EscapeBytes(effect.path()));
        if (seen_paths.insert(effect.path()).second) paths.insert(effect.path());
      }
      return more = writer->Write(row);
    });
    if (!more) break;
  }
  return grpc::Status::OK;
}

grpc::Status MonitorService::Plan(grpc::ServerContext*, const v1::PlanRequest* request,
                                  grpc::ServerWriter<v1::PlanRow>* writer) {
  CallMark mark(this);
  if (store_ == nullptr) return NoStore();
  auto header = HeaderFor(request->start());
  if (!header.ok()) return ToGrpc(header.status());
  BuildSetup setup;
  setup.store = store_;
  setup.neighbours = neighbours_;
  setup.configuration = configuration();
  setup.header = *std::move(header);
  setup.start = request->start();
  for (const PlannedCommand& command : BuildRecorder(std::move(setup)).Plan()) {
    v1::PlanRow row;
    AddArgv(command.key, &row);
    row.set_outcome(NameOf(command.outcome));
    row.set_reason(Sentence(command.why.text, command.why.path, /*ran=*/true));
    row.set_path(EscapeBytes(command.why.path));
    if (!writer->Write(row)) break;
  }
  return grpc::Status::OK;
}

grpc::Status MonitorService::Stats(grpc::ServerContext*, const v1::StatsRequest*, v1::StatsReply* reply) {
  CallMark mark(this);
  if (store_ == nullptr) return NoStore();
  *reply = store_->Stats();
  reply->set_limit_bytes(StoreLimitsOf(configuration()).max_bytes);
  return grpc::Status::OK;
}

grpc::Status MonitorService::CollectGarbage(grpc::ServerContext*, const v1::CollectGarbageRequest* request,
                                            v1::CollectGarbageReply* reply) {
  CallMark mark(this);
  if (store_ == nullptr) return NoStore();
  StoreLimits limits = StoreLimitsOf(configuration());
  if (request->has_max_bytes()) limits.max_bytes = request->max_bytes();
  if (request->has_max_age_days()) limits.max_age_days = request->max_age_days();
  auto done = store_->CollectGarbage(limits, request->dry_run());
  if (!done.ok()) return ToGrpc(done.status());
  *reply = *std::move(done);
  return grpc::Status::OK;
}

grpc::Status MonitorService::Verify(grpc::ServerContext*, const v1::VerifyRequest*, v1::VerifyReply* reply) {
  CallMark mark(this);
  if (store_ == nullptr) return NoStore();
  auto done = store_->Verify();
  if (!done.ok()) return ToGrpc(done.status());
  *reply = *std::move(done);
  return grpc::Status::OK;
}

grpc::Status MonitorService::Clear(grpc::ServerContext*, const v1::ClearRequest*, v1::ClearReply* reply) {
  CallMark mark(this);
  if (store_ == nullptr) return NoStore();
  auto done = store_->Clear();
  if (!done.ok()) return ToGrpc(done.status());
  *reply = *std::move(done);
  return grpc::Status::OK;
}

}  // namespace ocpwatch
