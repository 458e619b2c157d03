#include "cli/render/json.h"

#include <charconv>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "google/protobuf/descriptor.h"

namespace ocpwatch {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kSingular = -1;

template <typename Number>
void AppendNumber(Number number, std::string* out) {
  char digits[32];
  out->append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

template <typename Number>
void AppendQuotedNumber(Number number, std::string* out) {
  *out += '"';
  AppendNumber(number, out);
  *out += '"';
}

void AppendBytes(const std::string& bytes, std::string* out) {
  *out += '"';
  *out += absl::Base64Escape(bytes);
  *out += '"';
}

// The value of `field`, or of its element `index`.
void AppendValue(const Message& message, const FieldDescriptor* field, int index, std::string* out) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = index != kSingular;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return AppendNumber(
          repeated ? reflection.GetRepeatedInt32(message, field, index) : reflection.GetInt32(message, field), out);
    case FieldDescriptor::CPPTYPE_UINT32:
      return AppendNumber(
          repeated ? reflection.GetRepeatedUInt32(message, field, index) : reflection.GetUInt32(message, field), out);
    case FieldDescriptor::CPPTYPE_INT64:
      return AppendQuotedNumber(
          repeated ? reflection.GetRepeatedInt64(message, field, index) : reflection.GetInt64(message, field), out);
    case FieldDescriptor::CPPTYPE_UINT64:
      return AppendQuotedNumber(
          repeated ? reflection.GetRepeatedUInt64(message, field, index) : reflection.GetUInt64(message, field), out);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return AppendNumber(
          repeated ? reflection.GetRepeatedDouble(message, field, index) : reflection.GetDouble(message, field), out);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return AppendNumber(
          repeated ? reflection.GetRepeatedFloat(message, field, index) : reflection.GetFloat(message, field), out);
    case FieldDescriptor::CPPTYPE_BOOL:
      *out += (repeated ? reflection.GetRepeatedBool(message, field, index) : reflection.GetBool(message, field))
                  ? "true"
                  : "false";
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      return AppendJsonString(
          (repeated ? reflection.GetRepeatedEnum(message, field, index) : reflection.GetEnum(message, field))->name(),
          out);
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const std::string& text = repeated ? reflection.GetRepeatedStringReference(message, field, index, &scratch)
                                         : reflection.GetStringReference(message, field, &scratch);
      return field->type() == FieldDescriptor::TYPE_BYTES ? AppendBytes(text, out) : AppendJsonString(text, out);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return AppendJson(
          repeated ? reflection.GetRepeatedMessage(message, field, index) : reflection.GetMessage(message, field), out);
  }
}

struct Escape {
  size_t bytes;  // Of the text; 0: the character stands for itself.
  unsigned code;
};

// The character at the beginning of `text`, if it may not stand in a JSON string as it is, or should not.
Escape EscapeOf(std::string_view text) {
  const auto at = [text](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = at(0);
  if (first < 0x20 || first == 0x7F || first == '"' || first == '\\') return {1, first};
  if (first == 0xC2 && at(1) >= 0x80 && at(1) < 0xA0) return {2, at(1)};  // C1
  if (first != 0xE2 || (at(1) != 0x80 && at(1) != 0x81)) return {0, 0};
  const unsigned code = 0x2000u | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
  const bool direction =
      code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return {direction ? size_t{3} : size_t{0}, code};
}

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  size_t plain = 0;  // Where the run of characters begins that stand for themselves.
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') continue;
    const Escape escape = EscapeOf(text.substr(i));
    if (escape.bytes == 0) continue;
    out->append(text, plain, i - plain);
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += static_cast<char>(c);
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c == '\r') {
      *out += "\\r";
    } else {
      char code[8];
      snprintf(code, sizeof code, "\\u%04x", escape.code);
      *out += code;
    }
    i += escape.bytes - 1;
    plain = i + 1;
  }
  out->append(text, plain, std::string_view::npos);
  *out += '"';
}

void AppendJson(const Message& message, std::string* out) {
  const Reflection& reflection = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  const char* separator = "";
  *out += '{';
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    // What can tell "not set" from zero (messages, members of a oneof) is left out where it is not set.
    if (field->has_presence() && !reflection.HasField(message, field)) continue;
    *out += separator;
    separator = ",";
    *out += '"';
    *out += field->name();
    *out += "\":";
    if (!field->is_repeated()) {
      AppendValue(message, field, kSingular, out);
      continue;
    }
    *out += '[';
    const int size = reflection.FieldSize(message, field);
    for (int element = 0; element < size; ++element) {
      if (element > 0) *out += ',';
      AppendValue(message, field, element, out);
    }
    *out += ']';
  }
  *out += '}';
}

}  // namespace ocpwatch
