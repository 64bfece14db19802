#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace segment {

/// Dice per foreground class, by name; NaN where neither truth nor prediction has the class.
using DiceTable = std::vector<std::pair<std::string, double>>;

/// One line of metrics.jsonl.
struct Record {
  std::string event;  ///< step | validation | end
  std::int64_t step = 0;
  double loss = 0, lr = 0;
  double seconds = 0;  ///< of training up to here, over all resumed runs
  DiceTable dice;      ///< of validations, and of the end
  double mean_dice = 0;
};

/// Writes metrics.jsonl, one object a line, each flushed at once: a killed run leaves whole lines, but for
/// the last.
class MetricsLog {
 public:
  /// Starts a new file.
  explicit MetricsLog(const std::string& path);
  /// Goes on behind `step`: lines of later steps, validations after it, `end` lines and a half-written last
  /// line are dropped (a run that goes on repeats that validation), the clock goes on from the last line
  /// kept. A missing file is started.
  MetricsLog(const std::string& path, std::int64_t step);

  void step(std::int64_t step, double loss, double lr);
  void validation(std::int64_t step, double loss, double lr, const DiceTable& dice, double mean_dice);
  void end(std::int64_t step, double loss, double lr, const DiceTable& dice, double mean_dice);
  double seconds() const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void open(const char* mode);
  void write(const Record& record);

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  double seconds_before_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Reads metrics.jsonl back; a half-written last line is left out. Raises InputError with the line's number
/// for others that are no records.
std::vector<Record> read_metrics(const std::string& path);

}  // namespace segment
