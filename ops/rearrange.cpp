#include "ops/rearrange.hpp"

#include "autograd/record.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/layout.hpp"
#include "ops/options.hpp"
#include "ops/region.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/view.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;

struct FlipOptions {
  Shape dims;
};
LUCID_OPTIONS(FlipOptions, dims)

struct RollOptions {
  Shape shifts;
  std::optional<Shape> dims;
};
LUCID_OPTIONS(RollOptions, shifts, dims)

// `shape` is the input's; no option of the op.
struct RepeatOptions {
  Shape repeats;
  Shape shape;
};
LUCID_OPTIONS(RepeatOptions, repeats)

Tensors flip_backward(const Backward<FlipOptions>& b) { return {flip(b.grad(), b.options.dims)}; }

Tensors roll_backward(const Backward<RollOptions>& b) {
  Shape back = b.options.shifts;
  for (std::int64_t& shift : back) shift = -shift;
  return {roll(b.grad(), back, b.options.dims.value_or(Shape{}))};
}

// Moves the elements of one axis by `shift`, in [0, size). Not recorded.
Tensor rolled(const Tensor& input, std::size_t axis, std::int64_t shift) {
  const Tensor out = kernels::empty_in_order(input.shape(), input.strides(), input.dtype());
  const std::int64_t size = input.shape()[axis];
  const auto move = [&](std::int64_t from, std::int64_t to, std::int64_t length) {
    ops::Region source = ops::Region::all(input.shape()), target = source;
    source.starts[axis] = from;
    target.starts[axis] = to;
    source.lengths[axis] = target.lengths[axis] = length;
    kernels::copy(target.of(out), source.of(input));
  };
  move(0, shift, size - shift);
  if (shift > 0) move(size - shift, 0, shift);
  return out;
}

// One axis for each repeat and one for each size: (r0, s0, r1, s1, ...); repeats of 1 get no axis of their
// own.
struct Interleaved {
  Shape shape, expanded;
  std::vector<std::int64_t> repeat_axes;
};

Interleaved interleave(const Shape& shape, const Shape& repeats) {
  Interleaved out;
  const std::size_t skip = repeats.size() - shape.size();
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    const std::int64_t size = i < skip ? 1 : shape[i - skip];
    if (repeats[i] != 1) {
      out.repeat_axes.push_back(static_cast<std::int64_t>(out.shape.size()));
      out.shape.push_back(1);
      out.expanded.push_back(repeats[i]);
    }
    out.shape.push_back(size);
    out.expanded.push_back(size);
  }
  return out;
}

Tensors repeat_backward(const Backward<RepeatOptions>& b) {
  const Interleaved axes = interleave(b.options.shape, b.options.repeats);
  Tensor grad = b.grad().reshape(axes.expanded);
  if (!axes.repeat_axes.empty()) grad = grad.sum(axes.repeat_axes);
  return {grad.reshape(b.options.shape)};
}

}  // namespace

Tensor flip(const Tensor& input, const Shape& dims) {
  const autograd::OpTimer timer("flip");
  check(input.defined(), "flip", "the tensor is undefined");
  Strides strides = input.strides();
  std::int64_t offset = input.offset();
  if (!dims.empty())
    for (const std::size_t axis : normalize_axes("flip", dims, input.shape().size())) {
      if (input.numel() > 0) offset += (input.shape()[axis] - 1) * strides[axis];
      strides[axis] = -strides[axis];
    }
  const Tensor out = kernels::empty_in_order(input.shape(), input.strides(), input.dtype());
  kernels::copy(out, alias(input, input.shape(), strides, offset));
  return record("flip", out, {input}, {}, FlipOptions{dims}, flip_backward);
}

Tensor roll(const Tensor& input, const Shape& shifts, const Shape& dims) {
  const autograd::OpTimer timer("roll");
  check(input.defined(), "roll", "the tensor is undefined");
  check(!shifts.empty() && (dims.empty() ? shifts.size() == 1 : shifts.size() == dims.size()), "roll",
        "shifts ", shifts, " and dims ", dims, " do not pair");
  Tensor out = dims.empty() ? input.detach().flatten() : input.detach();
  Shape turns = Shape::filled(shifts.size(), 0);  // the shifts, each within its axis
  for (std::size_t i = 0; i < shifts.size(); ++i) {
    const std::size_t axis = dims.empty() ? 0 : normalize_axis("roll", dims[i], input.shape().size());
    if (out.numel() == 0 || out.dim() == 0) continue;
    const std::int64_t size = out.shape()[axis];
    turns[i] = shifts[i] % size;
    out = rolled(out, axis, turns[i] < 0 ? turns[i] + size : turns[i]);
  }
  if (dims.empty())
    out = alias(out, input.shape(), contiguous_strides(input.shape()), out.offset());
  else if (out.impl().storage == input.impl().storage)
    out = out.clone();
  return record("roll", out, {input}, {},
                RollOptions{turns, dims.empty() ? std::nullopt : std::optional(dims)}, roll_backward);
}

