#include "ops/proof_inputs.hpp"

#include "autograd/grad_mode.hpp"
#include "lucid/random.hpp"

namespace lucid::ops {
namespace {

Tensor copied_into(const Tensor& target, const Tensor& source) {
  const no_grad guard;
  target.copy_(source.detach());
  return target;
}

Tensor row_major(const Tensor& tensor) { return copied_into(empty(tensor.shape(), tensor.dtype()), tensor); }

}  // namespace

bool is_real(const Tensor& tensor) { return tensor.defined() && is_floating(tensor.dtype()); }

Tensors as_type(const Tensors& inputs, DType dtype) {
  Tensors out;
  for (const Tensor& input : inputs) out.push_back(is_real(input) ? input.detach().to(dtype) : input);
  return out;
}

Tensors as_integers(const Tensors& inputs, std::uint64_t seed) {
  Generator generator(seed + 29);
  Tensors out;
  for (const Tensor& input : inputs)
    out.push_back(is_real(input) ? randint(-3, 4, input.shape(), input.dtype(), &generator) : input);
  return out;
}

Tensors in_layout(const Tensors& inputs, Tensor (*change)(const Tensor&)) {
  Tensors out;
  for (const Tensor& input : inputs) out.push_back(input.defined() ? change(input) : input);
  return out;
}

Tensors plain(const Tensors& inputs) { return in_layout(inputs, row_major); }

Tensors as_leaves(const Tensors& inputs) {
  Tensors out;
  for (const Tensor& input : inputs) {
    out.push_back(input.defined() ? input.detach() : input);
    if (is_real(input)) out.back().requires_grad_();
  }
  return out;
}

Tensor channels_last_copy(const Tensor& tensor) {
  if (tensor.dim() < 3) return row_major(tensor);
  return copied_into(empty_strided(tensor.shape(), channels_last_strides(tensor.shape()), tensor.dtype()),
                     tensor);
}

Tensor sliced_channels_copy(const Tensor& tensor) {
  if (tensor.dim() < 3) return row_major(tensor);
  Shape larger = tensor.shape();
  larger[1] = 2 * larger[1] + 1;
  const Tensor block = empty_strided(larger, channels_last_strides(larger), tensor.dtype());
  block.fill_(0);
  return copied_into(alias(block, tensor.shape(), block.strides(), 1), tensor);
}

Tensor strided_copy(const Tensor& tensor) {
  if (tensor.dim() == 0) return row_major(tensor);
  Shape larger = tensor.shape();
  Strides strides = contiguous_strides(larger);
  for (std::int64_t& size : larger) size = 2 * size + 1;
  const Tensor block = zeros(larger, tensor.dtype());
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < larger.size(); ++i) {
    strides[i] = 2 * block.strides()[i];
    offset += block.strides()[i];
  }
  return copied_into(alias(block, tensor.shape(), strides, offset), tensor);
}

Tensor transposed_copy(const Tensor& tensor) {
  Strides strides = Shape::filled(tensor.shape().size(), 1);
  std::int64_t step = 1;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(tensor.shape()[i], 1);
  }
  return copied_into(empty_strided(tensor.shape(), strides, tensor.dtype()), tensor);
}

Tensor repeat_first(const Tensor& tensor) {
  if (!is_real(tensor) || tensor.dim() == 0 || tensor.numel() == 0) return row_major(tensor);
  return row_major(expanded_copy(tensor));
}

Tensor expanded_copy(const Tensor& tensor) {
  if (!is_real(tensor) || tensor.dim() == 0 || tensor.numel() == 0) return row_major(tensor);
  const Tensor base = row_major(tensor);
  Strides strides = base.strides();
  strides[strides.size() - 1] = 0;
  return alias(base, tensor.shape(), strides, 0);
}

}  // namespace lucid::ops
