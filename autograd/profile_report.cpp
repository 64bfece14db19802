// A profile as a table and as a trace. The format of the trace: "Trace Event Format", Chromium project;
// complete events ("ph": "X") with times in microseconds.

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "autograd/profile.hpp"
#include "lucid/atomic_file.hpp"
#include "lucid/columns.hpp"
#include "lucid/error.hpp"

namespace lucid {
namespace {

using Cells = std::vector<std::string>;

std::string fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// Of a rate or a count that only convolutions have.
std::string or_nothing(double value, int digits) { return value > 0 ? fixed(value, digits) : ""; }

Cells cells_of(const ProfileRow& row, double all) {
  const double per_second = row.total_seconds > 0 ? 1e-9 / row.total_seconds : 0;
  return {row.op,
          row.backward ? "backward" : "forward",
          str(row.calls),
          fixed(1e3 * row.self_seconds, 3),
          fixed(all > 0 ? 100 * row.self_seconds / all : 0, 1),
          fixed(1e3 * row.total_seconds, 3),
          or_nothing(row.flops * per_second, 1),
          or_nothing(row.bytes * 1e-6, 1),
          or_nothing(static_cast<double>(row.weight_reorders + row.activation_reorders), 0),
          row.implementation};
}

// Names to the left, numbers to the right.
constexpr bool kIsNumber[] = {false, false, true, true, true, true, true, true, true, false};

double microseconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

}  // namespace

std::string profile::str() const {
  std::vector<Cells> lines{{"op", "direction", "calls", "self ms", "%", "total ms", "GFLOP/s", "MB",
                            "reorders", "implementation"}};
  const double all = seconds();
  for (const ProfileRow& row : rows()) lines.push_back(cells_of(row, all));
  return in_columns(lines, kIsNumber) +
         lucid::str(fixed(1e3 * all, 3), " ms in ops, of ", fixed(1e3 * wall_seconds(), 3), " ms\n");
}

void profile::save_trace(const std::string& path) const {
  AtomicFile file(path);
  const auto write = [&](const std::string& text) {
    file.write(text.data(), static_cast<std::int64_t>(text.size()));
  };
  write("{\"displayTimeUnit\":\"ms\",\"otherData\":" + nlohmann::json{{"events_left_out", left_out_}}.dump() +
        ",\"traceEvents\":[\n");
  std::string chunk;
  for (const Event& event : events_) {
    const ProfileRow& row = rows_[event.row];
    nlohmann::json entry{{"name", row.op},
                         {"cat", row.backward ? "backward" : "forward"},
                         {"ph", "X"},
                         {"ts", microseconds(event.start)},
                         {"dur", microseconds(event.length)},
                         {"pid", 1},
                         {"tid", 1},
                         {"args", nlohmann::json::object()}};
    if (!row.implementation.empty())
      entry["args"] = {{"implementation", row.implementation},
                       {"flops", event.flops},
                       {"bytes", event.bytes},
                       {"reorders", event.reorders}};
    if (&event != events_.data()) chunk += ",\n";
    chunk += entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    if (chunk.size() > 1 << 16) {
      write(chunk);
      chunk.clear();
    }
  }
  write(chunk + "\n]}\n");
  file.commit();
}

}  // namespace lucid
