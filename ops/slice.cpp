#include "ops/slice.hpp"

#include <limits>

#include "autograd/record.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/layout.hpp"
#include "ops/options.hpp"
#include "ops/picks.hpp"
#include "ops/region.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

namespace ops {

Region Region::all(const Shape& shape) {
  return {Shape::filled(shape.size(), 0), Shape::filled(shape.size(), 1), shape};
}

void Region::slice(std::string_view op, std::size_t axis, std::int64_t start, std::int64_t end,
                   std::int64_t step) {
  check(step > 0, op, "step ", step, " on axis ", axis, " is not positive; use flip() to reverse an axis");
  const std::int64_t size = lengths[axis];
  const auto clamp = [size](std::int64_t bound) {
    return std::clamp<std::int64_t>(bound < 0 ? bound + size : bound, 0, size);
  };
  const std::int64_t first = clamp(start), last = clamp(end);
  starts[axis] = first;
  steps[axis] = step;
  lengths[axis] = last > first ? (last - first - 1) / step + 1 : 0;
}

Tensor Region::of(const Tensor& tensor) const {
  Strides strides = tensor.strides();
  std::int64_t offset = tensor.offset();
  bool empty = false;
  for (std::size_t i = 0; i < strides.size(); ++i) empty |= lengths[i] == 0;
  for (std::size_t i = 0; i < strides.size() && !empty; ++i) {
    offset += starts[i] * strides[i];
    if (lengths[i] > 1) strides[i] *= steps[i];
  }
  return alias(tensor, lengths, strides, offset);
}

std::int64_t wrap_index(std::string_view op, std::int64_t index, std::size_t axis, std::int64_t size) {
  check(index >= -size && index < size, op, "index ", index, " is out of range for axis ", axis, " of size ",
        size);
  return index < 0 ? index + size : index;
}

}  // namespace ops

namespace {

using autograd::Backward;
using autograd::record;
using ops::Region;

// Where a part was taken from, for the adjoint; no option of an op.
struct Origin {
  Region region;
  Shape sizes;
  Strides strides;
};

struct SliceOptions {
  std::int64_t dim = 0;
  std::optional<std::int64_t> start, end;
  std::int64_t step = 1;
  Origin origin;
};
LUCID_OPTIONS(SliceOptions, dim, start, end, step)

struct NarrowOptions {
  std::int64_t dim = 0;
  std::int64_t start = 0;
  std::int64_t length = 0;
  Origin origin;
};
LUCID_OPTIONS(NarrowOptions, dim, start, length)

struct SelectOptions {
  std::int64_t dim = 0;
  std::int64_t index = 0;
  Origin origin;
};
LUCID_OPTIONS(SelectOptions, dim, index)

// An axis that the index took away comes back as one of size 1.
template <class Options>
Tensors region_backward(const Backward<Options>& b) {
  const Origin& origin = b.options.origin;
  return {ops::scatter_region(b.grad().reshape(origin.region.lengths), origin.sizes, origin.region,
                              origin.strides)};
}

std::size_t axis_of(std::string_view op, const Tensor& input, std::int64_t dim) {
  check(input.defined(), op, "the tensor is undefined");
  check(input.dim() > 0, op, "a tensor of rank 0 has no dim ", dim);
  return normalize_axis(op, dim, input.shape().size());
}

constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();

}  // namespace

Tensor slice(const Tensor& input, std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step) {
  const autograd::OpTimer timer("slice");
  const std::size_t axis = axis_of("slice", input, dim);
  Region region = Region::all(input.shape());
  region.slice("slice", axis, start, end, step);
  return record("slice", region.of(input), {input}, {},
                SliceOptions{dim, start, end, step, {region, input.shape(), input.strides()}},
                region_backward<SliceOptions>);
}

Tensor narrow(const Tensor& input, std::int64_t dim, std::int64_t start, std::int64_t length) {
  const autograd::OpTimer timer("narrow");
  const std::size_t axis = axis_of("narrow", input, dim);
  const std::int64_t size = input.shape()[axis];
  const std::int64_t first = start < 0 ? start + size : start;
  check(first >= 0 && first <= size && length >= 0 && length <= size - first, "narrow", "start ", start,
        " and length ", length, " reach beyond axis ", axis, " of size ", size);
  Region region = Region::all(input.shape());
  region.starts[axis] = first;
  region.lengths[axis] = length;
  return record("narrow", region.of(input), {input}, {},
                NarrowOptions{dim, start, length, {region, input.shape(), input.strides()}},
                region_backward<NarrowOptions>);
}

Tensor narrow(const Tensor& input, std::int64_t dim, const Tensor& start, std::int64_t length) {
  const Tensor position = ops::as_positions("narrow", "start", start);
  check(position.numel() == 1, "narrow", "start has shape ", start.shape(), "; one element is required");
  return narrow(input, dim, position.item<std::int64_t>(), length);
}

