#pragma once
// lucid's convolutions as a training step calls them: channels-last activations, a contiguous weight.

#include <string>

#include "bench/case.hpp"
#include "bench/timing.hpp"

namespace bench {

class LucidSide {
 public:
  explicit LucidSide(const ConvCase& shape);

  /// Mean ms of a round, counted by Google Benchmark.
  double time(Pass pass, const RepeatRule& rule) const;
  /// Of the pass's result.
  double norm(Pass pass) const;
  /// What computed the pass, for example "onednn:jit:avx512_core".
  std::string implementation(Pass pass) const;

 private:
  lucid::Tensor result(Pass pass) const;

  ConvCase case_;
  lucid::ops::ConvGeometry geometry_;
  lucid::Tensor input_, weight_, grad_;
};

}  // namespace bench
