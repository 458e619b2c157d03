#include "preload/gencalls/call_table.h"

#include <string>

namespace ocpwatch {

v1::Family FindFamily(std::string_view name) {
  std::string value = "FAMILY_";
  for (char c : name) {
    if (c == '-') {
      value += '_';
    } else if (c >= 'a' && c <= 'z') {
      value += static_cast<char>(c - 'a' + 'A');
    } else {
      return v1::FAMILY_UNSPECIFIED;
    }
  }
  v1::Family family = v1::FAMILY_UNSPECIFIED;
  v1::Family_Parse(value, &family);
  return family;
}

}  // namespace ocpwatch
