#include "ops/kernels/volume.hpp"

#include "ops/kernels/elementwise.hpp"

namespace lucid::kernels {
namespace {
constexpr std::int64_t kWorthCopying = 4;  // channels
}

Tensor as_volume(std::string_view op, const Tensor& tensor, std::size_t spatial_rank) {
  check(tensor.defined(), op, "the input is undefined");
  const std::size_t rank = tensor.shape().size();
  check(rank == spatial_rank + 1 || rank == spatial_rank + 2, op, "input has shape ", tensor.shape(),
        "; rank ", spatial_rank + 2, ", or ", spatial_rank + 1, " without a batch axis, is required");
  Shape shape = tensor.shape(), strides = tensor.strides();
  if (rank == spatial_rank + 1) {
    shape.insert(0, 1);
    strides.insert(0, 0);
  }
  while (shape.size() < 5) {
    shape.insert(2, 1);
    strides.insert(2, 0);
  }
  return alias(tensor, shape, strides, tensor.offset());
}

Tensor from_volume(const Tensor& volume, std::size_t spatial_rank, std::size_t rank) {
  if (rank == 5) return volume;
  Shape shape = volume.shape(), strides = volume.strides();
  for (std::size_t i = spatial_rank; i < 3; ++i) {
    shape.erase(2);
    strides.erase(2);
  }
  if (rank == spatial_rank + 1) {
    shape.erase(0);
    strides.erase(0);
  }
  return alias(volume, shape, strides, volume.offset());
}

bool channels_innermost(const Tensor& tensor) {
  if (tensor.dim() < 3) return false;
  if (tensor.is_channels_last()) return true;  // also where it is contiguous too: one channel, one position
  if (tensor.is_contiguous()) return false;
  for (std::size_t i = 2; i < tensor.shape().size(); ++i)
    if (tensor.shape()[i] > 1 && tensor.strides()[i] < tensor.strides()[1]) return false;
  return tensor.shape()[1] > 1;
}

bool walk_channels_last(const Tensor& volume) {
  return volume.shape()[1] >= kWorthCopying || channels_innermost(volume);
}

Tensor empty_volume(const Shape& shape, DType dtype, bool channels_last) {
  return channels_last ? empty_strided(shape, channels_last_strides(shape), dtype) : empty(shape, dtype);
}

Tensor arranged(const Tensor& volume, bool channels_last) {
  if (channels_last ? volume.is_channels_last() : volume.is_contiguous()) return volume;
  Tensor out = empty_volume(volume.shape(), volume.dtype(), channels_last);
  copy(out, volume);
  return out;
}

Tensor arranged_as(const Tensor& result, const Tensor& like) {
  return arranged(result, channels_innermost(like));
}

VolumeBlocks::VolumeBlocks(const Tensor& volume, bool channels_last)
    : blocks(volume.shape()[0] * (channels_last ? 1 : volume.shape()[1])),
      depth(volume.shape()[2]),
      height(volume.shape()[3]),
      width(volume.shape()[4]),
      channels(channels_last ? volume.shape()[1] : 1) {}

}  // namespace lucid::kernels
