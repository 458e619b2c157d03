// The inside of BuildRecorder, for its own files: recorder.cc (frames, scopes), recorder_observe.cc (what is learnt),
// recorder_paths.cc (of which file), recorder_calls.cc (what each call says), recorder_inherited.cc (also of
// descriptors that others have), recorder_before.cc and recorder_change.cc (before and after a change),
// recorder_exec.cc (decisions), recorder_reuse.cc (records that fit), recorder_whole.cc (of the session's own command),
// recorder_again.cc (what would be otherwise, were all there from the start),
// recorder_outputs.cc (what is written to pipes and inherited files), recorder_end.cc (ends), recorder_keep.cc (what is
// done about them later), recorder_record.cc (what becomes a record of them). See recorder.h.
#ifndef OCPWATCH_DAEMON_BUILD_RECORDER_IMPL_H_
#define OCPWATCH_DAEMON_BUILD_RECORDER_IMPL_H_

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "daemon/build/candidates.h"
#include "daemon/build/drafts.h"
#include "daemon/build/fingerprint.h"
#include "daemon/build/holds.h"
#include "daemon/build/recorder.h"
#include "daemon/build/restore.h"
#include "daemon/build/scope.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {

inline constexpr std::string_view kTerminalPath = "/dev/tty";

// Programs whose words or products tell the times of what they have looked at: for a command that starts one of them
// these times count too. (`ld` and `ar` look at times as well, and nothing comes of it.)
bool TellsTimes(std::string_view executable);

v1::Decision NewDecision(uint32_t process, v1::Decision::Outcome outcome, const Mismatch& why);
v1::Decision ReusedDecision(uint32_t process, const StoredAction& action);

