// A report arrives as a stream of rows; a renderer turns them into what a person or a program reads.
//
// Rows come in the order that View (monitor.proto) names. A renderer writes as early as it can: all but the tree hold
// no more than a thousand rows. `out` must outlive the renderer.
#ifndef OCPWATCH_CLI_RENDER_RENDERER_H_
#define OCPWATCH_CLI_RENDER_RENDERER_H_

#include <memory>

#include "cli/output.h"
#include "cli/render/style.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

class Renderer {
 public:
  virtual ~Renderer() = default;
  // May take what is in `row`.
  virtual void Add(v1::ReportRow* row) = 0;
  // The last row has come.
  virtual void Finish() {}
};

// ---- For people. ----

std::unique_ptr<Renderer> NewSummaryView(const Style& style, Output* out);
std::unique_ptr<Renderer> NewTreeView(const Style& style, Output* out);
std::unique_ptr<Renderer> NewCommandsView(const Style& style, Output* out);
std::unique_ptr<Renderer> NewFilesView(const Style& style, Output* out);
std::unique_ptr<Renderer> NewEventsView(const Style& style, Output* out);
std::unique_ptr<Renderer> NewOriginView(const Style& style, Output* out);

// ---- For programs. ----

// One JSON object, row by row: "session", then the rows by kind ("commands": [...], "files": [...], ...). The lists
// that `view` can have are there even if they are empty.
std::unique_ptr<Renderer> NewJsonDocument(v1::View view, Output* out);
// A line for each command, file, event or step of an origin.
std::unique_ptr<Renderer> NewJsonLines(Output* out);
// The text of an export as the daemon made it.
std::unique_ptr<Renderer> NewVerbatim(Output* out);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_RENDERER_H_
