// Lines for a session that is being watched as it runs.
#ifndef OCPWATCH_CLI_RENDER_FOLLOW_H_
#define OCPWATCH_CLI_RENDER_FOLLOW_H_

#include <string>

#include "cli/render/style.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

class FollowView {
 public:
  explicit FollowView(const Style& style) : style_(style) {}

  // Appends the line of `reply`, with its newline:
  //   started   #12 gcc -c lapi.c
  //   ended     #12 0.31 s, read 25, wrote 1: gcc -c lapi.c
  void AppendLine(const v1::FollowReply& reply, std::string* out);

 private:
  // `margin` and then as much of `text` as the terminal is wide.
  void AppendCut(const std::string& margin, const std::string& text, Color color, std::string* out) const;
  void AppendSession(const v1::Session& session, std::string* out);

  const Style style_;
  bool greeted_ = false;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_FOLLOW_H_
