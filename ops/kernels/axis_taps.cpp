#include "ops/kernels/axis_taps.hpp"

#include <algorithm>
#include <numeric>

namespace lucid::kernels {

std::int64_t AxisTaps::widest() const {
  std::int64_t most = 0;
  for (std::size_t o = 0; o + 1 < begin.size(); ++o) most = std::max(most, begin[o + 1] - begin[o]);
  return most;
}

AxisTaps AxisTaps::transposed() const {
  AxisTaps out;
  out.inputs = outputs();
  out.begin.assign(static_cast<std::size_t>(inputs) + 1, 0);
  for (const std::int64_t i : index) ++out.begin[static_cast<std::size_t>(i) + 1];
  std::partial_sum(out.begin.begin(), out.begin.end(), out.begin.begin());
  out.index.resize(index.size());
  out.weight.resize(weight.size());
  std::vector<std::int64_t> next(out.begin.begin(), out.begin.end() - 1);
  for (std::int64_t o = 0; o < outputs(); ++o)
    for (auto k = static_cast<std::size_t>(begin[static_cast<std::size_t>(o)]);
         k < static_cast<std::size_t>(begin[static_cast<std::size_t>(o) + 1]); ++k) {
      const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(index[k])]++);
      out.index[to] = o;
      out.weight[to] = weight[k];
    }
  return out;
}

SpatialTaps transposed(const SpatialTaps& taps) {
  return {taps[0].transposed(), taps[1].transposed(), taps[2].transposed()};
}

}  // namespace lucid::kernels
