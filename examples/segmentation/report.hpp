#pragma once

#include <string>
#include <utility>
#include <vector>

#include "examples/segmentation/metrics.hpp"
#include "examples/segmentation/png.hpp"

namespace segment {

/// What report.html shows.
struct Report {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;  ///< name, value: parameters, training time, ...
  std::vector<std::string> class_names;                    ///< background first
  std::vector<Record> records;                             ///< of metrics.jsonl
  std::vector<std::pair<std::string, Picture>> pictures;   ///< caption, picture
  std::string config;                                      ///< the effective config as JSON
};

/// One HTML page that needs nothing but itself: curves as SVG, pictures as data URIs, no scripts. Every text
/// is escaped.
std::string render_report(const Report& report);

/// Writes the page; it is replaced at once or not at all.
void write_report(const std::string& path, const Report& report);

}  // namespace segment
