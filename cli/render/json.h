// The JSON of protobuf messages, with the field names of the .proto files.
//
// What protobuf's own MessageToJsonString writes with preserve_proto_field_names and always_print_primitive_fields:
// empty lists and zeros are there, 64-bit numbers are strings, enums are their names, bytes are base64. Made by
// reflection: protobuf's own goes through the wire format and a resolver of types and takes 3.0 us for the row of an
// event where this takes 0.4, which shows with the millions of rows of an event log.
#ifndef OCPWATCH_CLI_RENDER_JSON_H_
#define OCPWATCH_CLI_RENDER_JSON_H_

#include <string>

#include "google/protobuf/message.h"

namespace ocpwatch {

// Appends `message` on one line.
void AppendJson(const google::protobuf::Message& message, std::string* out);

// Appends `text` as a JSON string, with its quotes. DEL, C1 and direction marks are \u escapes, so that even JSON
// cannot disturb a terminal.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_JSON_H_