class BuildRecorder::Impl {
 public:
  explicit Impl(BuildSetup setup);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::shared_ptr<const StoredAction> TryWhole(Decisions* decisions);
  std::vector<PlannedCommand> Plan();
  std::vector<v1::Substitute> PrepareCommand(std::shared_ptr<Relay> relay);
  v1::BuildTotals Totals() const { return totals_; }
  Decisions OnFrame(const v1::Frame& frame, const Applied& applied, FollowedModel model);
  std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early, FollowedModel model,
                                  Decisions* decisions);
  void OnDamage(uint32_t process, FollowedModel model);
  void OnCommandStarted(CommandId command, FollowedModel model);
  Decisions OnProcessGone(uint32_t process, FollowedModel model);
  Decisions OnSessionEnd(FollowedModel model);
  bool OnIdle(FollowedModel model, Decisions* decisions);

 private:
  using Reason = v1::Decision::Reason;

  // What was there before a change, from its BeforeCall to its AfterCall.
  struct Before {
    PathId path = kNoPath;
    PathId path2 = kNoPath;
    FileState state;
    FileState state2;
    uint32_t made_mode = 0;         // See Change.
    bool unlooked = false;          // Nobody in the command has looked before whether it is there.
    int64_t time_ns = 0;            // Wall clock.
    std::vector<PathId> announced;  // What it is about to write.
    std::vector<std::string> tree;  // Of a directory that is renamed: what is below it.
  };
  // An exec or spawn that has not been decided about: not all its arguments have come, or it waits for other sessions.
  struct Request {
    std::vector<std::string> argv;
    std::vector<std::string> environment;
    int64_t asked_ns = 0;     // When it first had to wait; 0: it has not.
    Applied applied;          // The call, from then on.
    std::string awaited;      // The fingerprint of the action that another session runs.
    int64_t standing_ns = 0;  // Since when that one does not go on.
    bool has_waited = false;
    int64_t busy_ns = 0;  // Since when another session is at work on what it would put back.
  };
  // A command that has ended and has not become a record yet.
  struct Ended {
    std::unique_ptr<Scope> scope;  // Those above it may be gone.
    v1::ActionRecord record;       // Its outputs, and how it ended.
    v1::Decision decision;
    absl::flat_hash_map<PathId, FileState> left;  // What was at the paths that it has changed.
  };
  enum class Reuse { kDone, kNot, kBusy };

  // ---- recorder.cc
  v1::Op OpOf(uint32_t function) const { return function < ops_.size() ? ops_[function] : v1::OP_NONE; }
  Scope* ScopeOf(CommandId command) const;
  void OnFork(Scope* scope, uint32_t child);
  void OnImage(Scope* scope, const v1::Proc& proc, FollowedModel model);
  // Where the loader has looked for libraries because the environment says so, and found none.
  void ObserveLoader(Scope* scope, const v1::Proc& proc, FollowedModel model);
  // What a script is executed by, if that is a script as well, and so on: they are only named, not seen being opened.
  void ObserveInterpreters(Scope* scope, std::string script, const std::string& cwd, FollowedModel model);
  // Who runs beside `scope`, neither above it nor below, and has written the path or is about to. It may have been a
  // command below one of these that did, and has ended.
  std::vector<Scope*> WritersBeside(const Scope& scope, PathId path) const;
  // Why it ran, once its command has a number.
  static void TellDecision(Scope* scope, Decisions* decisions);
  // Taints the scope and all above it.
  static void TaintUp(Scope* scope, Reason reason, const std::string& text, const std::string& path = "");

  // ---- recorder_observe.cc
  // False for what lies below /proc, /dev and the like; then it is noted for people.
  bool Counts(Scope* scope, const std::string& path);
  void Observe(Scope* scope, PathId path, bool nofollow, Seen seen, const Trace& trace);
  // The same of what the scope did not see by itself, but a reused command below it.
  void ObserveUp(Scope* scope, PathId path, bool nofollow, Seen seen, const Trace& trace);
  void ObserveState(Scope* scope, PathId path, bool nofollow, const FileState& state, uint32_t weight,
                    const Trace& trace);
  void ObserveNow(Scope* scope, PathId path, bool nofollow, uint32_t weight, const Trace& trace);
  // A look-up that failed. `weight`: what would have counted of what had been there.
  void ObserveError(Scope* scope, PathId path, bool nofollow, int32_t error, uint32_t weight, const Trace& trace);
  std::shared_ptr<Version> VersionOf(PathId path, const FileStamp& stamp, const Trace& trace);
  // Whoever has read the file and has no digest yet gets it now.
  void SettleReaders(const FileState& state);
  void Resolve(Version* version);
  // The mode of a file was an input after all: it kept it when its content was replaced, and somebody looked; or it
  // could not be changed.
  static void CountMode(Scope* scope, PathId path);
  void CheckReadHazard(Scope* scope, PathId path, const Trace& trace);

  // ---- recorder_paths.cc
  // The path that the kernel means, where the call's own has a `..` behind a symbolic link, or leads through /proc.
  PathId Physical(Scope* scope, PathId path, std::string_view spelled, int64_t fd, uint32_t process,
                  FollowedModel model);
  // Where the path leads by way of the symbolic links that the command has made itself.
  static PathId ThroughOwnLinks(const Scope& scope, PathId path, bool nofollow, Trace* trace);
  static bool IsUnderMade(const Scope& scope, PathId path, Trace* trace);

  // ---- recorder_calls.cc
  void OnAfter(Scope* scope, const v1::Frame& frame, const Applied& applied, FollowedModel model);
  void OnOpened(Scope* scope, const v1::AfterCall& call, PathId path, FollowedModel model);

  // ---- recorder_inherited.cc
  // Those who have inherited `used` (null: not known what it is), up to who has made it.
  static void TaintUsers(Scope* scope, const OpenDescriptor* used, bool read, int32_t fd);
  void OnOpenedByDescriptor(Scope* scope, const v1::AfterCall& call, const DescriptorName& name, const Process& process,
                            const Trace& trace);
  // Somebody has read from an input that others read on from.
  static void NoteInputUse(Scope* scope, const OpenDescriptor& used);
  // `read` is the call if it reads from it, null if it writes.
  void OnInheritedUse(Scope* scope, uint32_t process, int32_t fd, const v1::AfterCall* read, FollowedModel model);
  // Where the output of the session's own command goes to a file, the commands find a pipe in its place: who reads that
  // file does not notice that it is its output, as `cat * > all` would.
  void CheckOwnOutput(Scope* scope, const v1::FileStat& stat, PathId path, const Trace& trace);

  // ---- recorder_before.cc
  static bool Changes(v1::Op op, uint32_t flags);
  void BeforeChange(Scope* scope, v1::Op op, const v1::BeforeCall& call, uint32_t process, FollowedModel model);
  // The path is about to be changed: what is there counts by `weight` for all who have not seen it yet.
  FileState LookBefore(Scope* scope, PathId path, bool nofollow, uint32_t weight, bool replaced, uint32_t process,
                       FollowedModel model);
  // A file that is not there is opened for writing, and would not have been emptied. In a directory of its own that is
  // no observation; but once the products of the session's own command are there, that directory is there before it,
  // and what it appends comes a second time.
  void NoteAddition(Scope* scope, PathId path, Trace* trace);
  // Taints who stands in the directory, or has something in it open, and who moves it: names are followed, not places.
  void TaintUsersOf(Scope* mover, const std::string& directory, FollowedModel model);
  // Tells other sessions that the scope is at work on the path, until it ends.
  void Intend(Scope* scope, PathId path, const Trace& trace);

  // ---- recorder_change.cc
  void AfterChange(Scope* scope, v1::Op op, const v1::AfterCall& call, const Before& before, uint32_t process,
                   FollowedModel model);
  // Of which file it was made another name, in this command or one above.
  static std::optional<PathId> LinkedFrom(const Scope& scope, PathId path);
  // A file that kept the mode that it had gets another name: so that mode was an input.
  static void CountMovedMode(Scope* scope, PathId path);
  // A file with several names is written into: so are those that it has had from this command or those above.
  void ChangeOtherNames(Scope* scope, PathId path, const FileState& before, const Change& change, Trace* trace);
  void MarkChanged(Scope* scope, PathId path, const Change& change, Trace* trace);
  // The same of what has been put back: nobody is at work on it any more. `writer`: the scope that has changed it
  // itself; null: one that is not there.
  void TakeChange(Scope* scope, PathId path, const Change& change, const Scope* writer, Trace* trace);

  // ---- recorder_exec.cc
  std::optional<v1::Reply> DecideExec(Scope* parent, const v1::Frame& frame, bool must, EarlyAnswer early,
                                      const Applied& applied, FollowedModel model, Decisions* decisions);
  // Another session runs the action that the request is for.
  bool WaitsOn(Request* request) const;
  // `number`: the process that it would be. `place`: of a candidate that is there. `open`: what it would have open.
  // `done` is called as soon as all is as the command would have left it.
  Reuse TryReuse(Scope* parent, uint32_t number, size_t place, const std::vector<OpenDescriptor>& open,
                 CandidateRecords* candidates, std::optional<Present>* present, Mismatch* why, FollowedModel model,
                 absl::FunctionRef<void()> done);
  // What the record has read is where it would write to: `cat` refuses then, others see their own words.
  static std::optional<Mismatch> WritesToInput(const v1::ActionRecord& record, const std::vector<OpenDescriptor>& open,
                                               Present* present);
  // A file that the record would change and that somebody has open, who would go on with the old one. Not process
  // `number`, which is to be ended.
  std::optional<Mismatch> HeldOpen(const Scope& parent, const v1::ActionRecord& record, uint32_t number,
                                   Present* present, FollowedModel model);
  // The path has let a record down: the next ones are asked about it first.
  void Suspect(const std::string& path);
  // The names that commands above have drawn at random, the latest first; some of them.
  static std::vector<std::string> TemporariesAbove(const Scope* scope, const Trace& trace);
  // Something that the action left has a random name in it that was only good for that one run.
  bool MentionsTemporary(const StoredAction& action);
  // What of the record another session is at work on.
  std::optional<Mismatch> UsedByOthers(const v1::ActionRecord& record) const;
  // `changed`: something has been, also where it fails in the end.
  absl::Status PutBack(const v1::ActionRecord& record, const std::vector<bool>& renewed, bool* changed);
  // Why there is no record that fits.
  Mismatch ExplainNew(const v1::Fingerprint& key);
  void ForgetStart(uint32_t process);
  // The files that a program will have as inputs and that processes above have, too.
  static std::vector<SharedInput> FindShared(const Process* above, const std::vector<OpenDescriptor>& open,
                                             FollowedModel model);
  bool NeverReused(const std::string& executable) const;
  // What it wrote that cannot be written again.
  std::optional<Mismatch> LostOutput(const v1::ActionRecord& record) const;

  // ---- recorder_whole.cc
  v1::Fingerprint RootKey(std::vector<OpenDescriptor>* open) const;
  // None: the record of the whole command holds. `as_left`: also where it is as the command left it.
  std::optional<Mismatch> WhyNotWhole(Present* present, const v1::ActionRecord& record, bool as_left) const;

  // ---- recorder_made_from.cc
  // The scope has ended: what it made, and what started it had looked at, is made from what both have used.
  void NoteMadeFrom(const Scope& scope);
  // The same where it need not have run: `record` stands for it.
  void TakeMadeFrom(Scope* asker, const v1::ActionRecord& record, Trace* trace);
  // For `asker` and those above it.
  static void AddMadeFrom(Scope* asker, PathId path, std::shared_ptr<const std::vector<PathId>> from);
  static void TellMadeFrom(const Scope& scope, const Trace& trace, v1::ActionRecord* record);

  // ---- recorder_again.cc
  // The session's own command has made it, and not `user` alone, started by who had looked for it.
  static bool IsDraft(const Scope* scope, CommandId user, PathId path);
  // A file is read by `reader` (0: one below the scope that is reused).
  void NoteDraftRead(const Scope* scope, CommandId reader, PathId path, const FileState& state, const Trace& trace);
  void NoteDraftChange(const Scope* scope, v1::Op op, uint32_t flags, const Before& before, const Trace& trace);
  // `end`: what comes replaces or removes all that is there.
  void EndDraft(PathId path, const FileState& state, bool gone, const Trace& trace);
  // `command` (0: one that is reused), in `scope`, looks whether something is there and what it is like.
  static void NoteLook(Scope* scope, PathId path, CommandId command);
  // The scope ends. What it has made at the path is there, and has a name that was not drawn at random.
  static bool IsLeft(const Scope& scope, PathId path, const Trace& trace);
  // It was made for `scope` or one above it, which had looked for it.
  static bool IsAsked(const Scope* scope, PathId path);
  // The scope ends: whether it has itself left a file that it had looked for, as no part of a make does.
  static bool LeftWhatItLookedFor(const Scope& scope, const Trace& trace);
  // The same of a record that stands for a command that `parent` has started.
  static bool LeavesWhatItLookedFor(const v1::ActionRecord& record, const Scope* parent, Trace* trace);
  // The scope ends: whether it has looked for what it had made by others, and at no input.
  bool AskedOfNoInput(const Scope& scope, const Trace& trace) const;
  // See v1::ActionRecord.
  bool IsFirstOnly(const Scope& scope, const v1::ActionRecord& record, Trace* trace) const;

  // ---- recorder_outputs.cc
  std::vector<OutputGroup> GroupOutputs(const std::vector<OpenDescriptor>& open);
  // Who else has the files open than process `number`, which gets them from `source` (of a spawn: its parent).
  static void FindHolders(const Process& source, uint32_t number, const std::vector<OpenDescriptor>& open,
                          FollowedModel model, std::vector<OutputGroup>* groups);
  // Two that were opened one by one write over each other; which wrote what is not known. kcmp(2) tells, where it may.
  static void SeparateDescriptions(int32_t pid, const std::vector<OpenDescriptor>& open,
                                   std::vector<OutputGroup>* groups);
  void Substitute(int32_t pid, const std::vector<OpenDescriptor>& open, std::vector<OutputGroup>* groups,
                  google::protobuf::RepeatedPtrField<v1::Substitute>* substitutes);
  // To the processes: whether any command has one, so that they must wait until it is known what it wrote there.
  void TellFileOutputs(FollowedModel model) const;
  void AddOutputs(Scope* scope, FollowedModel model, v1::ActionRecord* record);
  void AddFileOutput(Scope* scope, const OutputGroup& group, v1::Output output, FollowedModel model,
                     v1::ActionRecord* record);
  static bool WroteAlone(const Scope& scope, const OutputGroup& group, FollowedModel model);

  // ---- recorder_end.cc
  void End(Scope* scope, FollowedModel model, Decisions* decisions);
  bool AnyLives(const Scope& scope, FollowedModel model) const;
  // What counts by its time for a command without sub-commands does so for those above.
  void CarryTimes(const Scope& scope, const std::string& executable);
  // Likewise what a command without sub-commands has listed.
  static void CarryListings(Scope* scope);
  static void CheckInputs(Scope* scope, v1::ActionRecord* record);
  // Its outputs, and how it ended.
  void BeginRecord(Scope* scope, FollowedModel model, v1::ActionRecord* record);

  // ---- recorder_keep.cc
  void KeepLater(Ended ended, FollowedModel model);
  void KeepFirst(FollowedModel model);  // What became of it is in kept_ then.
  // All that have ended. What became of these, and of those before, goes to `decisions` unless that is null.
  void KeepEnded(FollowedModel model, Decisions* decisions);
  // The path, at which there is `state`, is about to be changed: those are kept of whose records that may be a part.
  void KeepBefore(PathId path, const FileState& state, FollowedModel model);
  bool HasEnded(const std::string& fingerprint) const;
  bool FinishRecord(Scope* scope, const absl::flat_hash_map<PathId, FileState>& left, Trace& trace,
                    v1::ActionRecord* record);
  // Taints the scope if another session was at work on something that it used.
  void CheckOtherSessions(Scope* scope, const Trace& trace);

  // ---- recorder_record.cc
  void AddObservations(Scope* scope, const Trace& trace, v1::ActionRecord* record);
  void AddEffects(Scope* scope, const absl::flat_hash_map<PathId, FileState>& left, const Trace& trace,
                  v1::ActionRecord* record);

  const BuildSetup setup_;
  std::shared_ptr<Relay> relay_;  // Since PrepareCommand; may be null.
  Store& store_;
  WriteIntents& intents_;
  RunningActions& running_;
  const WriteIntents::Session session_;
  std::shared_ptr<const void> store_use_;  // Until the session's end.
  const IgnoredEnvironment ignored_environment_;
  std::vector<v1::Op> ops_;  // By FunctionId.
  const std::vector<std::string> client_attributes_;
  v1::BuildTotals totals_;
  uint64_t order_ = 0;
  uint32_t agers_ = 0;    // That have been told apart in v1::Observation.aged_by.
  Applied last_applied_;  // Of the frame that Decide is asked about.

  AbsentNames absent_;
  absl::flat_hash_map<CommandId, std::unique_ptr<Scope>> scopes_;
  std::deque<Ended> ended_;                             // In this order.
  Decisions kept_;                                      // That nobody has been told yet.
  absl::flat_hash_map<uint32_t, Start> starts_;         // By the number of the process that will be the command.
  absl::flat_hash_map<uint32_t, uint32_t> exec_calls_;  // Process of an exec -> the process that will be the command.
  absl::flat_hash_map<uint64_t, Request> requests_;     // By process << 32 | call.
  absl::flat_hash_map<uint64_t, Before> befores_;       // Likewise.
  absl::flat_hash_map<uint32_t, Scope*> forked_;        // Process number -> the scope that it was forked in.
  absl::flat_hash_map<PathId, std::shared_ptr<Version>> versions_;
  // By device and inode: those without a digest.
  absl::flat_hash_map<std::pair<uint64_t, uint64_t>, std::vector<std::shared_ptr<Version>>> unhashed_;
  Drafts drafts_;
  absl::flat_hash_set<PathId> programs_;  // That have been started, under each name that they were asked for by.
  absl::flat_hash_map<uint64_t, bool> mentions_;              // MentionsTemporary, by action.
  std::vector<std::string> suspects_;                         // The latest first.
  absl::flat_hash_map<std::string, std::string> real_paths_;  // Of prefixes before a `..`, until a link is changed.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_RECORDER_IMPL_H_
