#pragma once
// The one rule by which lucid, PyTorch and oneDNN are timed: an untimed call, whose duration gives the number
// of timed ones; their mean is the round's figure, the median over the rounds the result.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

namespace bench {

struct RepeatRule {
  double least_ms = 20;  ///< of a round
  double most_ms = 500;  ///< a call so slow that three pass this is timed once a round
  int least = 3, most = 1000;

  /// Timed calls for one that takes `ms`.
  int repeats(double ms) const {
    if (ms * least > most_ms) return 1;
    return static_cast<int>(std::clamp(std::ceil(least_ms / std::max(ms, 1e-6)), 1.0 * least, 1.0 * most));
  }
};

template <class F>
double milliseconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// Before each side's turn: the threads of the side that ran last spin for a moment before they sleep, and
/// all start from there.
inline void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

/// Mean of a round's repeats, in ms.
template <class F>
double timed_round(const RepeatRule& rule, F&& f) {
  settle();
  const int repeats = rule.repeats(milliseconds(f));
  return milliseconds([&] {
           for (int i = 0; i < repeats; ++i) f();
         }) /
         repeats;
}

/// Of a non-empty list.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace bench
