// topk and one_hot.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/record.hpp"
#include "ops/cast.hpp"
#include "ops/gather.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/options.hpp"
#include "ops/picks.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;

// `shape` is the input's; no option of the op.
struct TopkOptions {
  std::int64_t k = 1;
  std::int64_t dim = -1;
  bool largest = true;
  bool sorted = true;
  Shape shape = {};
};
LUCID_OPTIONS(TopkOptions, k, dim, largest, sorted)

struct OneHotOptions {
  std::int64_t num_classes = -1;
};
LUCID_OPTIONS(OneHotOptions, num_classes)

Tensors topk_backward(const Backward<TopkOptions>& b) {
  if (!b.grad().defined()) return {};
  return {scatter_add(zeros(b.options.shape, b.grad().dtype()), b.options.dim, b.saved[0], b.grad())};
}

// Positions of the k first of `size` elements in the order wanted.
template <class T>
void first_positions(std::int64_t* out, const T* row, std::int64_t size, std::int64_t k, bool largest,
                     std::vector<std::int64_t>& order) {
  using C = Compute<T>;
  const auto greater = [](C a, C b) {
    if constexpr (std::is_floating_point_v<C>)
      if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && !std::isnan(b);
    return a > b;
  };
  order.resize(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](std::int64_t i, std::int64_t j) {
    const C a = static_cast<C>(row[i]), b = static_cast<C>(row[j]);
    if (greater(a, b)) return largest;
    if (greater(b, a)) return !largest;
    return i < j;
  });
  std::copy(order.begin(), order.begin() + k, out);
}

Tensor top_positions(const Tensor& input, std::int64_t k, std::int64_t dim, bool largest) {
  const no_grad guard;
  const Tensor rows = input.transpose(dim, -1).contiguous();
  Shape shape = rows.shape();
  const std::int64_t size = shape.back();
  shape[shape.size() - 1] = k;
  const Tensor out = empty(shape, i64);
  if (out.numel() > 0)
    dispatch_numeric("topk", rows.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      auto* to = out.data_to_write<std::int64_t>();
      const T* from = rows.data<T>();
      parallel_for(out.numel() / k, std::max<std::int64_t>(1, 4096 / size),
                   [&](std::int64_t begin, std::int64_t end) {
                     std::vector<std::int64_t> order;
                     for (std::int64_t i = begin; i < end; ++i)
                       first_positions(to + i * k, from + i * size, size, k, largest, order);
                   });
    });
  return out.transpose(dim, -1).contiguous();
}

}  // namespace

std::pair<Tensor, Tensor> topk(const Tensor& given, std::int64_t k, std::int64_t dim, bool largest, bool) {
  const autograd::OpTimer timer("topk");
  check(given.defined(), "topk", "the tensor is undefined");
  const std::size_t axis = normalize_axis("topk", dim, given.shape().size());
  const Tensor input = given.dim() == 0 ? given.unsqueeze(0) : given;
  check(k >= 0 && k <= input.shape()[axis], "topk", "k ", k, " is out of range for axis ", axis, " of size ",
        input.shape()[axis]);
  const Tensor indices = top_positions(input, k, dim, largest);
  Tensor values;
  {
    const no_grad guard;
    values = gather(input, dim, indices);
  }
  const Tensor results[] = {values, indices};
  autograd::record_all("topk", std::span(results), std::span(&input, 1), std::span(&indices, 1),
                       TopkOptions{k, dim, largest, true, input.shape()}, topk_backward);
  if (given.dim() == 0) return {values.squeeze(0), indices.squeeze(0)};
  return {values, indices};
}

Tensor one_hot(const Tensor& input, std::int64_t num_classes) {
  const autograd::OpTimer timer("one_hot");
  const Tensor classes = ops::as_positions("one_hot", "input", input).contiguous();
  const auto* from = classes.data<std::int64_t>();
  std::int64_t highest = -1;
  for (std::int64_t i = 0; i < classes.numel(); ++i) {
    check(from[i] >= 0, "one_hot", "class ", from[i], " is negative");
    highest = std::max(highest, from[i]);
  }
  check(num_classes > 0 || (num_classes == -1 && highest >= 0), "one_hot", "num_classes ", num_classes,
        " is not positive", num_classes == -1 ? " and an empty input has no largest class" : "");
  check(num_classes == -1 || highest < num_classes, "one_hot", "class ", highest, " is out of range for ",
        num_classes, " classes");
  const std::int64_t count = num_classes == -1 ? checked_add("one_hot", "classes", highest, 1) : num_classes;
  Shape shape = input.shape();
  shape.push_back(count);
  const Tensor out = zeros(shape, i64);
  auto* to = out.data_to_write<std::int64_t>();
  for (std::int64_t i = 0; i < classes.numel(); ++i) to[i * count + from[i]] = 1;
  autograd::observe_op("one_hot", std::span(&out, 1), std::span(&input, 1), OneHotOptions{num_classes});
  return out;
}

namespace ops {

Op topk_op() {
  return {.name = "topk",
          .doc = "the k largest (or smallest) elements along dim in order, and their positions",
          .inputs = {{"input"}},
          .defaults = default_options<TopkOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<TopkOptions>("topk", options);
            const auto [values, indices] = lucid::topk(in[0], o.k, o.dim, o.largest, o.sorted);
            return {values, indices};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({7}, g)}, {{"k", 3}}},
                    {{normal({2, 4, 3}, g)}, {{"k", 2}, {"dim", 1}, {"largest", false}}},
                    {{normal({2, 3}, g)}, {{"k", 3}, {"dim", 1}}},
                    {{normal({4, 2, 2}, g)}, {{"k", 2}, {"dim", -3}, {"sorted", false}}},
                    {{normal({}, g)}, {{"dim", 0}}},
                    {{randint(0, 3, {2, 6}, i64, &g)}, {{"k", 4}}},
                    {{randint(0, 3, {6}, i64, &g)}, {{"k", 4}, {"largest", false}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({3}, f64)}, {{"k", 4}}, "k 4"}, {{ones({3}, f64)}, {{"k", -1}}, "k -1"}};
          }};
}

Op one_hot_op() {
  return {.name = "one_hot",
          .doc = "input (...) of classes to int64 (..., num_classes) with 1 at each class",
          .inputs = {{"input"}},
          .defaults = default_options<OneHotOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::one_hot(in[0], read_options<OneHotOptions>("one_hot", options).num_classes)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{randint(0, 3, {5}, i64, &g)}, {{"num_classes", 4}}},
                    {{randint(0, 3, {2, 2}, i64, &g)}},
                    {{randint(0, 3, {}, i32, &g)}, {{"num_classes", 3}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{full({2}, 3, i64)}, {{"num_classes", 3}}, "class 3"},
                    {{full({2}, -2, i64)}, {}, "class -2"},
                    {{ones({2}, f64)}, {}, "float64"},
                    {{ones({2}, i64)}, {{"num_classes", 0}}, "num_classes 0"}};
          },
          .differentiable = false};
}

}  // namespace ops
}  // namespace lucid
