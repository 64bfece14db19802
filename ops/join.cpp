#include "ops/join.hpp"

#include "autograd/record.hpp"
#include "ops/kernels/join.hpp"
#include "ops/kernels/layout.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/slice.hpp"
#include "ops/view.hpp"

namespace lucid {
namespace {

using autograd::Backward;

// `sizes` along dim tell the gradient's parts; -1 for a tensor that was passed over.
struct CatOptions {
  std::int64_t dim = 0;
  std::vector<std::int64_t> sizes;
};
LUCID_OPTIONS(CatOptions, dim)

struct StackOptions {
  std::int64_t dim = 0;
};
LUCID_OPTIONS(StackOptions, dim)

Tensors cat_backward(const Backward<CatOptions>& b) {
  Tensors out(b.options.sizes.size());
  std::int64_t at = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (b.options.sizes[i] < 0) continue;
    if (b.wants[i]) out[i] = narrow(b.grad(), b.options.dim, at, b.options.sizes[i]);
    at += b.options.sizes[i];
  }
  return out;
}

Tensors stack_backward(const Backward<StackOptions>& b) {
  Tensors out(b.wants.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    if (b.wants[i]) out[i] = select(b.grad(), b.options.dim, static_cast<std::int64_t>(i));
  return out;
}

void require_tensors(std::string_view op, const Tensors& tensors) {
  check(!tensors.empty(), op, "no tensors given; at least one is required");
  for (std::size_t i = 0; i < tensors.size(); ++i)
    check(tensors[i].defined(), op, "tensor ", i, " is undefined");
}

bool is_passed_over(const Tensor& tensor) { return tensor.shape() == Shape{0}; }

// The strides that decide the result's memory order. A volume of one channel is both row-major and
// channels-last, so the first that is not both decides.
Strides deciding_strides(const Tensors& parts) {
  for (const Tensor& part : parts)
    if (part.numel() > 0 && !(part.is_contiguous() && part.is_channels_last())) return part.strides();
  return parts[0].strides();
}

// The shape of `parts` joined; `parts` have the rank of the first.
Shape joined_shape(std::string_view op, const Tensors& parts, std::size_t axis) {
  Shape shape = parts[0].shape();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    Shape expected = shape;
    if (parts[i].shape().size() == shape.size()) expected[axis] = parts[i].shape()[axis];
    check(parts[i].shape() == expected, op, "tensor ", i, " has shape ", parts[i].shape(),
          ", which does not fit ", parts[0].shape(), " off axis ", axis);
    shape[axis] = checked_add(op, "size", shape[axis], parts[i].shape()[axis]);
  }
  return shape;
}

Tensor joined(std::string_view op, const Tensors& parts, std::size_t axis) {
  const Shape shape = joined_shape(op, parts, axis);
  DType dtype = parts[0].dtype();
  for (const Tensor& part : parts) dtype = promote(dtype, part.dtype());
  checked_numel(op, shape);
  const Tensor out = kernels::empty_in_order(shape, deciding_strides(parts), dtype);
  kernels::concatenate(out, parts, axis);
  return out;
}

}  // namespace

Tensor cat(const Tensors& tensors, std::int64_t dim) {
  const autograd::OpTimer timer("cat");
  require_tensors("cat", tensors);
  bool passes_over = false;
  for (const Tensor& tensor : tensors) passes_over |= tensor.dim() != 1;
  Tensors parts;
  std::vector<std::int64_t> sizes;
  for (const Tensor& tensor : tensors) {
    const bool counts = !(passes_over && is_passed_over(tensor));
    if (counts) parts.push_back(tensor);
    sizes.push_back(counts ? 0 : -1);
  }
  check(parts[0].dim() > 0, "cat", "a tensor of shape ", parts[0].shape(),
        ", of rank 0, can't be joined; use stack");
  const std::size_t axis = normalize_axis("cat", dim, parts[0].shape().size());
  const Tensor out = joined("cat", parts, axis);
  for (std::size_t i = 0; i < sizes.size(); ++i)
    if (sizes[i] == 0) sizes[i] = tensors[i].shape()[axis];
  autograd::record_all("cat", std::span(&out, 1), tensors, {}, CatOptions{dim, sizes}, cat_backward);
  return out;
}

Tensor stack(const Tensors& tensors, std::int64_t dim) {
  const autograd::OpTimer timer("stack");
  require_tensors("stack", tensors);
  Tensors parts;
  {
    const no_grad guard;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      check(tensors[i].shape() == tensors[0].shape(), "stack", "tensor ", i, " has shape ",
            tensors[i].shape(), ", the first has ", tensors[0].shape());
      const std::size_t axis = normalize_axis("stack", dim, tensors[i].shape().size() + 1);
      parts.push_back(tensors[i].unsqueeze(static_cast<std::int64_t>(axis)));
    }
  }
  const Tensor out = joined("stack", parts, normalize_axis("stack", dim, parts[0].shape().size()));
  autograd::record_all("stack", std::span(&out, 1), tensors, {}, StackOptions{dim}, stack_backward);
  return out;
}

namespace ops {

Op cat_op() {
  return {.name = "cat",
          .doc = "tensors one after the other along dim; their other sizes agree",
          .inputs = {{"tensors", false, true}},
          .defaults = default_options<CatOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::cat(in, read_options<CatOptions>("cat", options).dim)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({2, 3}, g), normal({1, 3}, g)}},
                    {{normal({1, 2, 2, 3, 2}, g), normal({1, 3, 2, 3, 2}, g)}, {{"dim", 1}}},
                    {{normal({2, 2}, g), normal({2, 1}, g), normal({2, 3}, g)}, {{"dim", -1}}},
                    {{normal({3}, g)}},
                    {{normal({2, 3, 1}, g), normal({2, 2, 1}, g)}, {{"dim", -2}}},
                    {{normal({0}, g), normal({2, 3}, g), normal({1, 3}, g)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({1, 2, 3}, f64), ones({1, 2, 4}, f64)}, {{"dim", 1}}, "(1, 2, 4)"},
                    {{ones({1, 2}, f64)}, {{"dim", 2}}, "dim 2"},
                    {{ones({2}, f64), ones({2, 1}, f64)}, {}, "(2, 1)"},
                    {{ones({}, f64)}, {}, "rank 0"},
                    {{}, {}, "no tensors"}};
          }};
}

Op stack_op() {
  return {.name = "stack",
          .doc = "tensors of one shape side by side along a new axis dim",
          .inputs = {{"tensors", false, true}},
          .defaults = default_options<StackOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::stack(in, read_options<StackOptions>("stack", options).dim)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({2, 3}, g), normal({2, 3}, g)}},
                    {{normal({2, 3}, g), normal({2, 3}, g), normal({2, 3}, g)}, {{"dim", -1}}},
                    {{normal({}, g), normal({}, g)}},
                    {{normal({2, 3, 2}, g), normal({2, 3, 2}, g)}, {{"dim", -3}}},
                    {{normal({2}, g)}, {{"dim", 1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2}, f64), ones({3}, f64)}, {}, "(3)"},
                    {{ones({2}, f64)}, {{"dim", 2}}, "dim 2"},
                    {{}, {}, "no tensors"}};
          }};
}

}  // namespace ops
}  // namespace lucid
