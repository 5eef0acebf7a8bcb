#include "generators/cli/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lossc::cli {
namespace {

constexpr double kWidth = 720, kHeight = 240, kLeft = 80, kRight = 20, kTop = 36, kGap = 52;
constexpr const char* kColours[] = {"#1f5fa8", "#d1493f", "#3c8d3f"};

struct Scale {
  double low, high, from, to;  // values, and pixels
  double operator()(double v) const { return from + (v - low) / (high - low) * (to - from); }
};

// 1, 2 or 5 times a power of ten, for about five ticks.
double step(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / 5))), lead = range / 5 / power;
  return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char l : text) out += l == '&' ? "&amp;" : l == '<' ? "&lt;" : l == '>' ? "&gt;" : std::string(1, l);
  return out;
}
std::string label(double x, double y, const char* anchor, const std::string& text, const char* colour = "#333") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", x, y, anchor, colour, escaped(text));
}
std::string line(double x1, double y1, double x2, double y2) {
  return fmt::format("<path d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\" stroke=\"#ddd\"/>\n", x1, y1, x2, y2);
}

// The finite values with some room around them; constants and nothing get a range, too.
Scale vertical(const Panel& panel, double top) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const Curve& c : panel.curves)
    for (double v : c.y)
      if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  if (low > high) low = high = 0;
  const double room = high - low > 1e-9 * std::abs(high) ? 0.05 * (high - low) : std::max(0.5 * std::abs(high), 1.0);
  return {low - room, high + room, top + kHeight, top};
}

std::string polyline(const Curve& c, const std::vector<double>& x, const Scale& across, const Scale& up, const char* colour) {
  std::string path;
  for (size_t k = 0, pen = 0; k < x.size(); k++) {
    if (!std::isfinite(c.y[k])) { pen = 0; continue; }
    path += fmt::format("{}{:.1f} {:.1f}", pen++ ? "L" : "M", across(x[k]), up(c.y[k]));
  }
  return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}/>\n", path, colour, c.dashed ? 3 : 1.5,
                     c.dashed ? " stroke-dasharray=\"2 6\"" : "");
}

std::string draw(const Panel& panel, const std::vector<double>& x, const Scale& across, double top) {
  const Scale up = vertical(panel, top);
  std::string out = label(kLeft, top - 8, "start", panel.title);
  for (double s = step(up.high - up.low), v = std::ceil(up.low / s) * s; v <= up.high; v += s)
    out += line(kLeft, up(v), kWidth - kRight, up(v)) + label(kLeft - 6, up(v) + 4, "end", fmt::format("{:.4g}", std::abs(v) < s / 2 ? 0 : v));
  for (double s = step(across.high - across.low), v = std::ceil(across.low / s) * s; v <= across.high; v += s)
    out += line(across(v), top, across(v), top + kHeight) + label(across(v), top + kHeight + 16, "middle", fmt::format("{:.4g}", std::abs(v) < s / 2 ? 0 : v));
  double at = kWidth - kRight;
  for (size_t k = panel.curves.size(); k-- > 0; at -= 8.0 * static_cast<double>(panel.curves[k].name.size()) + 16)
    out += label(at, top - 8, "end", panel.curves[k].name, kColours[k % 3]);
  for (size_t k = 0; k < panel.curves.size(); k++) out += polyline(panel.curves[k], x, across, up, kColours[k % 3]);
  return out;
}

}  // namespace

std::string svg(const std::string& title, const std::string& x_title, const std::vector<double>& x, const std::vector<Panel>& panels) {
  const double height = kTop + static_cast<double>(panels.size()) * (kHeight + kGap) + 28;
  const Scale across{x.front(), x.back(), kLeft, kWidth - kRight};
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n", kWidth, height);
  out += label(kWidth / 2, 18, "middle", title);
  for (size_t k = 0; k < panels.size(); k++) out += draw(panels[k], x, across, kTop + 24 + static_cast<double>(k) * (kHeight + kGap));
  return out + label(kWidth / 2, height - 6, "middle", x_title) + "</svg>\n";
}

}  // namespace lossc::cli
