// The store of what builds have learnt: how it is, and keeping it so.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/client/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/build.h"
#include "cli/render/json.h"
#include "cli/units.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kStatsHelp = R"(Usage: ocp-watch stats [OPTIONS]

What the store of builds holds, and what it has saved.

Options:
  --json       one JSON document
  -h, --help   this text

Example:
  ocp-watch stats
)";

constexpr std::string_view kGcHelp = R"(Usage: ocp-watch gc [OPTIONS]

Removes from the store what has not been used for longest, down to the limits
of the configuration or those given here. Builds may go on meanwhile. The
daemon does this by itself when a build has made the store too large.

Options:
  --max-size SIZE   keep at most this much: 500M, 20G
  --max-age AGE     remove what was not used for this long: 12h, 30d, 8w
                    (in whole days, rounded up)
  --dry-run         only say what would be removed
  --json            one JSON document
  -h, --help        this text

Examples:
  ocp-watch gc
  ocp-watch gc --max-size 2G --max-age 30d
)";

constexpr std::string_view kVerifyHelp = R"(Usage: ocp-watch verify [OPTIONS]

Reads everything in the store and compares it with its digest. What is damaged
is put aside, and what needs it runs again the next time. Exit status 1 if
anything was damaged or missing.

Options:
  --json       one JSON document
  -h, --help   this text

Example:
  ocp-watch verify
)";

constexpr std::string_view kClearHelp = R"(Usage: ocp-watch clear [OPTIONS]

Forgets everything that builds have learnt. The next build runs all commands.

Options:
  --yes        do not ask
  --json       one JSON document
  -h, --help   this text

Example:
  ocp-watch clear --yes
)";

struct StoreOptions {
  std::string max_size;
  std::string max_age;
  bool dry_run = false;
  bool yes = false;
  bool json = false;
};

// Makes the call and shows what came back; the reply is left in `reply`.
template <typename Request, typename Reply>
int Show(grpc::Status (v1::Monitor::Stub::*call)(grpc::ClientContext*, const Request&, Reply*), const Request& request,
         bool json, void (*append)(const Reply&, std::string*), Reply* reply) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  const auto context = NewContext(kReportCall);
  const absl::Status status = FromRpc((client->stub().*call)(context.get(), request, reply));
  if (!status.ok()) return Fail(status, kExitFailed, "ocp-watch doctor");
  std::string text;
  if (json) {
    AppendJson(*reply, &text);
    text += "\n";
  } else {
    append(*reply, &text);
  }
  Output(STDOUT_FILENO).Write(text);
  return 0;
}

int Stats(const StoreOptions& options) {
  v1::StatsReply reply;
  return Show(&v1::Monitor::Stub::Stats, v1::StatsRequest(), options.json, AppendStats, &reply);
}

int CollectGarbage(const StoreOptions& options) {
  v1::CollectGarbageRequest request;
  request.set_dry_run(options.dry_run);
  if (!options.max_size.empty()) {
    const absl::StatusOr<uint64_t> bytes = ParseSize(options.max_size);
    if (!bytes.ok()) return Fail(bytes.status(), kExitUsage, "ocp-watch gc --help");
    request.set_max_bytes(*bytes);
  }
  if (!options.max_age.empty()) {
    const absl::StatusOr<uint64_t> seconds = ParseAge(options.max_age);
    if (!seconds.ok()) return Fail(seconds.status(), kExitUsage, "ocp-watch gc --help");
    constexpr uint64_t kDay = uint64_t{24} * 60 * 60;
    request.set_max_age_days(static_cast<uint32_t>((*seconds + kDay - 1) / kDay));
  }
  v1::CollectGarbageReply reply;
  return Show(&v1::Monitor::Stub::CollectGarbage, request, options.json,
              options.dry_run ? AppendWouldCollect : AppendCollected, &reply);
}

int Verify(const StoreOptions& options) {
  v1::VerifyReply reply;
  const int status = Show(&v1::Monitor::Stub::Verify, v1::VerifyRequest(), options.json, AppendVerified, &reply);
  return status == 0 && (reply.damaged() > 0 || reply.missing() > 0) ? kExitFailed : status;
}

// What a person types at a prompt that has been written.
bool SaysYes() {
  char answer[16] = {};
  const ssize_t size = read(STDIN_FILENO, answer, sizeof answer - 1);
  return size > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

int Clear(const StoreOptions& options) {
  if (!options.yes) {
    if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) {
      return Fail(absl::FailedPreconditionError("this forgets everything that builds have learnt; --yes says that it "
                                                "is meant"),
                  kExitUsage, "ocp-watch clear --yes");
    }
    Output(STDERR_FILENO).Write("Forget everything that builds have learnt? [y/N] ");
    if (!SaysYes()) return kExitFailed;
  }
  v1::ClearReply reply;
  return Show(&v1::Monitor::Stub::Clear, v1::ClearRequest(), options.json, AppendCleared, &reply);
}

template <int (*run)(const StoreOptions&)>
Command::Run Define(CLI::App& parser) {
  const auto options = std::make_shared<StoreOptions>();
  parser.add_flag("--json", options->json);
  if constexpr (run == CollectGarbage) {
    parser.add_option("--max-size", options->max_size);
    parser.add_option("--max-age", options->max_age);
    parser.add_flag("--dry-run", options->dry_run);
  }
  if constexpr (run == Clear) parser.add_flag("--yes", options->yes);
  return [options](const std::vector<std::string>&) { return run(*options); };
}

}  // namespace

const Command kStatsCommand = {"stats", "what the store of builds holds and has saved", kStatsHelp, Define<Stats>};
const Command kGcCommand = {"gc", "remove from the store what was not used for longest", kGcHelp,
                            Define<CollectGarbage>};
const Command kVerifyCommand = {"verify", "check everything in the store", kVerifyHelp, Define<Verify>};
const Command kClearCommand = {"clear", "forget what builds have learnt", kClearHelp, Define<Clear>};

}  // namespace ocpwatch
