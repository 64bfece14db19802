#pragma once
// Weights as the direct convolutions read them.

#include <algorithm>
#include <vector>

#include "ops/conv_problem.hpp"
#include "ops/direct/dots.hpp"
#include "ops/direct/rows.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::direct {

/// [group][panel of produced channels][tap][contracted channel][produced channels of the panel], zeros behind
/// the last channel: the operand b of RowsProduct, for one tap or for neighbours. Or, of few channels, [tap]
/// as store_dots() reads it.
template <class T>
class PackedWeight {
 public:
  /// `transposed`: x's channels are produced, else y's. A panel has kPanel channels. For dots if
  /// `is_for_dots`.
  PackedWeight(const ops::ConvProblem& p, const Tensor& weight, bool transposed,
               const ops::PackedWeights& kept, bool is_for_dots = false);

  const T* at(std::int64_t group, std::int64_t tap) const {
    return data_ + (group * panels_ * taps_ + tap) * tap_size();
  }
  std::int64_t tap_size() const { return depth_ * (is_for_dots_ ? padded_dots(columns_) : kPanel<T>); }
  bool is_for_dots() const { return is_for_dots_; }
  std::int64_t panel_size() const { return taps_ * tap_size(); }
  std::int64_t depth() const { return depth_; }
  std::int64_t columns() const { return columns_; }

 private:
  Tensor packed(const ops::ConvProblem& p, const Tensor& weight, bool transposed) const;
  Tensor packed_for_dots(const ops::ConvProblem& p, const Tensor& weight, bool transposed) const;

  std::int64_t depth_, columns_, panels_, taps_;
  bool is_for_dots_;
  Tensor buffer_;
  const T* data_;
};

/// What the sums of each group's columns start from, padded to whole panels; empty without a bias.
template <class T>
std::vector<T> padded_start(const Tensor& bias, std::int64_t groups, std::int64_t columns) {
  std::vector<T> out;
  if (!bias.defined()) return out;
  const std::int64_t padded = padded_to_lanes(columns, kPanel<T>);
  out.resize(static_cast<std::size_t>(groups * padded));
  for (std::int64_t group = 0; group < groups; ++group)
    std::copy_n(bias.data<T>() + group * columns, columns, out.begin() + group * padded);
  return out;
}

extern template class PackedWeight<float>;
extern template class PackedWeight<double>;

}  // namespace lucid::direct
