// What a session's processes do at each function: the call table's defaults with the changes that a user asks for, as
// `record --calls` and `calls` of the configuration spell them:
//
//   open=off                      a function, or one of its aliases (open64 is open)
//   family:xattr=before+after     all functions of a family
//
// with off, after, before+after and synchronous for the behaviours of functions.proto.
#ifndef OCPWATCH_DAEMON_SERVICE_BEHAVIOURS_H_
#define OCPWATCH_DAEMON_SERVICE_BEHAVIOURS_H_

#include <google/protobuf/repeated_ptr_field.h>

#include <string>

#include "absl/status/status.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// A v1::Behaviour a byte, by FunctionId.
std::string DefaultBehaviours(v1::Mode mode);

// Makes the changes, in order. INVALID_ARGUMENT names what is not understood and what may have been meant; then nothing
// has been changed.
absl::Status ChangeBehaviours(const google::protobuf::RepeatedPtrField<std::string>& changes, std::string* behaviours);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_BEHAVIOURS_H_
