#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace segment {

/// What people see while the net trains. On a terminal a bar that stays on one line:
///   [######............]  170/500  loss 0.4821  3.1 patches/s  1:46 left
/// elsewhere (a log file, a pipe) the same as a plain line now and then.
class Progress {
 public:
  /// Counts from `start` (steps done before a resume) to `total` steps of `batch` patches.
  Progress(std::int64_t total, std::int64_t start, std::int64_t batch, std::FILE* out = stdout);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// After step `step`. Shows a running mean of the loss.
  void update(std::int64_t step, double loss);
  /// Prints a line of text above the bar.
  void note(const std::string& line);
  /// Leaves the bar as it stands and ends its line.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  std::string status(std::int64_t step) const;
  void draw();

  std::int64_t total_, start_, batch_, step_, shown_ = -1;
  double loss_ = 0;
  bool terminal_, finished_ = false;
  Clock::time_point began_ = Clock::now(), drawn_{};
  std::FILE* out_;
};

/// 75 as "1:15", 3700 as "1:01:40".
std::string clock_text(double seconds);

}  // namespace segment
