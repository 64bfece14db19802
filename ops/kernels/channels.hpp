#pragma once
// The two passes that every per-channel normalisation is made of: sums over rows, and an affine map of each
// element by its channel's coefficients. Memory is seen as `blocks` blocks of `rows` rows of `channels`
// elements: a channels-last (N, C, D, H, W) is N blocks of D*H*W rows of C, a row-major one N*C blocks of
// D*H*W rows of 1. In both, (block, channel) in order is (n, c) in order.

#include <cstdint>
#include <vector>

#include "lucid/tensor.hpp"
#include "ops/kernels/rectifier.hpp"

namespace lucid::kernels {

struct ChannelBlocks {
  std::int64_t blocks = 0;
  std::int64_t rows = 0;
  std::int64_t channels = 0;
  std::int64_t columns() const { return blocks * channels; }  ///< N * C
};

/// (N, C, spatial...) as blocks. `tensor` has rank 2 or more and is contiguous or channels-last.
ChannelBlocks channel_blocks(const Tensor& tensor);

/// `tensor` itself when it is contiguous or channels-last, else a copy that is. Not
/// recorded.
Tensor channel_ordered(const Tensor& tensor);

/// `tensor` itself when it can be walked beside `like` (which is channel-ordered), else a copy laid out so.
Tensor ordered_like(const Tensor& tensor, const Tensor& like);

/// For each (n, c): the mean over its rows, and the sum of squared deviations from it. Summed about a nearby
/// value, so that little cancels, and in double; of many rows, 32 are summed in the type of computation
/// first, but where float overflows. The same for any number of threads.
struct Moments {
  std::vector<double> mean, squares;
};
Moments channel_moments(const Tensor& input);

/// (input - mean) * scale + shift with each (n, c)'s coefficients. They are rounded to the type of
/// computation such that a large mean costs no accuracy.
struct Affine {
  std::vector<double> mean, scale, shift;
};
/// The leaky_relu of `negative_slope` of such a map of the input, of whose result a gradient is given: it is
/// multiplied by negative_slope where the map is not positive. The map's means are those that it is used
/// with.
struct Leaky {
  Affine map;
  double negative_slope;
};

/// For each (n, c): the sum of `grad`, and of grad * (input - mean[n, c]), summed likewise. A `leaky` that
/// is not null is applied to `grad` first.
struct GradSums {
  std::vector<double> grad, product;
};
GradSums channel_grad_sums(const Tensor& grad, const Tensor& input, const std::vector<double>& mean,
                           const Leaky* leaky = nullptr);

/// out = leaky_relu((input - mean) * scale + shift, negative_slope); 1 leaves the leaky_relu out, 0 is a
/// relu. `out` may be `input`.
void channel_affine(const Tensor& out, const Tensor& input, const Affine& coefficients,
                    double negative_slope = 1);
/// The same in float32 and through `rectifier`, in one pass.
void channel_affine_rectified(const Tensor& out, const Tensor& input, const Affine& coefficients,
                              const Rectifier& rectifier);

/// out = grad * slope + (input - mean) * scale + shift, likewise; in double if `wide`. A `leaky` that is not
/// null is applied to `grad` first.
void channel_affine_grad(const Tensor& out, const Tensor& grad, const Tensor& input,
                         const std::vector<double>& slope, const Affine& coefficients, bool wide,
                         const Leaky* leaky = nullptr);
/// out = grad * slope, where `leaky` is applied to `grad` first.
void channel_leaky_grad(const Tensor& out, const Tensor& grad, const Tensor& input,
                        const std::vector<double>& slope, const Leaky& leaky);

}  // namespace lucid::kernels
