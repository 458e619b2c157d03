// Rows in columns that line up.
//
// The widths follow the first kSampleRows rows, which are held back; rows after that are written as they come, so that
// a table of ten million rows needs no memory. On a terminal the one column that may shrink is cut so that a row stays
// one line.
#ifndef OCPWATCH_CLI_RENDER_TABLE_H_
#define OCPWATCH_CLI_RENDER_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/render/style.h"

namespace ocpwatch {

struct Column {
  enum Kind { kLeft, kRight, kShrinks, kShrinksInFront };
  std::string title;
  Kind kind = kLeft;
  bool optional = false;  // Left out where the sample has nothing in it.
  bool minor = false;     // Left out where a terminal has no room for it.
};

struct Cell {
  std::string text;  // Printable.
  Color color = Color::kNone;
};

class Table {
 public:
  // Enough for the widths of any screenful; holding them costs some 200 kB.
  static constexpr size_t kSampleRows = 1000;
  // A shrinking column keeps this much, whatever the terminal, and this much while there are minor columns to leave
  // out.
  static constexpr size_t kMinimumShrunk = 16;
  static constexpr size_t kComfortable = 40;
  // In a pipe a column is lined up to this width; a longer text pushes its own row on, not all the others.
  static constexpr size_t kWidestAligned = 80;

  // `out` must outlive the table. `indent`: blanks before each row.
  Table(std::vector<Column> columns, const Style& style, Output* out, size_t indent = 0);

  void Add(std::vector<Cell> row);
  // Writes what is held back. A table without rows writes nothing, not even its titles.
  void Finish();

  size_t rows() const { return rows_; }

 private:
  void Measure();
  // Makes rows of `total` columns fit the terminal.
  void Squeeze(size_t total);
  void WriteRow(const std::vector<Cell>& row);

  const std::vector<Column> columns_;
  const Style style_;
  Output* const out_;
  const size_t indent_;
  std::vector<std::vector<Cell>> sample_;
  std::vector<size_t> widths_;  // Of each column; 0: not shown. Known after Measure.
  bool measured_ = false;
  size_t rows_ = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_TABLE_H_
