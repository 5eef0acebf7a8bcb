// A picture of curves over one axis, as SVG. Of Debian's libraries, plplot brings fonts and drivers, gnuplot-iostream needs
// gnuplot where the tool runs, and GNU libplot draws lines and letters as SVG does, with axes left to its caller: more to
// install than these few lines of text are.
#pragma once
#include <string>
#include <vector>

namespace lossc::cli {

struct Curve {
  std::string name;
  std::vector<double> y;  // one for each x; not finite: the line is broken there
  bool dashed = false;
};
struct Panel {
  std::string title;
  std::vector<Curve> curves;
};

// The panels above one another. x ascends.
std::string svg(const std::string& title, const std::string& x_title, const std::vector<double>& x, const std::vector<Panel>& panels);

}  // namespace lossc::cli