Tensor select(const Tensor& input, std::int64_t dim, std::int64_t index) {
  const autograd::OpTimer timer("select");
  const std::size_t axis = axis_of("select", input, dim);
  Region region = Region::all(input.shape());
  region.starts[axis] = ops::wrap_index("select", index, axis, input.shape()[axis]);
  region.lengths[axis] = 1;
  const Tensor kept = region.of(input);
  Shape shape = kept.shape(), strides = kept.strides();
  shape.erase(axis);
  strides.erase(axis);
  return record("select", alias(kept, shape, strides, kept.offset()), {input}, {},
                SelectOptions{dim, index, {region, input.shape(), input.strides()}},
                region_backward<SelectOptions>);
}

Tensor Tensor::slice(std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step) const {
  return lucid::slice(*this, dim, start, end, step);
}
Tensor Tensor::narrow(std::int64_t dim, std::int64_t start, std::int64_t length) const {
  return lucid::narrow(*this, dim, start, length);
}
Tensor Tensor::select(std::int64_t dim, std::int64_t index) const { return lucid::select(*this, dim, index); }

namespace ops {

Op slice_op() {
  return {.name = "slice",
          .doc = "every step-th element of axis dim from start up to end; bounds wrap and clamp",
          .inputs = {{"input"}},
          .defaults = default_options<SliceOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<SliceOptions>("slice", options);
            return {lucid::slice(in[0], o.dim, o.start.value_or(0), o.end.value_or(kEnd), o.step)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({5, 2}, generator)}, {{"start", 1}, {"end", 4}}},
                    {{normal({2, 3, 7}, generator)}, {{"dim", -1}, {"start", 1}, {"step", 3}}},
                    {{normal({2, 3, 4, 2, 2}, generator)}, {{"dim", 2}, {"start", -3}, {"end", -1}}},
                    {{normal({4}, generator)}, {{"start", 3}, {"end", 1}}},
                    {{normal({5, 2}, generator)}, {{"start", -9}, {"end", 9}, {"step", 2}}},
                    {{normal({5}, generator)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({4}, f64)}, {{"step", 0}}, "step 0"},
                    {{ones({4}, f64)}, {{"step", -1}}, "step -1"},
                    {{ones({4}, f64)}, {{"dim", 1}}, "dim 1"},
                    {{ones({}, f64)}, {{"dim", 0}}, "rank 0"}};
          },
          .linear_in = {0}};
}

Op narrow_op() {
  return {.name = "narrow",
          .doc = "length elements of axis dim from start, an option or an integer tensor",
          .inputs = {{"input"}, {"start", true}},
          .defaults = default_options<NarrowOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<NarrowOptions>("narrow", options);
            return {in[1].defined() ? lucid::narrow(in[0], o.dim, in[1], o.length)
                                    : lucid::narrow(in[0], o.dim, o.start, o.length)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {
                {{normal({5, 2}, generator), Tensor()}, {{"start", 1}, {"length", 3}}},
                {{normal({5, 2}, generator), full({}, 2, i64)}, {{"length", 2}}},
                {{normal({2, 3, 4, 2, 2}, generator), Tensor()}, {{"dim", -4}, {"start", -2}, {"length", 1}}},
                {{normal({4}, generator), Tensor()}, {{"start", 4}, {"length", 0}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({4}, f64), Tensor()}, {{"start", 2}, {"length", 3}}, "length 3"},
                    {{ones({4}, f64), Tensor()}, {{"start", 0}, {"length", -1}}, "length -1"},
                    {{ones({4}, f64), Tensor()}, {{"start", -5}, {"length", 1}}, "start -5"},
                    {{ones({4}, f64), ones({2}, i64)}, {{"length", 1}}, "start has shape (2)"},
                    {{ones({4}, f64), ones({}, f64)}, {{"length", 1}}, "float64"}};
          },
          .linear_in = {0}};
}

Op select_op() {
  return {.name = "select",
          .doc = "the slice at index of axis dim, without that axis",
          .inputs = {{"input"}},
          .defaults = default_options<SelectOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<SelectOptions>("select", options);
            return {lucid::select(in[0], o.dim, o.index)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({5, 2}, generator)}, {{"index", 3}}},
                    {{normal({2, 3, 4, 2, 2}, generator)}, {{"dim", 1}, {"index", -1}}},
                    {{normal({4}, generator)}, {{"index", 0}}},
                    {{normal({2, 3, 2}, generator)}, {{"dim", -2}, {"index", -3}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({4}, f64)}, {{"index", 4}}, "index 4"},
                    {{ones({4}, f64)}, {{"index", -5}}, "index -5"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
