#include "cli/render/follow.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "cli/render/text.h"
#include "cli/render/words.h"

namespace ocpwatch {

void FollowView::AppendLine(const v1::FollowReply& reply, std::string* out) {
  switch (reply.body_case()) {
    case v1::FollowReply::kSession:
      return AppendSession(reply.session(), out);
    case v1::FollowReply::kCommandStarted: {
      const v1::Command& command = reply.command_started();
      return AppendCut(absl::StrCat("started   #", command.id(), " "), CommandLine(command.argv()), Color::kNone, out);
    }
    case v1::FollowReply::kCommandEnded: {
      const v1::Command& command = reply.command_ended();
      std::string text = Duration(command.end_ns() - command.start_ns());
      const std::string status = StatusWord(command);
      if (status != "0") absl::StrAppend(&text, ", ", command.has_exit_status() ? "exit " : "", status);
      absl::StrAppend(&text, ", read ", command.reads_size(), ", wrote ", command.writes_size(), ": ",
                      CommandLine(command.argv()));
      return AppendCut(absl::StrCat("ended     #", command.id(), " "), text,
                       Failed(command) ? Color::kRed : Color::kDim, out);
    }
    case v1::FollowReply::kEvent: {
      const v1::EventRow& event = reply.event();
      char margin[80];
      snprintf(margin, sizeof margin, "%10.6f  #%u [%d] ", static_cast<double>(event.time_ns()) / 1e9,
               event.command_id(), event.pid());
      return AppendCut(margin, Printable(event.text()), event.error().empty() ? Color::kNone : Color::kDim, out);
    }
    case v1::FollowReply::kMissed:
      return AppendCut(
          "", absl::StrCat("(", Count(reply.missed()), " more came than could be shown here; the log has them)"),
          Color::kYellow, out);
    case v1::FollowReply::BODY_NOT_SET:
      return;
  }
}

void FollowView::AppendCut(const std::string& margin, const std::string& text, Color color, std::string* out) const {
  const size_t room = style_.width > margin.size() ? style_.width - margin.size() : 0;
  *out += style_.Paint(margin, Color::kDim);
  *out += style_.Paint(Truncated(text, room, style_.utf8), color);
  *out += '\n';
}

void FollowView::AppendSession(const v1::Session& session, std::string* out) {
  const std::string margin = absl::StrCat("session ", Printable(session.id()), " ");
  if (!greeted_ && session.state() == v1::SESSION_RUNNING) {
    greeted_ = true;
    return AppendCut(margin, "running: " + CommandLine(session.argv()), Color::kBold, out);
  }
  AppendCut(margin,
            absl::StrCat(StateWord(session), ", ", EndWord(session), " after ", Duration(session.duration_ns()), ": ",
                         Counted(session.commands(), "command", "commands"), ", ",
                         Counted(session.events(), "event", "events")),
            EndColor(session), out);
}

}  // namespace ocpwatch
