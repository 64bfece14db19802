#include "examples/segmentation/chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace segment {
namespace {

constexpr double width = 860, height = 320, left = 58, right = 16, top = 30, bottom = 40;
constexpr std::size_t most_points = 2000;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string pixel(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

/// Round values (1, 2 or 5 times a power of ten), about `count` of them.
std::vector<double> ticks(double low, double high, int count) {
  const double raw = (high - low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  const double share = raw / power;
  const double step = power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
  std::vector<double> result;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    result.push_back(i * step);
  return result;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> result;
  for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (power * factor >= low && power * factor <= high) result.push_back(power * factor);
    }
  }
  return result;
}

struct Frame {
  double x_low = 0, x_high = 1, y_low = 0, y_high = 1;
  Scale scale = Scale::linear;

  double x(double value) const { return left + (value - x_low) / (x_high - x_low) * (width - left - right); }
  double y(double value) const {
    const auto map = [&](double v) { return scale == Scale::log ? std::log10(v) : v; };
    const double share = (map(value) - map(y_low)) / (map(y_high) - map(y_low));
    return height - bottom - share * (height - top - bottom);
  }
};

bool drawable(const std::pair<double, double>& point, Scale scale) {
  return std::isfinite(point.first) && std::isfinite(point.second) &&
         (scale == Scale::linear || point.second > 0);
}

Frame fit(const std::vector<Series>& series, Scale scale) {
  Frame frame{1e300, -1e300, 1e300, -1e300, scale};
  for (const Series& one : series) {
    for (const auto& point : one.points) {
      if (!drawable(point, scale)) continue;
      frame.x_low = std::min(frame.x_low, point.first), frame.x_high = std::max(frame.x_high, point.first);
      frame.y_low = std::min(frame.y_low, point.second), frame.y_high = std::max(frame.y_high, point.second);
    }
  }
  if (frame.x_low > frame.x_high) return {0, 1, scale == Scale::log ? 0.1 : 0, 1, scale};
  if (frame.x_low == frame.x_high) frame.x_low -= 1, frame.x_high += 1;
  if (scale == Scale::linear) {
    frame.y_low = std::min(frame.y_low, 0.0);
    if (frame.y_high <= frame.y_low) frame.y_high = frame.y_low + 1;
  } else {
    frame.y_low *= 0.9, frame.y_high *= 1.1;
  }
  return frame;
}

void draw_axes(std::ostream& svg, const Frame& frame, const std::string& x_label,
               const std::string& y_label) {
  const auto y_ticks =
      frame.scale == Scale::log ? log_ticks(frame.y_low, frame.y_high) : ticks(frame.y_low, frame.y_high, 5);
  for (const double value : y_ticks) {
    const std::string y = pixel(frame.y(value));
    svg << "<line class='grid' x1='" << left << "' x2='" << width - right << "' y1='" << y << "' y2='" << y
        << "'/>"
        << "<text class='tick' x='" << left - 8 << "' y='" << y << "' dy='.35em' text-anchor='end'>"
        << number(value) << "</text>";
  }
  for (const double value : ticks(frame.x_low, frame.x_high, 8)) {
    svg << "<text class='tick' x='" << pixel(frame.x(value)) << "' y='" << height - bottom + 18
        << "' text-anchor='middle'>" << number(value) << "</text>";
  }
  svg << "<line class='axis' x1='" << left << "' x2='" << width - right << "' y1='" << height - bottom
      << "' y2='" << height - bottom << "'/><text class='tick' x='" << width - right << "' y='" << height - 4
      << "' text-anchor='end'>" << escape_html(x_label) << "</text><text class='tick' x='" << left << "' y='"
      << 14 << "'>" << escape_html(y_label) << "</text>";
}

void draw_series(std::ostream& svg, const Frame& frame, const Series& series) {
  std::vector<std::pair<double, double>> points;
  const std::size_t stride = std::max<std::size_t>(1, series.points.size() / most_points);
  for (std::size_t i = 0; i < series.points.size(); i += stride) {
    if (drawable(series.points[i], frame.scale)) points.push_back(series.points[i]);
  }
  svg << "<polyline class='" << series.css_class << "' points='";
  for (const auto& [x, y] : points) svg << pixel(frame.x(x)) << "," << pixel(frame.y(y)) << " ";
  svg << "'/>";
  if (!series.dots) return;
  for (const auto& [x, y] : points) {
    svg << "<circle class='" << series.css_class << "' cx='" << pixel(frame.x(x)) << "' cy='"
        << pixel(frame.y(y)) << "' r='3.5'><title>" << escape_html(series.label) << ", " << number(x) << ": "
        << number(y) << "</title></circle>";
  }
}

void draw_legend(std::ostream& svg, const std::vector<Series>& series) {
  double x = width - right;
  for (auto one = series.rbegin(); one != series.rend(); ++one) {
    x -= 7.2 * static_cast<double>(one->label.size());
    svg << "<text class='tick' x='" << pixel(x) << "' y='14'>" << escape_html(one->label) << "</text>";
    svg << "<line class='" << one->css_class << "' x1='" << pixel(x - 26) << "' x2='" << pixel(x - 6)
        << "' y1='10' y2='10'/>";
    x -= 44;
  }
}

}  // namespace

std::string line_chart(const std::vector<Series>& series, const std::string& x_label,
                       const std::string& y_label, Scale scale) {
  const Frame frame = fit(series, scale);
  std::ostringstream svg;
  svg << "<svg viewBox='0 0 " << width << " " << height << "' role='img' aria-label='" << escape_html(y_label)
      << " over " << escape_html(x_label) << "'>";
  draw_axes(svg, frame, x_label, y_label);
  for (const Series& one : series) draw_series(svg, frame, one);
  draw_legend(svg, series);
  svg << "</svg>\n";
  return svg.str();
}

std::vector<std::pair<double, double>> smoothed(const std::vector<std::pair<double, double>>& points,
                                                std::size_t window) {
  std::vector<std::pair<double, double>> finite;
  std::vector<double> sums{0};  // of all points before
  for (const auto& point : points) {
    if (!std::isfinite(point.second)) continue;
    finite.push_back(point);
    sums.push_back(sums.back() + point.second);
  }
  for (std::size_t i = 0; i < finite.size(); ++i) {
    const std::size_t reach = std::min({window / 2, i, finite.size() - 1 - i});
    finite[i].second = (sums[i + reach + 1] - sums[i - reach]) / static_cast<double>(2 * reach + 1);
  }
  return finite;
}

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char character : text) {
    switch (character) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      case '\'': safe += "&#39;"; break;
      default: safe += character;
    }
  }
  return safe;
}

}  // namespace segment