Tensor repeat(const Tensor& input, const Shape& repeats) {
  const autograd::OpTimer timer("repeat");
  check(input.defined(), "repeat", "the tensor is undefined");
  check(repeats.size() >= input.shape().size(), "repeat", "repeats ", repeats,
        " have fewer axes than the input, ", input.shape());
  const std::size_t skip = repeats.size() - input.shape().size();
  Shape shape = repeats;
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    check(repeats[i] >= 0, "repeat", "repeats ", repeats, " have a negative count");
    if (i >= skip) shape[i] = checked_mul("repeat", "size", repeats[i], input.shape()[i - skip]);
  }
  checked_numel("repeat", shape);
  const Interleaved axes = interleave(input.shape(), repeats);
  Tensor out;
  {
    const no_grad guard;
    const Tensor repeated = input.reshape(axes.shape).expand(axes.expanded);
    const Tensor dense = empty(repeated.shape(), input.dtype());
    kernels::copy(dense, repeated);
    out = alias(dense, shape, contiguous_strides(shape), 0);
  }
  return record("repeat", out, {input}, {}, RepeatOptions{repeats, input.shape()}, repeat_backward);
}

namespace ops {

Op flip_op() {
  return {.name = "flip",
          .doc = "input's elements in reverse along each axis of dims",
          .inputs = {{"input"}},
          .defaults = default_options<FlipOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::flip(in[0], read_options<FlipOptions>("flip", options).dims)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({5}, g)}, {{"dims", {-1}}}},
                    {{normal({2, 3, 2, 3, 4}, g)}, {{"dims", {2, 4}}}},
                    {{normal({2, 3}, g)}, {{"dims", Shape{}}}},
                    {{normal({2, 3, 2}, g)}, {{"dims", {-2, 0}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"dims", {2}}}, "dim 2"},
                    {{ones({2, 3}, f64)}, {{"dims", {1, -1}}}, "dim 1 is given twice"}};
          },
          .linear_in = {0}};
}

Op roll_op() {
  return {.name = "roll",
          .doc = "input's elements moved by shifts along dims (the flattened input without dims), cyclically",
          .inputs = {{"input"}},
          .defaults = default_options<RollOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<RollOptions>("roll", options);
            return {lucid::roll(in[0], o.shifts, o.dims.value_or(Shape{}))};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({5}, g)}, {{"shifts", 2}, {"dims", 0}}},
                    {{normal({2, 3, 2, 3, 4}, g)}, {{"shifts", {-1, 7}}, {"dims", {3, -1}}}},
                    {{normal({2, 3}, g)}, {{"shifts", -2}, {"dims", nullptr}}},
                    {{normal({2, 3}, g)}, {{"shifts", {1, -5}}, {"dims", {-1, 1}}}},
                    {{normal({2, 3}, g)}, {{"shifts", {4}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"shifts", {1, 2}}, {"dims", {0}}}, "(1, 2)"},
                    {{ones({2, 3}, f64)}, {{"shifts", 1}, {"dims", 2}}, "dim 2"}};
          },
          .linear_in = {0}};
}

Op repeat_op() {
  return {.name = "repeat",
          .doc = "input repeats[i] times along axis i; axes may be added in front",
          .inputs = {{"input"}},
          .defaults = default_options<RepeatOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::repeat(in[0], read_options<RepeatOptions>("repeat", options).repeats)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({3}, g)}, {{"repeats", {2, 2}}}},
                    {{normal({1, 2, 2, 1, 2}, g)}, {{"repeats", {2, 1, 3, 1, 2}}}},
                    {{normal({}, g)}, {{"repeats", {2}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"repeats", {2}}}, "(2)"},
                    {{ones({2}, f64)}, {{"repeats", {-1}}}, "(-1)"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
