#pragma once
// What the files of bench_nets' nets have in common: layers and ops, and the data of a task.

#include <memory>
#include <utility>

#include "bench/nets.hpp"
#include "bench/operands.hpp"
#include "nn/functional.hpp"
#include "nn/nn.hpp"
#include "ops/arithmetic.hpp"
#include "ops/join.hpp"
#include "ops/view.hpp"

namespace bench {

using Conv3dOptions = lucid::nn::ConvLayerOptions<3>;
using Up3dOptions = lucid::nn::ConvTransposeLayerOptions<3>;

/// Class indices of voxels, or of samples.
inline lucid::Tensor classes(const lucid::Shape& shape, std::int64_t count) {
  const lucid::Tensor out = lucid::empty(shape, lucid::i64);
  auto* data = out.data_to_write<std::int64_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = i / 5 % count;
  return out;
}

template <class Net>
NetTask with_cross_entropy(const lucid::Shape& input, const lucid::Shape& target, std::int64_t count) {
  auto net = std::make_unique<Net>();
  const auto loss = [model = net.get(), x = pattern(input), t = classes(target, count)] {
    return lucid::cross_entropy((*model)(x), t);
  };
  return {std::move(net), loss};
}

}  // namespace bench
