// What the place that we write to can show.
#ifndef OCPWATCH_CLI_RENDER_STYLE_H_
#define OCPWATCH_CLI_RENDER_STYLE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace ocpwatch {

enum class Color { kNone, kBold, kDim, kRed, kGreen, kYellow, kBlue };

// The default is a pipe: plain text, nothing left out, nothing cut.
struct Style {
  bool colors = false;
  bool utf8 = false;
  // For a person's eyes: long lists are abbreviated and lines cut to `width`. Off in a pipe, where all is wanted.
  bool brief = false;
  size_t width = 0;  // Columns; 0: unbounded.

  std::string Paint(std::string_view text, Color color) const {
    if (!colors || color == Color::kNone || text.empty()) return std::string(text);
    static constexpr const char* kCodes[] = {"", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[34m"};
    return std::string(kCodes[static_cast<size_t>(color)]) + std::string(text) + "\033[0m";
  }
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_STYLE_H_
