// permute, transpose, expand.

#include "autograd/record.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/view.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;

struct PermuteOptions {
  Shape dims;
};
LUCID_OPTIONS(PermuteOptions, dims)

struct TransposeOptions {
  std::int64_t dim0 = 0;
  std::int64_t dim1 = 1;
};
LUCID_OPTIONS(TransposeOptions, dim0, dim1)

struct ExpandOptions {
  Shape sizes;
};
LUCID_OPTIONS(ExpandOptions, sizes)

Tensors permute_backward(const Backward<PermuteOptions>& b) {
  const std::size_t rank = b.options.dims.size();
  Shape inverse = b.options.dims;
  for (std::size_t i = 0; i < rank; ++i)
    inverse[normalize_axis("permute", b.options.dims[i], rank)] = static_cast<std::int64_t>(i);
  return {permute(b.grad(), inverse)};
}

Tensors transpose_backward(const Backward<TransposeOptions>& b) {
  return {transpose(b.grad(), b.options.dim0, b.options.dim1)};
}

// The walker sums over the axes that were repeated.
Tensors expand_backward(const Backward<ExpandOptions>& b) { return {b.grad()}; }

}  // namespace

Tensor permute(const Tensor& input, std::span<const std::int64_t> dims) {
  const autograd::OpTimer timer("permute");
  check(input.defined(), "permute", "the tensor is undefined");
  const Shape given(dims);
  const std::size_t rank = input.shape().size();
  check(given.size() == rank, "permute", "dims ", given, " name ", given.size(), " axes, an input of shape ",
        input.shape(), " has ", rank);
  Shape shape = input.shape(), strides = input.strides(), seen = Shape::filled(rank, 0);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t axis = normalize_axis("permute", given[i], rank);
    check(seen[axis]++ == 0, "permute", "dims ", given, " name axis ", axis, " twice");
    shape[i] = input.shape()[axis];
    strides[i] = input.strides()[axis];
  }
  return record("permute", alias(input, shape, strides, input.offset()), {input}, {}, PermuteOptions{given},
                permute_backward);
}

Tensor transpose(const Tensor& input, std::int64_t dim0, std::int64_t dim1) {
  const autograd::OpTimer timer("transpose");
  check(input.defined(), "transpose", "the tensor is undefined");
  const std::size_t first = normalize_axis("transpose", dim0, input.shape().size());
  const std::size_t second = normalize_axis("transpose", dim1, input.shape().size());
  Shape shape = input.shape(), strides = input.strides();
  std::swap(shape[first], shape[second]);
  std::swap(strides[first], strides[second]);
  return record("transpose", alias(input, shape, strides, input.offset()), {input}, {},
                TransposeOptions{dim0, dim1}, transpose_backward);
}

Tensor expand(const Tensor& input, const Shape& sizes) {
  const autograd::OpTimer timer("expand");
  check(input.defined(), "expand", "the tensor is undefined");
  check(sizes.size() >= input.shape().size(), "expand", "sizes ", sizes, " have fewer axes than the input, ",
        input.shape());
  const std::size_t skip = sizes.size() - input.shape().size();
  Shape shape = sizes, strides = Shape::filled(sizes.size(), 0);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::int64_t before = i < skip ? 1 : input.shape()[i - skip];
    if (sizes[i] == -1 && i >= skip) shape[i] = before;
    check(shape[i] >= 0, "expand", "sizes ", sizes,
          " have a negative size; -1 keeps a size that the input has, ", input.shape());
    check(shape[i] == before || before == 1, "expand", "sizes ", sizes, " do not fit the input, ",
          input.shape(), ": only axes of size 1 can grow");
    if (i >= skip && shape[i] == before) strides[i] = input.strides()[i - skip];
  }
  checked_numel("expand", shape);
  return record("expand", alias(input, shape, strides, input.offset()), {input}, {}, ExpandOptions{sizes},
                expand_backward);
}

Tensor Tensor::permute(std::span<const std::int64_t> dims) const { return lucid::permute(*this, dims); }
Tensor Tensor::transpose(std::int64_t dim0, std::int64_t dim1) const {
  return lucid::transpose(*this, dim0, dim1);
}
Tensor Tensor::expand(const Shape& sizes) const { return lucid::expand(*this, sizes); }

namespace ops {

Op permute_op() {
  return {.name = "permute",
          .doc = "input with its axes in the order dims",
          .inputs = {{"input"}},
          .defaults = default_options<PermuteOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::permute(in[0], read_options<PermuteOptions>("permute", options).dims)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 3, 2, 1, 4}, generator)}, {{"dims", {0, 2, 3, 4, 1}}}},
                    {{normal({2, 3, 4}, generator)}, {{"dims", {-1, 0, 1}}}},
                    {{normal({}, generator)}, {{"dims", Shape{}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3, 4}, f64)}, {{"dims", {0, 0, 1}}}, "(0, 0, 1)"},
                    {{ones({2, 3, 4}, f64)}, {{"dims", {0, 1}}}, "(0, 1)"},
                    {{ones({2, 3, 4}, f64)}, {{"dims", {0, 1, 3}}}, "dim 3"}};
          },
          .linear_in = {0}};
}

Op transpose_op() {
  return {.name = "transpose",
          .doc = "input with the axes dim0 and dim1 swapped",
          .inputs = {{"input"}},
          .defaults = default_options<TransposeOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<TransposeOptions>("transpose", options);
            return {lucid::transpose(in[0], o.dim0, o.dim1)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 3}, generator)}},
                    {{normal({2, 3, 4}, generator)}, {{"dim0", -1}, {"dim1", 0}}},
                    {{normal({2, 3, 2, 2, 2}, generator)}, {{"dim0", 1}, {"dim1", 4}}},
                    {{normal({}, generator)}, {{"dim0", 0}, {"dim1", -1}}},
                    {{normal({2, 3}, generator)}, {{"dim0", 1}, {"dim1", -1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"dim0", 0}, {"dim1", 2}}, "dim 2"}};
          },
          .linear_in = {0}};
}

Op expand_op() {
  return {.name = "expand",
          .doc = "input with its axes of size 1 repeated up to sizes, and axes added in front; no copy",
          .inputs = {{"input"}},
          .defaults = default_options<ExpandOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::expand(in[0], read_options<ExpandOptions>("expand", options).sizes)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({3, 1}, generator)}, {{"sizes", {2, 3, 4}}}},
                    {{normal({1, 3, 1, 1, 1}, generator)}, {{"sizes", {2, -1, 2, 1, 3}}}},
                    {{normal({}, generator)}, {{"sizes", {2, 2}}}},
                    {{normal({2, 3}, generator)}, {{"sizes", {-1, -1}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"sizes", {2, 4}}}, "(2, 4)"},
                    {{ones({2, 3}, f64)}, {{"sizes", {-1, 2, 3}}}, "(-1, 2, 3)"},
                    {{ones({2, 3}, f64)}, {{"sizes", {3}}}, "(3)"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
