#pragma once
// Where the time goes, op by op.
//
//   lucid::profile measured;
//   train_step();
//   std::cout << measured.str();
//   measured.save_trace("step.json");  // for chrome://tracing or ui.perfetto.dev

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/op_timer.hpp"

namespace lucid {

/// What one op did in one of the two directions; a convolution has a row for each implementation.
struct ProfileRow {
  /// "conv3d"; "conv3d.backward" is its gradient rule, whose ops have rows of their own; "backward" is the
  /// walk.
  std::string op;
  bool backward = false;   ///< in a backward pass
  std::int64_t calls = 0;  ///< that have ended
  double self_seconds =
      0;  ///< without the ops that it called: over all rows this adds up to profile::seconds()
  double total_seconds = 0;          ///< with them
  std::string implementation;        ///< of convolutions, else empty: "onednn:jit:avx512_core"
  double flops = 0, bytes = 0;       ///< of convolutions: arithmetic done, and operands read and written once
  std::int64_t weight_reorders = 0;  ///< weights copied into or out of oneDNN's own layout
  std::int64_t activation_reorders = 0;  ///< inputs or gradients copied to channels-last
};

struct ProfileOptions {
  /// Calls that save_trace() can show, the first ones (48 bytes each); the rows count all.
  std::int64_t max_trace_events = 1 << 20;
};

/// Measures the ops of this thread while it lives; a profile inside another one takes over from it meanwhile.
/// Each op costs two readings of the clock; without a profile it costs one load. Not seen: what a program
/// does through data(), factories, and the optimisers' updates. Use on one thread only.
class profile final : private autograd::OpSink {
 public:
  explicit profile(ProfileOptions options = {});
  ~profile() override;
  profile(const profile&) = delete;
  profile& operator=(const profile&) = delete;

  /// Ends the measurement early.
  void stop();
  /// Sorted by self_seconds, the largest first.
  std::vector<ProfileRow> rows() const;
  double seconds() const;       ///< in ops
  double wall_seconds() const;  ///< since the beginning, until stop() or now
  /// The rows as a table.
  std::string str() const;
  /// A JSON file of trace events, one a call. It appears whole or not at all. Throws IoError.
  void save_trace(const std::string& path) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Open {
    std::string_view op;
    Clock::time_point start{};
    Clock::duration inner{};                                      // time of the ops that it called
    bool is_rule = false, backward = false, is_outermost = true;  // of its name
    std::string implementation;
    double flops = 0, bytes = 0;
    std::int64_t weight_reorders = 0, activation_reorders = 0;
  };
  struct Event {
    std::size_t row;
    Clock::duration start, length;
    double flops, bytes;
    std::int64_t reorders;
  };

  void begin(std::string_view op, bool backward) override;
  void end() override;
  void kernel(const autograd::KernelRun& run) override;
  void activation_reorder(std::int64_t bytes) override;
  std::size_t row_of(const Open& open);

  ProfileOptions options_;
  Clock::time_point start_, stop_{};
  bool stopped_ = false;
  std::vector<Open> open_;
  std::vector<ProfileRow> rows_;
  std::vector<Event> events_;
  std::int64_t left_out_ = 0;  // events beyond the limit
};

}  // namespace lucid
