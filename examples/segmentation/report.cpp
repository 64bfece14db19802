#include "examples/segmentation/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "examples/segmentation/chart.hpp"
#include "examples/segmentation/files.hpp"
#include "examples/segmentation/overlay.hpp"

namespace segment {
namespace {

constexpr const char* style = R"(
:root { color-scheme: light dark; --paper: #fbfbfa; --card: #fff; --ink: #1d2126; --faint: #68717c;
  --line: #e3e5e8; --raw: #b9c6d6; --curve: #1864ab; --second: #b35c00; }
@media (prefers-color-scheme: dark) { :root { --paper: #101216; --card: #181b20; --ink: #e4e7eb; --faint: #97a1ad;
  --line: #2b3037; --raw: #3b4c61; --curve: #6cb4ff; --second: #ffb057; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1.2rem; }
h2 { font-size: 1.1rem; margin: 2.4rem 0 .7rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .7rem; margin: 0; }
.facts div, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; }
.facts dt { color: var(--faint); font-size: .82rem; }
.facts dd { margin: 0; font-size: 1.2rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.card { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { color: var(--faint); font-weight: 500; font-size: .85rem; }
tr:last-child td { border-bottom: 0; font-weight: 600; }
.swatch { display: inline-block; width: .75em; height: .75em; border-radius: 3px; margin-right: .45em; }
.figures { display: flex; flex-wrap: wrap; gap: 1.2rem; } figure { margin: 0; }
figure img { display: block; max-width: 100%; border-radius: 8px; background: #101216; }
figcaption { color: var(--faint); font-size: .88rem; margin-top: .35rem; }
svg { display: block; width: 100%; height: auto; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--faint); }
svg .tick { fill: var(--faint); font: 12px system-ui, sans-serif; }
svg .raw, svg .curve, svg .second { fill: none; stroke-linejoin: round; }
svg .raw { stroke: var(--raw); stroke-width: 1; } svg .curve { stroke: var(--curve); stroke-width: 2; }
svg .second { stroke: var(--second); stroke-width: 2; } svg circle.second { fill: var(--second); }
pre { margin: 0; font: 13px/1.5 ui-monospace, monospace; overflow-x: auto; }
summary { cursor: pointer; color: var(--faint); }
)";

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

bool has_dice(const Record& record) { return record.event != "step" && !record.dice.empty(); }

/// The validations, and the end if it came with a Dice of its own step.
std::vector<Record> dice_records(const std::vector<Record>& records) {
  std::vector<Record> result;
  for (const Record& record : records) {
    if (!has_dice(record)) continue;
    if (!result.empty() && result.back().step == record.step) result.pop_back();
    result.push_back(record);
  }
  return result;
}

std::string swatch(const std::vector<std::string>& class_names, const std::string& name) {
  const auto at = std::find(class_names.begin(), class_names.end(), name);
  if (at == class_names.end()) return "";
  const Rgb color = class_color(at - class_names.begin());
  char text[80];
  std::snprintf(text, sizeof text, "<span class='swatch' style='background:#%02x%02x%02x'></span>", color.r,
                color.g, color.b);
  return text;
}

void write_dice_table(std::ostream& html, const Report& report, const std::vector<Record>& records) {
  html << "<h2>Dice on the held-out region</h2>\n";
  if (records.empty()) {
    html << "<p>No validation has run yet.</p>\n";
    return;
  }
  html << "<div class='card'><table><thead><tr><th>step</th>";
  for (const auto& [name, value] : records.back().dice) {
    html << "<th>" << swatch(report.class_names, name) << escape_html(name) << "</th>";
  }
  html << "<th>mean</th><th>loss</th><th>seconds</th></tr></thead><tbody>\n";
  for (const Record& record : records) {
    html << "<tr><td>" << record.step << "</td>";
    for (const auto& label : records.back().dice) {
      const auto at = std::find_if(record.dice.begin(), record.dice.end(),
                                   [&](const auto& entry) { return entry.first == label.first; });
      html << "<td>" << (at == record.dice.end() ? "–" : fixed(at->second, 3)) << "</td>";
    }
    html << "<td>" << fixed(record.mean_dice, 3) << "</td><td>" << fixed(record.loss, 4) << "</td><td>"
         << fixed(record.seconds, 0) << "</td></tr>\n";
  }
  html << "</tbody></table></div>\n";
}

void write_curves(std::ostream& html, const Report& report, const std::vector<Record>& validations) {
  std::vector<std::pair<double, double>> loss, dice;
  for (const Record& record : report.records) {
    if (record.event == "step") loss.emplace_back(static_cast<double>(record.step), record.loss);
  }
  for (const Record& record : validations)
    dice.emplace_back(static_cast<double>(record.step), record.mean_dice);
  const bool positive = std::all_of(loss.begin(), loss.end(), [](const auto& p) { return !(p.second <= 0); });
  const std::size_t window = std::max<std::size_t>(5, loss.size() / 20);
  html << "<h2>Training loss</h2>\n<div class='card'>"
       << line_chart({{"each step", "raw", loss}, {"running mean", "curve", smoothed(loss, window)}}, "step",
                     positive ? "loss (log scale)" : "loss", positive ? Scale::log : Scale::linear)
       << "</div>\n";
  if (dice.size() < 2) return;
  html << "<h2>Mean Dice</h2>\n<div class='card'>"
       << line_chart({{"held-out region", "second", dice, true}}, "step", "mean Dice", Scale::linear)
       << "</div>\n";
}

void write_pictures(std::ostream& html, const Report& report) {
  if (report.pictures.empty()) return;
  html << "<h2>Prediction beside truth</h2>\n<p>";
  for (std::size_t i = 1; i < report.class_names.size(); ++i) {
    html << swatch(report.class_names, report.class_names[i]) << escape_html(report.class_names[i])
         << " &nbsp; ";
  }
  html << "</p>\n<div class='figures'>\n";
  for (const auto& [caption, picture] : report.pictures) {
    html << "<figure><img alt='" << escape_html(caption) << "' src='data:image/png;base64,"
         << base64(encode_png(picture)) << "'><figcaption>" << escape_html(caption)
         << "</figcaption></figure>\n";
  }
  html << "</div>\n";
}

}  // namespace

std::string render_report(const Report& report) {
  const std::vector<Record> validations = dice_records(report.records);
  std::ostringstream html;
  html << "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
       << "<meta name='viewport' content='width=device-width, initial-scale=1'><title>"
       << escape_html(report.title) << "</title><style>" << style << "</style></head><body>\n<h1>"
       << escape_html(report.title) << "</h1>\n";
  html << "<dl class='facts'>";
  for (const auto& [name, value] : report.facts) {
    html << "<div><dt>" << escape_html(name) << "</dt><dd>" << escape_html(value) << "</dd></div>\n";
  }
  html << "</dl>\n";
  write_dice_table(html, report, validations);
  write_pictures(html, report);
  write_curves(html, report, validations);
  html << "<h2>Config</h2>\n<div class='card'><details><summary>the effective config, with every "
          "default</summary><pre>"
       << escape_html(report.config) << "</pre></details></div>\n</body></html>\n";
  return html.str();
}

void write_report(const std::string& path, const Report& report) { write_file(path, render_report(report)); }

}  // namespace segment
