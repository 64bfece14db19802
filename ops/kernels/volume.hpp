#pragma once
// One, two or three spatial axes, batched or not, seen as (N, C, D, H, W): what spatial kernels work on.

#include <string_view>

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// A view of rank 5: an unbatched tensor gets N = 1, missing spatial axes get size 1 in front. `spatial_rank`
/// is 1 to 3. Not recorded. Throws Error unless the rank is spatial_rank + 1 or spatial_rank + 2.
Tensor as_volume(std::string_view op, const Tensor& tensor, std::size_t spatial_rank);

/// The inverse for a result: a view of `volume` of rank `rank`.
Tensor from_volume(const Tensor& volume, std::size_t spatial_rank, std::size_t rank);

/// True when channels lie closer in memory than positions do.
bool channels_innermost(const Tensor& tensor);

/// True when kernels should walk `volume` channels-last: when it lies so, and when it has channels enough for
/// a copy to pay.
bool walk_channels_last(const Tensor& volume);

/// `volume` itself or a copy, channels-last or contiguous. Not recorded.
Tensor arranged(const Tensor& volume, bool channels_last);

/// `result` itself or a copy, channels-last where channels lie innermost in `like`, else contiguous.
Tensor arranged_as(const Tensor& result, const Tensor& like);

/// Uninitialised (N, C, spatial...), channels-last or contiguous.
Tensor empty_volume(const Shape& shape, DType dtype, bool channels_last);

/// Memory as blocks of depth * height * width positions of `channels` elements: N blocks of C, or N * C
/// blocks of 1.
struct VolumeBlocks {
  VolumeBlocks(const Tensor& volume, bool channels_last);
  std::int64_t blocks, depth, height, width, channels;
  std::int64_t size() const { return depth * height * width * channels; }
};

}  // namespace lucid::kernels
