// Trace to StoredModel and back: how the model travels at the end of a log.
//
// A model can be larger than one message should be, so it is written in parts of about kPartBytes. Joined by protobuf's
// Merge, or given to Load one after the other, they are the whole. A command with very many uses goes on in the next
// part: a StoredCommand with the id of the last one carries only further uses.
#ifndef OCPWATCH_DAEMON_SESSION_STORED_MODEL_H_
#define OCPWATCH_DAEMON_SESSION_STORED_MODEL_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

inline constexpr size_t kPartBytes = size_t{256} << 10;

// Calls `part` for each part, in order. Stops at the first error and returns it.
absl::Status StoreModel(const Trace& trace, absl::FunctionRef<absl::Status(const v1::StoredModel&)> part);

// The whole in one message; for tests and small models.
v1::StoredModel StoreModel(const Trace& trace);

// A command without its uses; back without its id too, which is its trace's to give.
void StoreHead(const Command& command, v1::StoredCommand* stored);
void LoadHead(const v1::StoredCommand& stored, Command* command);

// Adds a part to `trace`, which began empty. DATA_LOSS if an id or index in it cannot be.
absl::Status LoadModelPart(const v1::StoredModel& part, Trace* trace);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_STORED_MODEL_H_
