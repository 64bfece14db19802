#pragma once
// Where an op begins and ends, for whoever measures (autograd/profile.hpp).

#include <cstdint>
#include <string_view>

namespace lucid::autograd {

/// One run of a convolution's kernel, a part of the op that called it.
struct KernelRun {
  std::string_view implementation;  ///< "onednn:jit:avx512_core"; copied by whoever keeps it
  double flops = 0;
  double bytes = 0;  ///< of its operands, each once
  bool weight_reordered = false;
};

/// Told of the ops of one thread, begins and ends nested.
class OpSink {
 public:
  virtual ~OpSink() = default;
  virtual void begin(std::string_view op, bool backward) = 0;
  virtual void end() = 0;
  virtual void kernel(const KernelRun& run) = 0;
  virtual void activation_reorder(std::int64_t bytes) = 0;
};

namespace detail {
// Constant-initialised, so that reading it is one load.
extern constinit thread_local OpSink* op_sink;
}  // namespace detail

/// The first line of an op's function: its time is the lifetime of this. `op` must be the registry's name or
/// another text that outlives the profile. Free but for a load when nobody measures.
class OpTimer {
 public:
  explicit OpTimer(std::string_view op, bool backward = false) : sink_(detail::op_sink) {
    if (sink_) [[unlikely]]
      sink_->begin(op, backward);
  }
  ~OpTimer() {
    if (sink_ && sink_ == detail::op_sink) [[unlikely]]
      sink_->end();
  }
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;

 private:
  OpSink* sink_;
};

}  // namespace lucid::autograd
