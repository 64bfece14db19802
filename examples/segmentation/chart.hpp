#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace segment {

/// One curve of a chart; `css_class` styles it.
struct Series {
  std::string label, css_class;
  std::vector<std::pair<double, double>> points;  ///< (x, y) by rising x
  bool dots = false;                              ///< mark the points
};

enum class Scale { linear, log };

/// A line chart as inline SVG, with axes, grid and legend, coloured by the page's CSS. Points that are not
/// finite (or, on a log scale, not positive) are left out; long series are thinned to what the eye can see.
std::string line_chart(const std::vector<Series>& series, const std::string& x_label,
                       const std::string& y_label, Scale scale);

/// The mean over `window` points around each point, over fewer towards the ends: it does not lag behind.
std::vector<std::pair<double, double>> smoothed(const std::vector<std::pair<double, double>>& points,
                                                std::size_t window);

/// Text made safe for HTML and SVG, in elements and quoted attributes.
std::string escape_html(const std::string& text);

}  // namespace segment
